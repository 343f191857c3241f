"""Simulated owners, for sources that name none: a few own much, most own little."""

import numpy as np
import numpy.typing as npt

from munkey_core.config import OwnersConfig
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError

_STREAM = 1_000_000  # apart from the splits' streams, which are labels


def simulate_owners(n: int, config: OwnersConfig) -> tuple[str, ...]:
    """Give each of n images an owner, named `customer-0001` (who owns most) and so on.

    How many images the owner of rank r has is in proportion to r ** -exponent; each owner has at
    least one if there are enough images. Which images they are is drawn by `config.seed`.

    Raises BadInputError if n is negative.
    """
    if n < 0:
        raise BadInputError(f"number of images must be 0 or more, got {n}")
    ranks = np.repeat(np.arange(1, config.count + 1), _counts(n, config))
    return tuple(f"customer-{rank:04d}" for rank in ranks[permutation(n, config.seed, _STREAM)])


def _counts(n: int, config: OwnersConfig) -> npt.NDArray[np.int64]:
    """Images an owner, int64 (count,), summing to n: Zipf's law by largest remainder."""
    weights = np.arange(1, config.count + 1, dtype=np.float64) ** -config.exponent
    exact = n * weights / weights.sum()
    counts: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: n - counts.sum()]] += 1
    if n >= config.count:  # who has none gets one from whoever has most at that moment
        for poor in np.flatnonzero(counts == 0):
            counts[counts.argmax()] -= 1
            counts[poor] += 1
    return counts
