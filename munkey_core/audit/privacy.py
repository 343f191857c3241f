"""Can an attacker tell that the forgotten images were trained on? (METHOD.md §3)

Every attack of one table on every state of the model: before deletion, after it, and retrained
without the images; and on the plain transformer, whose leak shows that the attacks work. Members
are the forget set, non-members all test images, never retain images.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from munkey_core.audit.attacks import (
    AFTER,
    ATTACKS,
    BEFORE,
    PLAIN_ORIGINAL,
    PLAIN_RETRAINED,
    RETRAINED,
    SAME_ORDER,
    attack_scores,
    count_references,
    target_of,
)
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.figures import Table
from munkey_core.audit.leak import LeakSplit, leak_split
from munkey_core.audit.membership.bootstrap import Bootstrap, Interval
from munkey_core.audit.membership.metrics import (
    auroc,
    balanced_accuracy,
    best_threshold,
    check_scores,
    tpr_at_fpr,
)
from munkey_core.audit.membership.signals import Labels, Signal, logit
from munkey_core.bundle.forget_sets import forget_set_digest
from munkey_core.data.seeding import permutation
from munkey_core.errors import AttackError, BadInputError
from munkey_core.progress import Progress, Steps
from munkey_core.results import BoolArray
from munkey_core.training.answers import Outputs
from munkey_core.training.retraining import MUNKEY, PLAIN, Family
from munkey_core.training.shipped import References

HALF_SEED = 54_000


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


FAMILY: dict[str, Family] = {
    BEFORE: MUNKEY,
    AFTER: MUNKEY,
    RETRAINED: MUNKEY,
    PLAIN_ORIGINAL: PLAIN,
    PLAIN_RETRAINED: PLAIN,
}


LOG_ODDS = "log-odds of the true class"
_ORACLE_SEEDS = 10
_BINS = 60
_TAIL = 0.5  # percent of scores beyond either end of a histogram
_ROC_POINTS = 80
# A probability piles up at 0 and 1; on this scale one sees its distribution.
_SHOWN_AS: dict[str, Callable[[Signal], Signal]] = {"true-class probability": logit}


class Judge:
    """Figures of attacks that tell `members` from the test images.

    members: (N,) bool. other_members: (N,) bool, other images that the attacked model was trained
    on. The threshold of the balanced accuracy is chosen on them and a fixed random half of the
    test images, and reported on `members` and the other half.
    """

    def __init__(self, members: BoolArray, other_members: BoolArray, n_test: int) -> None:
        self._members, self._other_members = members, other_members
        self._choose = np.zeros(n_test, dtype=np.bool_)
        self._choose[permutation(n_test, HALF_SEED)[: n_test // 2]] = True
        n = int(members.sum())
        if not n or not n_test:
            raise AttackError(f"needs members and non-members, got {n} and {n_test}")
        self._bootstrap = Bootstrap(n, n_test)
        self._half_bootstrap = Bootstrap(n, n_test - n_test // 2)

    def split(self, scores: Signal) -> tuple[Signal, Signal]:
        """Scores of members and of non-members. scores: (N + T,)."""
        n = len(self._members)
        return scores[:n][self._members], scores[n:]

    def figures(self, scores: Signal) -> AttackFigures:
        """Raises AttackError for scores that are not finite."""
        members, others = self.split(scores)
        try:
            check_scores(members, others)
        except BadInputError as error:
            raise AttackError(str(error)) from error
        area, area_ci95 = auroc(members, others), self._bootstrap.auroc(members, others)
        found: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for name, measure in (
            ("tpr_1pct", partial(self._rate, members, others, 0.01)),
            ("tpr_01pct", partial(self._rate, members, others, 0.001)),
            ("balanced_accuracy", partial(self._balanced, scores)),
        ):
            found[name] = found[f"{name}_ci95"] = None
            try:
                value, bounds = measure()
                found |= {name: 100 * value, f"{name}_ci95": _percent(bounds)}
            except BadInputError as error:
                errors[name] = str(error)
        return AttackFigures(
            auroc=100 * area,
            auroc_ci95=_percent(area_ci95),
            **found,
            n_members=len(members),
            n_non_members=len(others),
            roc=roc_points(members, others),
            errors=errors,
        )

    def _rate(self, members: Signal, others: Signal, fpr: float) -> tuple[float, Interval | None]:
        rate = tpr_at_fpr(members, others, fpr)
        return rate, self._bootstrap.tpr_at_fpr(members, others, fpr)

    def _balanced(self, scores: Signal) -> tuple[float, Interval | None]:
        members, others = self.split(scores)
        chosen_on = scores[: len(self._members)][self._other_members]
        try:
            threshold = best_threshold(chosen_on, others[self._choose])
        except BadInputError as error:
            raise BadInputError(f"no other images to choose a threshold on: {error}") from error
        rest = others[~self._choose]
        bounds = self._half_bootstrap.balanced_accuracy(members, rest, threshold)
        return balanced_accuracy(members, rest, threshold), bounds


def roc_points(members: Signal, others: Signal) -> tuple[tuple[float, float], ...]:
    """(FPR, TPR) in percent at log-spaced FPR, from one non-member to all of them."""
    allowed = np.unique(
        np.geomspace(1, len(others), _ROC_POINTS).round().astype(np.int64).clip(1, len(others))
    )
    descending = np.sort(others)[::-1]
    ordered = np.sort(members)
    # With `a` false positives allowed the threshold is the (a + 1)-th largest non-member.
    thresholds = np.append(descending, -np.inf)[allowed]
    found = 1 - np.searchsorted(ordered, thresholds, side="right") / len(members)
    rates = 100 * allowed / len(others)
    return tuple(zip(rates.tolist(), (100 * found).tolist(), strict=True))


def privacy(evidence: Evidence, ids: Sequence[str]) -> Steps[PrivacyReport]:
    """Yield progress; return the report on the forget set `ids`. Nothing is trained.

    Raises BadInputError for a set that is empty or leaves nothing, UnknownIdError, or BundleError
    if the bundle carries no images to predict.
    """
    ids = tuple(sorted(set(ids)))
    start = time.perf_counter()
    table = Table(evidence, ids)
    models: dict[str, Outputs] = {}
    for state, steps in ((BEFORE, evidence.before()), (AFTER, evidence.after(ids))):
        models[state] = yield from steps
    for state, known in (
        (RETRAINED, evidence.retrained(ids)),
        (PLAIN_ORIGINAL, evidence.original(PLAIN)),
        (PLAIN_RETRAINED, evidence.retrained(ids, PLAIN)),
    ):
        if known is not None:
            models[state] = known
    references = {family: evidence.references(family) for family in (MUNKEY, PLAIN)}
    oracles = {family: _oracles(evidence, ids, family) for family in (MUNKEY, PLAIN)}
    labels = evidence.labels
    judge = Judge(table.forget, ~table.forget, len(table.test_labels))
    figures: dict[str, dict[str, AttackFigures]] = {name: {} for name in ATTACKS}
    errors: dict[str, dict[str, str]] = {name: {} for name in ATTACKS}
    histograms: dict[str, dict[str, ScoreHistogram]] = {name: {} for name in ATTACKS}
    bands: dict[str, dict[str, AttackBand]] = {name: {} for name in ATTACKS}
    for done, name in enumerate(ATTACKS):
        elapsed = time.perf_counter() - start
        yield Progress("attacks", done, len(ATTACKS), elapsed)
        shown: dict[str, tuple[Signal, Signal]] = {}
        for state, outputs in models.items():
            target = target_of(outputs, labels, references[FAMILY[state]])
            try:
                scores = attack_scores(name, target)
                figures[name][state] = judge.figures(scores)
            except AttackError as error:
                errors[name][state] = str(error)
                continue
            shown[state] = judge.split(_SHOWN_AS.get(name, np.asarray)(scores))
        histograms[name] = _histograms(shown)
        for family in oracles:
            band = _band(name, oracles[family], labels, references[family], judge)
            if band is not None:
                bands[name][family] = band
    leak, leak_error = _leak(table, models)
    return PrivacyReport(
        bundle=evidence.bundle.manifest.name,
        digest=evidence.bundle.digest,
        set_digest=forget_set_digest(ids),
        n_forget=len(ids),
        n_retain=len(table.private_labels) - len(ids),
        n_test=len(table.test_labels),
        seed=evidence.runs.seed,
        references={family: count_references(known) for family, known in references.items()},
        figures=figures,
        errors=errors,
        histograms=histograms,
        null_bands=bands,
        missing=tuple(state for state in FAMILY if state not in models),
        leak=leak,
        leak_error=leak_error,
        seconds=time.perf_counter() - start,
    )


def _oracles(evidence: Evidence, ids: Sequence[str], family: Family) -> dict[int, Outputs]:
    first = evidence.runs.seed
    found = {
        seed: evidence.retrained(ids, family, seed) for seed in range(first, first + _ORACLE_SEEDS)
    }
    return {seed: outputs for seed, outputs in found.items() if outputs is not None}


def _band(
    name: str,
    oracles: dict[int, Outputs],
    labels: Labels,
    references: References | None,
    judge: Judge,
) -> AttackBand | None:
    """None with fewer than two oracles, or for an attack that can't be computed."""
    if len(oracles) < 2:
        return None
    try:
        areas = [
            100 * auroc(*judge.split(attack_scores(name, target_of(outputs, labels, references))))
            for outputs in oracles.values()
        ]
    except AttackError:
        return None
    return AttackBand(min(areas), max(areas), tuple(oracles))


