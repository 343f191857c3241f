"""experiments.json: what came of other recipes on a bundle's images, read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.untrusted import parse_json
from munkey_core.results import Experiments, RecipeTried, StateFigures, Trial

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
