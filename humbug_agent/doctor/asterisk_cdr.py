"""What Asterisk's configuration does with its call records, against what agent.ini reads of them."""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo

from humbug_agent.config import Config
from humbug_agent.doctor.asked import ReadsMasterCsv
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.pbx_host import console
from humbug_agent.pbx_host.asterisk import ROOT, Asterisk
from humbug_agent.pbx_host.conf import Section, Setting
from humbug_agent.setup.asterisk import CUSTOM
from humbug_agent.sources.zone_watch import in_hours

GENERAL = "cdr_general_custom.conf"
"""What FreePBX's cdr.conf includes in its [general], and leaves to the admin."""

OFF = {Code.CSV_OFF, Code.CSV_EMPTY}

HALF_A_YEAR = timedelta(days=182)
"""Two zones may show the same in winter, or in summer."""


def findings(config: Config, asterisk: Asterisk) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    here = [one for one in config.sources if isinstance(one, ReadsMasterCsv) and _is_ours(one.path, asterisk)]
    heard = [one.name for one in config.sources if one.hears_asterisk]
    if not here and not heard:
        return
    if not asterisk.at(asterisk.etc / "cdr.conf").exists():
        for source in here:
            said = f"{asterisk.etc / 'cdr.conf'} does not exist"
            yield Finding(code=Code.CSV_OFF, said=said, part=f"source {source.name}")
        return
    if off := asterisk.cdrs_off():
        change = f"{to_change(asterisk, 'cdr.conf', general=True)}, [general]: enable = yes"
        yield Finding(code=Code.CDR_OFF, said=f"{asterisk.etc}: {off}", change=change)
    yield from _of_batches(asterisk)
    for source in here:
        found = list(_of_csv(source, asterisk))
        yield from found if any(one.code in OFF for one in found) else [*found, *_of_running(source, asterisk)]
    yield from _of_zone(config, [one.name for one in here] + heard, asterisk)
    yield from _of_two_writers(asterisk)


def _is_ours(path: Path, asterisk: Asterisk) -> bool:
    """Whether it is a file that this host's Asterisk writes, or would."""
    return os.path.realpath(path.parent) in (
        os.path.realpath(asterisk.at(asterisk.logs / folder)) for folder in ("cdr-csv", "cdr-custom")
    )


def _of_csv(source: ReadsMasterCsv, asterisk: Asterisk) -> Iterator[Finding]:
    part = f"source {source.name}"
    if not _is_csvs(source.path, asterisk):
        if not any(name == source.path.name for name, _ in _mappings(asterisk)):
            said = (
                f"{asterisk.etc / 'cdr_custom.conf'}: [mappings] has no line for {source.path.name}, or is not loaded"
            )
            yield Finding(code=Code.CSV_OFF, said=said, part=part)
        return
    conf, section = to_change(asterisk, "cdr.conf"), asterisk.conf("cdr.conf").first("csv")
    if section is None:
        said, change = (
            f"{asterisk.etc / 'cdr.conf'} has no [csv]",
            f"{conf}: [csv]\nloguniqueid = yes\nloguserfield = yes",
        )
        yield Finding(code=Code.CSV_OFF, said=said, change=change, part=part)
        return
    where = f"{_line(section, asterisk)}, [csv]"
    if not asterisk.loads("cdr_csv"):
        said = f"{asterisk.etc / 'modules.conf'} does not load cdr_csv.so"
        change = f"{asterisk.etc / 'modules.conf'}, [modules]: load = cdr_csv.so, and no line noload = cdr_csv.so"
        yield Finding(code=Code.CSV_OFF, said=said, change=change, part=part)
    if not section.settings:
        change = f"{conf}, [csv]: loguniqueid = yes"
        yield Finding(code=Code.CSV_EMPTY, said=f"{where}: nothing stands in it", change=change, part=part)
    if not section.yes("loguniqueid", False):
        said = f"{where}: loguniqueid is {_said(section, 'loguniqueid')}"
        yield Finding(code=Code.NO_UNIQUEID, said=said, change=f"{conf}, [csv]: loguniqueid = yes", part=part)
    utc = section.yes("usegmtime", False)
    if source.utc is not None and source.utc != utc:
        ours, theirs = ("yes" if one else "no" for one in (source.utc, utc))
        said = f"agent.ini, [{part}]: utc = {ours}, and {where}: usegmtime is {theirs}"
        yield Finding(code=Code.UTC, said=said, change=f"agent.ini, [{part}]: utc = auto", part=part)


