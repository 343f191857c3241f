"""From a data source to a bundle: the whole line of `munkey train`, stage after stage.

load → split → encoder (trained on public images, then frozen) → keys and features → joint
training → τ, s_0, K → memorisation, influence → maps → bundle. Finished stages are kept in
`<out>.training` until the bundle is written, so that a killed run goes on where it was.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle, FittedMap
from munkey_core.bundle.card import write_card
from munkey_core.bundle.manifest import (
    CARD,
    EXACT_MODE,
    JOINT_MODE,
    NOTICE,
    RECIPE,
    Manifest,
    Training,
    dataset_table,
    read_manifest,
)
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.bundle.twins import counted_twins
from munkey_core.bundle.write import write_bundle
from munkey_core.config import EnsembleConfig, Recipe
from munkey_core.data.base import ImageDataset
from munkey_core.data.owners import simulate_owners
from munkey_core.data.splits import Splits, make_splits, owned_outside
from munkey_core.errors import BadInputError, BundleError, TrainingError
from munkey_core.explain.influence import influence, influence_scores, leave_one_out
from munkey_core.explain.projection import fit_maps
from munkey_core.files.durable import write_whole
from munkey_core.files.typed import checked
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import (
    Encoded,
    EncoderTraining,
    FrozenEncoder,
    concatenate,
    encode_inputs,
)
from munkey_core.model.search import IDENTICAL, cosines
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, Steps
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, Record
from munkey_core.training.calibration import Labelled, calibrated
from munkey_core.training.exact import SPLITS, Made, make_exact
from munkey_core.training.joint import JointTraining, TrainingData, check_patches, joint_data
from munkey_core.training.provenance import provenance
from munkey_core.training.trainable import check_keys, check_trainable

# Closer than 99 in 100 public images are to their nearest other public image: near-duplicates.
_NEAR_QUANTILE = 0.99
_LEAST_NEAR, _NEAREST = 1e-5, 0.9999  # thresholds of near-duplicates: above 0, below equality
_DARK_BORDER = 0.2
MODES = (JOINT_MODE, EXACT_MODE, "both")
_STATISTICS_IMAGES = 8000  # more would hardly move a mean or a component


@dataclass(frozen=True)
class _Chosen:
    """What calibration leaves: the model as it will answer."""

    model: ExemplarTransformer
    bank: MemoryBank
    ensemble: EnsembleConfig
    calibration: dict[str, Any]
    scores: dict[str, Tensor]

    @staticmethod
    def exact(made: Made, private: Labelled) -> _Chosen:
        """What an exact mode answers with."""
        mode = made.mode
        bank = MemoryBank(private.ids, private.images.keys.clone(), mode.tokens)
        calibration = made.table["calibration"]
        return _Chosen(mode.model, bank, mode.ensemble, calibration, dict(mode.scores))


class _StageClock:
    """Wall seconds by stage, kept in a file so that a resumed run counts its earlier parts too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[str, float] = {}
        if path.exists():
            self.seconds = checked(dict[str, float], path.read_bytes(), path.name)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self._path.write_text(json.dumps(self.seconds))


