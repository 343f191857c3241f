"""Both layouts of CIFAR-10 name the same photograph alike, and archives hold images only."""

import hashlib
import io
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from munkey_core.data import cifar10, load_dataset
from munkey_core.errors import DataError

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "cifar10_jpeg.tar.xz"


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def photographs():
    """Twelve training and five test photographs in the original order, classes mixed."""
    rng = np.random.default_rng(0)
    parts = {"train": [3, 5, 3, 0, 9, 3, 5, 0, 1, 2, 4, 6], "test": [7, 8, 3, 3, 0]}
    return {
        part: (rng.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8), labels)
        for part, labels in parts.items()
    }


def tree():
    """The same photographs as (path, content) of the one-file-an-image layout."""
    files = {}
    for part, (images, labels) in photographs().items():
        seen = Counter()
        for image, label in zip(images, labels, strict=True):
            kind = cifar10.CLASSES[label]
            files[f"{part}/{kind}/{seen[kind]:04d}.png"] = png(image)
            seen[kind] += 1
    return files


def write_tar(path, files, mode="w:xz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_folder(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """torchvision's layout, tiny, with torchvision told to expect these files' checksums."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    parts = photographs()
    images, labels = parts["train"]
    content = {
        "data_batch_1": (images[:5], labels[:5]),
        "data_batch_2": (images[5:], labels[5:]),
        "test_batch": parts["test"],
    }
    sums = {}
    for name, (batch, kinds) in content.items():
        rows = batch.transpose(0, 3, 1, 2).reshape(len(batch), -1)
        sums[name] = write_pickle(folder / name, {"data": rows, "labels": kinds})
    names = {"label_names": list(cifar10.CLASSES)}
    meta_sum = write_pickle(folder / "batches.meta", names)
    train_list = [[name, sums[name]] for name in ("data_batch_1", "data_batch_2")]
    monkeypatch.setattr(CIFAR10, "train_list", train_list)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": meta_sum}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return folder


def write_pickle(path, value):
    path.write_bytes(pickle.dumps(value))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_all_layouts_give_the_same_dataset(batches, tmp_path):
    layouts = [
        cifar10.load(batches),
        cifar10.load(batches.parent),
        load_dataset(str(batches)),
        load_dataset(f"cifar10:{write_folder(tmp_path / 'tree', tree())}"),
        load_dataset(str(write_tar(tmp_path / "c.tar.xz", tree()))),
        load_dataset(str(write_tar(tmp_path / "c.tgz", tree(), "w:gz"))),
    ]
    first = layouts[0]
    assert first.ids[:3] == ("train-airplane-0000", "train-airplane-0001", "train-automobile-0000")
    assert first.ids[-1] == "test-ship-0000"
    assert not first.may_ship_images
    for other in layouts[1:]:
        assert other.ids == first.ids
        assert np.array_equal(other.images, first.images)
        assert np.array_equal(other.labels, first.labels)
        assert np.array_equal(other.is_test, first.is_test)


def test_the_id_counts_within_the_class_over_all_batches(batches):
    data = cifar10.load(batches)
    images, labels = photographs()["train"]
    third_cat = [i for i, label in enumerate(labels) if label == 3][2]
    assert np.array_equal(data.images[data.ids.index("train-cat-0002")], images[third_cat])


def test_an_altered_pickle_is_never_opened(batches):
    (batches / "data_batch_2").write_bytes(b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.")
    with pytest.raises(DataError, match="corrupted"):
        cifar10.load(batches)


@given(st.lists(st.integers(0, 4), max_size=30))
def test_position_in_class_counts_earlier_equals(labels):
    wanted = [labels[:i].count(label) for i, label in enumerate(labels)]
    assert cifar10.position_in_class(np.array(labels, dtype=np.int64)).tolist() == wanted


@pytest.mark.parametrize(
    "name",
    [
        "../train/cat/0000.jpg",
        "/train/cat/0000.jpg",
        "train/cat/../cat/0000.jpg",
        "train/cow/0000.jpg",
        "train/cat/12.jpg",
        "val/cat/0000.jpg",
        "cifar-10-batches-py/data_batch_1",
    ],
)
def test_archives_with_other_members_are_refused(tmp_path, name):
    path = write_tar(tmp_path / "c.tar", {**tree(), name: b"x"}, "w")
    with pytest.raises(DataError, match=r"wanted train/<class>/<nnnn>.jpg"):
        cifar10.load(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    path = tmp_path / "c.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("train/cat/0000.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="link or device"):
        cifar10.load(path)


def test_a_link_in_a_folder_is_refused(tmp_path):
    folder = write_folder(tmp_path / "tree", tree())
    (folder / "train" / "cat" / "0099.jpg").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match=r"0099.jpg is a link"):
        cifar10.load(folder)


def test_huge_members_are_refused(tmp_path):
    path = write_tar(tmp_path / "c.tar.xz", {"train/cat/0000.jpg": bytes(2_000_000)})
    with pytest.raises(DataError, match="at most 1 MB, got 2,000,000"):
        cifar10.load(path)


def test_one_number_twice_is_refused(tmp_path):
    files = tree()
    files["train/cat/0000.jpg"] = files["train/cat/0000.png"]
    with pytest.raises(DataError, match="unique"):
        cifar10.load(write_tar(tmp_path / "c.tar", files, "w"))


def test_unreadable_images_are_listed(tmp_path):
    data = cifar10.load(write_tar(tmp_path / "c.tar", {**tree(), "test/frog/0007.jpg": b""}, "w"))
    assert len(data) == 17
    assert [name for name, _ in data.skipped] == ["test/frog/0007.jpg"]


@pytest.mark.parametrize("content", [b"", b"not a tar", None])
def test_damaged_archives_are_named(tmp_path, content):
    path = write_tar(tmp_path / "c.tar.xz", tree())
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(DataError, match=r"c\.tar\.xz"):
        cifar10.load(path)


def test_without_a_path_the_data_home_is_searched(tmp_path, monkeypatch):
    from torchvision import datasets

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "CIFAR10", offline)
    (tmp_path / "cifar10").mkdir()  # a failed download leaves its folder behind
    with pytest.raises(DataError, match=r"\(no network\); put cifar-10-batches-py in"):
        load_dataset("cifar10")
    write_tar(tmp_path / "cifar10_jpeg.tar.xz", tree())
    assert len(load_dataset("cifar10")) == 17
    write_folder(tmp_path / "cifar10", dict(list(tree().items())[:9]))
    assert len(load_dataset("cifar10")) == 9


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        cifar10.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no readable image"):
        cifar10.load(tmp_path / "empty")


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="no shared CIFAR-10 archive")
def test_the_real_archive_begins_as_expected(tmp_path):
    with tarfile.open(ARCHIVE, "r|*") as archive:
        members = [m for m, _ in zip(archive, range(40), strict=False) if m.isreg()]
    assert all(cifar10._MEMBER.fullmatch(member.name) for member in members)
