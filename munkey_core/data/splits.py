"""Which image goes where: the public parts, the private bank and the held-out test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from munkey_core.config import SplitConfig
from munkey_core.data.base import ImageDataset
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError

Positions = npt.NDArray[np.int64]

_MIN_IMAGES = 60


@dataclass(frozen=True, eq=False)
class Splits:
    """Positions in a dataset, int64, each part sorted and no position in two parts."""

    encoder: Positions
    anchor: Positions
    calibration: Positions
    validation: Positions
    private: Positions
    test: Positions


def make_splits(dataset: ImageDataset, config: SplitConfig) -> Splits:
    """Draw the parts per class, in proportion to what is left of each class, by `config.seed`.

    Test images come from the source's own held-out part if it has one, else from the rest.
    The draw depends on the images' order within each class only.

    Raises BadInputError if there are too few images, naming how many are wanted and there.
    """
    sizes = [
        config.public_encoder,
        config.public_anchor,
        config.calibration,
        config.validation,
        config.private,
    ]
    if dataset.is_test.any():
        drawn = _draw(dataset, ~dataset.is_test, sizes, config.seed, "training images")
        drawn += _draw(dataset, dataset.is_test, [config.test], config.seed, "test images")
    else:
        everything = np.ones(len(dataset), dtype=np.bool_)
        drawn = _draw(dataset, everything, [*sizes, config.test], config.seed, "images")
    return Splits(*drawn)


def default_split(dataset: ImageDataset) -> SplitConfig:
    """Part sizes that suit a dataset: SplitConfig's own where they fit, else shares of it.

    Raises BadInputError if the dataset has fewer than 60 images to split.
    """
    usual = SplitConfig()
    has_test = bool(dataset.is_test.any())
    n = int((~dataset.is_test).sum())
    if n < _MIN_IMAGES:
        raise BadInputError(f"{dataset.name}: wanted {_MIN_IMAGES} images to split, got {n}")
    test = min(usual.test, int(dataset.is_test.sum()) if has_test else n * 15 // 100)
    rest = n if has_test else n - test
    if rest >= usual.train_total:
        return SplitConfig(test=test)
    encoder = min(usual.public_encoder, rest * 30 // 100)
    anchor = min(usual.public_anchor, rest * 12 // 100)
    calibration = min(usual.calibration, rest * 6 // 100)
    validation = min(usual.validation, rest * 10 // 100)
    private = min(usual.private, rest - encoder - anchor - calibration - validation)
    return SplitConfig(encoder, anchor, calibration, validation, private, test)


def _draw(
    dataset: ImageDataset, mask: npt.NDArray[np.bool_], sizes: list[int], seed: int, what: str
) -> list[Positions]:
    """Draw parts of these sizes, one after the other, from the images under `mask`."""
    available = int(mask.sum())
    if sum(sizes) > available:
        wanted = f"{sum(sizes):,} {what} ({' + '.join(f'{size:,}' for size in sizes)})"
        raise BadInputError(f"{dataset.name}: the split wants {wanted}, there are {available:,}")
    left = [
        _shuffled(np.flatnonzero(mask & (dataset.labels == label)), seed, label)
        for label in range(len(dataset.classes))
    ]
    parts = []
    for size in sizes:
        counts = _shares(size, [len(positions) for positions in left])
        taken = [positions[:count] for positions, count in zip(left, counts, strict=True)]
        left = [positions[count:] for positions, count in zip(left, counts, strict=True)]
        parts.append(np.sort(np.concatenate(taken)).astype(np.int64))
    return parts


def _shuffled(positions: Positions, seed: int, stream: int) -> Positions:
    return positions[permutation(len(positions), seed, stream)]


def _shares(size: int, available: list[int]) -> list[int]:
    """Split `size` in proportion to `available` by largest remainder, in whole numbers only.

    A share never exceeds what is available as long as `size` doesn't exceed the sum.
    """
    total = max(sum(available), 1)
    shares = [size * count // total for count in available]
    by_remainder = sorted(range(len(available)), key=lambda i: -(size * available[i] % total))
    for i in by_remainder[: size - sum(shares)]:
        shares[i] += 1
    return shares
