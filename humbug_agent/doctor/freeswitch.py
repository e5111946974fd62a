"""What FreeSWITCH's modules do with its documents, by their configuration, against where the agent waits for them."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.config import Config
from humbug_agent.doctor.asked import TakesPosts, opened
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.ini import is_loopback, shown
from humbug_agent.pbx_host.asterisk import ANYWHERE
from humbug_agent.pbx_host.freeswitch import Freeswitch, Target, param, target

POSTING = ("json_cdr", "xml_cdr", "format_cdr")
POSTED_TO = "freeswitch_http"
"""The type of source that waits for their posts."""
DOCUMENTS, ROWS, SOCKET = "freeswitch_json", "freeswitch_csv", "freeswitch_esl"
"""Those that have the calls another way; the last not while the agent is stopped."""

FUSIONPBX_IMPORT = "xml_cdr_import"
"""Of the path that mod_xml_cdr posts to for FusionPBX's own pages, which need it."""

ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Post:
    """A url that a module posts to. ``shown`` has no secret."""

    module: str
    to: Target

    @property
    def shown(self) -> str:
        return f"{self.to.scheme}://{shown(self.to.host, self.to.port)}"


def findings(config: Config, freeswitch: Freeswitch) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    posts: list[Post] = []
    known = True
    for name in POSTING:
        file = freeswitch.file(name)
        if not (freeswitch.loads(f"mod_{name}") and freeswitch.at(file).exists()):
            continue
        urls = freeswitch.every(name, "url")
        # Which variables others set nobody can tell from here.
        known = known and not any("${" in url for url in urls)
        posts += [Post(name, target(url)) for url in urls if "${" not in url]
        timeout = freeswitch.settings(name).get("timeout", "")
        if urls and name != "format_cdr" and not (timeout.isascii() and timeout.isdigit() and int(timeout)):
            # Its URL may have a password in it.
            said = f"{file}: url is set, and timeout is {timeout or 'not set'}"
            change = f"{file}: {param('timeout', '5')}"
            yield Finding(code=Code.NO_TIMEOUT, said=said, change=change)
    waiting = [one for one in config.sources if isinstance(one, TakesPosts) and one.type == POSTED_TO]
    reached = [(post, source) for post in posts for source in waiting if _reaches(post, source)]
    # FusionPBX's own pages are no proxy for others.
    ours = [post for post in posts if FUSIONPBX_IMPORT not in post.to.path]
    if known and not reached:
        for source in waiting:
            yield from _elsewhere(source, ours[0], config, freeswitch) if ours else _nowhere(source, freeswitch)
    for post, source in reached:
        yield from _of_login(post, source, config, freeswitch)
    for module in dict.fromkeys(post.module for post, _ in reached):
        yield from _of_unsent(module, config, freeswitch)


def _nowhere(source: TakesPosts, freeswitch: Freeswitch) -> Iterator[Finding]:
    """Nothing posts. Sources that others may reach wait for another host's."""
    if not is_loopback(source.host):
        return
    file, part = freeswitch.file("json_cdr"), f"source {source.name}"
    if freeswitch.loads("mod_json_cdr"):
        said = f"{file}: has no url, so that mod_json_cdr posts no calls, for which [{part}] waits"
        change = f"{file}: {_url(source)}"
    else:
        said = f"{freeswitch.file('modules')}: loads nothing that posts calls, for which [{part}] waits"
        change = f'{freeswitch.file("modules")}: <load module="mod_json_cdr"/>'
    yield Finding(code=Code.NOT_POSTED, said=said, change=change, part=part)


def _elsewhere(source: TakesPosts, post: Post, config: Config, freeswitch: Freeswitch) -> Iterator[Finding]:
    own = any(map(_is_own, _addresses(post.to.host)))
    if not own and not is_loopback(source.host):
        return
    why, fails, proxied = f"and [source {source.name}] listens on {shown(source.host, source.port)}", True, False
    if _reaches(post, source, scheme=post.to.scheme):
        why = f"and [source {source.name}] takes http:// alone"
    elif own and post.to.port not in {one.port for one in opened(config).values()} and _answers(post):
        why += ": whether the program that has this port hands them on is not known"
        fails, proxied = False, True
    elif not own and _addresses(post.to.host):
        fails = False
    file = freeswitch.file(post.module)
    said, change = f"{file}: url leads to {post.shown}, {why}", f"{file}: {_url(source)}"
    yield _missed(said, change, source, config, freeswitch, fails=post.module if fails else "", proxied=proxied)


