"""Frozen results: what the library hands to the app, the command line and notebooks.

NumPy only, so that whoever shows a result needs no PyTorch. Positions never appear here: images
are named by id. Every result that depends on the memory bank carries its `generation`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from munkey_core.errors import StaleGenerationError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]

PRIVATE = "private"
TEST = "test"
ANCHOR = "anchor"
CALIBRATION = "calibration"


@dataclass(frozen=True)
class Record:
    """What is known about one image beside the bank; prediction never reads it.

    split: "private" (has a key), "test" (held out), "anchor" (public, labelled) or "calibration"
    (public, had a key while the model was trained).
    owner: simulated unless the manifest says otherwise; empty outside the private split.
    """

    id: str
    label: int
    owner: str
    split: str


@dataclass(frozen=True)
class Retrieval:
    """The K nearest entries of each query, nearest first.

    ids: (Q, K) entry ids. similarity: (Q, K) float32 cosines in [-1, 1].
    K is smaller than asked for when the bank holds fewer entries.
    """

    ids: tuple[tuple[str, ...], ...]
    similarity: FloatArray
    generation: int


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of each query and the passes they are made of.

    probabilities: (Q, C) float32, rows sum to 1.
    pass_probabilities: (Q, P, C) float32, one row a pass, in the order of `retrieval.ids`; with a
        null anchor its pass comes last. For single-pass aggregation P = 1.
    weights: (Q, P) float32, the share of each pass, rows sum to 1;
        probabilities = Σ_p weights · pass_probabilities.
    exemplar_weights: (Q, K [+ 1 for the anchor]) float32, the share of each retrieved exemplar
        (equal to `weights` for the ensembles).
    """

    probabilities: FloatArray
    pass_probabilities: FloatArray
    weights: FloatArray
    exemplar_weights: FloatArray
    retrieval: Retrieval
    has_anchor: bool

    @property
    def generation(self) -> int:
        return self.retrieval.generation

    @property
    def classes(self) -> IntArray:
        """(Q,) int64 most probable class."""
        most: IntArray = self.probabilities.argmax(axis=1).astype(np.int64)
        return most

    def require(self, generation: int) -> Prediction:
        """Return self, or raise StaleGenerationError if the bank has moved on since."""
        check_generation(self.generation, generation)
        return self


def check_generation(result: int, current: int) -> None:
    """Raise StaleGenerationError unless a result belongs to the bank's current state."""
    if result != current:
        raise StaleGenerationError(
            f"this result belongs to generation {result} of the memory, which is now at "
            f"generation {current}: ask again"
        )


@dataclass(frozen=True)
class Deletion:
    """One change of a session's view of the bank: keys hidden from it, or put back.

    milliseconds: wall time of the change itself, without any prediction.
    remaining: keys that still answer afterwards.
    """

    ids: tuple[str, ...]
    generation_before: int
    generation: int
    milliseconds: float
    remaining: int


@dataclass(frozen=True)
class Change:
    """The prediction of one image in two states of the bank.

    before, after: (C,) float32 probabilities. neighbours_*: ids that answered, nearest first.
    weights_*: (K [+1]) share of each of them, the null anchor last if there is one.
    """

    id: str
    label: int
    before: FloatArray
    after: FloatArray
    neighbours_before: tuple[str, ...]
    neighbours_after: tuple[str, ...]
    weights_before: FloatArray
    weights_after: FloatArray

    @property
    def flipped(self) -> bool:
        """Whether the most probable class is another one."""
        return bool(self.before.argmax() != self.after.argmax())

    @property
    def shift(self) -> float:
        """Change of the true class's probability, in [-1, 1]; negative = surer before."""
        return float(self.after[self.label] - self.before[self.label])


@dataclass(frozen=True)
class SideEffects:
    """What a deletion changed for the images that were not deleted.

    retain_checked, test_checked: how many images the split holds (all are accounted for:
        an image none of whose K neighbours was deleted can't have changed).
    retain_touched, test_touched: how many of them lost a neighbour.
    retain, test: ids whose most probable class changed, with before and after class.
    """

    generation: int
    retain_checked: int
    test_checked: int
    retain_touched: int
    test_touched: int
    retain: tuple[tuple[str, int, int], ...]
    test: tuple[tuple[str, int, int], ...]
    seconds: float


@dataclass(frozen=True)
class Browse:
    """What a person asks the gallery for; the conditions that are given all hold at once.

    classes: class indices. owner: exact owner name. contains: part of an id.
    near: show near-duplicates of these ids (and nothing else). hide_forgotten: leave out ids whose
    key is deleted in this session. order: "memorised" (most memorised first), "id" or "random".
    sample: at most so many, drawn by `seed`; None for all.
    """

    classes: tuple[int, ...] = ()
    owner: str = ""
    contains: str = ""
    near: tuple[str, ...] | None = None
    hide_forgotten: bool = False
    order: str = "memorised"
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class NearDuplicate:
    """Two private images whose keys are closer than the bundle's threshold. similarity: cosine."""

    id: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Progress:
    """Where a long piece of work stands. remaining_seconds is an estimate, None at the start."""

    stage: str
    done: int
    total: int
    elapsed_seconds: float
    remaining_seconds: float | None = None
    detail: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFigures:
    """One model on one forget set, in percent, the mean over its seeds.

    family: "original", "by-design", "post-hoc" or "oracle". mia_auc: AUROC of the true-class
    probability, forget images (members) against test images (non-members); mia_auc_ci95: bootstrap
    interval over images, averaged over seeds. avg_gap: mean of the four absolute differences to
    the oracle of the same family and seed; None for an oracle or a model without one.
    unlearn_seconds: wall time to forget; None where nothing was forgotten.
    spread: standard deviation over seeds of each figure. per_seed: the figures themselves.
    """

    family: str
    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    mia_auc: float
    mia_auc_ci95: tuple[float, float]
    avg_gap: float | None
    unlearn_seconds: float | None
    spread: dict[str, float]
    per_seed: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class NullBand:
    """Avg Gap between honest retrains: oracles of different seeds, all pairs. In points."""

    mean: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class BackboneLeak:
    """What key deletion can't remove: accuracy of the image pathway alone (exemplar = ∅) on the
    forget set minus the same on test, in points, mean over seeds.

    ci95: over images; None where they have no spread. oracle_points: the same difference in the
    oracles, which never saw the forget images: how much easier than test images they are.
    excess_points, excess_ci95: leak minus oracle_points, paired by image.
    """

    points: float
    ci95: tuple[float, float] | None
    oracle_points: float
    excess_points: float
    excess_ci95: tuple[float, float] | None


@dataclass(frozen=True)
class AuditReport:
    """A forget set's audit. avg_gap_cross_seeds: as avg_gap of MUNKEY, but against the oracles of
    the other seeds, which is what the null band has to be held against; None with one seed."""

    bundle: str
    digest: str
    forget: str
    n_forget: int
    n_retain: int
    n_test: int
    seeds: tuple[int, ...]
    models: dict[str, ModelFigures]
    null_band: NullBand | None
    avg_gap_cross_seeds: float | None
    backbone_leak: BackboneLeak
    device: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class BundleInfo:
    """A bundle as a list shows it. bytes: size of its files. problem: why it can't be opened,
    empty if its manifest is sound."""

    name: str
    path: str
    title: str
    dataset: str
    licence: str
    keys: int
    test_images: int
    classes: tuple[str, ...]
    digest: str
    bytes: int
    problem: str = ""
