"""How long a job takes: the stages that are expected of it, and the time that is left."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import SPACES
from munkey_core.erasure.measure_again import Missing
from munkey_core.errors import MunkeyError
from munkey_core.explain.map import maps_of
from munkey_core.explain.projection import stages as map_stages
from munkey_core.files.cache import cache_folder
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked
from munkey_core.jobs.job import MEASURE, PROJECT, RETRAIN, TRAIN, Job
from munkey_core.progress import Progress
from munkey_core.training.runs import runs_folder

STARTING = "starting"
START_SECONDS = 8.0
# What a map takes on two cores, until this machine has fitted one: to compare a pair of entries, to
# import UMAP, to lay out an entry.
_PAIR_SECONDS = 1e-8
_IMPORT_SECONDS = 10.0
_ENTRY_SECONDS = 1e-3
_QUICK_SECONDS = 60.0  # to measure what takes no training


Stages = tuple[tuple[str, float], ...]


def expected_stages(bundle: Bundle, kind: str) -> Stages:
    """Stages of a job and how many seconds each takes here, as far as is known: from the last job
    of this kind, else from how long it took when the bundle was made. Empty if nobody knows."""
    results = maps_of(bundle.bank).folder() if kind == PROJECT else runs_folder(bundle)
    with contextlib.suppress(OSError, MunkeyError):
        path = _stages_file(results, kind)
        return checked(Stages, path.read_bytes(), path.name)
    if kind == PROJECT:
        return ((STARTING, START_SECONDS), *guessed_maps(len(bundle.bank)))
    provenance = bundle.manifest.provenance
    seconds = provenance["seconds"]
    if kind != RETRAIN or "training" not in seconds or provenance.get("device") != "CPU":
        return ()
    return (
        (STARTING, START_SECONDS),
        ("encoding", seconds.get("encoding", 0.0)),
        ("training", seconds["training"]),
        ("predicting", seconds.get("encoding", 0.0)),
    )


def measuring_stages(lost: Sequence[Missing]) -> Stages:
    """The stages of measuring again what is missing; empty where it isn't known how long one of the
    trainings took: half an estimate is none."""
    if any(one.trainings and one.seconds is None for one in lost):
        return ()
    measured = ((one.what, one.seconds or _QUICK_SECONDS) for one in lost)
    return ((STARTING, START_SECONDS), *measured)


def guessed_maps(n: int) -> Stages:
    """Stages of fitting the maps of n entries."""
    guessed: list[tuple[str, float]] = []
    for space, loading in zip(SPACES, (_IMPORT_SECONDS, 0.0), strict=True):
        seconds = _PAIR_SECONDS * n * n, loading + 1, _ENTRY_SECONDS * n
        guessed += zip(map_stages(space), seconds, strict=True)
    return tuple(guessed)


def _stages_file(results: Path, kind: str) -> Path:
    return cache_folder() / "jobs" / f"{kind}-{results.name}.json"


def keep_stages(job: Job, stages: Stages) -> None:
    if job.kind in (TRAIN, MEASURE):  # the next one is about something else
        return
    with contextlib.suppress(OSError, MunkeyError):  # an estimate is not worth an error
        write_whole(_stages_file(job.results, job.kind), json.dumps(stages).encode())


class Clock:
    """How long a job still takes, from the stages it is expected to go through.

    A stage that is not expected leaves the estimate to the stages after the last expected one.
    """

    def __init__(self, expected: Stages, now: float) -> None:
        self._expected = expected
        self._start = now
        self._stages: list[tuple[str, float]] = [(STARTING, now)]  # stage → when it began
        # Seconds left in this stage, in those after it, and when that was estimated.
        self._left: tuple[float, float, float] | None = None
        self._place = 0
        self._fraction = 0.0
        if expected:
            self._left = expected[0][1], sum(seconds for _, seconds in expected[1:]), now

    def step(self, progress: Progress, now: float) -> None:
        """Take in what the job says."""
        if progress.stage != self._stages[-1][0]:
            self._stages.append((progress.stage, now))
        names = [stage for stage, _ in self._expected]
        if progress.stage not in names[self._place :]:
            if not self._expected:
                self._left = None
            return
        self._place = names.index(progress.stage, self._place)
        share = min(1.0, progress.done / max(1, progress.total))
        before = sum(seconds for _, seconds in self._expected[: self._place])
        this = self._expected[self._place][1]
        after = sum(seconds for _, seconds in self._expected[self._place + 1 :])
        planned = before + share * this
        # How much slower than expected it went so far; the start alone says little.
        slower = (now - self._start + this) / (planned + this) if planned + this > 0 else 1.0
        left = slower * (1 - share) * this
        if progress.remaining_seconds is not None:
            left = progress.remaining_seconds
        self._left = left, slower * after, now

    def left(self, now: float) -> float | None:
        """Seconds left of the whole job; None if nobody knows."""
        if self._left is None:
            return None
        this, after, told = self._left
        return max(1.0, this - (now - told)) + after

    def fraction(self, now: float) -> float:
        """Share of the whole job's time that is over; it never falls."""
        left, elapsed = self.left(now), now - self._start
        if left is not None:
            self._fraction = max(self._fraction, elapsed / (elapsed + left))
        return self._fraction

    def elapsed(self, now: float) -> float:
        return now - self._start

    def stages(self, now: float) -> Stages:
        """The stages as they went, each with its seconds."""
        ends = [*(began for _, began in self._stages[1:]), now]
        return tuple(
            (stage, round(end - began, 2))
            for (stage, began), end in zip(self._stages, ends, strict=True)
        )
