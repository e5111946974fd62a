"""Which kind of PBX a host has."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.conf import ConfError
from humbug_agent.pbx_host.freeswitch import Freeswitch

FREEPBX = ("etc/freepbx.conf", "etc/amportal.conf")
FUSIONPBX = ("etc/fusionpbx/config.conf", "etc/fusionpbx/config.php", "var/www/fusionpbx/resources/config.php")
FREEPBX_VERSION = "var/www/html/admin/modules/framework/module.xml"
OWN_CDR_CONF = 16
"""The first FreePBX that writes /etc/asterisk/cdr.conf itself."""


class Profile(StrEnum):
    """The kind of PBX, in words."""

    ASTERISK = "Asterisk"
    FREEPBX_OLD = "FreePBX up to 15"
    FREEPBX = "FreePBX 16 or later"
    FUSIONPBX = "FusionPBX"
    FREESWITCH = "FreeSWITCH"
    HOSTED = "no PBX"

    @property
    def has_freepbx(self) -> bool:
        return self in (Profile.FREEPBX_OLD, Profile.FREEPBX)


@dataclass(frozen=True, slots=True)
class PbxHost:
    """A host, by what it has below ``root``; ``asterisk`` and ``freeswitch`` are None where it has none."""

    root: Path
    profile: Profile
    asterisk: Asterisk | None
    freeswitch: Freeswitch | None


def look(root: Path = Path("/")) -> PbxHost:
    """What the host has. It reads files, and asks no program."""
    asterisk, freeswitch = Asterisk(root), Freeswitch(root)
    if asterisk.there:
        profile = Profile.ASTERISK
        if any((root / one).exists() for one in FREEPBX):
            profile = Profile.FREEPBX if _owns_cdr_conf(asterisk) else Profile.FREEPBX_OLD
        return PbxHost(root, profile, asterisk, None)
    if freeswitch.there:
        fusionpbx = any((root / one).exists() for one in FUSIONPBX)
        return PbxHost(root, Profile.FUSIONPBX if fusionpbx else Profile.FREESWITCH, None, freeswitch)
    return PbxHost(root, Profile.HOSTED, None, None)


def _owns_cdr_conf(asterisk: Asterisk) -> bool:
    """By its version, or, where that can't be read, by what it has written."""
    try:
        text = (asterisk.root / FREEPBX_VERSION).read_text(errors="replace")
        if version := re.search(r"<version>\s*(\d+)", text):
            return int(version[1]) >= OWN_CDR_CONF
    except OSError:
        pass
    try:
        files = asterisk.conf("cdr.conf").files
    except (OSError, ConfError):
        return False
    return any(file.name == "cdr_non_general_custom.conf" for file in files)
