"""The rotation of a Master.csv that Asterisk begins to write, lest it fill the disk of a PBX that is forgotten."""

import os
from pathlib import Path

from humbug_agent.pbx_host.logrotate import FOLDER, rotation_of
from humbug_agent.setup.files import Owner
from humbug_agent.setup.plan import Plan

FILE = f"{FOLDER}/humbug-agent"

BLOCK = """\
# Put here by humbug-agent init, which had Asterisk write this file. By renaming: copytruncate can lose calls.
{log} {{
    monthly
    rotate 24
    compress
    delaycompress
    missingok
    notifempty
    nocreate
    su {user} {group}
}}
"""


def plan_rotation(plan: Plan, root: Path, log: Path, owner: Owner) -> None:
    """Have logrotate rotate ``log``, as the host below ``root`` calls it, where it is there and nobody has it do so.

    ``owner`` is that of the log's directory, as whom it is done. Raises OSError.
    """
    file = root / FILE[1:]
    if not file.parent.is_dir() or file.exists() or rotation_of(root / str(log)[1:], root):
        return
    text = BLOCK.format(log=log, user=owner.user, group=owner.group)
    plan.files.put(file, text, Owner(os.geteuid(), os.getegid(), 0o644))
