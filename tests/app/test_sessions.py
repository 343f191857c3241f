"""A session is a view: it shares the weights and the bank, keeps little, and ends its own work."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))

from app.session import background
from app.session.background import Background
from app.session.services import _MAX_RESULTS, Session
from munkey_core.progress import Progress
from munkey_core.studio import Studio
from tests.waiting import PATIENCE, until


def test_sessions_share_the_bank_and_cost_next_to_nothing(digits):
    ids = digits.memory.private_ids()
    digits.session().predict(list(ids[:2]))  # what is made once is made
    tracemalloc.start()
    sessions = [digits.session() for _ in range(50)]
    for i, session in enumerate(sessions):
        session.forget(ids[i : i + 10])
        session.predict(list(ids[:2]))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bank = digits._view.bank
    assert all(s._view.bank is bank for s in sessions)
    assert all(s.explain._bundle is digits.explain._bundle for s in sessions)
    # Each holds its ten deletions, not a copy of 300 keys of 64 numbers.
    assert used / len(sessions) < 20_000
    assert [s.memory.keys_left for s in sessions] == [len(ids) - 10] * 50
    assert digits.memory.keys_left == len(ids)


def test_a_session_keeps_a_bounded_number_of_results(digits: Studio):
    session = Session("digits", digits, None)  # type: ignore[arg-type]
    for i in range(10 * _MAX_RESULTS):
        session.remember(i, lambda i=i: [i])  # type: ignore[misc]
    assert len(session._results) == _MAX_RESULTS


@pytest.fixture
def leaver(monkeypatch):
    """Somebody who leaves when the test says so, and is given no grace."""
    there = threading.Event()
    there.set()
    monkeypatch.setattr(background, "me", lambda: "somebody")
    monkeypatch.setattr(background, "present", lambda asker: there.is_set())
    return there


def endless(steps: list[int]):
    for i in range(10**9):
        steps.append(i)
        yield Progress("counting", i, 10**9, 0.0)


def test_work_ends_when_the_person_has_left(leaver, monkeypatch):
    monkeypatch.setattr(background, "_GRACE", -1.0)
    steps: list[int] = []
    job: Background[int] = Background(lambda: endless(steps), "endless")
    until(lambda: steps)
    assert not job.finished
    leaver.clear()
    job.wait(PATIENCE)
    assert job.finished
    assert job.stopped


def test_stopped_work_lets_go_of_what_it_holds():
    held = threading.Event()

    def holding():
        try:
            yield from endless([])
        finally:
            held.set()

    kept = holding()  # Somebody else knows of it, so it isn't left to the collection of garbage.
    job: Background[int] = Background(lambda: kept, "holding")
    job.stop()
    job.wait(60)
    assert job.stopped
    assert held.is_set()


def test_a_lost_connection_is_waited_for(leaver, monkeypatch):
    monkeypatch.setattr(background, "_GRACE", 3_600.0)
    steps: list[int] = []
    job: Background[int] = Background(lambda: endless(steps), "endless")
    leaver.clear()
    count = len(steps)
    until(lambda: len(steps) >= count + 1_000)
    assert not job.stopped
    leaver.set()
    until(lambda: job._missed_since is None)
    job.stop()
    job.wait(PATIENCE)
