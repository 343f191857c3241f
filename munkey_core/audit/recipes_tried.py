"""Other recipes on a bundle's own images: what each gains in accuracy and keeps as a trace (ours).

Every step in which the image pathway answers alone for a private image teaches θ that image, where
no deletion reaches it (METHOD.md §2). So a recipe is judged by two figures at once: test accuracy,
and the backbone leak, A_img(private) − A_img(test).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from msgspec import Meta

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.leak import accuracy_difference
from munkey_core.audit.membership.metrics import auroc
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.card import write_card
from munkey_core.bundle.experiments import (
    NAME_LIMIT,
    PLAIN_NAME,
    PLAIN_RECIPE,
    SHIPPED,
    SHIPPED_NAME,
    VARIANT,
    WHY_LIMIT,
    Experiments,
    RecipeTried,
    StateFigures,
    Trial,
    experiments_text,
)
from munkey_core.bundle.forget_sets import forget_set, forget_set_digest
from munkey_core.bundle.manifest import CARD, EXPERIMENTS, RECIPES_TRIED
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal
from munkey_core.config import EnsembleConfig, ModelConfig, TrainConfig
from munkey_core.errors import BadInputError, TrainingError
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked
from munkey_core.files.untrusted import read_toml
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import concatenate
from munkey_core.model.predictor import Predictor
from munkey_core.model.side_effects import NeighbourTable
from munkey_core.progress import Progress, Steps, staged
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST
from munkey_core.training.answers import Outputs, Verdicts, split_verdicts, verdicts
from munkey_core.training.calibration import Labelled, calibrated
from munkey_core.training.joint import JointTraining, joint_data, resolve_device
from munkey_core.training.retraining import MUNKEY, PLAIN, Run
from munkey_core.training.runs import Runs, runs_folder, short_digest, source_digest

MAX_SEEDS = 20
DEFAULT_FORGET = "random-10pct"

_BLOCK = 1024
_SHORT = 500  # characters of a reason that are kept
# A seed is the trials' own; what the encoder gave the network can't be changed by its recipe.
_NOT_TRAIN, _NOT_MODEL = ("seed",), ("tokens", "patch_size")

Settings = TypeVar("Settings", TrainConfig, ModelConfig)


@dataclass(frozen=True)
class Variant:
    """A recipe to be tried: the bundle's own, but for these settings of `TrainConfig` and
    `ModelConfig`. why: what it is tried for."""

    name: Annotated[str, Meta(max_length=NAME_LIMIT)]
    why: Annotated[str, Meta(max_length=WHY_LIMIT)] = ""
    train: dict[str, int | float] = field(default_factory=dict)
    model: dict[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Variants:
    variant: Annotated[tuple[Variant, ...], Meta(min_length=1, max_length=50)]


def load_variants(path: Path) -> tuple[Variant, ...]:
    """Read a file of variants: `[[variant]]` tables with `name`, `why`, and the tables `train` and
    `model`. Raises BadInputError naming the file and what is wrong in it."""
    where = f"recipes {path.name}"
    found = checked(_Variants, read_toml(path, f"recipes {path}"), where).variant
    for number, variant in enumerate(found, 1):
        _check_variant(variant, f"{where}, variant {number}")
        if variant.name in [other.name for other in found[: number - 1]]:
            raise BadInputError(f"{where}, variant {number}: the name {variant.name!r} is taken")
    return found


def _check_variant(variant: Variant, where: str) -> None:
    if not variant.name.strip() or not (variant.name + variant.why).isprintable():
        raise BadInputError(f"{where}: name must be printable characters, and why, if there is one")
    if variant.name in (SHIPPED_NAME, PLAIN_NAME):
        raise BadInputError(f"{where}: {variant.name!r} is measured anyway; choose another name")


class Frontier:
    """Trains and measures variants of a bundle's recipe.

    seeds: trainings of each, from the bundle's own seed on. forget: a canonical set, or another as
    on the command line. What is finished is kept in the cache, one file a training, and a training
    that was interrupted goes on after its last epoch.
    Raises BadInputError for a bad number of seeds, forget set or variant, BundleError for a bundle
    without images or without calibration images.
    """

    def __init__(
        self,
        bundle: Bundle,
        variants: Sequence[Variant],
        seeds: int = 1,
        forget: str = DEFAULT_FORGET,
        device: str = "auto",
    ) -> None:
        if not 1 <= seeds <= MAX_SEEDS:
            raise BadInputError(f"--seeds must be between 1 and {MAX_SEEDS}, got {seeds}")
        self.bundle = bundle
        self.runs = Runs(bundle, resolve_device(device))
        self.evidence = Evidence(self.runs)
        self.seeds = tuple(range(self.runs.seed, self.runs.seed + seeds))
        self.forget = forget.strip()
        self.ids = tuple(sorted(forget_set(forget, bundle)))
        self._forget = np.zeros(len(bundle.bank), dtype=np.bool_)
        self._forget[self.evidence.rows(self.ids)] = True
        if self._forget.all() or not self._forget.any():
            raise BadInputError("the forget set must name images and leave at least one to retain")
        if not bundle.records_of(CALIBRATION):
            raise BadInputError("this bundle has no calibration images to choose τ, s₀ and K on")
        self._recipes = [self._recipe(variant) for variant in variants]

    def run(self) -> Steps[Experiments]:
        """Yield progress; return what was measured. A training that fails is named there, and
        the others go on."""
        tried: list[RecipeTried] = []
        recipes: list[_Recipe | None] = [None, *self._recipes]
        for number, recipe in enumerate(recipes):
            trials: list[Trial] = []
            failed: dict[str, str] = {}
            variant = Variant(SHIPPED_NAME) if recipe is None else recipe.variant
            for seed in self.seeds:
                name = f"recipe {number} of {len(self._recipes)}, {variant.name}, seed {seed}"
                steps = self._shipped(seed) if recipe is None else self._variant(recipe, seed)
                try:
                    trials.append((yield from staged(name, steps)))
                except TrainingError as error:
                    failed[str(seed)] = str(error)[:_SHORT]
            tried.append(
                RecipeTried(
                    variant.name,
                    SHIPPED if recipe is None else VARIANT,
                    variant.why,
                    variant.train,
                    variant.model,
                    tuple(trials),
                    failed,
                )
            )
        plain = []
        for seed in self.seeds:
            steps = staged(f"{PLAIN_NAME}, seed {seed}", self._plain(seed))
            plain.append((yield from steps))
        tried.append(RecipeTried(PLAIN_NAME, PLAIN_RECIPE, "", {}, {}, tuple(plain)))
        return Experiments(
            bundle=self.bundle.manifest.name,
            forget=self.forget,
            set_digest=forget_set_digest(self.ids),
            n_forget=len(self.ids),
            n_private=len(self.bundle.bank),
            n_test=len(self.evidence.test_labels),
            seeds=self.seeds,
            device=str(self.runs.device),
            recipes=tuple(tried),
        )

    # -- one training ----------------------------------------------------------------------------

    def _shipped(self, seed: int) -> Steps[Trial]:
        """The bundle's own recipe, as all its other figures have it: its τ, s_0 and K."""
        run = Run(MUNKEY, (), seed)
        before = yield from self.runs.outputs(run)
        after = yield from self.runs.after(run, self.ids)
        seconds = before.seconds or float(
            self.bundle.manifest.provenance["seconds"].get("training", 0.0)
        )
        ensemble = self.bundle.manifest.ensemble
        return self._measure(seed, replace(before, seconds=seconds), after, ensemble)

    def _plain(self, seed: int) -> Steps[Trial]:
        outputs = yield from self.runs.outputs(Run(PLAIN, (), seed))
        image = [
            verdicts(outputs.private, self.evidence.private_labels),
            verdicts(outputs.test, self.evidence.test_labels),
        ]
        alone = Outputs(outputs.private, outputs.test, outputs.seconds, *image)
        return self._measure(seed, alone, None, None)

    def _variant(self, recipe: _Recipe, seed: int) -> Steps[Trial]:
        config = replace(recipe.train, seed=seed)
        path = self._path(config, recipe.model)
        known = _read(path)
        if known is None:
            known = yield from self._train(config, recipe.model, path)
            write_whole(path, json.dumps(asdict(known)).encode())
            self.bundle.settle(path)
        return known

    def _train(self, config: TrainConfig, model_config: ModelConfig, path: Path) -> Steps[Trial]:
        retraining = self.runs.retraining
        yield from retraining.encode()
        encoded, labels = retraining.encoded, retraining.labels
        data = joint_data(
            concatenate(encoded[PRIVATE], encoded[CALIBRATION]),
            torch.cat([labels[PRIVATE], labels[CALIBRATION]]),
            encoded[ANCHOR],
            labels[ANCHOR],
            len(self.bundle.manifest.classes),
            config,
        )
        checkpoint = path.with_suffix(".ckpt")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        start, begun = time.perf_counter(), checkpoint.exists()
        training = JointTraining(model_config, config, data, self.runs.device, checkpoint)
        try:
            yield from training.run()
        except TrainingError:
            checkpoint.unlink(missing_ok=True)
            if not begun:
                raise
            # What was left may be of images encoded elsewhere, bits apart: from the start, then.
            training = JointTraining(model_config, config, data, self.runs.device, checkpoint)
            yield from training.run()
        seconds = time.perf_counter() - start
        # As a bundle is made, but its validation images are not in it.
        private, calibration = (
            Labelled(retraining.ids[split], encoded[split], labels[split])
            for split in (PRIVATE, CALIBRATION)
        )
        predictor, bank, _ = calibrated(self.bundle.encoder, training, private, calibration)
        before, after = yield from self._answers(predictor, bank, seconds)
        checkpoint.unlink(missing_ok=True)
        return self._measure(config.seed, before, after, predictor.config)

    def _answers(
        self, predictor: Predictor, bank: MemoryBank, seconds: float
    ) -> Steps[tuple[Outputs, Outputs]]:
        """What the model says about every image with the forget set's keys, and without them.
        Only images that lose a neighbour are predicted again: no other answer can change."""
        retraining = self.runs.retraining
        queries = concatenate(retraining.encoded[PRIVATE], retraining.encoded[TEST])
        labels, n = self.evidence.labels, len(bank)
        view = BankView(bank)
        found = []
        for first in range(0, len(queries), _BLOCK):
            yield Progress("predicting", first, len(queries), 0.0)
            found.append(predictor.predict(queries[first : first + _BLOCK], view).probabilities)
        before = np.concatenate(found)
        image = verdicts(predictor.image_only(queries.features), labels)
        after = before.copy()
        view.forget(self.ids)
        test_keys = retraining.encoded[TEST].keys
        table = NeighbourTable(bank, test_keys, predictor.config.k)
        touched = table.touched_by(bank.rows(self.ids))
        for part in touched.split(_BLOCK):
            yield Progress("after deletion", 0, len(touched), 0.0)
            after[part.numpy()] = predictor.predict(queries[part], view).probabilities
        pathway = image[:n], image[n:]
        return (
            Outputs(before[:n], before[n:], seconds, *pathway),
            Outputs(after[:n], after[n:], seconds, *pathway),
        )

    # -- figures -----------------------------------------------------------------------------------

    def _measure(
        self, seed: int, before: Outputs, after: Outputs | None, ensemble: EnsembleConfig | None
    ) -> Trial:
        image = before.image_private, before.image_test
        private, test = (_shares(one) for one in image)
        leak, ci95 = accuracy_difference(private, test)
        return Trial(
            seed=seed,
            before=self._state(before),
            after=None if after is None else self._state(after),
            image_private=100 * float(private.mean()),
            image_test=100 * float(test.mean()),
            leak=leak,
            leak_ci95=ci95,
            seconds=before.seconds,
            k=None if ensemble is None else ensemble.k,
            tau=None if ensemble is None else ensemble.tau,
            anchor=None if ensemble is None else ensemble.anchor,
        )

    def _state(self, outputs: Outputs) -> StateFigures:
        forget, retain, test = split_verdicts(
            outputs, self.evidence.private_labels, self.evidence.test_labels, self._forget
        )
        right = [100 * float(part.correct.mean()) for part in (test, retain, forget)]
        return StateFigures(right[0], right[1], right[2], 100 * auroc(forget.truth, test.truth))

    # -- recipes -----------------------------------------------------------------------------------

    def _recipe(self, variant: Variant) -> _Recipe:
        """Its settings, checked before the first training begins."""
        own = self.bundle.manifest
        where = f"variant {variant.name!r}"
        train = _changed(own.train_config(), variant.train, _NOT_TRAIN, f"{where}.train")
        model = _changed(own.model, variant.model, _NOT_MODEL, f"{where}.model")
        if train.p_mem == 1:
            raise BadInputError(
                f"{where}.train: p_mem = 1 is the plain transformer: measured anyway"
            )
        if train == own.train_config() and model == own.model:
            raise BadInputError(f"{where}: changes nothing; the shipped recipe is measured anyway")
        return _Recipe(variant, train, model)

    def _path(self, config: TrainConfig, model: ModelConfig) -> Path:
        digest = short_digest([asdict(config), asdict(model), forget_set_digest(self.ids)])
        return runs_folder(self.bundle) / f"experiment-{digest}.json"


