"""A table of models on one forget set: accuracies, attack, Avg Gap, distances, intervals.

Each row is what one model says about every image (`Outputs`), for each seed; everything else is
computed from that (METHOD.md §3).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev

import numpy as np

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.membership.forgetting_quality import ForgettingQuality, forgetting_quality
from munkey_core.audit.membership.metrics import auroc
from munkey_core.audit.membership.resampling import (
    Resamples,
    Values,
    interval,
    interval_of_share,
    mean_over_seeds,
)
from munkey_core.errors import BadInputError
from munkey_core.files.typed import Name
from munkey_core.results import FloatArray, IntArray
from munkey_core.training.answers import Outputs, Verdicts, split_verdicts


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
    ci95: 95% interval of test_accuracy, retain_accuracy, forget_accuracy and mia_auc over images,
    averaged over seeds, and of avg_gap over seeds and images; a figure of a single image has none.
    How it was made: `AuditReport.intervals`. mia_auc_ci95: that of mia_auc, None without one.
    spread: standard deviation over seeds.
    unlearn_seconds: wall time to forget (an oracle's: to train it); None where nothing was
    forgotten. to_oracle_forget, to_oracle_test: distance of its answers to its oracle's.
    settings: hyper-parameters of a post-hoc method. exact: whether it is by construction what
    retraining would give.
    """

    family: Name
    oracle: Name | None
    test_accuracy: float
    retain_accuracy: float
    forget_accuracy: float
    mia_auc: float
    mia_auc_ci95: tuple[float, float] | None
    avg_gap: float | None
    avg_gap_cross_seeds: float | None
    unlearn_seconds: float | None
    ci95: dict[Name, tuple[float, float]]
    spread: dict[Name, float]
    per_seed: tuple[dict[Name, float], ...]
    to_oracle_forget: OracleDistance | None = None
    to_oracle_test: OracleDistance | None = None
    forgetting_quality: ForgettingQuality | None = None
    settings: dict[Name, int | float] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class NullBand:
    """Avg Gap between honest retrains: oracles of different seeds, all pairs. In points."""

    mean: float
    low: float
    high: float
    pairs: int


GAP_TERMS = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")
_TINY = 1e-12


@dataclass(frozen=True)
class Entry:
    """One row of the table before it is measured. outputs: one for each seed, in one order for all
    rows. oracle: name of the row that it is held against. seconds: to forget, for each seed."""

    name: str
    family: str
    outputs: Sequence[Outputs]
    oracle: str | None = None
    seconds: Sequence[float] = ()
    settings: dict[str, float] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class Measured:
    """One model of one seed. terms: TA, RA, FA, MIA in percent, by name; resampled: (4, R)."""

    terms: dict[str, float]
    resampled: Values


