"""Judgements: where a model's gap lies beside those of honest retrains, whether the trainings tell
it from a retrained one, and who is closer. Every page, card and table asks here.

All of it follows from figures that a report holds for each seed, so that a stored report is judged
as a new one is.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt

from munkey_core.audit.audit import AFTER, ORACLE, AuditReport
from munkey_core.audit.figures import GAP_TERMS, ModelFigures

# Where the gap of a method lies (`place`).
EQUAL, INSIDE, OUTSIDE, UNKNOWN = "equal", "inside", "outside", "unknown"

LEVEL = 0.05
SEEDS_TO_TELL = 5  # with fewer nobody says that a model is like a retrained one
SEEDS_TO_RANK = 3  # with fewer a spread over seeds is a guess
PROVED = "deletion equals never written, by construction; proved by bytes"
_BY_CONSTRUCTION = "deletion equals never stored, by construction"

_MOST_LABELINGS = 4_000
_TINY = 1e-9
_HALVINGS = 8
Terms = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """Can the trainings tell a method's models from retrained ones?

    p: share of the ways to call 2n models unlearned or retrained that set them as far apart as they
    are; None with fewer than SEEDS_TO_TELL seeds. seeds: n. excess: mean gap of the method's models
    to the oracles of other seeds minus the mean gap between oracles, in points. smallest: the
    smallest excess that these seeds could have shown (p of at most LEVEL), in points; None if no
    excess could.
    """

    p: float | None
    seeds: int
    excess: float
    smallest: float | None

    @property
    def told_apart(self) -> bool:
        return self.p is not None and self.p <= LEVEL


def place(report: AuditReport, figures: ModelFigures) -> str:
    """Where a model's gap lies: EQUAL to its oracle, INSIDE or OUTSIDE the null band, or UNKNOWN.

    Inside: its mean gap to the oracles of the other seeds is no larger than the largest gap between
    two of those oracles. The largest of a few is no test: nobody is ranked by it, and nobody called
    like a retrained model (`like_retrained`).
    """
    if by_construction(figures):
        return EQUAL
    band = report.band_of(figures)
    if band is None or figures.avg_gap_cross_seeds is None:
        return UNKNOWN
    return INSIDE if figures.avg_gap_cross_seeds <= band.high else OUTSIDE


def by_construction(figures: ModelFigures) -> bool:
    """Whether its deletion is retraining by construction, so that its gap is no measurement."""
    return figures.exact and figures.avg_gap == 0


def like_retrained(report: AuditReport, figures: ModelFigures) -> Likeness | None:
    """The test whether a method's models are like retrained ones; None without several seeds of it
    and of its oracle, or for a method that is so by construction.

    Two samples: the mean gap of its models to the oracles of the other seeds minus the mean gap
    among oracles, permuted over the labels "unlearned" and "retrained": all of them, or 4,000 drawn
    by a fixed seed where there are more. Two models of one seed are never paired, as they start
    alike; that they do makes the test a little too slow to tell models apart.
    """
    oracle = report.models.get(figures.oracle or "")
    if oracle is None or by_construction(figures):
        return None
    unlearned, retrained = _terms(figures), _terms(oracle)
    if unlearned is None or retrained is None or unlearned.shape != retrained.shape:
        return None
    n = len(unlearned)
    if n < 2:
        return None
    excess, p = _tested(unlearned, retrained)
    if n < SEEDS_TO_TELL:
        return Likeness(None, n, excess, None)
    return Likeness(p, n, excess, _smallest(unlearned, retrained))


def clearly_closer(report: AuditReport, one: str, other: str) -> bool:
    """Whether the row `one` is closer to its oracle than the row `other`, by a test over seeds and
    images; never by bands, never where intervals overlap, nor with fewer than SEEDS_TO_RANK seeds.

    A report that was made with the answers of every image holds the hierarchical bootstrap
    (`AuditReport.differences`), whose 95% interval must lie above 0. Of an older one only figures
    are left: the mean difference over seeds, paired, must then lie above 0 by its t interval,
    widened by what the stored intervals over images say. What is so by construction is not ranked:
    its gap is no measurement.
    """
    a, b = report.models[one], report.models[other]
    if by_construction(a) or by_construction(b) or a.avg_gap is None or b.avg_gap is None:
        return False
    mine, theirs = a.ci95.get("avg_gap"), b.ci95.get("avg_gap")
    if mine is None or theirs is None or mine[1] >= theirs[0]:
        return False
    gaps, others = _gaps(a), _gaps(b)
    if len(gaps) != len(others) or len(gaps) < SEEDS_TO_RANK:
        return False
    if report.differences:
        bounds = report.differences.get(one, {}).get(other)
        return bounds is not None and bounds[0] > 0
    apart = [far - near for near, far in zip(gaps, others, strict=True)]
    images = sum(((high - low) / 3.92) ** 2 for low, high in (mine, theirs))
    error = sqrt(stdev(apart) ** 2 / len(apart) + images)
    from scipy.special import stdtrit  # slow to import, and few ask

    return fmean(apart) > float(stdtrit(len(apart) - 1, 0.975)) * error


def two_that_differ(one: float, other: float) -> tuple[str, str]:
    """Both figures, to two digits after the point, or to as many (at most four) as show which is
    larger: a near miss must be seen as one."""
    for digits in (2, 3, 4):
        texts = f"{one:.{digits}f}", f"{other:.{digits}f}"
        if texts[0] != texts[1]:
            break
    return texts


def construction(figures: ModelFigures) -> str:
    """What stands in place of the gap of a method that is exact by construction: no figure, as
    nothing was measured. Of MUNKEY's exact mode `munkey verify --exact` repeats the proof."""
    return PROVED if figures.oracle == ORACLE else _BY_CONSTRUCTION


