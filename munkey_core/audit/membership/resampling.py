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


def mean_over_seeds(values: Values) -> Values:
    """(R,) the mean over seeds in each resample, seeds drawn with replacement as images were: the
    second level of a bootstrap. values: (n, R), a row a seed.

    The draws are the same for every model, so that differences are paired. n drawn seeds show
    (n − 1)/n of the variance between seeds; they are spread by so much more.
    """
    n = len(values)
    if n == 1:
        only: Values = values[0]
        return only
    rng = np.random.default_rng(n)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=values.shape[1]) / n
    weights = 1 / n + np.sqrt(n / (n - 1)) * (drawn - 1 / n)
    mean: Values = np.einsum("rn,nr->r", weights, values)
    return mean


def interval_of_share(percent: float, resampled: Values, n: int) -> tuple[float, float] | None:
    """95% interval of a share of n images, in percent; None for a single image, which has no spread
    to tell one from. At 0 and 100%, where all resamples are alike, it is Wilson's.

    An AUROC counts as a share of the smaller of its two groups, which is on the safe side.
    """
    if n < 2:
        return None
    return interval(resampled) if 0 < percent < 100 else wilson(percent / 100, n)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a share in [0, 1] of n images (Wilson 1927), in percent."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = 100 * float(middle - half), 100 * float(middle + half)
    # At an end the bound is that end, to the last bit.
    return 0.0 if share == 0 else low, 100.0 if share == 1 else high


def _counts(rng: np.random.Generator, n: int) -> npt.NDArray[np.float32]:
    """(1000, n): how often each of n images is drawn in each resample."""
    counts = np.empty((_RESAMPLES, n), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return counts
