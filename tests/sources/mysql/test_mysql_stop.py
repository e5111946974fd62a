"""A stop while the database says nothing."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from humbug_agent.sources.mysql.found import Place
from humbug_agent.sources.mysql.table import Table
from humbug_agent.sources.polling.client import Stopped
from tests.kit.host import wait_until


@pytest.mark.parametrize("slow", [False, True])
def test_a_stop_waits_for_no_answer_and_the_question_is_hung_up(slow: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        silent.settimeout(10)
        place = Place("127.0.0.1", silent.getsockname()[1], "", "humbug", "", "asteriskcdrdb", "cdr")
        table = Table(lambda: place, 10)
        asked = pool.submit(table.ask, "SELECT 1", slow=slow)
        with silent.accept()[0] as there:
            there.settimeout(10)
            began = time.monotonic()
            table.stop.set()
            with pytest.raises(Stopped):
                asked.result(10)
            assert there.recv(1) == b""
            assert time.monotonic() - began < 5
    wait_until(lambda: not any(thread.name == "question" for thread in threading.enumerate()))
