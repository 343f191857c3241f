"""Splits are disjoint, of the sizes asked for, in proportion, and the same for the same seed."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.config import OwnersConfig, SplitConfig
from munkey_core.data.base import ImageDataset
from munkey_core.data.owners import simulate_owners
from munkey_core.data.seeding import permutation
from munkey_core.data.splits import (
    OwnedOutside,
    Splits,
    default_split,
    make_splits,
    owned_outside,
)
from munkey_core.errors import BadInputError

PARTS = tuple(field.name for field in dataclasses.fields(Splits))
PERMUTATION = [3, 2, 1, 6, 0, 7, 4, 5]


def toy(labels, is_test=None):
    labels = np.asarray(labels, dtype=np.int64)
    n = len(labels)
    return ImageDataset(
        name="toy",
        title="Toy",
        licence="MIT",
        attribution="nobody",
        classes=tuple(f"c{i}" for i in range(int(labels.max()) + 1)),
        ids=tuple(f"i{i}" for i in range(n)),
        images=np.zeros((n, 1, 1), dtype=np.uint8),
        labels=labels,
        is_test=np.zeros(n, dtype=bool) if is_test is None else np.asarray(is_test),
        owners=None,
        may_ship_images=True,
    )


def sizes_of(config):
    return [
        config.public_encoder,
        config.public_anchor,
        config.calibration,
        config.validation,
        config.private,
        config.test,
    ]


@st.composite
def datasets(draw):
    labels = draw(st.lists(st.integers(0, 4), min_size=60, max_size=200))
    held_out = draw(st.sampled_from([0, 7, 20]))
    is_test = np.zeros(len(labels) + held_out, dtype=bool)
    is_test[np.random.default_rng(held_out).permutation(len(is_test))[:held_out]] = True
    return toy(labels + labels[:held_out], is_test)


@given(datasets(), st.integers(0, 10))
def test_parts_are_disjoint_sorted_and_of_the_right_size(dataset, seed):
    config = dataclasses.replace(default_split(dataset), seed=seed)
    splits = make_splits(dataset, config)
    parts = [getattr(splits, name) for name in PARTS]
    assert [len(part) for part in parts] == sizes_of(config)
    drawn = np.concatenate(parts)
    assert len(np.unique(drawn)) == len(drawn)
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    if dataset.is_test.any():
        assert dataset.is_test[splits.test].all()
        assert not dataset.is_test[np.concatenate(parts[:-1])].any()


@given(datasets(), st.integers(0, 10))
def test_the_seed_alone_decides(dataset, seed):
    config = dataclasses.replace(default_split(dataset), seed=seed)
    first = make_splits(dataset, config)
    np.random.seed(seed + 1)
    second = make_splits(dataset, config)
    assert all(np.array_equal(getattr(first, part), getattr(second, part)) for part in PARTS)
    other = make_splits(dataset, dataclasses.replace(config, seed=seed + 1))
    assert any(not np.array_equal(getattr(first, p), getattr(other, p)) for p in PARTS)


def test_classes_keep_their_proportions():
    dataset = toy([0] * 500 + [1] * 300 + [2] * 200)
    splits = make_splits(dataset, SplitConfig(100, 50, 20, 30, 400, 100))
    for name in PARTS:
        counts = np.bincount(dataset.labels[getattr(splits, name)], minlength=3)
        wanted = np.array([0.5, 0.3, 0.2]) * counts.sum()
        assert np.abs(counts - wanted).max() <= 1


def test_every_image_can_be_used():
    dataset = toy([0] * 30 + [1] * 3 + [2] * 67)
    splits = make_splits(dataset, SplitConfig(21, 13, 7, 9, 33, 17))
    drawn = np.concatenate([getattr(splits, name) for name in PARTS])
    assert np.array_equal(np.sort(drawn), np.arange(100))


def test_the_draw_follows_the_order_within_each_class_only():
    """CIFAR-10's two layouts order the classes differently, yet must draw the same photographs."""
    mixed = toy([0, 1] * 60)
    grouped = toy([0] * 60 + [1] * 60)
    config = SplitConfig(30, 10, 5, 5, 40, 20)
    in_mixed = make_splits(mixed, config).private
    in_grouped = make_splits(grouped, config).private
    as_grouped = np.sort(in_mixed // 2 + 60 * (in_mixed % 2))
    assert np.array_equal(as_grouped, in_grouped)


def test_too_few_images_are_counted():
    with pytest.raises(BadInputError, match=r"wants 51,000 images \(20,000 \+ .*there are 70"):
        make_splits(toy([0, 1] * 35), SplitConfig())
    dataset = toy([0, 1] * 50, [False] * 90 + [True] * 10)
    with pytest.raises(BadInputError, match=r"wants 11 test images \(11\), there are 10"):
        make_splits(dataset, SplitConfig(10, 10, 10, 10, 10, 11))
    with pytest.raises(BadInputError, match=r"wants 91 training images .*there are 90"):
        make_splits(dataset, SplitConfig(51, 10, 10, 10, 10, 10))


@pytest.mark.parametrize("n", [60, 61, 99, 500, 1797, 40_000, 70_000, 200_000])
def test_default_sizes_fit_any_data(n):
    dataset = toy(np.arange(n) % 10)
    config = default_split(dataset)
    assert config.train_total + config.test <= n
    assert min(sizes_of(config)) > 0
    assert all(a <= b for a, b in zip(sizes_of(config), sizes_of(SplitConfig()), strict=True))
    make_splits(dataset, config)


def test_default_sizes_of_large_data_are_the_usual_ones():
    is_test = np.arange(70_000) >= 60_000
    assert default_split(toy(np.arange(70_000) % 10, is_test)) == SplitConfig()


def test_default_sizes_need_sixty_images():
    with pytest.raises(BadInputError, match="wanted 60 images to split, got 59"):
        default_split(toy([0, 1] * 29 + [0]))


def test_the_permutation_never_changes():
    """Bundles name their seed: these orders must be the same on every machine, for ever."""
    assert permutation(8, 0).tolist() == PERMUTATION
    assert sorted(permutation(1000, 3, 4)) == list(range(1000))
    assert permutation(0, 0).tolist() == []
    with pytest.raises(BadInputError, match="seed must be 0 or more, got -1"):
        permutation(3, -1)


@given(n=st.integers(0, 3000), count=st.integers(1, 300), exponent=st.floats(0.1, 3))
def test_every_image_has_an_owner_and_every_owner_an_image(n, count, exponent):
    config = OwnersConfig(count=count, exponent=exponent)
    owners = simulate_owners(n, config)
    assert len(owners) == n
    assert owners == simulate_owners(n, config)
    assert len(set(owners)) == count if n >= count else len(set(owners)) <= count


def test_owner_counts_follow_zipf():
    owners = simulate_owners(10_000, OwnersConfig())
    names, counts = np.unique(owners, return_counts=True)
    assert names[136] == "customer-0137"
    assert (np.diff(counts) <= 0).all()
    slope = np.polyfit(np.log(np.arange(1, 101)), np.log(counts[:100]), 1)[0]
    assert abs(slope + 0.9) < 0.02
    assert owners != simulate_owners(10_000, OwnersConfig(seed=1))
    with pytest.raises(BadInputError, match="0 or more, got -1"):
        simulate_owners(-1, OwnersConfig())


# -- small classes -----------------------------------------------------------------------------


def counts_of(dataset, splits, part):
    labels = dataset.labels[getattr(splits, part)]
    return np.bincount(labels, minlength=len(dataset.classes)).tolist()


@pytest.mark.parametrize("pretrained", [False, True])
def test_every_class_of_ten_is_known_tested_and_anchored(pretrained):
    dataset = toy(np.arange(400) % 40)
    config = default_split(dataset, pretrained)
    splits = make_splits(dataset, config)
    for part in ("private", "test", "anchor"):
        assert min(counts_of(dataset, splits, part)) >= 1
    assert config.train_total + config.test == 400
    assert (config.public_encoder == 0) == pretrained


@given(
    sizes=st.lists(st.integers(1, 80), min_size=2, max_size=30).filter(lambda s: sum(s) >= 60),
    pretrained=st.booleans(),
)
def test_small_classes_get_what_they_have_first_a_key_then_a_test(sizes, pretrained):
    dataset = toy(np.repeat(np.arange(len(sizes)), sizes))
    config = default_split(dataset, pretrained)
    splits = make_splits(dataset, config)
    private, test = (counts_of(dataset, splits, part) for part in ("private", "test"))
    # Only where there are fewer images than classes can a class go without.
    if config.private >= len(sizes):
        assert min(private) >= 1
    if config.test >= sum(size >= 2 for size in sizes):
        assert all(count >= 1 for size, count in zip(sizes, test, strict=True) if size >= 2)
    parts = np.concatenate([getattr(splits, part) for part in PARTS])
    assert len(np.unique(parts)) == len(parts)


def test_without_at_least_the_draw_is_what_it_always_was():
    """Bundles that ship name a seed: their images must stay where they are."""
    dataset = toy([0] * 50 + [1] * 30 + [2] * 20)
    splits = make_splits(dataset, SplitConfig(30, 12, 6, 10, 27, 15))
    for name, wanted in zip(PARTS, (30, 12, 6, 10, 27, 15), strict=True):
        shares = np.bincount(dataset.labels[getattr(splits, name)], minlength=3) / wanted
        assert np.abs(shares - [0.5, 0.3, 0.2]).max() < 1 / wanted


# -- real owners -------------------------------------------------------------------------------


def owned(labels, owners, is_test=None):
    return dataclasses.replace(toy(labels, is_test), owners=tuple(owners))


def public_owners(dataset, splits):
    rows = np.concatenate([splits.encoder, splits.anchor, splits.calibration, splits.validation])
    return {dataset.owners[i] for i in rows.tolist()} - {""}


def test_images_without_an_owner_are_taken_first():
    owners = [f"o{i % 9}" if i % 2 else "" for i in range(400)]
    dataset = owned(np.arange(400) // 2 % 4, owners)
    splits = make_splits(dataset, default_split(dataset, pretrained=True))
    assert owned_outside(dataset, splits) == OwnedOutside(0, 0, 0, 0, 0)
    assert counts_of(dataset, splits, "private") != [0] * 4


def test_then_whole_owners_leave_and_nobody_is_divided():
    dataset = owned(np.arange(400) % 4, [f"o{i // 4 % 40:02d}" for i in range(400)])
    splits = make_splits(dataset, default_split(dataset, pretrained=True))
    outside = owned_outside(dataset, splits)
    assert outside.divided_owners <= 1  # the last one, of whom only a part is wanted
    assert outside.public_owners < 40
    private = {dataset.owners[i] for i in splits.private.tolist()}
    assert len(public_owners(dataset, splits) & private) == outside.divided_owners
    assert len(splits.private) > 150


def test_where_each_class_is_one_person_owners_are_divided_and_counted():
    """Faces: without a person's public images the model would not know the person at all."""
    dataset = owned(np.arange(400) % 40, [f"o{i % 40:02d}" for i in range(400)])
    splits = make_splits(dataset, default_split(dataset, pretrained=True))
    outside = owned_outside(dataset, splits)
    assert min(counts_of(dataset, splits, "private")) >= 1
    assert min(counts_of(dataset, splits, "test")) >= 1
    public = sum(len(getattr(splits, p)) for p in PARTS if p not in ("private", "test"))
    assert (outside.public_images, outside.divided_images) == (public, public)
    assert outside.test_images == len(splits.test)


@given(
    n=st.integers(80, 240),
    classes=st.integers(2, 6),
    names=st.lists(st.integers(-3, 12), min_size=240, max_size=240),
    held_out=st.booleans(),
    pretrained=st.booleans(),
)
def test_whatever_the_owners_the_split_is_a_split(n, classes, names, held_out, pretrained):
    labels = np.arange(n) % classes
    owners = [f"o{name}" if name >= 0 else "" for name in names[:n]]
    dataset = owned(labels, owners, np.arange(n) % 5 == 0 if held_out else None)
    config = default_split(dataset, pretrained)
    splits = make_splits(dataset, config)
    parts = np.concatenate([getattr(splits, part) for part in PARTS])
    assert len(np.unique(parts)) == len(parts)
    assert [len(getattr(splits, p)) for p in PARTS] == sizes_of(config)
    assert owned_outside(dataset, splits) is not None
    again = make_splits(dataset, config)
    assert all(np.array_equal(getattr(splits, p), getattr(again, p)) for p in PARTS)