class Table:
    """Measures rows on one forget set. Raises BadInputError for a forget set that is empty or
    leaves nothing to retain."""

    def __init__(self, evidence: Evidence, ids: Sequence[str]) -> None:
        self.private_labels = evidence.private_labels
        self.test_labels = evidence.test_labels
        self.forget = np.zeros(len(self.private_labels), dtype=np.bool_)
        self.forget[evidence.rows(ids)] = True
        if not self.forget.any() or self.forget.all():
            raise BadInputError(
                "the forget set must hold at least one image and leave at least one to retain"
            )
        # By identity; the outputs are kept beside, so that an identity isn't used twice.
        self._measured: dict[int, tuple[Outputs, Measured]] = {}

    @cached_property
    def resamples(self) -> Resamples:
        """Drawn when the first model is measured: they take as much memory as 10,000 images."""
        forget = int(self.forget.sum())
        return Resamples(forget, len(self.forget) - forget, len(self.test_labels))

    def figures(self, entries: Sequence[Entry]) -> dict[str, ModelFigures]:
        """Figures of every row, in order."""
        by_name = {entry.name: entry for entry in entries}
        return {
            entry.name: self._figures(entry, by_name.get(entry.oracle or "")) for entry in entries
        }

    def parts(self, outputs: Outputs) -> tuple[Verdicts, Verdicts, Verdicts]:
        """Verdicts on the forget, the retain and the test images."""
        return split_verdicts(outputs, self.private_labels, self.test_labels, self.forget)

    def gap(self, outputs: Outputs, oracle: Outputs) -> float:
        """Avg Gap between two models, in points."""
        return avg_gap(self._measure(outputs).terms, self._measure(oracle).terms)

    def null_bands(self, entries: Sequence[Entry]) -> dict[str, NullBand]:
        """Avg Gap between the seeds of each oracle that has more than one."""
        bands = {}
        for entry in entries:
            terms = [self._measure(outputs).terms for outputs in entry.outputs]
            gaps = [avg_gap(a, b) for a, b in itertools.combinations(terms, 2)]
            if entry.family == "oracle" and gaps and max(gaps) > 0:
                bands[entry.name] = NullBand(fmean(gaps), min(gaps), max(gaps), len(gaps))
        return bands

    def _measure(self, outputs: Outputs) -> Measured:
        if id(outputs) not in self._measured:
            forget, retain, test = self.parts(outputs)
            shares = (
                test.correct.mean(),
                retain.correct.mean(),
                forget.correct.mean(),
                auroc(forget.truth, test.truth),
            )
            terms = {
                name: 100 * float(share) for name, share in zip(GAP_TERMS, shares, strict=True)
            }
            measured = Measured(terms, self.resamples.terms(forget, retain, test))
            self._measured[id(outputs)] = outputs, measured
        return self._measured[id(outputs)][1]

    def _figures(self, entry: Entry, oracle: Entry | None) -> ModelFigures:
        measured = [self._measure(outputs) for outputs in entry.outputs]
        per_seed = [dict(m.terms) for m in measured]
        ci95 = self._intervals(measured)
        cross = None
        if oracle is not None:
            against = [self._measure(outputs) for outputs in oracle.outputs]
            for figures, own, other in zip(per_seed, measured, against, strict=True):
                figures["avg_gap"] = avg_gap(own.terms, other.terms)
            if self._smallest_part > 1:
                ci95["avg_gap"] = interval_of_gap(
                    fmean(figures["avg_gap"] for figures in per_seed),
                    self._resampled_gap(entry, oracle),
                )
            pairs = itertools.permutations(range(len(measured)), 2)
            gaps = [avg_gap(measured[i].terms, against[j].terms) for i, j in pairs]
            cross = fmean(gaps) if gaps else None
        mean = {key: fmean(f[key] for f in per_seed) for key in per_seed[0]}
        spread = {
            key: stdev([f[key] for f in per_seed]) if len(per_seed) > 1 else 0.0 for key in mean
        }
        return ModelFigures(
            family=entry.family,
            oracle=oracle.name if oracle else None,
            **{term: mean[term] for term in GAP_TERMS},
            mia_auc_ci95=ci95.get("mia_auc"),
            avg_gap=mean.get("avg_gap"),
            avg_gap_cross_seeds=cross,
            unlearn_seconds=fmean(entry.seconds) if entry.seconds else None,
            ci95=ci95,
            spread=spread,
            per_seed=tuple(per_seed),
            to_oracle_forget=self._distance(entry, oracle, "forget"),
            to_oracle_test=self._distance(entry, oracle, "test"),
            forgetting_quality=self._quality(entry, oracle),
            settings=dict(entry.settings),
            exact=entry.exact,
        )

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        """Images that each of GAP_TERMS is taken over; of the attack the smaller group."""
        forget, test = int(self.forget.sum()), len(self.test_labels)
        return test, len(self.forget) - forget, forget, min(forget, test)

    @property
    def _smallest_part(self) -> int:
        return min(self._sizes)

    def _intervals(self, measured: Sequence[Measured]) -> dict[str, tuple[float, float]]:
        """Of each term that is taken over more than one image, averaged over seeds."""
        found = {}
        for i, (term, n) in enumerate(zip(GAP_TERMS, self._sizes, strict=True)):
            bounds = [interval_of_share(m.terms[term], m.resampled[i], n) for m in measured]
            known = [pair for pair in bounds if pair is not None]
            if known:
                found[term] = fmean(low for low, _ in known), fmean(high for _, high in known)
        return found

    def _resampled_gap(self, entry: Entry, oracle: Entry) -> Values:
        """(R,) the mean over seeds of the signed gap (`signed_gap`), over seeds and images."""
        own, other = ([self._measure(o) for o in e.outputs] for e in (entry, oracle))
        return mean_over_seeds(
            np.stack([signed_gap(a, b) for a, b in zip(own, other, strict=True)])
        )

    def differences(self, entries: Sequence[Entry]) -> dict[str, dict[str, tuple[float, float]]]:
        """By two rows, of which the first has the smaller Avg Gap: the 95% interval of the second's
        minus the first's, by a bootstrap of seeds, then of images, the same draws for both. Empty
        with one seed, or where a part of the images is a single one; rows that are exact by
        construction are left out."""
        by_name = {entry.name: entry for entry in entries}
        found: dict[str, tuple[float, Values]] = {}
        for entry in entries:
            oracle = by_name.get(entry.oracle or "")
            if oracle is None or entry.exact or entry.family == "original":
                continue
            if len(entry.outputs) < 2 or self._smallest_part < 2:
                continue
            pairs = zip(entry.outputs, oracle.outputs, strict=True)
            found[entry.name] = (
                fmean(self.gap(*pair) for pair in pairs),
                self._resampled_gap(entry, oracle),
            )
        return {
            one: {
                other: interval(far - near)
                for other, (gap, far) in found.items()
                if other != one and gap > own
            }
            for one, (own, near) in found.items()
        }

    def _part(self, outputs: Outputs, part: str) -> tuple[FloatArray, IntArray]:
        if part == "test":
            return outputs.test, self.test_labels
        return outputs.private[self.forget], self.private_labels[self.forget]

    def _distance(self, entry: Entry, oracle: Entry | None, part: str) -> OracleDistance | None:
        if oracle is None:
            return None
        distances = []
        for own, other in zip(entry.outputs, oracle.outputs, strict=True):
            (p, labels), (q, _) = self._part(own, part), self._part(other, part)
            rows = np.arange(len(labels))
            distances.append(
                (
                    100 * float((p.argmax(axis=1) == q.argmax(axis=1)).mean()),
                    float((q * (np.log(q + _TINY) - np.log(p + _TINY))).sum(axis=1).mean()),
                    100 * float(np.abs(p[rows, labels] - q[rows, labels]).mean()),
                )
            )
        return OracleDistance(*(fmean(values) for values in zip(*distances, strict=True)))

    def _quality(self, entry: Entry, oracle: Entry | None) -> ForgettingQuality | None:
        """Of the first seed: the score is defined between two models."""
        if oracle is None:
            return None
        own, other = (self._part(e.outputs[0], "forget")[0] for e in (entry, oracle))
        return forgetting_quality(np.log(own + _TINY), np.log(other + _TINY))


def avg_gap(figures: dict[str, float], oracle: dict[str, float]) -> float:
    """Avg Gap = mean of |TA−TA*|, |RA−RA*|, |FA−FA*|, |MIA−MIA*| (METHOD.md §3), in points."""
    return fmean(abs(figures[term] - oracle[term]) for term in GAP_TERMS)


def signed_gap(model: Measured, oracle: Measured) -> Values:
    """(R,) Avg Gap in each resample, every term with the sign that it has in the sample itself, in
    points. Unlike the mean of absolute differences it isn't folded at 0, so that its values lie
    about the gap and not above it."""
    signs = [-1.0 if model.terms[t] < oracle.terms[t] else 1.0 for t in GAP_TERMS]
    gap: Values = np.array(signs) @ (model.resampled - oracle.resampled) / len(GAP_TERMS)
    return gap


def interval_of_gap(gap: float, resampled: Values) -> tuple[float, float]:
    """The 95% percentile interval of signed gaps, cut off at 0, below which no gap is; it holds
    `gap` itself, to the last bit."""
    low, high = interval(resampled)
    return max(0.0, min(low, gap)), max(high, gap)
