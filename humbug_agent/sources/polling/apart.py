"""A question that is put in a thread of its own, so that a server which says nothing holds up no end of the agent."""

import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from threading import Event, Thread
from typing import TypeVar

from humbug_agent.host import threads
from humbug_agent.sources.polling.client import Stopped

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""How long at most a stop goes unnoticed."""


class Unanswered(Exception):
    """The time for an answer is over."""


def ask_apart(
    question: Callable[[], T], stop: Event, seconds: float, cut: Callable[[], None], close: Callable[[], object]
) -> T:
    """What ``question`` returns; it raises what that raises, and Stopped, and after ``seconds`` Unanswered.

    A question that nobody waits for any more is left alone: its answer goes nowhere. ``cut`` is called then, so that it
    ends soon, and in its thread ``close`` once it has ended.
    """
    asked: Future[T] = Future()
    until = time.monotonic() + seconds
    threads.start(Thread(target=_answer, args=(question, asked, close), name="question", daemon=True))
    while not wait([asked], LOOK_SECONDS).done:
        # What is answered at this very moment can't be cancelled, and is taken.
        if (stop.is_set() or time.monotonic() > until) and asked.cancel():
            cut()
            raise Stopped if stop.is_set() else Unanswered
    return asked.result()


def _answer(question: Callable[[], T], asked: Future[T], close: Callable[[], object]) -> None:
    try:
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 # it is raised where it was asked
            asked.set_exception(error)
        else:
            asked.set_result(answer)
    except InvalidStateError:
        # Nobody waits for it any more.
        close()
