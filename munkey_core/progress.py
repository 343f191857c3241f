"""Long work is a generator of Progress that returns its result; this runs it to that end."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar


@dataclass(frozen=True)
class Progress:
    """Where a long piece of work stands. remaining_seconds is an estimate, None at the start."""

    stage: str
    done: int
    total: int
    elapsed_seconds: float
    remaining_seconds: float | None = None
    detail: dict[str, float] = field(default_factory=dict)


class Pace:
    """Where work stands that goes on evenly: what was done so far tells how long the rest takes.

    It begins when this is made. total: of whatever `at` counts. before: of it, what was done by
    then.
    """

    def __init__(self, stage: str, total: int, before: int = 0) -> None:
        self._stage, self._total, self._before = stage, total, before
        self._start = time.perf_counter()

    def at(self, done: int, **detail: float) -> Progress:
        """The progress when so much is done."""
        elapsed, here = time.perf_counter() - self._start, done - self._before
        left = elapsed / here * (self._total - done) if here else None
        return Progress(self._stage, done, self._total, elapsed, left, detail)


T = TypeVar("T")
Steps = Generator[Progress, None, T]
"""Long work with a result of type T: in other long work, `result = yield from steps`."""


def drive(steps: Steps[T], see: Callable[[Progress], object]) -> T:
    """Run the work and return its result. see: called with each step; if it raises, the work is
    closed, so that it lets go of what it holds."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            see(step)


def finish(steps: Steps[T], tell: Callable[[str], object] | None = None) -> T:
    """Run the work and return its result.

    tell: called with a line on how far the work is, at most about once a second, e.g. `print`.

    >>> effects = finish(studio.side_effects(deletion), print)
    """
    shown = ("", -1.0)

    def see(step: Progress) -> None:
        nonlocal shown
        last = step.done == step.total
        if step.stage == shown[0] and step.elapsed_seconds - shown[1] < 1 and not last:
            return
        shown = (step.stage, step.elapsed_seconds)
        if tell is not None:
            tell(progress_line(step))

    return drive(steps, see)


def changed(steps: Steps[T], change: Callable[[Progress], Progress]) -> Steps[T]:
    """The same work as a part of a larger one, which tells its progress in other words."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield change(step)


def staged(stage: str, steps: Steps[T]) -> Steps[T]:
    """The same work, its progress under a longer name."""
    return changed(steps, lambda step: replace(step, stage=f"{stage}: {step.stage}"))


def progress_line(step: Progress) -> str:
    """One line for a terminal: stage, how much of it is done, seconds left, details."""
    left = "" if step.remaining_seconds is None else f", {step.remaining_seconds:.0f} s left"
    detail = "".join(f", {name} {value:.4g}" for name, value in step.detail.items())
    return f"{step.stage}: {step.done}/{step.total}{left}{detail}"
