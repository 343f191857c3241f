"""The exact mode: θ from public images, then a memory written with θ frozen (METHOD.md §7; ours).

What a private image may touch is its own row, and nothing else: θ is trained on the public anchors,
which are members with tokens of their own and anchors at once; τ, s_0 and K are chosen on public
images; keys come from the frozen encoder. So retraining without an image is writing the others, and
that is what its deletion leaves.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle, ExactMode
from munkey_core.bundle.card import write_card
from munkey_core.bundle.manifest import CARD, EXACT, EXACT_MODE, JOINT_MODE
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import rewriting
from munkey_core.bundle.write import seal, write_exact
from munkey_core.config import EnsembleConfig, ModelConfig, TrainConfig, WriteConfig
from munkey_core.errors import BundleChangedError, BundleError, TrainingError
from munkey_core.explain.influence import leave_one_out
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import FrozenEncoder, concatenate
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, Steps, T, changed
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE
from munkey_core.training.calibration import Labelled, choose_ensemble
from munkey_core.training.joint import JointTraining, joint_data
from munkey_core.training.rows import write_rows


@dataclass(frozen=True)
class ExactCheck:
    """What was found when a forget set's images were deleted from an exact memory, and all others
    written from scratch as if those had never been there. Nothing should differ.

    rows: rows written again; rows_differing: of them those with another digest (id, key, token).
    token_bytes: in half precision, as a bank keeps them. key_bytes: of the retained images' keys,
    encoded beside the forget set and without it. answers: images asked of both memories, all test
    and all retained ones; bits: of their class probabilities in float32.
    rows_elsewhere: of rows that were written with another version of PyTorch or on another kind of
    processor, how many stored ones this machine writes differently, with and without the forget
    set alike. If there are any, deletion was tried on the memory that this machine writes of all.
    """

    forget: str
    n_forget: int
    rows: int
    rows_differing: int
    token_bytes: int
    token_bytes_differing: int
    key_bytes: int
    key_bytes_differing: int
    answers: int
    answers_differing: int
    bits: int
    bits_differing: int
    seconds: float
    rows_elsewhere: int = 0

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.rows_differing
            or self.token_bytes_differing
            or self.key_bytes_differing
            or self.bits_differing
        )

    def counts(self) -> dict[str, int]:
        """All but the name and the time, as plain values."""
        values = asdict(self)
        return {name: n for name, n in values.items() if name not in ("forget", "seconds")}


SPLITS = (PRIVATE, ANCHOR, CALIBRATION)  # what the making of an exact mode reads


@dataclass(frozen=True)
class Made:
    """An exact mode and what its manifest says of it, all but the provenance. seconds: by stage."""

    mode: ExactMode
    table: dict[str, Any]
    seconds: dict[str, float]


def make_exact(
    encoder: FrozenEncoder,
    model_config: ModelConfig,
    train_config: TrainConfig,
    write_config: WriteConfig,
    parts: dict[str, Labelled],
    n_classes: int,
    device: torch.device,
    checkpoint: Path | None = None,
) -> Steps[Made]:
    """Yield progress; return the exact mode.

    parts: `SPLITS`. device: θ is trained there; rows are always written on the CPU, where they are
    read. checkpoint: where θ's training is kept while it is unfinished.
    Raises TrainingError if there are no public labelled images to train θ on.
    """
    public, calibration, private = parts[ANCHOR], parts[CALIBRATION], parts[PRIVATE]
    if not public.ids:
        raise TrainingError(
            "an exact mode needs public labelled images to train θ on: public_anchor must be above "
            "0, and the bundle has none"
        )
    seconds: dict[str, float] = {}
    start = time.perf_counter()
    data = joint_data(
        public.images, public.labels, public.images, public.labels, n_classes, train_config
    )
    training = JointTraining(model_config, train_config, data, device, checkpoint)
    yield from _named("training on public images", training.run())
    model = rounded_model(training.model.cpu().float())
    seconds["training"] = time.perf_counter() - start

    # Written as private images are, the anchors stand for a memory, the calibration images for
    # queries: some that are in it, and, with their keys deleted, some that are not.
    start = time.perf_counter()
    known = Labelled(
        (*public.ids, *calibration.ids),
        concatenate(public.images, calibration.images),
        torch.cat([public.labels, calibration.labels]),
    )
    tokens = yield from _written("writing public images", model, known, write_config)
    ensemble, table = choose_ensemble(
        Predictor(encoder, model, EnsembleConfig()),
        MemoryBank(known.ids, known.images.keys, tokens),
        calibration,
    )
    seconds["calibration"] = time.perf_counter() - start

    start = time.perf_counter()
    tokens = yield from _written("writing", model, private, write_config)
    seconds["writing"] = time.perf_counter() - start
    start = time.perf_counter()
    yield Progress("finishing", 0, 1, 0.0)
    bank = MemoryBank(private.ids, private.images.keys, tokens)
    mode = ExactMode(model, tokens, ensemble, _scores(encoder, model, ensemble, bank, private))
    seconds["finishing"] = time.perf_counter() - start
    yield Progress("finishing", 1, 1, seconds["finishing"])
    return Made(
        mode,
        {
            "training": asdict(train_config),
            "write": asdict(write_config),
            "ensemble": asdict(ensemble),
            "calibration": table,
            "verified": {},
        },
        seconds,
    )


def labelled(bundle: Bundle, split: str, ids: Sequence[str] | None = None) -> Labelled:
    """Images of one split, encoded now, in bundle order or in that of `ids`.

    Raises BundleError for a bundle without pictures.
    """
    label = {record.id: record.label for record in bundle.records_of(split)}
    ids = tuple(label) if ids is None else tuple(ids)
    labels = torch.tensor([label[id_] for id_ in ids], dtype=torch.int64)
    return Labelled(ids, bundle.encode(ids), labels)


def encode_splits(bundle: Bundle) -> Steps[dict[str, Labelled]]:
    """The generator returns what `make_exact` reads. Raises BundleError without pictures."""
    bundle.require_pictures("writing needs the images")
    parts: dict[str, Labelled] = {}
    start = time.perf_counter()
    for split in SPLITS:
        yield Progress("encoding", len(parts), len(SPLITS), time.perf_counter() - start)
        parts[split] = labelled(bundle, split)
    yield Progress("encoding", len(parts), len(SPLITS), time.perf_counter() - start)
    return parts


def write_again(bundle: Bundle, private: Labelled) -> Steps[Tensor]:
    """Yield progress; return the tokens (n, dim) of `private`, written from scratch with the θ and
    the settings of the exact mode of this bundle."""
    exact = bundle.in_mode(EXACT_MODE)
    config = exact.manifest.exact_table().write
    return write_rows(exact.model, private.images.features, private.labels, config)


def rounded_model(model: ExemplarTransformer) -> ExemplarTransformer:
    """θ with every weight rounded to half precision, as a bundle keeps it; in place.

    It comes before the first row is written: a row belongs to the θ that is stored.
    """
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(value.half().float())
    return model


def save_exact(folder: Path, mode: ExactMode, table: dict[str, Any]) -> None:
    """Put an exact mode into the bundle in this folder, beside its joint one, with a new card, and
    seal it anew.

    Raises BundleError for a bundle whose only mode is exact: its model and bank are the mode.
    """
    with rewriting(folder) as draft:
        bundle = read_bundle(draft)
        if bundle.mode != JOINT_MODE:
            raise BundleError(f"bundle {folder.name} has no joint mode to put an exact one beside")
        if len(mode.tokens) != len(bundle.bank):
            raise BundleChangedError(folder.name)
        (draft / EXACT).unlink(missing_ok=True)
        write_exact(draft / EXACT, mode, bundle.bank)
        card = write_card(with_table(bundle, table), bundle.metrics)
        (draft / CARD).write_text(card, encoding="utf-8")
        seal(draft, with_table(bundle, table).manifest)


def save_verified(folder: Path, checks: Iterable[ExactCheck]) -> None:
    """Note in the bundle in this folder what was found, by forget set, with a new card."""
    found = {check.forget: check for check in checks}
    with rewriting(folder) as draft:
        bundle = read_bundle(draft)
        if any(check.n_forget + check.rows != len(bundle.bank) for check in found.values()):
            raise BundleChangedError(folder.name)
        counts = {name: check.counts() for name, check in found.items()}
        table = {**bundle.manifest.exact}
        table["verified"] = {**table.get("verified", {}), **counts}
        bundle = with_table(bundle, table)
        (draft / CARD).write_text(write_card(bundle, bundle.metrics), encoding="utf-8")
        seal(draft, bundle.manifest)


def with_table(bundle: Bundle, table: dict[str, Any]) -> Bundle:
    """The bundle with another account of its exact mode."""
    return replace(bundle, manifest=replace(bundle.manifest, exact=table))


def _scores(
    encoder: FrozenEncoder,
    model: ExemplarTransformer,
    ensemble: EnsembleConfig,
    bank: MemoryBank,
    private: Labelled,
) -> dict[str, Tensor]:
    """As a bundle's, in values of half precision, as they are stored."""
    predictor = Predictor(encoder, model, ensemble)
    kept, gone = leave_one_out(predictor, bank, private.images.features, private.labels)
    scores = {"memorisation": kept - gone, "truth_with": kept, "truth_without": gone}
    return {name: values.half().float() for name, values in scores.items()}


def _written(
    stage: str, model: ExemplarTransformer, images: Labelled, config: WriteConfig
) -> Steps[Tensor]:
    return _named(stage, write_rows(model, images.images.features, images.labels, config))


def _named(stage: str, steps: Steps[T]) -> Steps[T]:
    return changed(steps, lambda step: replace(step, stage=stage))
