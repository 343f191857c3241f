"""Bootstrap over images: the same resamples for every model, so that differences are paired."""

import numpy as np
import numpy.typing as npt

from munkey_core.audit.membership.metrics import auroc_resampled
from munkey_core.training.answers import Verdicts

Values = npt.NDArray[np.float64]
_RESAMPLES = 1000
_BLOCK = 100


class Resamples:
    """1,000 bootstrap resamples of the forget, retain and test images.

    Each set is resampled by itself, with its own size. terms: see `terms`.
    """

    def __init__(self, n_forget: int, n_retain: int, n_test: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._forget = _counts(rng, n_forget)
        self._retain = _counts(rng, n_retain)
        self._test = _counts(rng, n_test)

    def terms(self, forget: Verdicts, retain: Verdicts, test: Verdicts) -> Values:
        """(4, 1000): test, retain, forget accuracy and MIA AUROC in percent, in each resample."""
        accuracies = [
            counts @ verdicts.correct.astype(np.float64) / len(verdicts.correct)
            for counts, verdicts in (
                (self._test, test),
                (self._retain, retain),
                (self._forget, forget),
            )
        ]
        values: Values = 100 * np.stack([*accuracies, self.areas(forget, test)])
        return values

    def areas(self, forget: Verdicts, test: Verdicts) -> Values:
        """(1000,) AUROC of the true-class probability, forget against test, in [0, 1]."""
        blocks = [slice(first, first + _BLOCK) for first in range(0, _RESAMPLES, _BLOCK)]
        return np.concatenate(
            [
                auroc_resampled(forget.truth, test.truth, self._forget[block], self._test[block])
                for block in blocks
            ]
        )


def interval(values: Values) -> tuple[float, float]:
    """The 95% percentile interval of resampled values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _counts(rng: np.random.Generator, n: int) -> npt.NDArray[np.float32]:
    """(1000, n): how often each of n images is drawn in each resample."""
    counts = np.empty((_RESAMPLES, n), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return counts
