"""What Asterisk's configuration does with its call records, against what agent.ini reads of them."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo

from humbug_agent.config import Config
from humbug_agent.doctor.asked import ReadsMasterCsv
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.pbx_host import console
from humbug_agent.pbx_host.asterisk import CONF, DIRECTORIES, ROOT, Asterisk
from humbug_agent.pbx_host.conf import Section, Setting
from humbug_agent.setup.asterisk import CUSTOM
from humbug_agent.sources.zone_watch import in_hours

GENERAL = "cdr_general_custom.conf"
"""What FreePBX's cdr.conf includes in its [general], and leaves to the admin."""

OFF = {Code.CSV_OFF, Code.CSV_EMPTY}

HALF_A_YEAR = timedelta(days=182)
"""Two zones may show the same in winter, or in summer."""

COPIED_SECONDS = 60.0
"""By how much the last change of a copy, where Asterisk used to write, may be behind that of its Master.csv."""

QUIET_SECONDS = 7 * 86400.0
"""A log from elsewhere may be copied once a night, or have no calls over a weekend."""


def findings(config: Config, asterisk: Asterisk) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    read = [one for one in config.sources if isinstance(one, ReadsMasterCsv)]
    here = [one for one in read if _is_ours(one.path, asterisk)]
    if not here:
        # Beside one that has this Asterisk's calls, others are perhaps of accounts that have had none yet.
        yield from _of_strays(read, asterisk)
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
    """Whether it is a file that this host's Asterisk writes, or would; by whichever name."""
    if _is_csvs(path, asterisk):
        return True
    custom = asterisk.at(asterisk.logs / "cdr-custom")
    return os.path.realpath(path.parent) == os.path.realpath(custom) or _is_customs(path, asterisk)


def _of_strays(sources: Sequence[ReadsMasterCsv], asterisk: Asterisk) -> Iterator[Finding]:
    """Sources that read what this host's Asterisk does not write, and nobody else any more."""
    csv = asterisk.master_csv()
    custom = [asterisk.logs / "cdr-custom" / name for name, _ in _mappings(asterisk)] if csv.off else []
    for source in sources:
        last = _last_written(source.path, asterisk)
        if last is None:
            why = "does not exist"
        elif _is_behind(source.path, last, asterisk):
            why = f"was written to at {datetime.fromtimestamp(last):%Y-%m-%d %H:%M} for the last time"
        else:
            continue
        part = f"source {source.name}"
        said = f"agent.ini, [{part}]: path = {source.path} {why}, and this host's Asterisk does not write it"
        change = f"agent.ini, [{part}]: path = {next(iter(custom), csv.path)}"
        yield Finding(code=Code.CSV_OFF, said=said, change=change, part=part)


def _last_written(path: Path, asterisk: Asterisk) -> float | None:
    """When it was, or the newest of its rotated files; None where there is none."""
    ours = _real(asterisk.master_csv().path, asterisk)
    files = [path] if path.exists() else list(path.parent.glob(f"{glob.escape(path.name)}*"))
    return max((one.stat().st_mtime for one in files if os.path.realpath(one) != ours), default=None)


def _is_behind(path: Path, last: float, asterisk: Asterisk) -> bool:
    """Whether nothing was added to it since this Asterisk began to write elsewhere.

    Elsewhere than in Asterisk's own folders it may be another host's, which has its quiet days, or a copy.
    """
    ours = asterisk.at(asterisk.master_csv().path)
    folders = (asterisk.logs, Path(DIRECTORIES["astlogdir"]))
    usual = os.path.realpath(path.parent) in [os.path.realpath(asterisk.at(one / "cdr-csv")) for one in folders]
    if not ours.exists():
        conf = asterisk.at(Path(CONF))
        return usual and conf.exists() and conf.stat().st_mtime > last
    written = ours.stat()
    if usual:
        return written.st_mtime - last > COPIED_SECONDS
    return path.parent.stat().st_dev == written.st_dev and written.st_mtime - last > QUIET_SECONDS


def _of_csv(source: ReadsMasterCsv, asterisk: Asterisk) -> Iterator[Finding]:
    part = f"source {source.name}"
    if not _is_csvs(source.path, asterisk):
        if not _is_customs(source.path, asterisk):
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
    folder = Path(os.path.realpath(source.path)).parent
    if source.path.is_symlink() and not folder.exists():
        said = f"{source.path} is a link into a folder that does not exist: Asterisk can't write it"
        change = f"mkdir {folder}, for Asterisk's user, or rm {source.path}"
        yield Finding(code=Code.CSV_OFF, said=said, change=change, part=part)
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
    """Whether it is what cdr_csv writes: Master.csv, or the file of an account that has had calls."""
    ours = asterisk.at(asterisk.logs / "cdr-csv" / "Master.csv")
    if os.path.realpath(path) == os.path.realpath(ours):
        return True
    section = asterisk.conf("cdr.conf").first("csv")
    accounts = section is not None and section.yes("accountlogs", True) and path.suffix == ".csv" and path.exists()
    return accounts and os.path.realpath(path.parent) == os.path.realpath(ours.parent)


def _is_customs(path: Path, asterisk: Asterisk) -> bool:
    files = (_real(asterisk.logs / "cdr-custom" / name, asterisk) for name, _ in _mappings(asterisk))
    return os.path.realpath(path) in files


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
