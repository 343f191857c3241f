"""IDX files are read exactly or refused, and Fashion-MNIST is found wherever it may lie."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from munkey_core.data import fashion_mnist, load_dataset
from munkey_core.data.idx import read_idx
from munkey_core.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx(values):
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_source(folder, n_train=6, n_test=3, gz=True, size=28):
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", n_train), ("t10k", n_test)):
        images = np.arange(n * size * size, dtype=np.uint32).reshape(n, size, size) % 256
        labels = np.arange(n) % 10
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(values)
            path = folder / f"{part}-{name}-ubyte{'.gz' if gz else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if gz else content)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine with no data and no network."""
    from torchvision import datasets

    def offline(*args, **kwargs):
        raise RuntimeError("no\nnetwork")

    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(datasets, "FashionMNIST", offline)
    return tmp_path


@pytest.mark.parametrize("gz", [True, False])
def test_ids_labels_and_parts(tmp_path, gz):
    data = load_dataset(f"fashion_mnist:{write_source(tmp_path / 'f', gz=gz)}")
    assert data.ids[:2] == ("train-00000", "train-00001")
    assert data.ids[-1] == "test-00002"
    assert data.images.shape == (9, 28, 28)
    assert data.images[1].ravel()[:3].tolist() == [16, 17, 18]  # 784 = 3 * 256 + 16
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert data.is_test.tolist() == [False] * 6 + [True] * 3
    assert (data.licence, data.may_ship_images) == ("MIT", True)
    assert "Zalando SE" in data.attribution


def test_the_data_home_comes_before_debians_folder(nowhere):
    write_source(nowhere / "debian", n_train=4)
    assert fashion_mnist.load().images.shape[0] == 7
    write_source(nowhere / "home" / "fashion_mnist" / "FashionMNIST" / "raw", n_train=5)
    assert fashion_mnist.load().images.shape[0] == 8


def test_a_download_lands_in_the_data_home(nowhere, monkeypatch, capsys):
    from torchvision import datasets

    def download(root, train, download):
        print("fetching")
        write_source(Path(root) / "FashionMNIST" / "raw")

    monkeypatch.setattr(datasets, "FashionMNIST", download)
    assert len(fashion_mnist.load()) == 9
    assert (nowhere / "home" / "fashion_mnist").is_dir()
    assert capsys.readouterr().out == ""


def test_offline_says_what_to_install(nowhere):
    with pytest.raises(DataError, match=r"\(no network\); install .*dataset-fashion-mnist"):
        fashion_mnist.load()


def test_a_named_folder_must_hold_all_four_files(nowhere):
    write_source(nowhere / "debian")
    folder = write_source(nowhere / "mine")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte\[.gz\]$"):
        fashion_mnist.load(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", idx(np.zeros(5)), "wanted 6 labels, got 5"),
        ("train-labels-idx1-ubyte", idx(np.full(6, 10)), "labels must be 0 to 9, got 10"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((3, 8, 8))), "must be 28 x 28"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, name, content, message):
    folder = write_source(tmp_path, gz=False)
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}.*{message}"):
        fashion_mnist.load(folder)


GOOD = idx(np.arange(12).reshape(3, 2, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic must be 00000803, got nothing"),
        (idx(np.zeros(3)), "magic must be 00000803, got 00000801"),
        (GOOD[:9], "truncated inside the header"),
        (GOOD[:-1], r"promises 12 values, got 11 \(truncated\)"),
        (GOOD + b"x", "promises 12 values, got more"),
        (idx(np.zeros((0, 2, 2))), "the header says 0"),
        (GOOD[:4] + b"\xff" * 12, "the header says 79"),
    ],
)
@pytest.mark.parametrize("gz", [True, False])
def test_damaged_idx_files_are_named(tmp_path, content, message, gz):
    path = tmp_path / ("x.gz" if gz else "x")
    path.write_bytes(gzip.compress(content, mtime=0) if gz else content)
    with pytest.raises(DataError, match=rf"{path}: .*{message}"):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize("content", [b"plain", gzip.compress(GOOD, mtime=0)[:-9], b""])
def test_damaged_gzip_is_named(tmp_path, content):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.gz"):
        read_idx(path, dimensions=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), magic=st.booleans(), name=st.sampled_from(["x", "x.gz"]))
def test_random_bytes_raise_nothing_but_data_error(tmp_path, content, magic, name):
    content = bytes((0, 0, 8, 2)) + content if magic else content
    (tmp_path / name).write_bytes(content)
    try:
        values = read_idx(tmp_path / name, dimensions=2)
    except DataError:
        return
    assert idx(values) == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_what_was_written_is_read(tmp_path, shape, seed):
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "x").write_bytes(idx(values))
    assert np.array_equal(read_idx(tmp_path / "x", dimensions=len(shape)), values)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist not installed")
def test_the_real_files():
    data = load_dataset(f"fashion_mnist:{DEBIAN}")
    assert data.images.shape == (70_000, 28, 28)
    assert int(data.is_test.sum()) == 10_000
    assert np.bincount(data.labels[~data.is_test]).tolist() == [6_000] * 10
    assert data.classes[data.labels[0]] == "Ankle boot"  # known first training image
