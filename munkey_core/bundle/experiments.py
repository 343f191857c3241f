"""experiments.json: what came of other recipes on a bundle's images, read and checked."""

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from statistics import fmean, stdev
from typing import Annotated, Final, Literal

from msgspec import Meta

from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.typed import Count, checked
from munkey_core.files.untrusted import shown

SHIPPED: Final = "shipped"
VARIANT: Final = "variant"
PLAIN_RECIPE: Final = "plain"
SHIPPED_NAME, PLAIN_NAME = "shipped recipe", "plain transformer"
NAME_LIMIT, WHY_LIMIT = 40, 300

Percent = Annotated[float, Meta(ge=0, le=100)]
Text = Annotated[str, Meta(max_length=1000)]
Settings = dict[Text, int | float]


@dataclass(frozen=True)
class StateFigures:
    """One model in one state of its memory, in percent: accuracy on test, retain and forget images,
    AUROC of the true-class probability (forget against test images)."""

    test_accuracy: Percent
    retain_accuracy: Percent
    forget_accuracy: Percent
    mia_auc: Percent


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

    seed: Count
    before: StateFigures
    after: StateFigures | None
    image_private: Percent
    image_test: Percent
    leak: float
    leak_ci95: tuple[float, float] | None
    seconds: float
    k: Count | None = None
    tau: float | None = None
    anchor: float | None = None


@dataclass(frozen=True)
class RecipeTried:
    """A recipe and its trials. kind: "shipped" (the bundle's own), "variant" or "plain" (the plain
    transformer on the same data). why: what it was tried for. train, model: the settings that
    differ from the shipped recipe's. failed: reason by seed of trainings that came to nothing."""

    name: Annotated[str, Meta(max_length=NAME_LIMIT)]
    kind: Literal["shipped", "variant", "plain"]
    why: Annotated[str, Meta(max_length=WHY_LIMIT)]
    train: Settings
    model: Settings
    trials: tuple[Trial, ...]
    failed: dict[Text, Text] = field(default_factory=dict)

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

    bundle: Text
    forget: Text
    set_digest: Text
    n_forget: Count
    n_private: Count
    n_test: Count
    seeds: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=20)]
    device: Text
    recipes: Annotated[tuple[RecipeTried, ...], Meta(max_length=64)]


def experiments_text(experiments: Experiments) -> str:
    """The text of experiments.json; `read_experiments` gives an equal object back."""
    return json.dumps(asdict(experiments), indent=1, allow_nan=False) + "\n"


def read_experiments(text: str) -> Experiments:
    """Raises BundleError for anything but what `experiments_text` writes."""
    name = "experiments.json"
    try:
        found = checked(Experiments, text.encode(), name)
    except BadInputError as error:
        raise BundleError(str(error)) from error
    recipes = [recipe.name for recipe in found.recipes]
    if len(set(recipes)) < len(recipes):
        raise BundleError(f"{name}: two recipes have one name")
    for recipe in found.recipes:
        seeds = [trial.seed for trial in recipe.trials]
        if len(set(seeds)) < len(seeds) or not set(seeds) <= set(found.seeds):
            raise BundleError(
                f"{name}: the trials of {shown(recipe.name)} must have different seeds of `seeds`"
            )
        if recipe.kind != PLAIN_RECIPE and any(trial.after is None for trial in recipe.trials):
            raise BundleError(
                f"{name}: recipe {shown(recipe.name)} has a trial without figures after deletion"
            )
    return found


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
