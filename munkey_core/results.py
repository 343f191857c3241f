"""Frozen results: what the library hands to the app, the command line and notebooks.

NumPy only, so that whoever shows a result needs no PyTorch. Positions never appear here: images
are named by id. Every result that depends on the memory bank carries its `generation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from statistics import fmean
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

# Where the gap of a method lies beside those of honest retrains (`AuditReport.place`).
EQUAL, INSIDE, OUTSIDE, UNKNOWN = "equal", "inside", "outside", "unknown"


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
    near: show near-duplicates of these ids (and nothing else). paired: only images of which a
    near-duplicate is in memory. hide_forgotten: leave out ids whose key is deleted in this session.
    order: "memorised" (most memorised first), "exposed" (most exposed to a membership attack
    first), "influential" (what changes test images' answers most first, see `Influence.total`),
    "id" or "random".
    sample: at most so many, drawn by `seed`; None for all.
    """

    classes: tuple[int, ...] = ()
    owner: str = ""
    contains: str = ""
    near: tuple[str, ...] | None = None
    paired: bool = False
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
class ForgettingQuality:
    """The Unlearning Comparator's score of a model against its oracle on the forget set.

    score: in [0, 1], 1 = not to be told apart. null_mean, null_low: mean and 5th percentile of
    the score when every image's two results are swapped at random. n: images.
    """

    score: float
    null_mean: float
    null_low: float
    n: int


@dataclass(frozen=True)
class OracleDistance:
    """How far a model's answers are from its oracle's, image by image, mean over seeds.

    agreement: percent of images with the same most probable class. kl: mean KL(oracle ‖ model)
    in nats. shift: mean |p_y − p_y*| in percentage points.
    """

    agreement: float
    kl: float
    shift: float


@dataclass(frozen=True)
class ModelFigures:
    """One model on one forget set, in percent, the mean over its seeds.

    family: "original", "by-design", "post-hoc" or "oracle". oracle: name of the model that it is
    held against, None for an oracle. mia_auc: AUROC of the true-class probability, forget images
    (members) against test images (non-members). avg_gap: mean of the four absolute differences to
    the oracle of the same family and seed; None without one. avg_gap_cross_seeds: the same against
    the oracles of the other seeds, which is what a null band has to be held against; None with a
    single seed.
    ci95: bootstrap 95% interval over images, averaged over seeds, of test_accuracy,
    retain_accuracy, forget_accuracy, mia_auc and avg_gap. spread: standard deviation over seeds.
    unlearn_seconds: wall time to forget (an oracle's: to train it); None where nothing was
    forgotten. to_oracle_forget, to_oracle_test: distance of its answers to its oracle's.
    settings: hyper-parameters of a post-hoc method. exact: whether it is by construction what
    retraining would give.
    """

    family: str
    oracle: str | None
    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    mia_auc: float
    mia_auc_ci95: tuple[float, float]
    avg_gap: float | None
    avg_gap_cross_seeds: float | None
    unlearn_seconds: float | None
    ci95: dict[str, tuple[float, float]]
    spread: dict[str, float]
    per_seed: tuple[dict[str, float], ...]
    to_oracle_forget: OracleDistance | None = None
    to_oracle_test: OracleDistance | None = None
    forgetting_quality: ForgettingQuality | None = None
    settings: dict[str, float] = field(default_factory=dict)
    exact: bool = False


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
class LeakSplit:
    """Where the trace of the forget set lies, mean over seeds.

    memory_accuracy, memory_mia: what deleting the keys takes away, forget accuracy and MIA AUROC
    before minus after, in points. image_mia: AUROC (percent) of the attack on the image pathway
    alone, which deletion leaves as it is, with its interval; image_mia_oracle: the same in the
    oracles. backbone: None without an oracle.
    """

    memory_accuracy: float
    memory_mia: float
    image_mia: float
    image_mia_ci95: tuple[float, float]
    image_mia_oracle: float | None
    backbone: BackboneLeak | None


