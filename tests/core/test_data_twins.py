"""Identical images in two parts are counted as a slow comparison of all pairs counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from munkey_core.data import ImageDataset
from munkey_core.data.splits import Splits
from munkey_core.data.twins import twins_across_parts
from munkey_core.jobs.offer import twin_warnings

PARTS = ("encoder", "anchor", "calibration", "validation", "private", "test")


def made(pictures, parts, grey=True):
    """Images of one value each, image i in the part `parts[i]`."""
    images = np.repeat(np.array(pictures, np.uint8), 16).reshape(-1, 4, 4)
    images = images if grey else np.stack([images, images, 255 - images], axis=-1)
    data = ImageDataset(
        name="toy", title="Toy", licence="MIT", attribution="nobody", classes=("a", "b"),
        ids=tuple(f"i{i}" for i in range(len(pictures))), images=images,
        labels=np.arange(len(pictures)) % 2, is_test=np.zeros(len(pictures), np.bool_),
        owners=None, may_ship_images=True,
    )  # fmt: skip
    rows = {part: np.flatnonzero(np.array(parts) == part).astype(np.int64) for part in PARTS}
    return data, Splits(**rows)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(PARTS)), min_size=1, max_size=14),
    st.booleans(),
)
def test_as_a_slow_comparison_counts_them(images, grey):
    data, splits = made(*zip(*images, strict=True), grey)
    values = {part: [v for v, p in images if p == part] for part in PARTS}
    public = [v for part in PARTS[:4] for v in values[part]]
    twins = twins_across_parts(data, splits)
    assert twins.public == sum(v in public for v in values["private"])
    assert twins.tested == sum(v in values["test"] for v in values["private"])
    assert twins.learned == sum(v in public for v in values["test"])
    assert bool(twins.example) == bool(twins.public + twins.tested + twins.learned)
    if twins.example:
        one, other = (int(id_[1:]) for id_ in twins.example)
        assert one != other
        assert images[one][0] == images[other][0]
        assert images[one][1] != images[other][1]


@pytest.mark.parametrize("public", PARTS[:4])
def test_each_kind_has_its_sentence_and_an_example(public):
    data, splits = made([1, 1, 1, 2, 3], ["private", public, "test", "private", "test"])
    first, second, third = twin_warnings(data, splits)
    assert first.startswith("1 of the private images have an identical twin in a public part")
    assert "(such as i0 and i1)" in first
    assert "among the test images" in second
    assert third.startswith("1 of the test images have an identical twin in a public part")
    assert list(twin_warnings(*made([1, 2, 3], ["private", public, "test"]))) == []
    # Twins in one part are no fault: they are forgotten or kept as they are named.
    assert list(twin_warnings(*made([1, 1, 2], ["private", "private", "test"]))) == []
