"""What the agent itself needs on a host: agent.ini, the AMI user's secret, its directories, its place in a group."""

import grp
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.destinations import DESTINATIONS
from humbug_agent.destinations import sample_of as destination_sample
from humbug_agent.ini import LOOPBACK, Secret, read
from humbug_agent.ini import Section as IniSection
from humbug_agent.pbx_host.asterisk import AMI_PORT
from humbug_agent.pbx_host.profile import PbxHost
from humbug_agent.setup.agent_ini import AgentIni
from humbug_agent.setup.asterisk import AsteriskPlan
from humbug_agent.setup.files import Folder, Owner, owner_of
from humbug_agent.setup.freeswitch import plan_freeswitch
from humbug_agent.setup.plan import Plan
from humbug_agent.sources import sample_of as source_sample

USER = "humbug-agent"
OUTBOX = "/var/lib/humbug-agent/outbox.db"
KEPT_IN = "ami-secret"
"""The AMI user's secret, beside agent.ini."""

HEAD = (
    "# humbug-agent's configuration, begun by humbug-agent init. Lines that begin with # are comments, and what is\n"
    "# commented out is the default. humbug-agent check tries it all, and sends no call.\n"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The daemon's user; root where there is none, as in a container."""

    uid: int
    gid: int
    there: bool

    @property
    def readable(self) -> Owner:
        """Of a file that the daemon reads, and root alone writes."""
        return Owner(os.geteuid(), self.gid, 0o640 if self.there else 0o600)

    @property
    def folder(self) -> Owner:
        return Owner(os.geteuid(), self.gid, 0o750)

    @property
    def own_folder(self) -> Owner:
        return Owner(self.uid, self.gid, 0o700)


def account() -> Account:
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return nobody()
    return Account(entry.pw_uid, entry.pw_gid, there=True)


def nobody() -> Account:
    """Where the daemon has no user of its own: whose files would be whoever's runs this."""
    return Account(os.geteuid(), os.getegid(), there=False)


@dataclass(frozen=True, slots=True)
class Answers:
    """What no file of the host tells; None: what agent.ini has stays."""

    api_key: Secret | None
    country: str | None
    url: str | None


class Known:
    """What agent.ini says already. Raises ConfigError where it can't be read at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self.sections: dict[str, dict[str, str]] = {}
        if path.exists():
            parser = read(path, [])
            # With its line ends: universal newlines would change them all.
            self.text = path.read_bytes().decode("utf-8-sig")
            self.sections = {title: dict(parser[title]) for title in parser.sections()}

    @property
    def destination(self) -> str:
        """The title of the first destination of type humbug; blank where there is none."""
        return next(self._of("destination", "humbug"), "")

    @property
    def configured(self) -> bool:
        """Whether somebody has said where calls go: a destination that is neither the example's nor without a key."""
        return any(title.startswith("destination ") and _is_complete(here) for title, here in self.sections.items())

    @property
    def country(self) -> str:
        return self.sections.get("numbers", {}).get("country", "")

    def source(self, type_: str) -> str:
        """The title of the first source of this type; blank where there is none."""
        return next(self._of("source", type_), "")

    def every(self, type_: str) -> list[IniSection]:
        """The sources of this type."""
        return [IniSection(title, self.sections[title], []) for title in self._of("source", type_)]

    def sources(self) -> list[str]:
        """The titles of those that somebody has chosen.

        Where there is no key yet, one that says no more than its type is the example's.
        """
        found = [title for title in self.sections if title.startswith("source ")]
        return [title for title in found if self.configured or self.sections[title].keys() != {"type"}]

    def secret(self, title: str) -> Secret | None:
        return IniSection(title, self.sections[title], []).secret("secret")

    def _of(self, kind: str, type_: str) -> Iterator[str]:
        for title, values in self.sections.items():
            if title.startswith(f"{kind} ") and values.get("type") == type_:
                yield title


def make_plan(host: PbxHost, known: Known, answers: Answers, who: Account) -> Plan:
    """All that the host needs. Raises OSError, ConfError where a file of the PBX can't be read."""
    plan = Plan()
    _folders(plan, host.root, known, who)
    ami: dict[str, str] = {}
    if host.asterisk:
        asterisk = AsteriskPlan(plan, host.asterisk, host.profile)
        asterisk.master_csv()
        ami = _ami(plan, asterisk, host, known, who)
        _join(plan, host.root, host.asterisk.at(host.asterisk.logs / "cdr-csv"), who)
    if host.freeswitch:
        plan_freeswitch(plan, host.freeswitch, host.profile, known.every("freeswitch_http"))
        _join(plan, host.root, host.freeswitch.at(host.freeswitch.logs), who)
    # Where nothing is to be said anew, its bytes stay as they are.
    if (text := _agent_ini(plan, known, answers, ami)) != AgentIni(known.text).text:
        plan.files.put(known.path, text, who.readable)
    if who.there:
        _hand_over(plan, host.root, known, who)
    return plan


def _folders(plan: Plan, root: Path, known: Known, who: Account) -> None:
    for folder, owner in _own(root, known, who).items():
        if not folder.exists():
            plan.folders.append(Folder(folder, owner))


def _own(root: Path, known: Known, who: Account) -> dict[Path, Owner]:
    """The directories of the agent alone."""
    outbox = root / (known.sections.get("agent", {}).get("outbox") or OUTBOX).lstrip("/")
    return {known.path.parent: who.folder, outbox.parent: who.own_folder}


def _hand_over(plan: Plan, root: Path, known: Known, who: Account) -> None:
    """What an earlier run made for root alone, when the daemon had no user yet."""
    files = (known.path, known.path.parent / KEPT_IN)
    was, is_now = (_own(root, known, one) | dict.fromkeys(files, one.readable) for one in (nobody(), who))
    for path, owner in is_now.items():
        if path.exists() and owner_of(path) == was[path]:
            plan.run("chown", f"{owner.user}:{owner.group}", str(path))
            plan.run("chmod", f"{owner.mode:04o}", str(path))


def _ami(plan: Plan, asterisk: AsteriskPlan, host: PbxHost, known: Known, who: Account) -> dict[str, str]:
    """The settings of a new source for AMI; none where agent.ini has one, or there can be none."""
    assert host.asterisk
    ami = host.asterisk.ami()
    title = known.source("asterisk_ami")
    here = known.sections.get(title, {"username": "humbug", "secret_file": str(known.path.parent / KEPT_IN)})
    if here.get("host", ami.host) not in (*LOOPBACK, ami.host):
        # Another host's.
        return {}
    file = Path(here.get("secret_file", ""))
    secret = known.secret(title) if title else _kept(plan, file)
    if secret is None and not here.get("secret_file"):
        plan.left.append(f"agent.ini, [{title}] has no secret: give it secret or secret_file, then run this again")
        return {}
    asterisk.cdr_events()
    made = asterisk.ami(here.get("username", ""), secret, _fresh, board="status" in known.sections)
    if made and secret is None:
        plan.files.put(file, f"{made.reveal()}\n", who.readable, secret=True)
    if title or not made:
        return {}
    elsewhere = {"host": ami.host} if ami.host != "127.0.0.1" else {}
    port = {"port": str(ami.port)} if ami.port != AMI_PORT else {}
    return {**elsewhere, **port, **here}


def _kept(plan: Plan, file: Path) -> Secret | None:
    """What an earlier run has put into the file."""
    text = (plan.files.text(file) or "").strip()
    return Secret(text) if text else None


def _fresh() -> Secret:
    return Secret(secrets.token_urlsafe(24))


def _join(plan: Plan, root: Path, folder: Path, who: Account) -> None:
    """Have the daemon's user in the groups that may read the PBX's records in a folder below ``root``.

    One that is not there yet will be as readable as the nearest above it.
    """
    if not who.there:
        return
    # Into root's group nobody comes by this: what only root may read, check tells.
    known = {0, *os.getgrouplist(USER, who.gid)}
    needs = 0o005
    for one in (folder, *folder.parents):
        if not one.is_relative_to(root) or not one.exists():
            continue
        owner = owner_of(one)
        # Those above are only gone through.
        if owner.mode & needs != needs and owner.gid not in known:
            with suppress(KeyError):
                plan.run("usermod", "-aG", grp.getgrgid(owner.gid).gr_name, USER)
        needs = 0o001


def _agent_ini(plan: Plan, known: Known, answers: Answers, ami: dict[str, str]) -> str:
    ini = AgentIni(known.text or HEAD)
    chosen = known.sources()
    wanted = {one.type: dict(one.values) for one in plan.wanted if known.source(one.type) not in chosen}
    if ami:
        wanted["asterisk_ami"] = ami
    for title, here in known.sections.items():
        unchosen = title.startswith("source ") and title not in chosen
        if unchosen and (plan.wanted or chosen) and here["type"] not in {one.type for one in plan.wanted}:
            ini.disable(title)
    for type_, values in wanted.items():
        title = known.source(type_) or _begun(ini, source_sample(type_))
        ini.set(title, {"type": type_, **values})
    # Who has but other destinations wants no Humbug, unless he says so.
    if answers.api_key or answers.url or not known.configured:
        title = known.destination or _begun(ini, destination_sample("humbug"))
        ini.set(title, {"type": "humbug"})
        if answers.api_key:
            ini.drop(title, ("api_key_file", "api_keys_file", "api_keys_by"))
            ini.set(title, {"api_key": answers.api_key.reveal()})
        if answers.url:
            ini.set(title, {"url": answers.url})
    if answers.country:
        ini.enable("numbers", "[numbers]\n")
        ini.set("numbers", {"country": answers.country})
    return ini.text


def _begun(ini: AgentIni, sample: str) -> str:
    """Have a section as in ``sample``; returns its title, which is another where one of another type has that."""
    found = re.search(r"^#?\[(.+)\]$", sample, re.MULTILINE)
    assert found
    titles = (found[1], *(f"{found[1]}-{number}" for number in range(2, 1000)))
    title = next(one for one in titles if not ini.has(one))
    ini.enable(title, sample.replace(f"[{found[1]}]", f"[{title}]"))
    return title


def _is_complete(here: Mapping[str, str]) -> bool:
    """Whether a [destination NAME] has what its type needs, as far as nobody is asked."""
    if here.get("type") != "humbug":
        return here.get("type") in DESTINATIONS and here.keys() != {"type"}
    example = _values(destination_sample("humbug"))["api_key"]
    return here.get("api_key", example) != example or any(map(here.get, ("api_key_file", "api_keys_file")))


def _values(sample: str) -> dict[str, str]:
    """Those of its settings that are not commented out."""
    return dict(re.findall(r"^(\w+) = (.*)$", sample, re.MULTILINE))
