"""Long work is an iterator of Progress with its result at the end; this runs it to that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
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


T = TypeVar("T")


def finish(steps: Iterable[Progress | T], tell: Callable[[str], object] | None = None) -> T | None:
    """Run the work and return its result: the last thing it yields that is no Progress, None if
    it yields nothing else.

    tell: called with a line on how far the work is, at most about once a second, e.g. `print`.

    >>> effects = finish(studio.side_effects(deletion), print)
    """
    result: T | None = None
    shown = ("", -1.0)
    for step in steps:
        if not isinstance(step, Progress):
            result = step
            continue
        last = step.done == step.total
        if step.stage == shown[0] and step.elapsed_seconds - shown[1] < 1 and not last:
            continue
        shown = (step.stage, step.elapsed_seconds)
        if tell is not None:
            tell(progress_line(step))
    return result


def progress_line(step: Progress) -> str:
    """One line for a terminal: stage, how much of it is done, seconds left, details."""
    left = "" if step.remaining_seconds is None else f", {step.remaining_seconds:.0f} s left"
    detail = "".join(f", {name} {value:.4g}" for name, value in step.detail.items())
    return f"{step.stage}: {step.done}/{step.total}{left}{detail}"
