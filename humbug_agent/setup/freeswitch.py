"""What a FreeSWITCH needs so that its calls are posted: mod_json_cdr, which tells the most.

On FusionPBX modules.conf.xml is made anew by its pages, and left alone.
"""

from contextlib import suppress

from humbug_agent.pbx_host.freeswitch import Freeswitch, json_cdr_conf
from humbug_agent.pbx_host.profile import Profile
from humbug_agent.setup.files import owner_of
from humbug_agent.setup.plan import Plan, Proof, Wanted

POSTED_TO = "127.0.0.1:8089"
"""Where freeswitch_http listens by default."""

MODULE = "mod_json_cdr"


def plan_freeswitch(plan: Plan, freeswitch: Freeswitch, profile: Profile) -> None:
    """Add to the plan what a FreeSWITCH needs. Raises OSError, ConfError."""
    loaded = freeswitch.loads(MODULE)
    settings = {}
    with suppress(FileNotFoundError):
        settings = dict(freeswitch.settings("json_cdr"))
    if loaded and settings.get("url", f"http://{POSTED_TO}/") != f"http://{POSTED_TO}/":
        # Somebody else needs what it does.
        _what_is_there(plan, freeswitch)
        return
    unsent = freeswitch.logs / "json_cdr"
    file = freeswitch.at(freeswitch.file("json_cdr"))
    near = owner_of(freeswitch.at(freeswitch.file("modules")))
    wanted = json_cdr_conf(POSTED_TO, unsent=str(unsent)) + "\n"
    if settings.get("url") is None:
        plan.files.put(file, wanted, near)
    elsewhere = {} if str(unsent) == "/var/log/freeswitch/json_cdr" else {"path": str(unsent)}
    plan.wanted += [Wanted("freeswitch_http", {}), Wanted("freeswitch_json", elsewhere)]
    if not loaded and profile is Profile.FUSIONPBX:
        plan.left.append(
            f"FusionPBX writes modules.conf.xml itself: in its menu Advanced, Modules, have {MODULE} enabled, and "
            "loaded at start"
        )
    elif not loaded:
        modules = freeswitch.at(freeswitch.file("modules"))
        text = plan.files.text(modules) or ""
        before, end, after = text.rpartition("</modules>")
        lines = before.rstrip(" \t")
        indent = before[len(lines) :]
        plan.files.put(modules, f'{lines}{indent}  <load module="{MODULE}"/>\n{indent}{end}{after}', near)
    loaded_now = ("fs_cli", "-x", f"module_exists {MODULE}")
    otherwise = f"FreeSWITCH has not loaded {MODULE}: see its log, or restart it when no call is up"
    if profile is Profile.FUSIONPBX:
        otherwise += "; where it is not installed, FusionPBX's database has the calls (docs/sources/postgresql.md)"
    remedy = tuple(("fs_cli", "-x", f"{verb} {MODULE}") for verb in ("load", "reload"))
    plan.proofs.append(Proof(loaded_now, r"\s*true\s*", otherwise, remedy))
    if plan.files.changes():
        for command in remedy:
            plan.run(*command)


def _what_is_there(plan: Plan, freeswitch: Freeswitch) -> None:
    directory = freeswitch.directory("json_cdr")
    if directory:
        plan.wanted.append(Wanted("freeswitch_json", {"path": str(directory)}))
    elif freeswitch.loads("mod_cdr_csv"):
        plan.wanted.append(Wanted("freeswitch_csv", {"path": str(freeswitch.master_csv())}))
    else:
        plan.left.append(f"{MODULE} posts somewhere else: add log-dir to json_cdr.conf.xml, then run this again")
