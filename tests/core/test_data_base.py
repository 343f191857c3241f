"""ImageDataset refuses anything that doesn't fit together, and load_dataset finds its sources."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from munkey_core.data import ImageDataset, load_dataset, to_rgb
from munkey_core.errors import BadInputError, DataError


@pytest.fixture
def dataset():
    return ImageDataset(
        name="toy",
        title="Toy",
        licence="MIT",
        attribution="nobody",
        classes=("a", "b"),
        ids=("train-0", "cats/img%201.jpg", "x~y"),
        images=np.zeros((3, 4, 5), dtype=np.uint8),
        labels=np.array([0, 1, 1], dtype=np.int64),
        is_test=np.array([False, False, True]),
        owners=None,
        may_ship_images=True,
    )


def test_a_fitting_dataset_is_accepted(dataset):
    assert len(dataset) == 3
    assert dataset.skipped == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((3, 4, 5))}, r"images must be uint8.*got float64"),
        ({"images": np.zeros((3, 4, 5, 4), np.uint8)}, r"got uint8 of shape \(3, 4, 5, 4\)"),
        ({"images": np.zeros((0, 4, 5), np.uint8)}, "images must be"),
        ({"labels": np.zeros(3, np.int32)}, r"labels must be int64 of shape \(3,\), got int32"),
        ({"labels": np.zeros(2, np.int64)}, r"got int64 of shape \(2,\)"),
        ({"labels": np.array([0, 1, 2])}, "labels must be between 0 and 1, got 0 to 2"),
        ({"labels": np.array([0, -1, 1])}, "got -1 to 1"),
        ({"is_test": np.zeros(3)}, "is_test must be bool"),
        ({"classes": ("a", "a")}, "classes must be different names"),
        ({"classes": ()}, "classes must be"),
        ({"ids": ("a", "b")}, "ids must be 3 ids, got 2"),
        ({"ids": ("a", "b", "a")}, r"unique, got \['a'\]"),
        ({"owners": ("me",)}, "owners must be 3, got 1"),
    ],
)
def test_a_part_that_does_not_fit_is_named(dataset, changes, message):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(dataset, **changes)


@pytest.mark.parametrize("bad", ["@a", "a,b", "owner:me", "a b", "", "a\n", "é"])
def test_ids_that_would_break_a_url_or_a_list_are_refused(dataset, bad):
    with pytest.raises(DataError, match="ids must be made of letters"):
        dataclasses.replace(dataset, ids=("a", "b", bad))


def test_to_rgb_repeats_grey_and_leaves_colour():
    grey = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    rgb = to_rgb(grey)
    assert rgb.shape == (2, 3, 4, 3)
    assert all(np.array_equal(rgb[..., channel], grey) for channel in range(3))
    assert np.shares_memory(rgb, grey)
    assert to_rgb(rgb) is rgb
    with pytest.raises(DataError, match="got \\(3, 4\\)"):
        to_rgb(grey[0])


def test_digits():
    digits = load_dataset("digits")
    assert digits.images.shape == (1797, 8, 8)
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert digits.ids[7] == "digit-0007"
    assert not digits.is_test.any()


def test_image_size_resizes_any_source():
    small = load_dataset("digits")
    assert load_dataset("digits", image_size=16, enlarge=False).images.shape[1:] == (8, 8)
    assert load_dataset("digits", image_size=4, enlarge=False).images.shape[1:] == (4, 4)
    large = load_dataset("digits", image_size=16)
    assert large.images.shape == (1797, 16, 16)
    assert large.ids == small.ids
    change = large.images.mean(axis=(1, 2)) - small.images.mean(axis=(1, 2))
    assert np.abs(change).max() < 10
    assert np.array_equal(load_dataset("digits", image_size=8).images, small.images)


def test_paths_lead_to_their_source(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (9, 9), "red").save(tmp_path / kind / "1.png")
    assert load_dataset(str(tmp_path)).images.shape == (2, 16, 16, 3)
    assert load_dataset(str(tmp_path), image_size=12).images.shape == (2, 12, 12, 3)
    for name in ("x.npz", "x.tar.xz"):
        (tmp_path / name).write_bytes(b"no")
        with pytest.raises(DataError, match=name):
            load_dataset(str(tmp_path / name))


@pytest.mark.parametrize("source", ["mnist", "", "/no/such/folder", "x.csv", ":", "a:b"])
def test_an_unknown_source_lists_the_known_ones(source):
    with pytest.raises(DataError, match=r"fashion_mnist, .*cifar10.*digits.*npz"):
        load_dataset(source)


def test_a_source_that_comes_with_a_library_lies_nowhere_else():
    with pytest.raises(DataError, match=r"digits come with scikit-learn: wanted no path, got 8"):
        load_dataset("digits:8")


def test_an_impossible_size_is_refused_before_anything_is_read():
    with pytest.raises(BadInputError, match="between 1 and 4096, got 0"):
        load_dataset("cifar10:/no/such/place", image_size=0)


def test_importing_the_package_loads_no_heavy_library():
    code = (
        "import sys, munkey_core.data; print({'torch', 'torchvision', 'sklearn'} & {*sys.modules})"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "set()"