def _of_running(source: ReadsMasterCsv, asterisk: Asterisk) -> Iterator[Finding]:
    """What the Asterisk that runs has loaded: it may have begun with another configuration than stands there now."""
    shown = console.said_to("cdr show status") if asterisk.root == ROOT and _is_csvs(source.path, asterisk) else None
    if shown and "Registered Backends" in shown and not re.search(r"^\s*csv\s*$", shown, re.MULTILINE):
        said = "asterisk -rx 'cdr show status' does not list csv: the Asterisk that runs has not loaded cdr_csv"
        change = "asterisk -rx 'module load cdr_csv.so', or module reload where it is loaded"
        yield Finding(code=Code.CSV_OFF, said=said, change=change, part=f"source {source.name}")


def _is_csvs(path: Path, asterisk: Asterisk) -> bool:
    """Whether it is in the folder of cdr_csv, and not in that of cdr_custom."""
    return os.path.realpath(path.parent) == os.path.realpath(asterisk.at(asterisk.logs / "cdr-csv"))


def to_change(asterisk: Asterisk, file: str, *, general: bool = False) -> Path:
    """Where to write what belongs into ``file``, its [general] or another section: FreePBX makes some files anew."""
    try:
        included = {one.name for one in asterisk.conf(file).files}
    except FileNotFoundError:
        included = set()
    custom = GENERAL if general and file == "cdr.conf" else CUSTOM[file]
    return asterisk.etc / (custom if custom in included else file)


def _of_batches(asterisk: Asterisk) -> Iterator[Finding]:
    general = asterisk.conf("cdr.conf").first("general")
    if general and (batch := general.last("batch")) and batch.yes:
        size, seconds = (_said(general, one) for one in ("size", "time"))
        said = f"{_line(batch, asterisk)}, [general]: batch = {batch.value} (size {size}, time {seconds})"
        change = f"{to_change(asterisk, 'cdr.conf', general=True)}, [general]: batch = no"
        yield Finding(code=Code.BATCH, said=said, change=change)


def _of_zone(config: Config, sources: list[str], asterisk: Asterisk) -> Iterator[Finding]:
    """Asterisk's zone is that of the host, whatever anybody sets."""
    localtime = asterisk.at(Path("/etc/localtime"))
    try:
        with localtime.open("rb") as file:
            zone = ZoneInfo.from_file(file)
    except (FileNotFoundError, ValueError):
        return
    now = datetime.now().astimezone()
    for moment in (now, now + HALF_A_YEAR):
        ours, theirs = (moment.astimezone(one).utcoffset() or timedelta(0) for one in (config.agent.timezone, zone))
        if ours != theirs:
            off = (ours - theirs).total_seconds()
            away = f"{in_hours(off)} {'ahead of' if off > 0 else 'behind'}"
            said = (
                f"agent.ini, [agent]: timezone = {config.agent.timezone} is {away} this host's zone (/etc/localtime), "
                f"which is Asterisk's, on {moment:%Y-%m-%d}"
            )
            yield Finding(code=Code.ZONE, said=said, part=f"source {sources[0]}")
            return


def _of_two_writers(asterisk: Asterisk) -> Iterator[Finding]:
    """cdr_custom's mappings that lead to the file which cdr_csv writes, or to one and the same."""
    csv = asterisk.master_csv()
    writers = {} if csv.off else {_real(csv.path, asterisk): "cdr_csv"}
    for name, where in _mappings(asterisk):
        file = _real(asterisk.logs / "cdr-custom" / name, asterisk)
        if file in writers:
            shown = PurePath("/") / os.path.relpath(file, os.path.realpath(asterisk.root))
            said = f"{where}: cdr_custom writes {shown}, as {writers[file]} does"
            yield Finding(code=Code.DOUBLES, said=said, change=f"{where}: leave it out, or give it another name")
        writers[file] = where


def _mappings(asterisk: Asterisk) -> list[tuple[str, str]]:
    """The files that cdr_custom writes, by their names below cdr-custom, and where that is said."""
    if not asterisk.loads("cdr_custom"):
        return []
    try:
        conf = asterisk.conf("cdr_custom.conf")
    except FileNotFoundError:
        return []
    return [
        (one.name, _line(one, asterisk))
        for section in conf.every("mappings")
        for one in section.settings
        if one.name and one.value
    ]


def _real(path: Path, asterisk: Asterisk) -> str:
    return os.path.realpath(asterisk.at(Path(os.path.normpath(path))))


def _said(section: Section, name: str) -> str:
    found = section.last(name)
    return found.value if found else "not set"


def _line(found: Section | Setting, asterisk: Asterisk) -> str:
    """Where it stands, as the host itself calls the file."""
    return f"/{found.file.relative_to(asterisk.root)}, line {found.line}"
