"""An agent.ini for tests that need one, whatever it says."""

from pathlib import Path

from humbug_agent.config import Config, load


def config_of(
    folder: Path, agent: str = "", source: str = "", more: str = "", url: str = "http://127.0.0.1:9/"
) -> Config:
    """One in this folder, read: source ``csv`` is a Master.csv there, destination ``humbug`` is where nobody answers.

    ``agent`` and ``source`` are more lines of their sections, ``more`` are more sections.
    """
    ini = folder / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = UTC\n{agent}\n"
        f"[source csv]\ntype = asterisk_csv\npath = {folder}/Master.csv\n{source}\n"
        f"[destination humbug]\ntype = humbug\nurl = {url}\napi_key = k\n{more}\n"
    )
    return load(ini)
