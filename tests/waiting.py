"""How tests wait: for a state, and never for a time in which it should surely have come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 300.0  # s; far more than anything here takes, on however busy a machine


def until(
    condition: Callable[[], T], every: float = 0.02, said: Callable[[], str] = lambda: ""
) -> T:
    """Ask until the answer is true, and return that answer.

    every: seconds between two looks; more where a look is work itself.
    Raises AssertionError with what ``said`` returns when :data:`PATIENCE` is at its end.
    """
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came to that: {said()}"
        time.sleep(every)
    return found


def together(works: Iterable[Callable[[], object]]) -> None:
    """Do all this at the same time, each in a thread of its own. Raises what any of them raised."""
    works = list(works)
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], object]) -> None:
        start.wait(PATIENCE)
        work()

    with ThreadPoolExecutor(len(works)) as threads:
        for one in [threads.submit(begin, work) for work in works]:
            one.result(PATIENCE)
