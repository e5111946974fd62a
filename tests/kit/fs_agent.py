"""The daemon's way of reading one directory of documents, as a process that can be killed: FOLDER OUTBOX AFTER."""

import sys
import threading
from datetime import UTC
from pathlib import Path

from humbug_agent.daemon.supervisor import Supervisor
from humbug_agent.sources.freeswitch.json.source import FreeswitchJson
from tests.kit.fs_folder import settings


def main() -> None:
    folder, outbox, after = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    source = FreeswitchJson(settings(folder, after), UTC)
    supervisor = Supervisor(source, outbox, 1 << 30, lambda _: None, lambda *_: None)
    supervisor.run(["humbug"], threading.Event())


if __name__ == "__main__":
    main()
