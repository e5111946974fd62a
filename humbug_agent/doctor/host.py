"""What is wrong with files, disks, certificates and ports of the host that the agent is on."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from humbug_agent.config import Config
from humbug_agent.doctor import certificates
from humbug_agent.doctor.asked import ListensToAmi, Posts, opened
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.ini import CERTIFICATES, in_clear, names_file, read
from humbug_agent.pbx_host.logrotate import Directive, rotation_of
from humbug_agent.routing.only import Only

SHARE, LEAST_BYTES, MOST_BYTES = 20, 64 * 2**20, 2**30
"""A twentieth of a disk is to be free; of a small one 64 MB, of a large one a GB."""


def of_modes(config: Config) -> Iterator[Finding]:
    """Files with secrets or calls in them that everybody may read."""
    outbox = config.agent.outbox
    files = {config.path: "", **dict.fromkeys(_named(config), "")}
    files |= {outbox.with_name(outbox.name + suffix): "the calls" for suffix in ("", "-wal")}
    for file, holds in files.items():
        try:
            mode = file.stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IROTH:
            said = f"{file} is {stat.filemode(mode)}: everybody may read {holds or 'the secrets in it'}"
            yield Finding(code=Code.OPEN_TO_ALL, said=said, change=f"chmod {'0600' if holds else '0640'} {file}")


def _named(config: Config) -> list[Path]:
    """Files with a secret each that agent.ini names; a certificate's, where its key is in there."""
    parser = read(config.path, [])
    return [
        Path(value)
        for section in map(parser.__getitem__, parser.sections())
        for key, value in section.items()
        if names_file(key) and key != "ca_file" and not section.get(CERTIFICATES.get(key, ""))
    ]


def of_disks(config: Config) -> Iterator[Finding]:
    """Each disk once, by the first folder that is on it."""
    seen: set[int] = set()
    for folder in (config.agent.outbox.parent, *(one.reads for one in config.sources if one.reads)):
        try:
            # A disk that fails, and a folder's rights, let nobody look.
            while not folder.is_dir() and folder != folder.parent:
                folder = folder.parent
            disk = folder.stat().st_dev
            short = _short(folder)
        except OSError:
            continue
        if short and disk not in seen:
            yield Finding(code=Code.DISK, said=short)
        seen.add(disk)


def _short(folder: Path) -> str:
    """What is free on its disk, where that is little; blank where it is not."""
    usage = shutil.disk_usage(folder)
    if usage.free >= min(max(usage.total // SHARE, LEAST_BYTES), MOST_BYTES):
        return ""
    return f"{folder}: of its disk's {usage.total / 2**20:,.0f} MB only {usage.free / 2**20:,.0f} are free"


def of_files(config: Config) -> Iterator[Finding]:
    """Certificates that the agent shows to others."""
    for part, listens in opened(config).items():
        if listens.certificate:
            yield from _of_file(listens.certificate, part)


def _of_file(file: Path, part: str) -> Iterator[Finding]:
    try:
        ends = certificates.of_file(file)
    except (OSError, ValueError):
        return
    if ends:
        yield Finding(code=Code.CERTIFICATE, said=f"the certificate in {file} {ends}", part=part)


def of_servers(config: Config) -> Iterator[Finding]:
    """Certificates that the agent is shown. What can't be reached is another finding."""
    asked: dict[str, tuple[str, int]] = {}
    for source in config.sources:
        if isinstance(source, ListensToAmi) and source.tls:
            asked[f"source {source.name}"] = source.host, source.port
    for destination in config.destinations:
        if isinstance(destination, Posts) and destination.proxy is None:
            parts = urlsplit(destination.url)
            if parts.scheme == "https" and parts.hostname:
                asked[f"destination {destination.name}"] = parts.hostname, parts.port or 443
    for part, (host, port) in asked.items():
        try:
            ends = certificates.of_server(host, port)
        except (OSError, ValueError):
            continue
        if ends:
            yield Finding(code=Code.CERTIFICATE, said=f"the certificate of {host}:{port} {ends}", part=part)


def of_destinations(config: Config) -> Iterator[Finding]:
    seen: dict[tuple[str, str, Only | None], str] = {}
    for one in config.destinations:
        if not isinstance(one, Posts):
            continue
        part, key = f"destination {one.name}", (one.url, one.api_key.reveal(), one.only)
        if key in seen and one.api_key.reveal():
            said = f"agent.ini: [destination {seen[key]}] and [{part}] send the same calls to one receiver with one key"
            yield Finding(code=Code.DOUBLES, said=said, change=f"agent.ini: without [{part}]", part=part)
        seen.setdefault(key, one.name)
        if one.encryption_key and (there := in_clear(one.url)):
            said = f"agent.ini, [{part}]: encryption_key is set, and calls go to {there} over http://"
            yield Finding(code=Code.DISGUISE, said=said, change=f"agent.ini, [{part}]: url = https://…", part=part)


def of_rotation(config: Config, root: Path) -> Iterator[Finding]:
    """Raises OSError."""
    for source in config.sources:
        log = source.reads
        if log is None or log.is_dir():
            continue
        found_for = rotation_of(log, root)
        if found_for is None:
            continue
        host_name, block = found_for
        part, ours = f"source {source.name}", block.directives
        if (found := ours.get("copytruncate")) is not None:
            where = _line(found, root)
            said = f"{where}: {host_name} is rotated with copytruncate"
            change = f"{where}: nocreate instead of copytruncate"
            yield Finding(code=Code.COPYTRUNCATE, said=said, change=change, part=part)
        for name, why in _lost(ours, host_name.parent, host_name.name).items():
            where = _line(ours[name], root) if name in ours else "logrotate's configuration"
            yield Finding(code=Code.ROTATION, said=f"{where}: {why}", part=part)


def _lost(directives: Mapping[str, Directive], folder: os.PathLike[str], log: str) -> dict[str, str]:
    """Directive -> why a rotated file of ``log`` is not found."""
    found = {}
    if "olddir" in directives and Path(folder, directives["olddir"].value) != Path(folder):
        found["olddir"] = f"rotated files are moved to {directives['olddir'].value}, where nobody looks for them"
    for name in ("extension", "addextension"):
        if name in directives and log.endswith(directives[name].value):
            found[name] = f"{name} {directives[name].value} gives rotated files names that do not begin with {log}"
    kept = directives["rotate"].value if "rotate" in directives else "0"
    if kept == "0":
        found["rotate"] = "rotate is 0: what is rotated is deleted at once"
    return found


def _line(found: Directive, root: Path) -> str:
    return f"/{found.file.relative_to(root)}, line {found.line}"
