"""What an Asterisk needs so that Master.csv and AMI have its calls.

On FreePBX nothing is written into a file that FreePBX makes anew: it includes files of the same name with _custom.
"""

import re
from collections.abc import Callable, Set
from pathlib import Path

from humbug_agent.ini import Secret
from humbug_agent.pbx_host.asterisk import ANYWHERE, Ami, AmiUser, Asterisk, MasterCsv
from humbug_agent.pbx_host.conf import ConfError, Section, Setting
from humbug_agent.pbx_host.profile import Profile
from humbug_agent.setup.files import Folder, Owner, owner_of
from humbug_agent.setup.plan import Plan, Proof, Wanted
from humbug_agent.setup.rotation import plan_rotation

CUSTOM = {
    "cdr.conf": "cdr_non_general_custom.conf",
    "cdr_manager.conf": "cdr_manager_general_custom.conf",
    "manager.conf": "manager_custom.conf",
}
"""File of Asterisk -> the one that FreePBX's includes, and leaves to the admin."""

MANAGER_D = "manager.d/humbug-agent.conf"
"""Debian's manager.conf includes what is there, and wants it left to packages and admins."""

BEST = "loguniqueid = yes\nloguserfield = yes\n"
RIGHTS = frozenset({"cdr"}), frozenset[str]()
BOARD_RIGHTS = frozenset({"cdr", "call", "agent"}), frozenset({"reporting"})
"""Of the AMI user: read, write; where the live board is wanted, it needs more."""


LOCAL = "127.0.0.1"

Counts = Callable[[Asterisk], bool]
"""Whether an Asterisk goes by what was meant."""


