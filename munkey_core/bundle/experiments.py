"""experiments.json: what came of other recipes on a bundle's images, read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from statistics import fmean, stdev
from typing import Any

from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.untrusted import parse_json


@dataclass(frozen=True)
class StateFigures:
    """One model in one state of its memory, in percent: accuracy on test, retain and forget images,
    AUROC of the true-class probability (forget against test images)."""

    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    mia_auc: float


def _mean_state(states: Sequence[StateFigures]) -> StateFigures:
    return StateFigures(
        *(fmean(values) for values in zip(*(astuple(state) for state in states), strict=True))
    )


@dataclass(frozen=True)
class Trial:
    """One training with one recipe and one seed.

    before, after: the forget set's keys in the memory, and deleted; `after` is None for the plain
    transformer, which has none. image_private, image_test: accuracy of the image pathway alone
    (exemplar = ∅) on all private and on all test images, in percent. leak: their difference in
    points, what key deletion can't remove; leak_ci95: its 95% interval over images, None where they
    have no spread. seconds: of the training. k, tau, anchor: as the ensemble was calibrated, None
    for the plain transformer (and an ensemble without an anchor).
    """

    seed: int
    before: StateFigures
    after: StateFigures | None
    image_private: float
    image_test: float
    leak: float
    leak_ci95: tuple[float, float] | None
    seconds: float
    k: int | None = None
    tau: float | None = None
    anchor: float | None = None


@dataclass(frozen=True)
class RecipeTried:
    """A recipe and its trials. kind: "shipped" (the bundle's own), "variant" or "plain" (the plain
    transformer on the same data). why: what it was tried for. train, model: the settings that
    differ from the shipped recipe's. failed: reason by seed of trainings that came to nothing."""

    name: str
    kind: str
    why: str
    train: dict[str, float]
    model: dict[str, float]
    trials: tuple[Trial, ...]
    failed: dict[str, str] = field(default_factory=dict)

    # Means over the trials; ask for them only if there is one.

    @property
    def before(self) -> StateFigures:
        return _mean_state([trial.before for trial in self.trials])

    @property
    def after(self) -> StateFigures | None:
        """None for the plain transformer."""
        found = [trial.after for trial in self.trials if trial.after is not None]
        return _mean_state(found) if found else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of `before.test_accuracy` over the trials; None for a single one."""
        found = [trial.before.test_accuracy for trial in self.trials]
        return stdev(found) if len(found) > 1 else None

    @property
    def image_test(self) -> float:
        return fmean(trial.image_test for trial in self.trials)

    @property
    def seconds(self) -> float:
        return fmean(trial.seconds for trial in self.trials)

    @property
    def leak(self) -> float:
        return fmean(trial.leak for trial in self.trials)

    @property
    def leak_ci95(self) -> tuple[float, float] | None:
        """The interval over images, averaged over seeds."""
        bounds = [trial.leak_ci95 for trial in self.trials if trial.leak_ci95 is not None]
        if not bounds:
            return None
        return fmean(low for low, _ in bounds), fmean(high for _, high in bounds)


@dataclass(frozen=True)
class Experiments:
    """Recipes tried on one bundle's images, measured alike. forget: name of the forget set;
    set_digest: SHA-256 of its ids. recipes: the shipped one first, the plain transformer last."""

    bundle: str
    forget: str
    set_digest: str
    n_forget: int
    n_private: int
    n_test: int
    seeds: tuple[int, ...]
    device: str
    recipes: tuple[RecipeTried, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


SHIPPED, VARIANT, PLAIN_RECIPE = "shipped", "variant", "plain"
SHIPPED_NAME, PLAIN_NAME = "shipped recipe", "plain transformer"
NAME_LIMIT, WHY_LIMIT = 40, 300

_MOST_RECIPES, _MOST_SEEDS = 64, 20


def experiments_text(experiments: Experiments) -> str:
    """The text of experiments.json; `read_experiments` gives an equal object back."""
    return json.dumps(experiments.to_dict(), indent=1, allow_nan=False) + "\n"


def read_experiments(text: str) -> Experiments:
    """Raises BundleError for anything but what `experiments_text` writes."""
    try:
        values = parse_json(text.encode(), "experiments.json")
        found = Experiments(
            bundle=_text(values["bundle"], "bundle"),
            forget=_text(values["forget"], "forget"),
            set_digest=_text(values["set_digest"], "set_digest"),
            n_forget=_count(values["n_forget"], "n_forget"),
            n_private=_count(values["n_private"], "n_private"),
            n_test=_count(values["n_test"], "n_test"),
            seeds=tuple(_count(seed, "seed") for seed in values["seeds"]),
            device=_text(values["device"], "device"),
            recipes=tuple(_recipe(recipe) for recipe in values["recipes"]),
        )
        _check(found, set(values))
    except BadInputError as error:
        raise BundleError(str(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(
            f"experiments.json: a field is missing or wrong ({type(error).__name__}: {error})"
        ) from error
    return found


def read_trial(values: Any) -> Trial:
    """One trial from JSON values. Raises LookupError, TypeError or ValueError for anything else."""
    unknown = set(values) - set(Trial.__dataclass_fields__)
    if unknown:
        raise ValueError(f"a trial has no {min(unknown)!r}")
    after, k, anchor = values["after"], values["k"], values["anchor"]
    return Trial(
        seed=_count(values["seed"], "seed"),
        before=_state(values["before"]),
        after=None if after is None else _state(after),
        image_private=_percent(values["image_private"], "image_private"),
        image_test=_percent(values["image_test"], "image_test"),
        leak=_number(values["leak"], "leak"),
        leak_ci95=_bounds(values["leak_ci95"]),
        seconds=_number(values["seconds"], "seconds"),
        k=None if k is None else _count(k, "k"),
        tau=None if values["tau"] is None else _number(values["tau"], "tau"),
        anchor=None if anchor is None else _number(anchor, "anchor"),
    )


def _check(found: Experiments, names: set[str]) -> None:
    unknown = names - set(Experiments.__dataclass_fields__)
    if unknown:
        raise ValueError(f"there is no {min(unknown)!r}")
    if not 1 <= len(found.seeds) <= _MOST_SEEDS or len(found.recipes) > _MOST_RECIPES:
        raise ValueError(f"seeds must be 1 to {_MOST_SEEDS}, recipes at most {_MOST_RECIPES}")
    recipes = [recipe.name for recipe in found.recipes]
    if len(set(recipes)) < len(recipes):
        raise ValueError("two recipes have one name")
    for recipe in found.recipes:
        seeds = [trial.seed for trial in recipe.trials]
        if len(set(seeds)) < len(seeds) or not set(seeds) <= set(found.seeds):
            raise ValueError(f"the trials of {recipe.name!r} must have different seeds of `seeds`")


def _recipe(values: Mapping[str, Any]) -> RecipeTried:
    unknown = set(values) - set(RecipeTried.__dataclass_fields__)
    if unknown:
        raise ValueError(f"a recipe has no {min(unknown)!r}")
    kind = values["kind"]
    if kind not in (SHIPPED, VARIANT, PLAIN_RECIPE):
        raise ValueError(f"kind must be {SHIPPED}, {VARIANT} or {PLAIN_RECIPE}, got {kind!r}")
    trials = tuple(read_trial(trial) for trial in values["trials"])
    if kind != PLAIN_RECIPE and any(trial.after is None for trial in trials):
        raise ValueError(f"recipe {values['name']!r} has a trial without figures after deletion")
    return RecipeTried(
        name=_text(values["name"], "name", NAME_LIMIT),
        kind=kind,
        why=_text(values["why"], "why", WHY_LIMIT),
        train=_settings(values["train"]),
        model=_settings(values["model"]),
        trials=trials,
        failed={_text(seed, "seed"): _text(why, "why") for seed, why in values["failed"].items()},
    )


def _state(values: Mapping[str, Any]) -> StateFigures:
    unknown = set(values) - set(StateFigures.__dataclass_fields__)
    if unknown:
        raise ValueError(f"a state has no {min(unknown)!r}")
    return StateFigures(**{name: _percent(value, name) for name, value in values.items()})


def _settings(values: Mapping[str, Any]) -> dict[str, float]:
    return {_text(name, "setting"): _number(value, name) for name, value in values.items()}


def _text(value: Any, name: str, limit: int = 1000) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"{name} must be a text of at most {limit} characters")
    return value


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
    return value


def _number(value: Any, name: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return value  # type: ignore[no-any-return]


def _percent(value: Any, name: str) -> float:
    if not 0 <= _number(value, name) <= 100:
        raise ValueError(f"{name} must be between 0 and 100, got {value!r}")
    return value  # type: ignore[no-any-return]


def _bounds(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = values
    return _number(low, "leak_ci95"), _number(high, "leak_ci95")


def experiment_lines(experiments: Experiments) -> list[str]:
    """The experiments for a terminal: a line a recipe, means over seeds."""
    lines = [
        f"{experiments.bundle}: recipes tried with seeds {list(experiments.seeds)}; forget set "
        f"{experiments.forget}, {experiments.n_forget:,} images",
        "TA, TA*: test accuracy, whole and image pathway alone; FA, MIA: forget images, before > "
        "after deletion; leak: image pathway alone, private minus test, in points",
        f"{'recipe':{NAME_LIMIT}} {'TA':>6} {'TA*':>6} {'RA':>6} {'FA':>15} {'MIA':>15} "
        f"{'leak [95%]':>22} {'seconds':>8}",
    ]
    for recipe in experiments.recipes:
        lines += [
            f"{recipe.name:{NAME_LIMIT}} not trained, seed {seed}: {reason}"
            for seed, reason in recipe.failed.items()
        ]
        if not recipe.trials:
            continue
        before, after, bounds = recipe.before, recipe.after, recipe.leak_ci95
        interval = "" if bounds is None else f" [{bounds[0]:+.2f}, {bounds[1]:+.2f}]"
        forget, attack = f"{before.forget_accuracy:.2f}", f"{before.mia_auc:.2f}"
        if after is not None:
            forget += f" > {after.forget_accuracy:.2f}"
            attack += f" > {after.mia_auc:.2f}"
        lines.append(
            f"{recipe.name:{NAME_LIMIT}} {before.test_accuracy:6.2f} {recipe.image_test:6.2f} "
            f"{before.retain_accuracy:6.2f} {forget:>15} {attack:>15} "
            f"{f'{recipe.leak:+.2f}{interval}':>22} {recipe.seconds:8.1f}"
        )
    return lines
