"""Shuffling that gives the same order on every platform and with every NumPy."""

import numpy as np
import numpy.typing as npt

from munkey_core.errors import BadInputError


def permutation(n: int, seed: int, stream: int = 0) -> npt.NDArray[np.int64]:
    """A random order of 0 … n - 1, int64 (n,), fixed by `seed` and `stream` (both 0 or more).

    NumPy promises that a bit generator's raw numbers never change, but not that
    `Generator.permutation` won't; so the order is that of raw numbers.
    """
    if seed < 0:
        raise BadInputError(f"seed must be 0 or more, got {seed}")
    raw = np.random.PCG64([seed, stream]).random_raw(n)
    return np.argsort(raw, kind="stable").astype(np.int64)
