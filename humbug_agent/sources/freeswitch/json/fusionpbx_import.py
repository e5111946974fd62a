"""Whether a directory is the one that FusionPBX's own service reads documents from, and deletes them."""

from pathlib import Path

CONFIGS = tuple(
    Path(name)
    for name in (
        "/etc/fusionpbx/config.conf",
        "/etc/fusionpbx/config.php",
        "/usr/local/etc/fusionpbx/config.conf",
        "/usr/local/etc/fusionpbx/config.php",
        "/var/www/fusionpbx/resources/config.php",
    )
)
"""FusionPBX is installed where one of these is."""

IMPORTED = "xml_cdr"
FAILED = "failed"
FAILURES = ("xml", "sql", "size")
"""Where its import puts what it can't read: in subdirectories that it makes."""

ADVICE = (
    "FusionPBX's own import reads this directory and deletes what it has read: the two would take each other's calls. "
    "Let FreeSWITCH write documents for humbug-agent into a directory of their own (mod_json_cdr with log-dir), or use "
    "freeswitch_http or freeswitch_csv: see docs/sources/freeswitch.md"
)


def imports_from(directory: Path) -> bool:
    # A path that can't be followed is another check's business.
    real = directory.resolve()
    if any((real / FAILED / kind).is_dir() for kind in FAILURES):
        return True
    if real.name != IMPORTED:
        return False
    return (real / FAILED).is_dir() or any(_exists(config) for config in CONFIGS)


def _exists(config: Path) -> bool:
    try:
        return config.exists()
    except PermissionError:
        # It is not shown to everybody, and there is nothing else of that name.
        return True