def _histograms(shown: dict[str, tuple[Signal, Signal]]) -> dict[str, ScoreHistogram]:
    """By state; one set of edges a family, so that its states can be laid over each other."""
    found = {}
    for family in (MUNKEY, PLAIN):
        states = {state: pair for state, pair in shown.items() if FAMILY[state] == family}
        if not states:
            continue
        pooled = np.concatenate([scores for pair in states.values() for scores in pair])
        low, high = np.percentile(pooled, [_TAIL, 100 - _TAIL])
        if high <= low:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, _BINS + 1)
        for state, (members, others) in states.items():
            found[state] = ScoreHistogram(
                tuple(edges.tolist()), _shares(members, edges), _shares(others, edges)
            )
    return {state: found[state] for state in shown}


def _shares(scores: Signal, edges: Signal) -> tuple[float, ...]:
    counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
    return tuple((100 * counts / len(scores)).tolist())


def _leak(table: Table, models: dict[str, Outputs]) -> tuple[LeakSplit | None, str]:
    oracle = [models[RETRAINED]] if RETRAINED in models else None
    try:
        return leak_split(table, [models[BEFORE]], [models[AFTER]], oracle), ""
    except BadInputError as error:
        return None, str(error)


def _percent(bounds: Interval | None) -> Interval | None:
    return None if bounds is None else (100 * bounds[0], 100 * bounds[1])


def attack_lines(report: PrivacyReport) -> list[str]:
    """The attacks of a report for a terminal: a line for each attack and state."""
    known = {family: k for family, k in report.references.items() if k}
    lines = [
        f"membership attacks, {report.n_forget:,} members, {report.n_test:,} non-members, seed "
        f"{report.seed}; reference models: {known or 'none'}",
        f"{'attack':24} {'state':16} {'AUROC [95%]':>22} {'TPR at 1% FPR':>14}",
    ]
    for name, states in report.figures.items():
        for state, figures in states.items():
            bounds = figures.auroc_ci95
            shown = "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
            rate = "" if figures.tpr_1pct is None else f"{figures.tpr_1pct:.2f}"
            lines.append(f"{name:24} {state:16} {figures.auroc:6.2f}{shown:>16} {rate:>14}")
        for state, reason in report.errors[name].items():
            lines.append(f"{name:24} {state:16} not computed: {reason}")
    lines.append(f"{', '.join(SAME_ORDER)} order images alike: one attack, not {len(SAME_ORDER)}")
    return lines