def no_interval(report: AuditReport) -> str:
    """Why a figure of a report has no interval."""
    single = [
        f"one {what} image"
        for n, what in (
            (report.n_forget, "forgotten"),
            (report.n_retain, "retained"),
            (report.n_test, "test"),
        )
        if n == 1
    ]
    return "no interval" + (f": {' and '.join(single)}" if single else "")


def operation(name: str, figures: ModelFigures) -> str:
    """Which operation the time of a row is the time of; they can't be set against each other as if
    they were one. None of them removes anything from a file: that is an erasure."""
    if name == AFTER:
        return "hide in a view"
    return {
        "by-design": "rebuild",
        "post-hoc": "repair by training",
        "oracle": "train or write again",
    }.get(figures.family, "")


def against_band(report: AuditReport, figures: ModelFigures) -> str:
    """ "0.2611 against at most 0.2607 between two retrained models: outside", or why there is no
    such sentence."""
    where, band = place(report, figures), report.band_of(figures)
    if where == EQUAL:
        return construction(figures)
    if where == UNKNOWN or band is None or figures.avg_gap_cross_seeds is None:
        return "by how much two retrained models of this set differ is not known"
    own, most = two_that_differ(figures.avg_gap_cross_seeds, band.high)
    return f"{own} against at most {most} between two retrained models: {where}"


def trainings_say(report: AuditReport, figures: ModelFigures) -> str:
    """What the test over trainings says, for whoever reads one sentence."""
    if by_construction(figures):
        return construction(figures)
    found = like_retrained(report, figures)
    if found is None or found.p is None:
        n = 1 if found is None else found.seeds
        return (
            f"{n} training{'s' if n > 1 else ''} of each kind: not enough trainings to tell it "
            f"from a retrained model ({SEEDS_TO_TELL} are wanted)"
        )
    smallest = (
        "no excess could have been shown"
        if found.smallest is None
        else f"the smallest excess that could have been shown is {found.smallest:.2f}"
    )
    result = (
        "they tell it from a retrained model"
        if found.told_apart
        else ("they do not tell it from a retrained model")
    )
    return (
        f"{found.seeds} trainings of each kind: {result} (excess gap {found.excess:+.2f} points, "
        f"p = {found.p:.3f}; {smallest})"
    )


def _terms(figures: ModelFigures) -> Terms | None:
    """(n, 4) TA, RA, FA, MIA of each seed; None if a report lacks some."""
    try:
        return np.array([[seed[term] for term in GAP_TERMS] for seed in figures.per_seed])
    except KeyError:
        return None


def _gaps(figures: ModelFigures) -> list[float]:
    return [seed["avg_gap"] for seed in figures.per_seed if "avg_gap" in seed]


@lru_cache(maxsize=8)
def _labelings(n: int) -> Terms:
    """(P, 2n) 1 for "unlearned", 0 for "retrained", n of each; the true one first."""
    if comb(2 * n, n) <= _MOST_LABELINGS:
        chosen = np.array(list(itertools.combinations(range(2 * n), n)))
    else:
        rng = np.random.default_rng(0)
        drawn = [rng.permutation(2 * n)[:n] for _ in range(_MOST_LABELINGS - 1)]
        chosen = np.stack([np.arange(n), *drawn])
    made = np.zeros((len(chosen), 2 * n))
    np.put_along_axis(made, chosen, 1.0, axis=1)
    return made


def _tested(unlearned: Terms, retrained: Terms) -> tuple[float, float]:
    """Excess gap of the unlearned models, and its p. Both: (n, 4), in one order of seeds."""
    n = len(unlearned)
    models = np.concatenate([unlearned, retrained])
    gaps = np.abs(models[:, None] - models[None]).mean(axis=2)
    # Models i and n + i are of one seed; neither they nor a model and itself are a pair.
    pairs = 1 - np.eye(2 * n) - np.eye(2 * n, k=n) - np.eye(2 * n, k=-n)
    group = _labelings(n)
    between, within = (
        ((group_ @ (gaps * pairs)) * (1 - group)).sum(axis=1)
        / np.maximum(((group_ @ pairs) * (1 - group)).sum(axis=1), 1)  # of two seeds some have none
        for group_ in (group, 1 - group)
    )
    excess = between - within
    return float(excess[0]), float((excess >= excess[0] - _TINY).mean())


def _smallest(unlearned: Terms, retrained: Terms) -> float | None:
    """The smallest excess that has a p of at most LEVEL when the unlearned models, with the spread
    that they have, are moved away from the retrained ones: in the direction in which they lie, or,
    if their means are equal, all figures alike. None if none has."""
    way = unlearned.mean(axis=0) - retrained.mean(axis=0)
    around = unlearned - way
    if np.abs(way).mean() < _TINY:
        way = np.ones_like(way)
    way /= np.abs(way).mean()  # by so many points of Avg Gap
    low, high = 0.0, 0.01
    while _tested(around + high * way, retrained)[1] > LEVEL:
        low, high = high, 2 * high
        if high > 100:
            return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        told = _tested(around + middle * way, retrained)[1] <= LEVEL
        low, high = (low, middle) if told else (middle, high)
    return _tested(around + high * way, retrained)[0]
