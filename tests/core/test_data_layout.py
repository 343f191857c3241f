"""Where the classes lie, whatever the folders around them are called and whatever lies beside."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from munkey_core.bundle.manifest import Manifest, check_dataset, dataset_table
from munkey_core.data import image_folder
from munkey_core.data.base import classes_problem
from munkey_core.data.layout import TEST, TRAIN, VALIDATION, role_of
from munkey_core.data.splits import Splits
from munkey_core.errors import BundleError, DataError, TrainingError
from munkey_core.files.untrusted import is_name
from munkey_core.training.trainable import check_keys, check_trainable


def paint(folder, classes=("cat", "dog"), count=2, suffix="png"):
    """`count` pictures in each class; those of a class named "" lie in the folder itself."""
    for kind in classes:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (20, 14), (60 * i, 9, 9)).save(folder / kind / f"{i}.{suffix}")
    return folder


def held_out_of(data):
    return sum(data.is_test)


# -- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learn", "held_out"),
    [
        ("Training", "Testing"),
        ("Train", "Test"),
        ("train", "Test"),
        ("TRAIN", "TEST"),
        ("train_set", "test_set"),
        ("trainset", "testset"),
        ("TrainingSet", "TestSet"),
        ("training-data", "testing-data"),
        ("seg_train", "seg_test"),
        ("train_images", "test_images"),
        ("1 train", "2 test"),
        ("chest_xray_train", "chest_xray_test"),
        ("fruits-360-Training", "fruits-360-Test"),
        ("ChestTrain", "ChestTest"),
        ("val", "test"),
        ("dev", "test"),
    ],
)
def test_parts_by_any_usual_name(tmp_path, learn, held_out):
    paint(tmp_path / learn, count=3)
    paint(tmp_path / held_out)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, len(data), held_out_of(data)) == (("cat", "dog"), 10, 4)
    assert all(id_.split("/")[1] in data.classes for id_ in data.ids)
    assert image_folder.looks_like_classes(tmp_path)


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev", "EVAL", "valset", "train2"])
def test_other_parts_join_training(tmp_path, name):
    for part in ("train", "test", name):
        paint(tmp_path / part)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, len(data), held_out_of(data)) == (("cat", "dog"), 12, 4)


@pytest.mark.parametrize("name", ["pred", "seg_pred", "chest_xray", "unlabelled", "test_pred"])
@pytest.mark.parametrize("inside", ["", "cat"])
def test_what_is_no_part_is_said_with_its_count(tmp_path, name, inside):
    for part in ("train", "test"):
        paint(tmp_path / part)
    paint(tmp_path / name, [inside], 3)
    data = image_folder.load(tmp_path, 8)
    assert data.classes == ("cat", "dog")
    assert data.skipped == (
        (name, "a folder beside the parts test and train: its 3 files are left out"),
    )


def test_a_copy_of_itself_and_what_macos_adds_are_no_classes(tmp_path):
    home = tmp_path / "chest_xray"
    for root in (home, home / "chest_xray"):
        for part in ("train", "test", "val"):
            paint(root / part, ("NORMAL", "PNEUMONIA"))
    (home / "__MACOSX" / "train").mkdir(parents=True)
    (home / "__MACOSX" / "train" / "._0.png").write_bytes(b"x")
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, len(data), held_out_of(data)) == (("NORMAL", "PNEUMONIA"), 12, 4)
    assert {name for name, _ in data.skipped} == {"chest_xray", "__MACOSX"}


def test_parts_in_folders_of_their_own_names(tmp_path):
    for part in ("seg_train", "seg_test"):
        paint(tmp_path / part / part)
    paint(tmp_path / "seg_pred" / "seg_pred", [""], 3)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, len(data), held_out_of(data)) == (("cat", "dog"), 8, 4)
    assert data.ids[-1] == "seg_train/seg_train/dog/1.png"
    for part in ("train", "test"):
        paint(tmp_path / "other" / part / "images")
    assert image_folder.load(tmp_path / "other", 8).classes == ("cat", "dog")


def test_a_flat_test_part_makes_no_class(tmp_path):
    paint(tmp_path / "train")
    paint(tmp_path / "test1" / "test1", [""], 3)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, held_out_of(data)) == (("cat", "dog"), 0)
    assert len(data.skipped) == 3


def test_names_of_parts_that_hold_pictures_themselves_are_classes_and_said(tmp_path):
    paint(tmp_path, ("Train", "Test"))
    data = image_folder.load(tmp_path, 8)
    assert data.classes == ("Test", "Train")
    assert "'Test', 'Train' are taken for classes" in data.remarks[0]


def test_parts_in_each_class(tmp_path):
    for kind in ("cat", "dog"):
        paint(tmp_path / kind, ("Training", "Testing"), 3)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, len(data), held_out_of(data)) == (("cat", "dog"), 12, 6)
    assert [id_.split("/")[1] == "Testing" for id_ in data.ids] == data.is_test.tolist()
    assert data.remarks == ()
    paint(tmp_path / "dog", ("2020",))
    assert held_out_of(image_folder.load(tmp_path, 8)) == 0


def test_the_same_folders_in_every_class_are_doubted(tmp_path):
    for fold in ("fold1", "fold2"):
        paint(tmp_path / fold)
    data = image_folder.load(tmp_path, 8)
    assert data.classes == ("fold1", "fold2")
    assert "('cat', 'dog') lie in each of the classes 'fold1', 'fold2'" in data.remarks[0]


@pytest.mark.parametrize("names", [("train", "tram"), ("training", "match"), ("evaluate", "test")])
def test_a_class_that_is_called_like_a_part_stays_a_class(tmp_path, names):
    for name in names:
        paint(tmp_path / name)
    assert image_folder.load(tmp_path, 8).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", TRAIN),
        ("Seg_Train", TRAIN),
        ("trainingset", TRAIN),
        ("test", TEST),
        ("TestImages", TEST),
        ("Validation", VALIDATION),
        ("dev-set", VALIDATION),
        ("contest", None),
        ("strain", None),
        ("training test", None),
        ("valley", None),
        ("images", None),
        ("", None),
    ],
)
def test_names_of_parts(name, role):
    assert (role_of(name) or (None,))[0] == role


@given(st.text(max_size=40))
def test_any_name_has_a_role_or_none(name):
    found = role_of(name)
    assert found is None or found[0] in (TRAIN, TEST, VALIDATION)


# -- the one folder of classes -------------------------------------------------------------------

BESIDE = {
    "README.md": lambda r: (r / "README.md").write_text("x"),
    "LICENSE": lambda r: (r / "LICENSE").write_text("x"),
    "desktop.ini": lambda r: (r / "desktop.ini").write_text("x"),
    "__MACOSX": lambda r: (r / "__MACOSX" / "photos").mkdir(parents=True),
    "docs": lambda r: ((r / "docs").mkdir(), (r / "docs" / "how.txt").write_text("x")),
    "empty": lambda r: (r / "empty").mkdir(),
    "cover.png": lambda r: Image.new("L", (9, 9)).save(r / "cover.png"),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("around", ["", "a", "a/b"])
def test_the_one_folder_of_classes_is_entered_and_the_rest_named(tmp_path, name, around):
    paint(tmp_path / around / "photos")
    BESIDE[name](tmp_path / around)
    data = image_folder.load(tmp_path, 8)
    assert (data.classes, data.ids[0]) == (("cat", "dog"), "cat/0.png")
    assert [left for left, _ in data.skipped] == [f"{around}/{name}".lstrip("/")]
    assert set(image_folder.files(tmp_path)) == set(data.ids)
    assert image_folder.looks_like_classes(tmp_path)
    assert not image_folder.holds_classes_itself(tmp_path)


def test_what_is_hidden_is_passed_over_without_a_word(tmp_path):
    paint(tmp_path / "photos")
    for name in (".DS_Store", "._photos"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".git").mkdir()
    assert image_folder.load(tmp_path, 8).skipped == ()


@pytest.mark.parametrize("before", ["", "photos/", "zoo/photos/", "top/zoo/photos/"])
@pytest.mark.parametrize("place", ["", "zoo", "zoo/photos"])
def test_owners_lie_beside_the_folder_or_in_it(tmp_path, before, place):
    home = tmp_path / "top"
    paint(home / "zoo" / "photos")
    (home / place / "owners.csv").write_text(f"file,owner\n{before}cat/1.png,Ann\n")
    data = image_folder.load(home, 8)
    assert data.owners == ("", "Ann", "", "")
    assert data.skipped == ()
    (home / place / "owners.csv").write_text(f"file,owner\n{before}cat/7.png,Ann\n")
    with pytest.raises(DataError, match="line 2: the folder has no file"):
        image_folder.load(home, 8)


# -- which files are meant -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0.jfif", "0.JPG", "0", "0.data", "2020/summer/0.png"])
def test_pictures_of_any_name_make_a_class(tmp_path, name):
    for kind in ("cat", "dog"):
        path = tmp_path / kind / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (20, 14), "red").save(path, "PNG")
    assert image_folder.looks_like_classes(tmp_path)
    image_folder.check_form(tmp_path, "mine")
    assert len(image_folder.load(tmp_path, 8)) == 2


def test_texts_make_no_class(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "0.txt").write_text("x")
    assert not image_folder.looks_like_classes(tmp_path)
    with pytest.raises(DataError, match=r"^mine.zip: wanted one sub-folder a class"):
        image_folder.check_form(tmp_path, "mine.zip")


def test_classes_are_sorted_as_people_count(tmp_path):
    paint(tmp_path, ("10", "9", "class 10", "class 2", "b", "B", "2a", "02"), 1)
    assert image_folder.load(tmp_path, 8).classes == (
        *("02", "2a", "9", "10"),
        *("B", "b", "class 2", "class 10"),
    )


# -- what a bundle can't hold ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a\nb", "cats\u202egnp", "c" * 201, "tab\tbed", "bell\x07", "\u2028", "\x85"]
)
@pytest.mark.parametrize("part", ["", "train"])
def test_class_names_that_no_bundle_can_hold_are_refused_before_a_picture_is_read(
    tmp_path, monkeypatch, name, part
):
    paint(tmp_path / part, (name, "dog"))
    if part:
        paint(tmp_path / "test", ("dog",))

    def never(*_):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(image_folder, "_decode", never)
    with pytest.raises(DataError, match="the folders' names, which are the classes, must be") as no:
        image_folder.load(tmp_path, 8)
    assert str(no.value).isprintable()
    assert ascii(name)[1:40].rstrip("'") in str(no.value)
    with pytest.raises(BundleError, match=r"dataset\.classes|holds characters that no text needs"):
        Manifest.from_json(manifest_with([name, "dog"]))


@given(st.lists(st.text(max_size=4), max_size=4))
def test_a_manifest_takes_the_class_names_that_a_dataset_may_have(names):
    try:
        Manifest.from_json(manifest_with(names))
        taken = True
    except BundleError:
        taken = False
    assert taken == (classes_problem(names) == "")


def manifest_with(classes):
    """The text of a sound manifest, but for its class names."""
    manifest = tiny.random_bundle().manifest
    return replace(manifest, dataset={**manifest.dataset, "classes": list(classes)}).to_json()


@pytest.mark.parametrize("name", ["a\nb", "x\u202egnp.txt", "bell\x07.png", "\ufffd.txt"])
def test_names_of_files_that_are_left_out_can_be_told(tmp_path, name):
    paint(tmp_path)
    (tmp_path / "cat" / name).write_text("x")
    data = image_folder.load(tmp_path, 8)
    assert len(data.skipped) == 1
    assert all(is_name(text, 1000) for text in data.skipped[0])
    check_dataset(data, "mine")


def test_what_a_bundle_cannot_tell_is_refused(tmp_path):
    data = image_folder.load(paint(tmp_path), 8)
    with pytest.raises(DataError, match="holds characters that no text needs"):
        check_dataset(data, "a\x1bb")
    many = replace(data, skipped=tuple((f"{i}.txt", "no picture") for i in range(9000)))
    table = dataset_table(many, False)
    assert (len(table["skipped"]), table["skipped_in_all"]) == (2000, 9000)
    check_dataset(many, "mine")
    with pytest.raises(DataError, match="longer than a bundle can tell"):
        check_dataset(replace(many, skipped=(("x" * 5_000_000, ""),)), "mine")


def splits_of(data):
    rows = np.arange(len(data))
    return Splits(rows[:0], rows[1:3], rows[:0], rows[:0], rows[3:], rows[:0])


def test_pictures_that_are_all_the_same_are_refused(tmp_path):
    data = image_folder.load(paint(tmp_path), 8)
    check_trainable(data, splits_of(data), "mine")
    black = replace(data, images=np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DataError, match="all 4 pictures are the same, pixel for pixel"):
        check_trainable(black, splits_of(black), "mine")
    black.images[3] = 9
    with pytest.raises(DataError, match=r"the 2 public pictures .* are all the same"):
        check_trainable(black, splits_of(black), "mine")


def test_keys_that_say_nothing_are_refused_before_anything_is_trained_on_them():
    check_keys(torch.nn.functional.normalize(torch.ones(3, 4), dim=1), "private")
    for odd in (0.0, float("nan"), 0.5):
        with pytest.raises(TrainingError, match="finds nothing in 1 of 3 private pictures"):
            check_keys(torch.tensor([[1.0, 0.0], [0.0, odd], [0.0, 1.0]]), "private")