@dataclass(frozen=True)
class AuditReport:
    """A forget set's audit. forget: its name. set_digest: SHA-256 of its ids. models: by name, in
    the order of a table. null_bands: by oracle's name. device: of the trainings."""

    bundle: str
    digest: str
    forget: str
    set_digest: str
    n_forget: int
    n_retain: int
    n_test: int
    seeds: tuple[int, ...]
    models: dict[str, ModelFigures]
    null_bands: dict[str, NullBand]
    leak: LeakSplit | None
    device: str
    seconds: float

    def band_of(self, figures: ModelFigures) -> NullBand | None:
        """The null band that a model's gap is held against."""
        return self.null_bands.get(figures.oracle or "")

    def place(self, figures: ModelFigures) -> str:
        """Where a model's gap lies: EQUAL to its oracle, INSIDE or OUTSIDE the null band, or
        UNKNOWN. Inside: its mean gap to the oracles of the other seeds is no larger than the
        largest gap between two of those oracles."""
        if figures.avg_gap == 0 and figures.exact:
            return EQUAL
        band = self.band_of(figures)
        if band is None or figures.avg_gap_cross_seeds is None:
            return UNKNOWN
        return INSIDE if figures.avg_gap_cross_seeds <= band.high else OUTSIDE

    def clearly_closer(self, one: ModelFigures, other: ModelFigures) -> bool:
        """Whether one is closer to its oracle than the other, beyond bands and intervals. Never so
        for two that are both inside their bands."""
        if one.avg_gap is None or other.avg_gap is None or one.avg_gap >= other.avg_gap:
            return False
        places = self.place(one), self.place(other)
        if places[0] in (EQUAL, INSIDE) and places[1] == OUTSIDE:
            return True
        apart = one.ci95["avg_gap"][1] < other.ci95["avg_gap"][0]
        return places[1] in (OUTSIDE, UNKNOWN) and apart

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


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


@dataclass(frozen=True)
class AttackFigures:
    """How well one attack tells the members of one model from non-members, in percent.

    auroc: how often a member scores higher than a non-member, one drawn of each; 50 = guessing.
    tpr_1pct, tpr_01pct: share of members found while 1% (0.1%) of the non-members are called
    members; None where `errors` has the reason, e.g. fewer than 100 (1,000) non-members.
    balanced_accuracy: mean of the two rates at a threshold chosen on other images. *_ci95:
    bootstrap 95% interval over images; None for a single image. roc: (FPR, TPR) at log-spaced FPR.
    errors: reason by the name of each figure that is None.
    """

    auroc: float
    auroc_ci95: tuple[float, float] | None
    tpr_1pct: float | None
    tpr_1pct_ci95: tuple[float, float] | None
    tpr_01pct: float | None
    tpr_01pct_ci95: tuple[float, float] | None
    balanced_accuracy: float | None
    balanced_accuracy_ci95: tuple[float, float] | None
    n_members: int
    n_non_members: int
    roc: tuple[tuple[float, float], ...] = ()
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreHistogram:
    """Scores of one attack on one model. edges: (B + 1) ascending, the same for all models of one
    family; scores beyond the ends count into the end bins. members, non_members: (B) percent."""

    edges: tuple[float, ...]
    members: tuple[float, ...]
    non_members: tuple[float, ...]


@dataclass(frozen=True)
class AttackBand:
    """AUROC (percent) of one attack on honest retrains: the range over oracles of `seeds`."""

    low: float
    high: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class PrivacyReport:
    """Membership attacks on a forget set (members) against all test images (non-members).

    figures, errors, histograms: by attack, then by model: "before", "after", "retrained" of
    MUNKEY, "plain" and "plain retrained" of the plain transformer; what could not be computed is in
    `errors` with its reason. missing: models that nobody has trained yet. references: K by
    family, how many reference models the attacks had. null_bands: by attack, then family.
    leak: None where `leak_error` says why.
    """

    bundle: str
    digest: str
    set_digest: str
    n_forget: int
    n_retain: int
    n_test: int
    seed: int
    references: dict[str, int]
    figures: dict[str, dict[str, AttackFigures]]
    errors: dict[str, dict[str, str]]
    histograms: dict[str, dict[str, ScoreHistogram]]
    null_bands: dict[str, dict[str, AttackBand]]
    missing: tuple[str, ...]
    leak: LeakSplit | None
    leak_error: str
    seconds: float

    def to_dict(self, charts: bool = True) -> dict[str, Any]:
        """Plain values for JSON. charts: with histograms and ROC points."""
        values = asdict(self)
        if not charts:
            del values["histograms"]
            for models in values["figures"].values():
                for figures in models.values():
                    del figures["roc"]
        return values


