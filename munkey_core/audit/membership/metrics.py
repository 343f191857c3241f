"""How well an attack's score separates members from non-members. A larger score means member.

The AUROC is ours, not SciPy's U statistic: the same placements serve a thousand resamples at once,
and figures that were reported keep their last digit.
"""

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


def auroc_resampled(
    members: Scores,
    non_members: Scores,
    member_counts: npt.NDArray[np.number],
    non_member_counts: npt.NDArray[np.number],
) -> npt.NDArray[np.float64]:
    """(r,) AUROC of r resamples, so that several models can be compared on the same ones.

    member_counts: (r, n), non_member_counts: (r, m): how often each is drawn in each resample.
    """
    check_scores(members, non_members)
    placed = _placements(members, non_members, non_member_counts)
    areas: npt.NDArray[np.float64] = (placed * member_counts).sum(axis=1) / member_counts.sum(
        axis=1
    )
    return areas


def tpr_at_fpr(members: Scores, non_members: Scores, fpr: float) -> float:
    """Largest true-positive rate of a threshold whose false-positive rate is at most `fpr`.

    Members are those *above* the threshold. Raises BadInputError if there are fewer than 1/fpr
    non-members: the rate asked for could not be measured.
    """
    check_scores(members, non_members)
    if not 0 < fpr < 1:
        raise BadInputError(f"fpr must be between 0 and 1, got {fpr}")
    needed = round(1 / fpr)
    if len(non_members) < needed:
        raise BadInputError(
            f"TPR at {fpr:.1%} FPR needs at least {needed:,} non-members, got {len(non_members):,}"
        )
    allowed = int(np.floor(fpr * len(non_members) + 1e-9))
    threshold = np.sort(non_members)[::-1][allowed]
    return float((members > threshold).mean())


def best_threshold(members: Scores, non_members: Scores) -> float:
    """The threshold with the best balanced accuracy; "member" means a score above it.

    Choose it on other data than it is reported on.
    """
    check_scores(members, non_members)
    candidates = np.unique(np.concatenate([members, non_members]))
    tpr = 1 - np.searchsorted(np.sort(members), candidates, side="right") / len(members)
    fpr = 1 - np.searchsorted(np.sort(non_members), candidates, side="right") / len(non_members)
    return float(candidates[np.argmax(tpr - fpr)])


def balanced_accuracy(members: Scores, non_members: Scores, threshold: float) -> float:
    """Mean of the true-positive and the true-negative rate, in [0, 1]."""
    check_scores(members, non_members)
    return float(((members > threshold).mean() + (non_members <= threshold).mean()) / 2)


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
