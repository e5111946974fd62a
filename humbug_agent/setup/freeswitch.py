"""What a FreeSWITCH needs so that its calls are posted: mod_json_cdr, which tells the most.

On FusionPBX modules.conf.xml is made anew by its pages, and left alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.ini import LOOPBACK, Section, address, shown
from humbug_agent.pbx_host.asterisk import ANYWHERE
from humbug_agent.pbx_host.freeswitch import Freeswitch, json_cdr_conf, param, params, target, with_last
from humbug_agent.pbx_host.profile import Profile
from humbug_agent.setup.files import Owner, owner_of
from humbug_agent.setup.plan import Plan, Proof, Wanted

MODULE = "mod_json_cdr"


@dataclass(frozen=True, slots=True)
class Posted:
    """Where the agent takes what is posted, and the user and password that it asks for, in one; blank: none."""

    host: str = "127.0.0.1"
    port: int = 8089
    cred: str = ""

    @classmethod
    def of(cls, source: Section) -> "Posted":
        """By a [source NAME] of type freeswitch_http; what is wrong in it is its section's."""
        host, port = source.converted("listen", address, "HOST:PORT") or (cls().host, cls().port)
        name, password = source.text("username"), source.secret("password")
        cred = f"{name}:{password.reveal() if password else ''}"
        return cls("127.0.0.1" if host in ANYWHERE else host, port, "" if cred == ":" else cred)

    @property
    def address(self) -> str:
        return shown(self.host, self.port)

    def is_at(self, url: str) -> bool:
        """Whether what is posted to ``url`` comes here; any path does."""
        to = target(url)
        same = to.host == self.host or {to.host, self.host} <= {*LOOPBACK}
        return to.scheme == "http" and same and to.port == self.port


def plan_freeswitch(plan: Plan, freeswitch: Freeswitch, profile: Profile, sources: Sequence[Section]) -> None:
    """Add to the plan what a FreeSWITCH needs. Raises OSError, ConfError.

    ``sources`` are those of type freeswitch_http that agent.ini has.
    """
    loaded = freeswitch.loads(MODULE)
    settings: dict[str, str] = {}
    with suppress(FileNotFoundError):
        settings = dict(freeswitch.settings("json_cdr"))
    url = settings.get("url", "")
    listening = [Posted.of(one) for one in sources] or [Posted()]
    posted = next((one for one in listening if one.is_at(url)), listening[0])
    if loaded and (not posted.is_at(url) if url else "log-dir" in settings):
        # Somebody else needs what it does.
        _what_is_there(plan, freeswitch)
        return
    near = owner_of(freeswitch.at(freeswitch.file("modules")))
    unsent = _post(plan, freeswitch, posted, near, loaded=loaded)
    if unsent is None:
        return
    elsewhere = {} if unsent == "/var/log/freeswitch/json_cdr" else {"path": unsent}
    plan.wanted += [Wanted("freeswitch_http", {}), Wanted("freeswitch_json", elsewhere)]
    if not loaded and profile is Profile.FUSIONPBX:
        plan.left.append(
            f"FusionPBX writes modules.conf.xml itself: in its menu Advanced, Modules, have {MODULE} enabled, and "
            "loaded at start"
        )
    elif not loaded:
        _load(plan, freeswitch, near)
    loaded_now = ("fs_cli", "-x", f"module_exists {MODULE}")
    otherwise = f"FreeSWITCH has not loaded {MODULE}: see its log, or restart it when no call is up"
    if profile is Profile.FUSIONPBX:
        otherwise += "; where it is not installed, FusionPBX's database has the calls (docs/sources/postgresql.md)"
    remedy = tuple(("fs_cli", "-x", f"{verb} {MODULE}") for verb in ("load", "reload"))
    plan.proofs.append(Proof(loaded_now, r"\s*true\s*", otherwise, remedy))
    if plan.files.changes():
        for command in remedy:
            plan.run(*command)


def _post(plan: Plan, freeswitch: Freeswitch, posted: Posted, near: Owner, *, loaded: bool) -> str | None:
    """Have json_cdr.conf.xml post to the agent; returns where what can't be posted is kept.

    Where the module is loaded, what is set there stays, and what lacks is set behind it, for of each name but url the
    last counts. None where that is left to the admin.
    """
    file = freeswitch.at(freeswitch.file("json_cdr"))
    unsent = str(freeswitch.logs / "json_cdr")
    cred = f"    {param('cred', posted.cred)}\n" if posted.cred else ""
    wanted = json_cdr_conf(posted.address, cred, unsent=unsent) + "\n"
    text = plan.files.text(file)
    if text is None:
        plan.files.put(file, wanted, near)
        return unsent
    has = dict(params(file, text.encode("utf-8", "surrogateescape")))
    is_ours = posted.is_at(has.get("url", ""))
    if not (loaded or is_ours):
        # Nobody uses it.
        plan.files.put(file, wanted, near)
        return unsent
    # What is encoded can't be read, and without its password nothing is taken.
    exactly = {"cred"} if is_ours else {"url", "cred", "encode"}
    lines = [
        param(name, value)
        for name, value in params(file, wanted.encode())
        if (has.get(name) != value if name in exactly else name not in has and not is_ours)
    ]
    if lines and not _put_last(plan, file, "settings", lines, near):
        return None
    return str(freeswitch.directory("json_cdr", "err-log-dir") or unsent)


def _load(plan: Plan, freeswitch: Freeswitch, near: Owner) -> None:
    """Have modules.conf.xml load the module."""
    file = freeswitch.at(freeswitch.file("modules"))
    _put_last(plan, file, "modules", [f'<load module="{MODULE}"/>'], near)


def _put_last(plan: Plan, file: Path, element: str, lines: list[str], near: Owner) -> bool:
    """Whether ``lines`` can be the last in the element of the file; else it is left to the admin."""
    text = (plan.files.text(file) or "").encode("utf-8", "surrogateescape")
    after = with_last(file, text, element, lines)
    if after is None:
        plan.left.append(f"{file} has no <{element}>, in which {' '.join(lines)} belongs: put it there")
        return False
    plan.files.put(file, after.decode("utf-8", "surrogateescape"), near)
    return True


def _what_is_there(plan: Plan, freeswitch: Freeswitch) -> None:
    directory = freeswitch.directory("json_cdr")
    if directory:
        plan.wanted.append(Wanted("freeswitch_json", {"path": str(directory)}))
    elif freeswitch.loads("mod_cdr_csv"):
        plan.wanted.append(Wanted("freeswitch_csv", {"path": str(freeswitch.master_csv())}))
    else:
        plan.left.append(f"{MODULE} posts somewhere else: add log-dir to json_cdr.conf.xml, then run this again")
