"""Forgetting Quality Score as the Unlearning Comparator computes it, and its permutation null.

The score compares an unlearned with one retrained model on the same images (METHOD.md §3). It is
here so that results can be set beside that tool's. It is a minimum over 204 threshold tests chosen
and scored on the same data, so even two identical models don't reach 1: never show it without the
null.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from munkey_core.errors import BadInputError


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


DELTA = 1e-5
ENTROPY_TEMPERATURE = 2.0
ENTROPY_THRESHOLDS = np.linspace(0.0, 2.5, 51)
CONFIDENCE_THRESHOLDS = np.linspace(-2.5, 10.0, 51)
_RATE_FLOOR = 1e-10

Logits = npt.NDArray[np.floating]
Values = npt.NDArray[np.float64]


def forgetting_quality(
    unlearned: Logits, retrained: Logits, permutations: int = 200, seed: int = 0
) -> ForgettingQuality:
    """The score of two models' logits (n, C) on the same images, beside what two exchangeable ones
    would give. It is the smallest FQ over entropy at T = 2 and top-1 log-odds, 51 thresholds each,
    both directions."""
    _check(unlearned, retrained)
    a, b = _values(unlearned), _values(retrained)
    rng = np.random.default_rng(seed)
    null = np.empty(permutations)
    for i in range(permutations):
        swap = rng.random(a.shape[1]) < 0.5
        null[i] = _score(np.where(swap, b, a), np.where(swap, a, b))
    return ForgettingQuality(
        _score(a, b), float(null.mean()), float(np.quantile(null, 0.05)), a.shape[1]
    )


def quality_at(tpr: Values, fpr: Values) -> Values:
    """FQ = 2^−ε with ε = max(0, min[ln((1−δ−FPR)/FNR), ln((1−δ−FNR)/FPR)]), FNR = 1 − TPR.

    Special cases as there: 0 where FPR = FNR = 0, 1 where either is at least 1 − δ.
    """
    fnr = 1 - tpr
    fpr_c, fnr_c = np.maximum(fpr, _RATE_FLOOR), np.maximum(fnr, _RATE_FLOOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        epsilon = np.minimum(
            np.log((1 - DELTA - fpr_c) / fnr_c), np.log((1 - DELTA - fnr_c) / fpr_c)
        )
    quality: Values = 2.0 ** -np.maximum(0, np.nan_to_num(epsilon))
    quality = np.where((fpr == 0) & (fnr == 0), 0.0, quality)
    return np.where((fpr >= 1 - DELTA) | (fnr >= 1 - DELTA), 1.0, quality)


def _values(logits: Logits) -> Values:
    """(2, n): entropy at T = 2 and top-1 log-odds, clipped to the thresholds' range, 2 decimals."""
    entropy_p = _softmax(logits / ENTROPY_TEMPERATURE)
    entropy = -(entropy_p * np.log(np.maximum(entropy_p, 1e-300))).sum(axis=1)
    # 1 − p_max is summed from the others, so that it doesn't round to 0.
    p = np.sort(_softmax(logits), axis=1)
    confidence = np.log(p[:, -1]) - np.log(np.maximum(p[:, :-1].sum(axis=1), 1e-300))
    return np.stack(
        [
            np.clip(entropy.round(2), ENTROPY_THRESHOLDS[0], ENTROPY_THRESHOLDS[-1]),
            np.clip(confidence.round(2), CONFIDENCE_THRESHOLDS[0], CONFIDENCE_THRESHOLDS[-1]),
        ]
    )


def _score(a: Values, b: Values) -> float:
    worst = 1.0
    for row, thresholds in enumerate((ENTROPY_THRESHOLDS, CONFIDENCE_THRESHOLDS)):
        above_a = (a[row][None] >= thresholds[:, None]).mean(axis=1)
        above_b = (b[row][None] >= thresholds[:, None]).mean(axis=1)
        for tpr, fpr in ((above_a, above_b), (above_b, above_a)):
            worst = min(worst, float(quality_at(tpr, fpr).min()))
    return worst


def _softmax(logits: Logits) -> Values:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p: Values = shifted / shifted.sum(axis=1, keepdims=True)
    return p


def _check(unlearned: Logits, retrained: Logits) -> None:
    if unlearned.ndim != 2 or unlearned.shape != retrained.shape or not len(unlearned):
        raise BadInputError(
            f"logits must be two (n, C) arrays of the same images, got {unlearned.shape} "
            f"and {retrained.shape}"
        )
    if not np.isfinite(unlearned).all() or not np.isfinite(retrained).all():
        raise BadInputError("logits must be finite")
