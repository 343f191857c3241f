"""Choosing a method's hyper-parameters, on a forget set that is not reported on."""

import itertools
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from munkey_core.errors import TrainingError
from munkey_core.files.typed import checked
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Progress, Steps, changed
from munkey_core.unlearning.base import Method, Task

_PERCENT = 100


@dataclass(frozen=True)
class Trial:
    """One combination. score: None if it diverged. seconds: of the unlearning, not of scoring."""

    settings: dict[str, Any]
    score: float | None
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """The best settings of a method, and everything that was tried, in the grid's order."""

    key: str
    settings: dict[str, Any]
    score: float
    search: tuple[Trial, ...]


def combinations(method: type[Method[Any]]) -> list[dict[str, Any]]:
    """All settings of a method's grid, in full."""
    return [
        asdict(checked(method.Settings, dict(zip(method.grid, values, strict=True)), method.key))
        for values in itertools.product(*method.grid.values())
    ]


def tune(
    method: type[Method[Any]], task: Task, score: Callable[[ExemplarTransformer], float]
) -> Steps[Tuning]:
    """Yield progress; return the settings with the lowest score.

    score: of an unlearned model; lower is better, the first of equals is taken. A combination
    that diverges, or whose score is not finite, is recorded and never chosen.
    Raises TrainingError if none is left.
    """
    tried = combinations(method)
    pace = Pace("tuning", len(tried) * _PERCENT)
    search: list[Trial] = []
    for i, settings in enumerate(tried):
        begin = time.perf_counter()
        model = None
        with suppress(TrainingError):
            steps = method(checked(method.Settings, settings, method.key)).unlearn(task)
            model = yield from changed(steps, partial(_part, i, pace))
        seconds = time.perf_counter() - begin
        value = math.inf if model is None else float(score(model))
        search.append(Trial(settings, value if math.isfinite(value) else None, seconds))
        yield pace.at((i + 1) * _PERCENT)
    scored = [(trial.score, i) for i, trial in enumerate(search) if trial.score is not None]
    if not scored:
        raise TrainingError(f"{method.name}: all {len(search)} combinations of settings diverged")
    best, which = min(scored)
    return Tuning(method.key, search[which].settings, best, tuple(search))


def _part(i: int, pace: Pace, step: Progress) -> Progress:
    """Where the whole search stands when its i-th unlearning stands there."""
    return pace.at(i * _PERCENT + step.done * (_PERCENT - 1) // max(1, step.total))