@dataclass(frozen=True)
class AttackCheck:
    """Do the attacks work? Every attack on a family's original: all private images (members)
    against all test images. k: reference models it had. errors: reason by attack."""

    family: str
    k: int
    figures: dict[str, AttackFigures]
    errors: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without ROC points."""
        values = asdict(self)
        for figures in values["figures"].values():
            del figures["roc"]
        return values


@dataclass(frozen=True)
class Exposure:
    """How exposed each private image is to an attack on the bundle's own model, before any
    deletion; larger = more exposed. scores: by id. attack: its name. k: reference models it had."""

    attack: str
    k: int
    scores: dict[str, float]


@dataclass(frozen=True)
class OracleFigures:
    """How often a model retrained without a forget set is right, in percent.

    family: "munkey" or "plain". seconds: its training took. source: "trained" (now), "cache" or
    "bundle".
    """

    family: str
    seed: int
    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    seconds: float
    source: str


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


@dataclass(frozen=True)
class JobStatus:
    """A background job as a page shows it.

    kind: "retrain", "compare", "project" or "train". n_forget: images left out. state: "queued",
    "running", "done", "failed" or "cancelled". progress: the stage and how far it is, with the
    seconds so far and still to come of the whole job (None while they can't be estimated).
    fraction: of the whole job, in [0, 1], 0 while unknown. ahead: jobs that come before a queued
    one. mine: whether the one who asks wanted this job; others: how many others want it and are
    still there. reason: why it failed.
    """

    kind: str
    n_forget: int
    state: str
    progress: Progress | None = None
    fraction: float = 0.0
    ahead: int = 0
    mine: bool = False
    others: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


# -- pictures from elsewhere ----------------------------------------------------------------------


@dataclass(frozen=True)
class PictureMatch:
    """How well images that were found elsewhere fit a bundle's stored keys.

    checked: private images that were encoded. matched: those whose own key is among the nearest
    hundredth of all keys. nearest: those whose own key is the very nearest. median: cosine of an
    image with its own key, the median over them. same: whether it is the very copy that the bundle
    was made of, as far as keys can tell.
    """

    checked: int
    matched: int
    nearest: int
    median: float
    same: bool

    @property
    def words(self) -> str:
        return (
            f"{self.matched} of {self.checked} sampled pictures are near their own key "
            f"({self.nearest} nearer than to any other), median cosine {self.median:.3f}"
        )


@dataclass(frozen=True)
class PictureStatus:
    """Whether the images of a bundle are at hand.

    state: "carried" (they are in the bundle), "found" (elsewhere, and they fit), "missing",
    "refused" (what lies there is not the bundle's), "searching" or "unsearched". place: where they
    come from, or what was refused. match: for those found. lacking: images of the bundle that the
    place lacks. problem: one sentence if they are missing or refused.
    """

    state: str
    place: str = ""
    match: PictureMatch | None = None
    lacking: int = 0
    problem: str = ""

    @property
    def ready(self) -> bool:
        return self.state in ("carried", "found")


@dataclass(frozen=True)
class Recalled:
    """What is known of one image without its picture.

    neighbours: its K nearest entries by its stored key, the nearest first, with similarity (K,)
    and weights (K [+ 1],), each one's share of the answer, the null anchor last. probabilities:
    (C,) if an answer of this state of the memory is stored, else None. truth: probability of the
    true class in [0, 1], which may be stored alone; None if it isn't.
    """

    id: str
    neighbours: tuple[str, ...]
    similarity: FloatArray
    weights: FloatArray
    probabilities: FloatArray | None
    truth: float | None
    generation: int


# -- own data ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingOffer:
    """What `munkey train` would make of a person's own images, known before it starts.

    source: what was asked for. name: of the bundle to be. title: for people. images: those that
    could be read. classes: name and number of images of each, in the order of the labels.
    image_size: side in pixels that the images are stored and encoded with. grey: whether all of
    them are grey. owners: how many different owners the data names, None if it names none.
    skipped: file and reason of each one left out. parts: images by part, "private" (they get a
    key), "test", "anchor", "calibration", "validation", "encoder" and "unused". encoder: its name.
    seconds: estimate for this machine, from steps timed on it with these images. memory_bytes:
    most that the training holds at once. disk_bytes: what the bundle and the unfinished work take.
    warnings: sentences about what will be poor and why. problem: why it can't be trained here,
    empty if it can. stages: each stage of the training with its share of `seconds`.
    """

    source: str
    name: str
    title: str
    images: int
    classes: tuple[tuple[str, int], ...]
    image_size: int
    grey: bool
    owners: int | None
    skipped: tuple[tuple[str, str], ...]
    parts: dict[str, int]
    encoder: str
    seconds: float
    memory_bytes: int
    disk_bytes: int
    warnings: tuple[str, ...]
    problem: str = ""
    stages: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


# -- seeing inside -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Projection:
    """The entries of a bank as points of a plane.

    ids: N entry ids in bank order. positions: (N, 2) float32, no unit: only nearness means
    something. space: "keys" or "tokens". method: "umap" or "pca". seed: of the method.
    generation: of the memory when it was asked for; forgetting moves no point, so positions are
    the same in every generation, but what is alive is not.
    """

    ids: tuple[str, ...]
    positions: FloatArray
    space: str
    method: str
    seed: int
    generation: int

    def require(self, generation: int) -> Projection:
        """Return self, or raise StaleGenerationError if the bank has moved on since."""
        check_generation(self.generation, generation)
        return self


@dataclass(frozen=True)
class Placement:
    """Where queries lie on a projection that is already drawn; no other point moves for them.

    positions: (Q, 2) float32. exact: (Q,) whether the query is an entry of the bank, which lies
    where the projection has it; the others lie at the weighted mean of their nearest entries.
    """

    positions: FloatArray
    exact: BoolArray
    generation: int


@dataclass(frozen=True)
class ExemplarAttribution:
    """Exact Shapley values of what answered one query: its K retrieved exemplars and the null
    anchor.

    The game: a coalition's value is the probability (0 to 1) of class `target` when only its
    members take part, their shares computed among themselves; the empty coalition is the image
    pathway alone, which is what the model says with an empty memory. Positive = speaks for
    `target`. sum(values) [+ anchor_value] = full − empty.

    ids: nearest first. values: (K,) float64. anchor_value: None without an anchor.
    weights: (K [+ 1]) share of each in the prediction, the anchor last.
    alone: (K [+ 1]) probability of `target` in the pass of each exemplar alone, the anchor last.
    """

    target: int
    ids: tuple[str, ...]
    values: npt.NDArray[np.float64]
    anchor_value: float | None
    weights: FloatArray
    alone: FloatArray
    full: float
    empty: float
    generation: int

    @property
    def residual(self) -> float:
        """How far the values' sum is from full − empty; 0 up to rounding (efficiency axiom)."""
        return float(self.values.sum() + (self.anchor_value or 0.0) - (self.full - self.empty))


@dataclass(frozen=True)
class Influence:
    """What would change for test images if one entry were forgotten: exact, one entry at a time,
    in the undiminished bank.

    ids: N entries in bank order. touched: (N,) int64 test images it is among the K nearest of.
    flips: (N,) int64 test images whose most probable class would change. shift: (N,) float32 sum
    over test images of the change of the true class's probability; negative = the entry helps.
    total: (N,) float32 sum over test images of |change|: how much the entry does at all.
    n_test: test images that were looked at.
    """

    ids: tuple[str, ...]
    touched: IntArray
    flips: IntArray
    shift: FloatArray
    total: FloatArray
    n_test: int


@dataclass(frozen=True)
class InfluencedQuery:
    """One image whose answer would change if an entry were forgotten. shift: change of the true
    class's probability, in [-1, 1]. class_before, class_after: most probable class."""

    id: str
    shift: float
    class_before: int
    class_after: int


@dataclass(frozen=True)
class PixelAttribution:
    """How much each pixel speaks for one class, through the encoder and the image pathway, with
    the retrieval (which exemplars answer, and their shares) held fixed.

    method: a name of `Studio.pixel_methods`. target: class index. values: (H, W) float32, summed
    over colour channels, in units of `output`; positive = speaks for `target`. signed: False for
    methods that know no sign (all values ≥ 0). output, baseline_output: what is explained, of the
    image and of the method's baseline; None without a baseline. output_unit: what it is in words.
    delta: convergence error, sum(values) − (output − baseline_output), None for methods that
    promise no such sum. settings: steps, seed and such.
    """

    method: str
    target: int
    values: FloatArray
    signed: bool
    output: float
    baseline_output: float | None
    output_unit: str
    delta: float | None
    settings: dict[str, float]
    generation: int

    @property
    def relative_delta(self) -> float | None:
        """|delta| as a share of |output − baseline_output|; None if there is no such sum, or the
        difference is zero."""
        if self.delta is None or self.baseline_output is None:
            return None
        difference = abs(self.output - self.baseline_output)
        return abs(self.delta) / difference if difference > 0 else None


@dataclass(frozen=True)
class SanityStage:
    """One step of a model's randomisation, from the head down. randomised: the parts that are
    random from here on. rank_correlation: Spearman's ρ of |values| with the trained model's, in
    [-1, 1]; a map that explains the model loses its likeness. values: (H, W) float32."""

    randomised: str
    rank_correlation: float
    values: FloatArray


@dataclass(frozen=True)
class SanityCheck:
    """Adebayo et al. 2018: does a pixel attribution depend on what the model has learned?
    stages: cascading randomisation, the trained model's own map not among them."""

    method: str
    target: int
    stages: tuple[SanityStage, ...]
    generation: int


@dataclass(frozen=True)
class PathwayAccuracy:
    """Accuracy in percent of one pathway on one group of images. ci95: Wilson 95% interval over
    images. n: images looked at; of: images in the group."""

    accuracy: float
    ci95: tuple[float, float]
    n: int
    of: int


@dataclass(frozen=True)
class PathwayReport:
    """Accuracy with both pathways (full), without the memory (image: exemplar = ∅) and without
    the image (memory: image tokens = ∅), METHOD.md §2.

    figures: by group ("test", "retain", "forget before", "forget after"), then by pathway
    ("full", "image", "memory"). A group that holds no image is missing.
    """

    figures: dict[str, dict[str, PathwayAccuracy]]
    n_forget: int
    generation: int
    seconds: float


# -- erasing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Purged:
    """One place from which an erasure removed something. place: a file of the bundle, "cache" or
    "old version". what: what it held, in words. count: how many of it."""

    place: str
    what: str
    count: int


@dataclass(frozen=True)
class Remaining:
    """Something that an erasure doesn't reach and that could hold a trace. where: a file of the
    bundle, or a place outside it. why: what it holds and why it is left, in a sentence."""

    where: str
    why: str


@dataclass(frozen=True)
class ErasurePlan:
    """What erasing some ids would do; nothing is done yet.

    ids: those that would be erased, in the order asked for, each once. gone: asked for, and erased
    before, as the ledger says. unknown: asked for, and no image of this bundle. public: asked for,
    but of another split (id, split): they have no key to erase. near_duplicates: pairs (asked id,
    other) of near-copies that stay. keys_before, keys_after: entries of the memory. digest: of the
    version that the plan is about. problem: why it can't be done as asked, empty if it can.
    """

    bundle: str
    digest: str
    modes: tuple[str, ...]
    ids: tuple[str, ...]
    gone: tuple[str, ...]
    unknown: tuple[str, ...]
    public: tuple[tuple[str, str], ...]
    owners: dict[str, int]
    near_duplicates: tuple[NearDuplicate, ...]
    keys_before: int
    keys_after: int
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    problem: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Receipt:
    """What an erasure leaves to whoever asked for it, and in the bundle's ledger.

    number: its place in the ledger, from 1. created: UTC, ISO 8601. count: images erased. salt: 32
    random bytes (hex), the same for all receipts of a ledger. ids: HMAC-SHA256 (hex) of each id
    with the salt as key, sorted: who holds the receipt and an id can tell whether that id is meant,
    nobody can read an id from it except by trying. owner: the same of "owner:NAME" if all images
    had one owner, else empty. rows: per mode the SHA-256 (hex) of each erased row, sorted
    (`MemoryBank.row_digest`). digest_before, digest_after: of the bundle (SHA-256 of its manifest).
    original_kept: whether the erased version was written beside the bundle, which is left as it
    was. previous: hash of the ledger's entry before this one, empty for the first. signer: public
    Ed25519 key (hex) of whoever signed, or empty. hash: SHA-256 (hex) of all of that. signature:
    Ed25519 over the hash's 32 bytes (hex), or empty.
    """

    number: int
    created: str
    tool: str
    bundle: str
    modes: tuple[str, ...]
    count: int
    salt: str
    ids: tuple[str, ...]
    owner: str
    rows: dict[str, tuple[str, ...]]
    digest_before: str
    digest_after: str
    original_kept: bool
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    previous: str
    signer: str
    hash: str = ""
    signature: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a bundle's ledger. kind: "erased", or "changed" when figures or maps were saved
    since. what: in words. receipt: of an erasure. hash: SHA-256 (hex) of the entry, which holds
    `previous`, the hash of the one before it."""

    number: int
    kind: str
    created: str
    what: str
    digest_before: str
    digest_after: str
    previous: str
    hash: str
    receipt: Receipt | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ReceiptCheck:
    """What became of checking a receipt against a bundle.

    chain_whole: every entry of the ledger names the one before it, and none was changed.
    in_ledger: the receipt is one of them, to the letter. digest_right: the bundle on disk is the
    version that the ledger's last entry speaks of. rows_present, ids_present: how many of the
    erased rows and ids are in the bundle. files_damaged: files that are not what the bundle's seal
    says. signature: "none", "valid", "invalid", or "other" for a valid one of another key than the
    one asked for. unfinished: an erasure was interrupted, and its old version may still be there.
    problems: what is wrong, in sentences; none if all is well.
    """

    number: int
    count: int
    digest: str
    chain_whole: bool
    in_ledger: bool
    digest_right: bool
    rows_present: int
    ids_present: int
    files_damaged: int
    signature: str
    unfinished: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class AnswersEvidence:
    """What models said of the images of a request. n: images that were asked about. right: by state
    ("before", "after", "retrained"), how many were taken for what they are. truth: by state, mean
    probability in [0, 1] of the true class."""

    n: int
    right: dict[str, int]
    truth: dict[str, float]


@dataclass(frozen=True)
class RequestEvidence:
    """What was known about the images of a request just before they were erased; nothing in it
    tells which images they were.

    title: of the data set. reference: how whoever handles the request names it, or empty. asked,
    gone: ids in the request, and of them erased before. owners: how many owners the images had, 0
    where none is known. whole_owner: whether they were all images of one. owners_simulated: whether
    the owners were made up. near_copies: near-duplicates that stay. mode: of the model that was
    asked. answers, others, privacy: None where nobody measured it. attack: of `privacy`, the one to
    be told of.
    """

    title: str
    reference: str
    asked: int
    gone: int
    owners: int
    whole_owner: bool
    owners_simulated: bool
    near_copies: int
    mode: str
    answers: AnswersEvidence | None = None
    others: SideEffects | None = None
    attack: str = ""
    privacy: PrivacyReport | None = None