def _of_login(post: Post, source: TakesPosts, config: Config, freeswitch: Freeswitch) -> Iterator[Finding]:
    """The name and password that its posts have, against those that the agent wants."""
    password = source.password.reveal() if source.password else ""
    if not (source.username or password):
        return
    creds = [*freeswitch.every(post.module, "cred")[-1:], *filter(None, [post.to.login])]
    schemes = [one.lower() for one in freeswitch.every(post.module, "auth-scheme")]
    if f"{source.username}:{password}" in creds:
        # With = before it the scheme is the only one, and "any" asks for what the agent takes.
        if schemes and schemes[-1].startswith("=") and schemes[-1] not in ("=basic", "=any"):
            file = freeswitch.file(post.module)
            said = f"{file}: auth-scheme is {schemes[-1]}, and the agent takes basic alone"
            change = f"{file}: {param('auth-scheme', 'basic')}"
            yield _missed(said, change, source, config, freeswitch, fails=post.module)
        return
    file, section = freeswitch.file(post.module), f"[source {source.name}]"
    said = f"{file}: cred is {'another one' if creds else 'not set'}, and {section} of agent.ini has a name or password"
    change = f"{file}: {param('cred', f'{source.username}:THE PASSWORD OF agent.ini')}"
    yield _missed(said, change, source, config, freeswitch, fails=post.module)


def _missed(
    said: str,
    change: str,
    source: TakesPosts,
    config: Config,
    freeswitch: Freeswitch,
    *,
    fails: str,
    proxied: bool = False,
) -> Finding:
    """A warning where the calls come another way, or perhaps by a proxy. ``fails``: the module whose posts all fail."""
    other = _another_way(config, freeswitch, fails)
    code = Code.POSTED_ROUND if other or proxied else Code.POSTED_ELSEWHERE
    if other and not proxied:
        said += f"; [source {other}] has the calls all the same"
    return Finding(code=code, said=said, change=change, part=f"source {source.name}")


def _another_way(config: Config, freeswitch: Freeswitch, fails: str, *, stopped: bool = False) -> str:
    """The name of a source that has the calls which are not posted, also while the agent was ``stopped``; or blank."""
    for source in config.sources:
        if (source.type == SOCKET and not stopped) or (source.type == ROWS and freeswitch.loads("mod_cdr_csv")):
            return source.name
        if source.type == DOCUMENTS and source.reads:
            kept = [freeswitch.unsent(fails)] if fails else []
            kept += [freeswitch.written(name) for name in POSTING if freeswitch.loads(f"mod_{name}")]
            if any(one and _same(freeswitch.at(one), source.reads) for one in kept):
                return source.name
    return ""


def _of_unsent(module: str, config: Config, freeswitch: Freeswitch) -> Iterator[Finding]:
    """Whether somebody reads what it could not post, such as while the agent was stopped."""
    if _another_way(config, freeswitch, module, stopped=True):
        return
    file, unsent = freeswitch.file(module), freeswitch.unsent(module)
    if unsent is None:
        said = f"{file}: log-errors-to-disk is no: what could not be posted is thrown away"
        change = f"{file}: {param('log-errors-to-disk', 'true')}"
    else:
        read = [one.reads for one in config.sources if one.type == DOCUMENTS and one.reads]
        said = (
            f"{file}: what could not be posted goes to {unsent} (err-log-dir), and no freeswitch_json source reads it"
        )
        change = f"agent.ini: [source unsent]\ntype = {DOCUMENTS}\npath = {unsent}\nafter = delete"
        if read:
            path = f"/{read[0].relative_to(freeswitch.root)}" if read[0].is_relative_to(freeswitch.root) else read[0]
            change = f"{file}: {param('err-log-dir', str(path))}"
    yield Finding(code=Code.UNSENT, said=said, change=change)


def _reaches(post: Post, source: TakesPosts, scheme: str = "http") -> bool:
    if post.to.scheme != scheme or post.to.port != source.port:
        return False
    there = _addresses(post.to.host)
    return any(map(_is_own, there)) if source.host in ANYWHERE else bool(there & _addresses(source.host))


def _addresses(host: str) -> set[str]:
    try:
        return {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)} if host else set()
    except (OSError, UnicodeError):
        return set()


def _is_own(address: str) -> bool:
    """Whether it is one of this host's: nobody else's can be bound to."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def _answers(post: Post) -> bool:
    try:
        socket.create_connection((post.to.host, post.to.port), ASK_SECONDS).close()
    except OSError:
        return False
    return True


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _url(source: TakesPosts) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(source.host, source.host)  # nosec B104
    return param("url", f"http://{shown(host, source.port)}/")
