"""MedMNIST files with one label an image are read; others are refused with the reason."""

import numpy as np
import pytest

from munkey_core.data import load_dataset, medmnist
from munkey_core.errors import DataError


def arrays(shape=(8, 8), labels=1):
    rng = np.random.default_rng(0)
    made = {}
    for part, n in (("train", 5), ("val", 2), ("test", 3)):
        made[f"{part}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        made[f"{part}_labels"] = (np.arange(n * labels) % 3).reshape(n, labels).astype(np.uint8)
    return made


def write(path, **changes):
    made = {**arrays(), **changes}
    np.savez(path, **{name: value for name, value in made.items() if value is not None})
    return path


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_parts_and_ids(tmp_path, shape):
    path = write(tmp_path / "bloodmnist.npz", **arrays(shape))
    data = load_dataset(str(path))
    assert data.images.shape == (10, *shape)
    assert data.ids[4:8] == ("train-00004", "val-00000", "val-00001", "test-00000")
    assert data.is_test.tolist() == [False] * 7 + [True] * 3
    assert data.classes == ("class 0", "class 1", "class 2")
    assert np.array_equal(data.images[5:7], arrays(shape)["val_images"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None}, r"missing \['val_images'\]"),
        (arrays(labels=14), r"train_labels must be one whole number an image.*\(5, 14\)"),
        (arrays(shape=(8, 8, 8)), "train_images must be uint8"),
        ({"test_images": np.zeros((3, 9, 9), np.uint8)}, "differ in shape"),
        ({"test_images": np.zeros((4, 8, 8), np.uint8)}, "as many labels as images"),
        ({"test_images": np.zeros((3, 8, 8))}, "got float64"),
        ({"test_labels": np.array([0, 1, 10**9])}, "test_labels must be 0 to 999"),
        ({"test_labels": np.array([0, 1, -1])}, "test_labels must be 0 to 999"),
        ({"test_labels": np.array([{}, {}, {}], dtype=object)}, "allow_pickle"),
    ],
)
def test_other_files_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        medmnist.load(write(tmp_path / "x.npz", **changes))


def test_damaged_files_are_refused(tmp_path):
    path = write(tmp_path / "x.npz")
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npz: can't be read"):
            medmnist.load(path)
    with (tmp_path / "y.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(DataError, match=r"y\.npz: can't be read"):
        medmnist.load(tmp_path / "y.npz")
