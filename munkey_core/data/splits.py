"""Which image goes where: the public parts, the private bank and the held-out test images.

Where the source names owners, no owner has images both with a key and in a public part, as far as
the classes allow: what is public was learned for good, and forgetting the owner doesn't reach it.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from munkey_core.config import SplitConfig
from munkey_core.data.base import ImageDataset
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_MIN_IMAGES = 60
_PUBLIC = ("encoder", "anchor", "calibration", "validation")
_FIRST = ("private", "test", "anchor")  # in this order classes get their `at_least`
# Streams of the seed for owners; those of the classes' images are their labels.
_OWNER_STREAM, _POOL_STREAM = 2_000_000, 3_000_000


@dataclass(frozen=True, eq=False)
class Splits:
    """Positions in a dataset, int64, each part sorted and no position in two parts."""

    encoder: Positions
    anchor: Positions
    calibration: Positions
    validation: Positions
    private: Positions
    test: Positions


@dataclass(frozen=True)
class OwnedOutside:
    """Images of named owners that have no key. public_images, of public_owners: in the public
    parts, where forgetting doesn't reach; divided_images, of divided_owners: those among them
    whose owner has keys as well. test_images: held out, nothing was learned from them."""

    public_images: int
    public_owners: int
    divided_images: int
    divided_owners: int
    test_images: int


def make_splits(dataset: ImageDataset, config: SplitConfig) -> Splits:
    """Draw the parts per class, in proportion to what is left of each class, by `config.seed`.

    Test images come from the source's own held-out part if it has one, else from the rest.
    Images of named owners are for the bank: the other parts take images without an owner, then
    whole owners, and divide an owner only where a class has not enough otherwise.
    The draw depends on the images' order within each class only, and on their owners.

    Raises BadInputError if there are too few images, naming how many are wanted and there.
    """
    mask, sizes = _trained(dataset, config)
    parts: dict[str, Positions] = {}
    if "test" not in sizes:
        test = {"test": config.test}
        parts = _draw(dataset, dataset.is_test, test, config, "test images")
    what = "images" if "test" in sizes else "training images"
    if not _names_owners(dataset):
        return Splits(**parts, **_draw(dataset, mask, sizes, config, what))
    _check_enough(dataset, mask, sizes, what)
    outside, left = _draw_around_owners(dataset, mask, sizes, config)
    bank = {"private": config.private}
    what = "images whose owners are not public"
    return Splits(**parts, **outside, **_draw(dataset, left, bank, config, what))


def owned_outside(dataset: ImageDataset, splits: Splits) -> OwnedOutside | None:
    """Which images of named owners have no key; None if the source names no owners."""
    names = dataset.owners
    if names is None:
        return None
    owned = {
        field.name: [names[i] for i in getattr(splits, field.name).tolist() if names[i]]
        for field in fields(Splits)
    }
    public = [name for part in _PUBLIC for name in owned[part]]
    divided = [name for name in public if name in set(owned["private"])]
    return OwnedOutside(
        len(public), len(set(public)), len(divided), len(set(divided)), len(owned["test"])
    )


def default_split(dataset: ImageDataset, pretrained: bool = False) -> SplitConfig:
    """Part sizes that suit a dataset: SplitConfig's own where they fit, else shares of it.

    pretrained: whether the encoder comes trained, which leaves more images private.
    Raises BadInputError if the dataset has fewer than 60 images to split.
    """
    usual = SplitConfig()
    has_test = bool(dataset.is_test.any())
    n = int((~dataset.is_test).sum())
    if n < _MIN_IMAGES:
        raise BadInputError(f"{dataset.name}: wanted {_MIN_IMAGES} images to split, got {n}")
    counts = np.bincount(dataset.labels[~dataset.is_test], minlength=len(dataset.classes))
    # A class of two images has one to learn and one to test; the third is its anchor.
    test = min(usual.test, max(n * 15 // 100, min(int((counts >= 2).sum()), n // 4)))
    if has_test:
        test = min(usual.test, int(dataset.is_test.sum()))
    rest = n if has_test else n - test
    if not pretrained and rest >= usual.train_total and not _names_owners(dataset):
        return SplitConfig(test=test)
    shares = (0, 20, 6, 8) if pretrained else (30, 12, 6, 10)
    encoder, anchor, calibration, validation = (rest * share // 100 for share in shares)
    anchor = max(anchor, min(int((counts >= 3).sum()), rest // 4))
    config = SplitConfig(
        public_encoder=min(usual.public_encoder, encoder),
        public_anchor=min(usual.public_anchor, anchor),
        calibration=min(usual.calibration, calibration),
        validation=min(usual.validation, validation),
        test=test,
        at_least=1,
    )
    private = rest - (config.train_total - config.private)
    if _names_owners(dataset):
        mask, sizes = _trained(dataset, config)
        _, left = _draw_around_owners(dataset, mask, sizes, config)
        private = int(left.sum())
    most = 2 * usual.private if pretrained else usual.private
    return replace(config, private=min(most, private))


def _trained(dataset: ImageDataset, config: SplitConfig) -> tuple[Mask, dict[str, int]]:
    """Images outside the source's own held-out part, and the sizes of the parts drawn of them."""
    sizes = {
        "encoder": config.public_encoder,
        "anchor": config.public_anchor,
        "calibration": config.calibration,
        "validation": config.validation,
        "private": config.private,
    }
    if not dataset.is_test.any():
        sizes["test"] = config.test
    return ~dataset.is_test, sizes


