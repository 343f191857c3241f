"""How well an attack's score separates members from non-members. A larger score means member."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from munkey_core.errors import BadInputError

Scores = npt.NDArray[np.floating]


def auroc(members: Scores, non_members: Scores) -> float:
    """Area under the ROC curve in [0, 1]: P(member's score > non-member's) + ½ P(equal).

    members: (n,), non_members: (m,) finite scores. Swapping them gives 1 − AUROC.
    Raises BadInputError for an empty group or a score that is not finite: an attack that can't be
    computed is not an attack that found nothing.
    """
    check_scores(members, non_members)
    return float(_placements(members, non_members, np.ones((1, len(non_members)))).mean())


def auroc_interval(
    members: Scores, non_members: Scores, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap 95% percentile interval of the AUROC, members and non-members resampled apart."""
    check_scores(members, non_members)
    rng = np.random.default_rng(seed)
    n, m = len(members), len(non_members)
    values = np.empty(resamples)
    for i in range(resamples):
        counts = rng.multinomial(m, np.full(m, 1 / m))[None]
        placements = _placements(members, non_members, counts)[0]
        values[i] = rng.multinomial(n, np.full(n, 1 / n)) @ placements / n
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def check_scores(members: Scores, non_members: Scores) -> None:
    """Raise BadInputError unless both groups hold finite scores."""
    for name, scores in (("members", members), ("non-members", non_members)):
        if scores.ndim != 1 or not len(scores):
            raise BadInputError(
                f"{name} must be a vector of at least one score, got {scores.shape}"
            )
        if not np.isfinite(scores).all():
            raise BadInputError(f"the scores of {name} must be finite")


def _placements(
    members: Scores, non_members: Scores, counts: npt.NDArray[np.number]
) -> npt.NDArray[np.float64]:
    """(r, n) share of non-members below each member, ties counting half.

    counts: (r, m), how often each non-member is drawn in each resample.
    """
    order = np.argsort(non_members, kind="stable")
    ordered = non_members[order]
    zero = np.zeros((len(counts), 1))
    below = np.concatenate([zero, np.cumsum(counts[:, order], axis=1)], axis=1)
    left = np.searchsorted(ordered, members, side="left")
    right = np.searchsorted(ordered, members, side="right")
    placed: npt.NDArray[np.float64] = (below[:, left] + below[:, right]) / (2 * below[:, -1:])
    return placed