@dataclass
class Build:
    """One making of a bundle. `run` yields progress; the bundle then lies in `out`.

    thumbnails: whether the images go into the bundle, as their licence allows.
    recipe_text: the recipe's file as its author wrote it, if there is one.
    maps: whether the UMAPs of keys and tokens are fitted, which takes umap-learn and its time.
    mode: one of MODES: a memory trained together with θ, one written with θ frozen, or both.
    Raises BundleError if `out` exists, TrainingError if the run kept in `<out>.training` is of
    another recipe or data.
    """

    dataset: ImageDataset
    recipe: Recipe
    out: Path
    device: torch.device
    thumbnails: bool
    recipe_text: str = ""
    maps: bool = False
    mode: str = JOINT_MODE

    @cached_property
    def _splits(self) -> Splits:
        return make_splits(self.dataset, self.recipe.split)

    def parts(self) -> dict[str, int]:
        """How many images go where, by part. Raises BadInputError if there are too few."""
        return {field.name: len(getattr(self._splits, field.name)) for field in fields(Splits)}

    def run(self) -> Steps[None]:
        if self.out.exists():
            raise BundleError(f"{self.out} exists already; choose another folder or remove it")
        if self.mode not in MODES:
            raise BadInputError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        splits = self._splits
        check_trainable(self.dataset, splits, self.recipe.name)
        if self.recipe.model.tokens == "patches":
            check_patches(self.recipe.model, *self.dataset.images.shape[1:3])
        work = self._work_folder()
        clock = _StageClock(work / "seconds.json")

        with clock.stage("encoder"):
            encoder = yield from self._encoder(splits, work / "encoder.ckpt")

        with clock.stage("encoding"):
            parts = yield from self._encode_parts(encoder, splits)

        made: Made | None = None
        if self.mode != JOINT_MODE:
            with clock.stage("exact mode"):
                made = yield from self._exact(encoder, splits, parts, work / "exact.ckpt")

        if self.mode == EXACT_MODE and made is not None:
            yield Progress("finishing", 0, 2, 0.0)
            chosen = _Chosen.exact(made, self._labelled(splits, parts, PRIVATE))
            encoder.cpu()
        else:
            with clock.stage("training"):
                training = JointTraining(
                    self.recipe.model,
                    self.recipe.train,
                    self._training_data(splits, parts),
                    self.device,
                    work / "model.ckpt",
                )
                yield from training.run()

            yield Progress("finishing", 0, 2, 0.0)
            with clock.stage("finishing"):
                chosen = yield from self._choose(encoder.cpu(), training, splits, parts)
        projections: dict[str, FittedMap] = {}
        if self.maps:
            with clock.stage("maps"):
                projections = yield from fit_maps(chosen.bank)
        bundle = Bundle(
            manifest=self._manifest(splits, chosen, parts, clock.seconds),
            encoder=encoder,
            model=chosen.model,
            bank=chosen.bank,
            records=self._records(splits),
            test_keys=parts[TEST].keys,
            scores=chosen.scores | self._twins(splits),
            thumbnails=self._pictures(splits) if self.thumbnails else None,
            projections=projections,
        )
        if made is not None:
            bundle = self._with_exact(bundle, made)
        yield Progress("finishing", 1, 2, 0.0)
        texts = {CARD: write_card(bundle)}
        texts[RECIPE] = self.recipe_text or self.recipe.to_toml()
        if bundle.thumbnails is not None and self.dataset.notice:
            texts[NOTICE] = self.dataset.notice
        write_bundle(bundle, self.out, texts)
        self._keep_features(bundle, parts)
        shutil.rmtree(work)
        yield Progress("finishing", 2, 2, 0.0)

    # -- stages ------------------------------------------------------------------------------

    def _work_folder(self) -> Path:
        """The folder of unfinished work, checked to be this very run's."""
        work = self.out.with_name(self.out.name + ".training")
        identity = json.dumps(
            {"recipe": asdict(self.recipe), "data": data_digest(self.dataset)}, sort_keys=True
        )
        named = work / "run.json"
        if not named.exists() or named.read_text() != identity:
            # A folder without a finished stage holds nothing that could be lost or mixed up.
            if any(work.glob("*.ckpt")):
                raise TrainingError(
                    f"{work} holds an unfinished run with another recipe or other data; "
                    "remove it, or choose another --out"
                )
            (work / "seconds.json").unlink(missing_ok=True)  # another run's time is not this one's
        work.mkdir(parents=True, exist_ok=True)
        named.write_text(identity)
        return work

    def _encoder(self, splits: Splits, kept: Path) -> Steps[FrozenEncoder]:
        """Train or fetch the encoder and fit its statistics; the generator returns it."""
        config, data = self.recipe.encoder, self.dataset
        if kept.exists():
            encoder = FrozenEncoder(config).to(self.device)
            state = torch.load(kept, map_location=self.device, weights_only=True)
            encoder.load_state_dict(state)
            return encoder.eval().requires_grad_(False)
        if config.name == "conv":
            training = EncoderTraining(
                config,
                data.images[splits.encoder],
                torch.from_numpy(data.labels[splits.encoder]),
                len(data.classes),
                self.device,
            )
            yield from training.run()
            encoder = training.encoder
        else:
            encoder = FrozenEncoder(config).to(self.device)
        # Statistics come from the anchors where there are some: on images that the encoder was
        # trained on its features are cleaner than on any new image.
        public = splits.anchor if len(splits.anchor) else splits.encoder
        spread = -(-len(public) // _STATISTICS_IMAGES)  # images may lie sorted by class
        encoder.fit_statistics(data.images[public[::spread]])
        state = io.BytesIO()
        torch.save(encoder.state_dict(), state)
        write_whole(kept, state.getbuffer())
        return encoder.eval().requires_grad_(False)

    def _encode_parts(self, encoder: FrozenEncoder, splits: Splits) -> Steps[dict[str, Encoded]]:
        """Encode every part that is read after the encoder's training; the generator returns
        them."""
        names = (PRIVATE, CALIBRATION, ANCHOR, "validation", TEST)
        parts: dict[str, Encoded] = {}
        start = time.perf_counter()
        for name in names:
            yield Progress("encoding", len(parts), len(names), time.perf_counter() - start)
            images = self.dataset.images[getattr(splits, name)]
            parts[name] = encode_inputs(encoder, images, self.recipe.model.tokens)
            check_keys(parts[name].keys, name)
        yield Progress("encoding", len(parts), len(names), time.perf_counter() - start)
        return parts

    def _training_data(self, splits: Splits, parts: dict[str, Encoded]) -> TrainingData:
        """Private and calibration images get tokens; anchors don't."""
        labels = torch.from_numpy(self.dataset.labels)
        return joint_data(
            concatenate(parts[PRIVATE], parts[CALIBRATION]),
            torch.cat([labels[splits.private], labels[splits.calibration]]),
            parts[ANCHOR],
            labels[splits.anchor],
            len(self.dataset.classes),
            self.recipe.train,
        )

    def _choose(
        self,
        encoder: FrozenEncoder,
        training: JointTraining,
        splits: Splits,
        parts: dict[str, Encoded],
    ) -> Steps[_Chosen]:
        """Choose τ, s_0 and K, take the calibration entries out of the bank, score the rest; the
        generator returns all that."""
        private = self._labelled(splits, parts, PRIVATE)
        predictor, bank, calibration = calibrated(
            encoder,
            training,
            private,
            self._labelled(splits, parts, CALIBRATION),
            self._labelled(splits, parts, "validation"),
        )
        kept, gone = leave_one_out(predictor, bank, private.images.features, private.labels)
        scores = {"memorisation": kept - gone, "truth_with": kept, "truth_without": gone}
        test = self._labelled(splits, parts, TEST)
        found = yield from influence(predictor, bank, test.labels, lambda part: test.images[part])
        scores |= influence_scores(found)
        return _Chosen(predictor.model, bank, predictor.config, calibration, scores)

    def _keep_features(self, bundle: Bundle, parts: dict[str, Encoded]) -> None:
        """Every retraining reads them, and a slow encoder takes minutes for them."""
        if self.device.type != "cpu":
            return  # the CPU that will ask for them computes other last bits
        written, _ = read_manifest(self.out)
        kept = replace(bundle, manifest=written).kept_features
        if kept is not None:
            kept.keep({split: parts[split] for split in (PRIVATE, TEST, ANCHOR, CALIBRATION)})

    def _exact(
        self, encoder: FrozenEncoder, splits: Splits, parts: dict[str, Encoded], checkpoint: Path
    ) -> Steps[Made]:
        """Make the exact mode; the generator returns it."""
        on_cpu = copy.deepcopy(encoder).cpu()
        if self.device.type != "cpu":  # written where it will be verified: bit for bit
            kind = self.recipe.model.tokens
            parts = {
                name: encode_inputs(on_cpu, self.dataset.images[getattr(splits, name)], kind)
                for name in SPLITS
            }
        recipe = self.recipe
        return make_exact(
            on_cpu,
            recipe.model,
            recipe.train,
            recipe.write,
            {name: self._labelled(splits, parts, name) for name in SPLITS},
            len(self.dataset.classes),
            self.device,
            checkpoint,
        )

    def _labelled(self, splits: Splits, parts: dict[str, Encoded], name: str) -> Labelled:
        rows = getattr(splits, name)
        labels = torch.from_numpy(self.dataset.labels[rows])
        return Labelled(tuple(self.dataset.ids[i] for i in rows), parts[name], labels)

    def _with_exact(self, bundle: Bundle, made: Made) -> Bundle:
        """The bundle with its exact mode, which is its only one if nothing was trained jointly."""
        manifest = bundle.manifest
        table = {**made.table, "provenance": provenance(self.device, made.seconds)}
        if self.mode == EXACT_MODE:
            manifest = replace(manifest, training={**manifest.training, "mode": EXACT_MODE})
        return replace(bundle, manifest=replace(manifest, exact=table), exact=made.mode)

    # -- what goes into the bundle beside the weights ------------------------------------------

    def _records(self, splits: Splits) -> tuple[Record, ...]:
        data = self.dataset
        simulated = simulate_owners(len(splits.private), self.recipe.owners)
        owner_of = dict(zip(splits.private.tolist(), simulated, strict=True))
        if data.owners is not None:
            owner_of = {i: data.owners[i] for i in splits.private.tolist()}
        return tuple(
            Record(data.ids[i], int(data.labels[i]), owner_of.get(i, ""), split)
            for split in (PRIVATE, TEST, ANCHOR, CALIBRATION)
            for i in getattr(splits, split).tolist()
        )

    def _twins(self, splits: Splits) -> dict[str, Tensor]:
        """Scores of the private images that have an identical picture without a key."""
        images = self.dataset.images
        public = (splits.encoder, splits.anchor, splits.calibration, splits.validation)
        return counted_twins(
            images[splits.private], (images[rows] for rows in public), images[splits.test]
        )

    def _pictures(self, splits: Splits) -> Thumbnails:
        rows = np.concatenate([splits.private, splits.test, splits.anchor, splits.calibration])
        return Thumbnails.from_images(
            [self.dataset.ids[i] for i in rows], self.dataset.images[rows]
        )

    def _manifest(
        self, splits: Splits, chosen: _Chosen, parts: dict[str, Encoded], seconds: dict[str, float]
    ) -> Manifest:
        data = self.dataset
        names = (PRIVATE, TEST, ANCHOR, CALIBRATION, "validation", "encoder")
        outside = owned_outside(data, splits)
        return Manifest(
            name=self.recipe.name,
            dataset=dataset_table(data, _dark_background(data.images[splits.anchor[:500]])),
            encoder=self.recipe.encoder,
            model=self.recipe.model,
            ensemble=chosen.ensemble,
            owners_simulated=data.owners is None,
            near_duplicate=near_duplicate_threshold(parts["validation"].keys, parts[ANCHOR].keys),
            splits={
                "config": asdict(self.recipe.split),
                "counts": {name: len(getattr(splits, name)) for name in names},
                "owned_outside": None if outside is None else asdict(outside),
            },
            training=cast(Training, asdict(self.recipe.train)),
            calibration=chosen.calibration,
            provenance=provenance(self.device, seconds),
        )


def data_digest(dataset: ImageDataset) -> str:
    """SHA-256 (hex) of a dataset's ids, images and labels."""
    digest = hashlib.sha256("\n".join(dataset.ids).encode())
    digest.update(np.ascontiguousarray(dataset.images).tobytes())
    digest.update(dataset.labels.tobytes())
    return digest.hexdigest()


def near_duplicate_threshold(queries: Tensor, others: Tensor) -> float:
    """Cosine that 99 in 100 public images don't reach with their nearest other public image; below
    1. An identical picture is no neighbour here: a folder with copies would have 1 otherwise.

    queries, others: (n, d) and (m, d) unit keys of disjoint public images.
    """
    if not len(queries) or not len(others):
        return _NEAREST
    blocks = (
        part.masked_fill(part >= IDENTICAL, -torch.inf) for _, part in cosines(queries, others)
    )
    most = torch.cat([block.max(dim=1).values for block in blocks])
    most = most[most.isfinite()]
    if not len(most):
        return _NEAREST
    return min(_NEAREST, max(_LEAST_NEAR, round(float(most.quantile(_NEAR_QUANTILE)), 5)))


def _dark_background(images: Any) -> bool:
    border = np.concatenate(
        [images[:, 0].ravel(), images[:, -1].ravel(), images[:, :, 0].ravel()], axis=None
    )
    return bool(len(border)) and float(border.mean()) / 255 < _DARK_BORDER