@dataclass(frozen=True)
class _Recipe:
    """A variant with its whole settings."""

    variant: Variant
    train: TrainConfig
    model: ModelConfig


def save_experiments(folder: Path, experiments: Experiments, source: str, recipes: str) -> None:
    """Write experiments.json, experiments.toml and the card of a bundle, and seal it anew.

    source: `source_digest` of the bundle that they were made on. recipes: the text of the file of
    variants. Raises BadInputError if the bundle's model or images are others since.
    """
    with rewriting(folder) as draft:
        bundle = read_bundle(draft)
        if source_digest(bundle) != source:
            raise BadInputError(
                f"bundle {folder.name} has changed since the experiments began; run them again"
            )
        card = write_card(replace(bundle, experiments=experiments), bundle.metrics)
        (draft / EXPERIMENTS).write_text(experiments_text(experiments), encoding="utf-8")
        (draft / RECIPES_TRIED).write_text(recipes, encoding="utf-8")
        (draft / CARD).write_text(card, encoding="utf-8")
        seal(draft, bundle.manifest)


def _changed(
    own: Settings, changes: Mapping[str, Any], fixed: Sequence[str], where: str
) -> Settings:
    for name in changes:
        if name in fixed:
            raise BadInputError(f"{where}: {name} is not for a recipe to change")
    known = {f.name for f in fields(own)} - set(fixed)
    unknown = sorted(set(changes) - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise BadInputError(f"{where}: no setting {unknown[0]!r}; known: {names}")
    return checked(type(own), {**asdict(own), **changes}, where)


def _shares(image: Verdicts | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    if image is None:
        raise BadInputError("the image pathway of this model was not evaluated")
    return image.correct.astype(np.float64)


def _read(path: Path) -> Trial | None:
    """A trial of the cache; a damaged file counts as none."""
    try:
        return checked(Trial, path.read_bytes(), path.name)
    except FileNotFoundError:
        return None
    except (OSError, BadInputError):
        path.unlink(missing_ok=True)
        return None