def _check_enough(dataset: ImageDataset, mask: Mask, sizes: dict[str, int], what: str) -> None:
    available, total = int(mask.sum()), sum(sizes.values())
    if total > available:
        wanted = f"{total:,} {what} ({' + '.join(f'{size:,}' for size in sizes.values())})"
        raise BadInputError(f"{dataset.name}: the split wants {wanted}, there are {available:,}")


def _draw(
    dataset: ImageDataset, mask: Mask, sizes: dict[str, int], config: SplitConfig, what: str
) -> dict[str, Positions]:
    """Draw parts of these sizes, one after the other, from the images under `mask`."""
    _check_enough(dataset, mask, sizes, what)
    left = [
        _shuffled(np.flatnonzero(mask & (dataset.labels == label)), config.seed, label)
        for label in range(len(dataset.classes))
    ]
    parts = {}
    for part, counts in _plan(sizes, [len(rows) for rows in left], config.at_least).items():
        taken = [rows[:count] for rows, count in zip(left, counts, strict=True)]
        left = [rows[count:] for rows, count in zip(left, counts, strict=True)]
        parts[part] = np.sort(np.concatenate(taken)).astype(np.int64)
    return parts


def _plan(sizes: dict[str, int], available: list[int], at_least: int) -> dict[str, list[int]]:
    """How many images of each class each part gets: first `at_least`, small classes last where
    they don't reach for all, then shares of what is left."""
    left = list(available)
    plan = {part: [0] * len(left) for part in sizes}
    by_size = sorted(range(len(left)), key=lambda label: -available[label])
    for part in (part for part in _FIRST if part in sizes):
        for label in by_size:
            count = min(at_least, left[label], sizes[part] - sum(plan[part]))
            plan[part][label] += count
            left[label] -= count
    for part, size in sizes.items():
        for label, share in enumerate(_shares(size - sum(plan[part]), left)):
            plan[part][label] += share
            left[label] -= share
    return plan


# -- owners ------------------------------------------------------------------------------------


def _names_owners(dataset: ImageDataset) -> bool:
    return dataset.owners is not None and any(dataset.owners)


def _draw_around_owners(
    dataset: ImageDataset, mask: Mask, sizes: dict[str, int], config: SplitConfig
) -> tuple[dict[str, Positions], Mask]:
    """The parts without a key, and which images are left for the bank. config.private plays no
    part: how many images will be private doesn't change who is public."""
    labels = dataset.labels
    n_classes = len(dataset.classes)
    outside = {part: size for part, size in sizes.items() if part != "private"}
    available = np.bincount(labels[mask], minlength=n_classes)
    whole = {**outside, "private": int(mask.sum()) - sum(outside.values())}
    plan = _plan(whole, available.tolist(), config.at_least)
    wanted = np.sum([counts for part, counts in plan.items() if part != "private"], axis=0)

    moved = _whole_owners(dataset, mask, wanted, config.seed)
    # Who has left the bank anyway comes first, then nobody's images; at last one owner is divided
    # for all classes before the next.
    names = _shuffled_owners(dataset, mask, config.seed)
    turns = {"": 1, **{name: 2 + i for i, name in enumerate(names)}}
    turn = np.array([turns.get(name, 0) for name in dataset.owners or ()])
    turn[moved] = 0
    pool = np.zeros(len(labels), dtype=np.bool_)
    for label, count in enumerate(wanted.tolist()):
        rows = np.flatnonzero(mask & (labels == label))
        rows = _shuffled(rows, config.seed, _POOL_STREAM + label)
        pool[rows[np.argsort(turn[rows], kind="stable")[:count]]] = True
    parts = _draw(dataset, pool, outside, config, "images")
    left = mask & ~moved
    for rows in parts.values():
        left[rows] = False
    return parts, left


def _whole_owners(
    dataset: ImageDataset, mask: Mask, wanted: npt.NDArray[np.int64], seed: int
) -> Mask:
    """Images of the owners who leave the bank with all they have, so that images without an owner
    and theirs are `wanted` (C,) of each class. Small owners leave first; none leaves of whose
    images fewer than half are wanted, or who would take most of a class's private images."""
    owners = np.array(dataset.owners or (), dtype=np.str_)
    labels, n_classes = dataset.labels, len(dataset.classes)
    free = mask & (owners == "")
    lacking = wanted - np.bincount(labels[free], minlength=n_classes)
    private = np.bincount(labels[mask], minlength=n_classes) - wanted
    size = Counter(owners[mask].tolist())
    moved = np.zeros(len(labels), dtype=np.bool_)
    spared = private.copy()
    for name in sorted(_shuffled_owners(dataset, mask, seed), key=lambda name: size[name]):
        if not (lacking > 0).any():
            break
        own = mask & (owners == name)
        counts = np.bincount(labels[own], minlength=n_classes)
        useful = np.minimum(counts, lacking.clip(min=0))
        too_many = counts - useful
        if 2 * useful.sum() >= counts.sum() and (2 * (spared - too_many) >= private).all():
            moved |= own
            lacking = lacking - counts
            spared = spared - too_many
    return moved


def _shuffled_owners(dataset: ImageDataset, mask: Mask, seed: int) -> list[str]:
    names = sorted({name for name, here in zip(dataset.owners or (), mask, strict=True) if here})
    names = [name for name in names if name]
    return [names[i] for i in permutation(len(names), seed, _OWNER_STREAM)]


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
