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
from munkey_core.data.splits import Splits, default_split, make_splits
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