class AsteriskPlan:
    """Adds to a plan what one Asterisk needs. All may raise OSError and ConfError."""

    def __init__(self, plan: Plan, asterisk: Asterisk, profile: Profile) -> None:
        self._plan, self._asterisk, self._profile = plan, asterisk, profile

    def master_csv(self) -> None:
        """Have every call in Master.csv; where that can't be, read the database that has them.

        Master.csv is enough where both are: the database is stopped at times, and what ends then it never has.
        """
        if off := self._asterisk.cdrs_off():
            self._plan.left.append(f"{off}, so that Asterisk makes no CDRs: write enable = yes there, and restart it")
            return
        found = self._asterisk.master_csv()
        if found.off and not self._switch_on(found) and (self._profile.has_freepbx or self._asterisk.in_database()):
            self._plan.wanted.append(Wanted("mysql", {}))
            return
        usual = Path("/var/log/asterisk/cdr-csv/Master.csv")
        self._plan.wanted.append(Wanted("asterisk_csv", {} if found.path == usual else {"path": str(found.path)}))
        folder = self._asterisk.at(found.path.parent)
        if folder.parent.exists() and not folder.exists():
            self._plan.folders.append(Folder(folder, owner_of(folder.parent)))
        if not found.off:
            self._prove_loaded("cdr_csv", "csv")

    def _switch_on(self, found: MasterCsv) -> bool:
        """Have Asterisk write Master.csv, and logrotate rotate it. False where that is left to the admin."""
        if not self._load("cdr_csv"):
            return False
        section = self._asterisk.conf("cdr.conf").first("csv")
        if section is None or not section.settings:
            target = self._target("cdr.conf")
            if target is None:
                return False
            block = f"{'[csv]' if section is None else '[csv](+)'}\n{BEST}"
            if not self._append("cdr.conf", target, block, lambda then: not then.master_csv().off):
                return False
        folders = map(self._asterisk.at, (found.path.parent, self._asterisk.logs))
        if there := next(filter(Path.exists, folders), None):
            plan_rotation(self._plan, self._asterisk.root, found.path, owner_of(there))
        self._reload("cdr_csv", "csv")
        return True

    def cdr_events(self) -> None:
        """Have AMI tell each call."""
        if not self._asterisk.tells_cdrs():
            self._prove_loaded("cdr_manager", "cdr_manager")
            return
        if self._asterisk.cdrs_off() or not self._load("cdr_manager"):
            return
        sections = self._asterisk.conf("cdr_manager.conf").every("general")
        said = [one for section in sections for one in section.every("enabled")]
        if not (said and said[-1].yes):
            target = self._target("cdr_manager.conf")
            if target is None:
                return
            header, before = f"[general]{'(+)' if sections else ''}", said[-1] if said else None
            enabled = ("enabled", "yes")
            if not self._set("cdr_manager.conf", target, header, before, enabled, lambda then: not then.events_off()):
                return
        self._reload("cdr_manager", "cdr_manager")

    def ami(self, name: str, known: Secret | None, fresh: Callable[[], Secret], *, board: bool) -> Secret | None:
        """Have an AMI user ``name`` with the rights it needs, and return his secret; None where that can't be.

        ``known`` is the secret that agent.ini has; without it that of manager.conf is taken, or else a fresh one.
        """
        ami = self._asterisk.ami()
        read, write = BOARD_RIGHTS if board else RIGHTS
        target = self._target("manager.conf")
        if target is None:
            return None
        if not ami.enabled and not self._enable(target):
            return None
        user = ami.user(name)
        if user is None:
            made = known or fresh()
            if not self._add(target, _user(name, made, ami, read, write), name, read | write):
                return None
        known_now = ("asterisk", "-rx", f"manager show user {name}")
        otherwise = (
            f"Asterisk does not know the AMI user {name}: see what asterisk -rx 'manager reload' says in its log"
        )
        reload = (("asterisk", "-rx", "manager reload"),)
        self._plan.proofs.append(Proof(known_now, rf"(?i:\s*username:\s*{re.escape(name)}\s*)", otherwise, reload))
        if user is None:
            return made
        secret = self._adjusted(target, user, read, write)
        if secret and known and secret != known:
            self._plan.left.append(
                f"manager.conf, [{user.name}] has another secret than agent.ini: make them the same, then "
                "asterisk -rx 'manager reload'"
            )
        return secret

    def _add(self, target: Path, block: str, name: str, rights: Set[str]) -> bool:
        """Have the AMI user of ``block`` in a file of his own where there can be one."""
        if self._profile is Profile.ASTERISK and self._includes("manager.conf", f"{MANAGER_D.partition('/')[0]}/"):
            target = self._asterisk.at(self._asterisk.etc / MANAGER_D)

        def counts(then: Asterisk) -> bool:
            user = then.ami().user(name)
            return user is not None and user.read | user.write == rights

        done = self._append("manager.conf", target, block, counts)
        if done:
            self._console("manager reload")
        return done

    def _adjusted(self, target: Path, user: AmiUser, read: Set[str], write: Set[str]) -> Secret | None:
        """The user that there is, with the rights that he lacks."""
        for key, has, needs in (("read", user.read, read), ("write", user.write, write)):
            if "all" not in has and not needs <= has:
                before, ours = user.section.last(key), self._asterisk.at(self._asterisk.etc / MANAGER_D)
                # Who removes our file leaves nowhere an addition to nobody, for which Asterisk refuses all users.
                where = ours if before and before.file == ours else target
                wanted = has | needs

                def counts(then: Asterisk, key: str = key, wanted: Set[str] = wanted) -> bool:
                    now = then.ami().user(user.name)
                    return now is not None and wanted == (now.read if key == "read" else now.write)

                line = (key, ",".join(sorted(wanted)))
                if self._set("manager.conf", where, f"[{user.name}](+)", before, line, counts):
                    self._console("manager reload")
        secret = user.section.last("secret")
        if secret is None:
            self._plan.left.append(
                f"manager.conf, [{user.name}] has no secret in plain text: put it into agent.ini's [source ami]"
            )
        return Secret(secret.value) if secret else None

    def _enable(self, target: Path) -> bool:
        general = self._asterisk.conf("manager.conf").first("general")
        header, before = ("[general](+)", general.last("enabled")) if general else ("[general]", None)
        local = ("bindaddr", LOCAL)
        # First of all, lest it listens on all addresses without it.
        if not (general and general.last("bindaddr")):
            if not self._set("manager.conf", target, header, None, local, lambda then: then.ami().bind == LOCAL):
                return False
            header = "[general](+)"
        done = self._set("manager.conf", target, header, before, ("enabled", "yes"), lambda then: then.ami().enabled)
        if done:
            self._console("manager reload")
        return done

    def _load(self, module: str) -> bool:
        """Have modules.conf load it. False where that is left to the admin."""
        if self._asterisk.loads(module):
            return True
        section = self._asterisk.conf("modules.conf").first("modules")
        unwanted = [one for one in _every(section, "noload") if one.value.removesuffix(".so") == module]
        if section is None or unwanted or self._profile.has_freepbx:
            self._plan.left.append(f"modules.conf does not load {module}.so: have it loaded there, then run this again")
            return False
        block = f"[modules](+)\nload = {module}.so\n"
        path = self._asterisk.at(self._asterisk.etc / "modules.conf")
        return self._append("modules.conf", path, block, lambda then: then.loads(module))

    def _target(self, name: str) -> Path | None:
        """The file to write to; None where FreePBX owns it and includes none that is the admin's."""
        custom = self._asterisk.at(self._asterisk.etc / CUSTOM[name])
        if custom in self._asterisk.conf(name).files:
            return custom
        if self._profile is Profile.FREEPBX or (self._profile is Profile.FREEPBX_OLD and name == "manager.conf"):
            self._plan.left.append(
                f"{name} is FreePBX's own, and does not include {CUSTOM[name]}: mend it with fwconsole, then run this "
                "again"
            )
            return None
        return self._asterisk.at(self._asterisk.etc / name)

    def _includes(self, name: str, folder: str) -> bool:
        where = self._asterisk.at(self._asterisk.etc / folder)
        return any(file.parent == where for file in self._asterisk.conf(name).files)

    def _set(
        self, name: str, target: Path, header: str, before: Setting | None, line: tuple[str, str], counts: Counts
    ) -> bool:
        """Have the file ``name`` of Asterisk say KEY = VALUE; False where that is left to the admin.

        That is the line ``before`` itself, where it stands in ``target``, which may be written to, and where no other
        section has it from there; else one that counts more, below ``header``.
        """
        key, value = line
        shared = self._asterisk.conf(name).inherited
        text = self._plan.files.text(target) if before and before.file == target else None
        if before and text is not None and (before.file, before.line) not in shared:
            lines = re.split(r"(?<=\n)", text)
            found = re.fullmatch(r"(\s*[\w-]+\s*=>?[ \t]*)([^;\r\n]*?)(\s*(?:;.*)?\s*)", lines[before.line - 1])
            if found and found[2] == before.value:
                lines[before.line - 1] = f"{found[1]}{value}{found[3]}"
                return self._put(name, target, "".join(lines), f"{header}, {key} = {value},", counts)
        return self._append(name, target, f"{header}\n{key} = {value}\n", counts)

    def _append(self, name: str, path: Path, block: str, counts: Counts) -> bool:
        return self._put(name, path, self._plan.files.with_last(path, block), block.partition("\n")[0], counts)

    def _put(self, name: str, path: Path, text: str, what: str, counts: Counts) -> bool:
        """Plan this text, where Asterisk goes by it then; else nothing is planned, and the admin is told what it is.

        ``path`` is that of the file ``name``, or of one that it includes.
        """
        then = Asterisk(self._asterisk.root, {**self._plan.files.planned, path: text})
        try:
            good = counts(then)
            line = then.conf(name).unended.get(path)
            why = f"line {line} begins a comment that nothing ends" if line else "what stands there counts more"
        except ConfError as error:
            good, why = False, str(error)
        if good:
            self._plan.files.put(path, text, self._owner())
        else:
            self._plan.left.append(f"{path}: {what} can't be put there, for {why}: mend that, then run this again")
        return good

    def _owner(self) -> Owner:
        """Of a new file: it is as readable as its neighbours; without any, Asterisk can read it, and others not."""
        if files := self._asterisk.conf("manager.conf").files:
            return owner_of(files[0])
        near = (self._asterisk.etc / "modules.conf", self._asterisk.run, self._asterisk.logs, self._asterisk.etc)
        found = [owner_of(path) for path in map(self._asterisk.at, near) if path.exists()]
        theirs = next((one for one in found if one.gid), found[-1])
        return Owner(theirs.uid, theirs.gid, 0o640)

    def _reload(self, module: str, backend: str) -> None:
        """Have the running Asterisk write by it, whether it has it loaded or not."""
        for command in self._prove_loaded(module, backend).remedy:
            self._plan.run(*command)

    def _prove_loaded(self, module: str, backend: str) -> Proof:
        otherwise = f"Asterisk does not list {backend} in cdr show status: restart it when no call is up"
        remedy = tuple(("asterisk", "-rx", f"module {verb} {module}.so") for verb in ("load", "reload"))
        proof = Proof(("asterisk", "-rx", "cdr show status"), rf"\s*{backend}\s*", otherwise, remedy)
        self._plan.proofs.append(proof)
        return proof

    def _console(self, command: str) -> None:
        self._plan.run("asterisk", "-rx", command)


def _every(section: Section | None, name: str) -> list[Setting]:
    return section.every(name) if section else []


def _user(name: str, secret: Secret, ami: Ami, read: Set[str], write: Set[str]) -> str:
    """A section of manager.conf, with the least rights that do; from this host alone."""
    from_here = ami.host if ami.bind not in ANYWHERE else "127.0.0.1"
    everybody, mask = ("::/0", "128") if ":" in from_here else ("0.0.0.0/0.0.0.0", "255.255.255.255")
    return (
        f"[{name}]\nsecret = {secret.reveal()}\ndeny = {everybody}\npermit = {from_here}/{mask}\n"
        f"read = {','.join(sorted(read))}\nwrite = {','.join(sorted(write))}\n"
    )
