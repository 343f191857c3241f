"""One's own folder: every image that can be used is used, and nothing else stops the rest."""

import os

import numpy as np
import pytest
from PIL import Image

from munkey_core.data import image_folder
from munkey_core.errors import BadInputError, DataError


def paint(path, colour="red", size=(20, 14), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    paint(root / "dogs" / "b.png", "blue")
    paint(root / "cats" / "img 1.png", "red")
    paint(root / "cats" / "deep" / "er" / "ä,:@.png", "lime", size=(7, 31))
    return root


def test_classes_ids_and_pixels(folder):
    data = image_folder.load(folder, 8)
    assert data.classes == ("cats", "dogs")
    assert data.ids == ("cats/deep/er/%C3%A4%2C%3A%40.png", "cats/img%201.png", "dogs/b.png")
    assert data.images[:, 4, 4].tolist() == [[0, 255, 0], [255, 0, 0], [0, 0, 255]]
    assert data.labels.tolist() == [0, 0, 1]
    assert not data.is_test.any()
    assert data.owners is None
    assert data.title == "pets"


def test_train_and_test_folders(tmp_path):
    for part, number in (("train", 2), ("val", 1), ("test", 1)):
        for kind in ("cat", "dog"):
            for i in range(number):
                paint(tmp_path / part / kind / f"{i}.png")
    data = image_folder.load(tmp_path, 8)
    assert data.classes == ("cat", "dog")
    held_out = [i for i, is_test in zip(data.ids, data.is_test, strict=True) if is_test]
    assert held_out == ["test/cat/0.png", "test/dog/0.png"]
    assert len(data) == 8


def test_classes_called_train_and_test_are_classes(tmp_path):
    paint(tmp_path / "train" / "1.png")
    paint(tmp_path / "test" / "1.png")
    data = image_folder.load(tmp_path, 8)
    assert data.classes == ("test", "train")
    assert not data.is_test.any()


def test_unusable_files_are_listed_with_the_reason(folder):
    (folder / "cats" / "notes.txt").write_text("hello")
    (folder / "cats" / "cut.png").write_bytes((folder / "dogs" / "b.png").read_bytes()[:40])
    (folder / "cats" / ".DS_Store").write_text("hidden")
    (folder / ".git").mkdir()
    paint(folder / "loose.png")
    os.mkfifo(folder / "dogs" / "pipe.png")
    data = image_folder.load(folder, 8)
    assert len(data) == 3
    skipped = dict(data.skipped)
    assert set(skipped) == {"cats/notes.txt", "cats/cut.png", "dogs/pipe.png", "loose.png"}
    assert skipped["cats/notes.txt"].startswith("wanted a PNG")
    assert skipped["dogs/pipe.png"] == "not a regular file"
    assert skipped["loose.png"] == "lies outside the class folders"


def test_links_may_not_lead_out(folder, tmp_path):
    outside = paint(tmp_path / "secret" / "s.png")
    (folder / "cats" / "out.png").symlink_to(outside)
    (folder / "cats" / "broken.png").symlink_to(folder / "none.png")
    (folder / "secret").symlink_to(outside.parent)
    (folder / "dogs" / "loop").symlink_to(folder)
    (folder / "dogs" / "again.png").symlink_to(folder / "dogs" / "b.png")
    data = image_folder.load(folder, 8)
    assert data.ids[-2:] == ("dogs/again.png", "dogs/b.png")
    assert dict(data.skipped) == {
        "cats/out.png": "a link that leads out of the folder",
        "cats/broken.png": "not a regular file",
        "secret": "a link to a folder",
        "dogs/loop": "a link to a folder",
    }


def test_two_readable_classes_are_needed(tmp_path):
    paint(tmp_path / "cats" / "1.png")
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs" / "1.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"two classes or more, got 1 with 1 files.*dogs/1.png"):
        image_folder.load(tmp_path, 8)
    with pytest.raises(DataError, match="got no folder"):
        image_folder.load(tmp_path / "none", 8)
    with pytest.raises(BadInputError, match="image size"):
        image_folder.load(tmp_path, -1)


def test_names_that_are_not_utf8_still_get_an_id(folder):
    name = os.fsencode(folder / "dogs") + b"/\xff.png"
    with open(name, "wb") as stream:  # noqa: PTH123
        stream.write((folder / "dogs" / "b.png").read_bytes())
    with open(os.fsencode(folder / "dogs") + b"/\xfe.png", "wb") as stream:  # noqa: PTH123
        stream.write(b"no")
    data = image_folder.load(folder, 8)
    assert "dogs/%FF.png" in data.ids
    assert data.skipped[0][0] == "dogs/\N{REPLACEMENT CHARACTER}.png"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_owners(folder, encoding):
    rows = "owner, file\nZoë,dogs/b.png\n\n Max , cats/deep/er/a\u0308,:@.png\n"
    rows = rows.replace("cats/deep/er/a\u0308,:@.png", '"cats/deep/er/a\u0308,:@.png"')
    (folder / "owners.csv").write_text(rows, encoding=encoding)
    data = image_folder.load(folder, 8)
    assert data.owners == ("Max", "", "Zoë")
    assert data.skipped == ()


@pytest.mark.parametrize(
    "table",
    [
        "File,Owner\ndogs/b.png,Zoë\n",
        "sep=;\r\nfile;owner\r\ndogs/b.png;Zoë\r\n",
        "FILE\tOWNER\tnote\ndogs/b.png\tZoë\ta, b; c\n",
        "file,owner\n.\\dogs\\b.png,Zoë\n",
        "file,owner\n./dogs/b.png,Zoë\n",
        "file,owner\ndogs//b.png,Zoe\u0308\n",
        "\n\nfile,owner\ndogs/b.png, Zoë\u200b\u00a0\n",
    ],
)
@pytest.mark.parametrize("name", ["owners.csv", "Owners.CSV"])
def test_owners_as_spreadsheets_write_them(folder, table, name):
    (folder / name).write_text(table, encoding="utf-8", newline="")
    data = image_folder.load(folder, 8)
    assert data.owners == ("", "", "Zoë")
    assert data.skipped == ()


def test_one_owner_in_many_spellings_is_one_owner(folder):
    rows = "dogs/b.png,Ann\u00a0 Lee\ncats/img 1.png,\ufeffAnn\u200b Lee\ndogs/b.png,Ann Lee\n"
    (folder / "owners.csv").write_text("file,owner\n" + rows, encoding="utf-8")
    assert image_folder.load(folder, 8).owners == ("", "Ann Lee", "Ann Lee")


@pytest.mark.parametrize("ids", [("cats/img%201.png", "dogs/b.png")])
def test_owners_may_be_given_by_id(folder, ids):
    rows = "".join(f"{id_},Max\n" for id_ in ids)
    (folder / "owners.csv").write_text("file,owner\n" + rows)
    assert image_folder.load(folder, 8).owners == ("", "Max", "Max")


@pytest.mark.parametrize(
    "name",
    [
        "owners.txt",
        "owners.xlsx",
        "owners.csv.txt",
        "owner.csv",
        "cats/owners.csv",
        "my_owners.csv",
    ],
)
def test_a_table_of_owners_that_is_not_read_is_told_first(folder, name):
    (folder / "a.txt").write_text("before it in order")
    (folder / name).write_text("file,owner\ndogs/b.png,Ann\n")
    data = image_folder.load(folder, 8)
    assert data.owners is None
    assert data.skipped[0][0] == name
    assert "wanted owners.csv at the top of the folder" in data.skipped[0][1]


def test_two_tables_of_owners_are_one_too_many(folder):
    for name in ("owners.csv", "Owners.csv"):
        (folder / name).write_text("file,owner\ndogs/b.png,Ann\n")
    if len(list(folder.glob("[oO]wners.csv"))) == 2:  # where case makes another file
        with pytest.raises(DataError, match="wanted one table of owners"):
            image_folder.load(folder, 8)


def test_owners_may_name_a_file_that_is_skipped(folder):
    (folder / "cats" / "bad.png").write_bytes(b"")
    (folder / "owners.csv").write_text("file,owner\ncats/bad.png,Max\n")
    assert image_folder.load(folder, 8).owners == ("", "", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"line 1: wanted columns file and owner, got \[\]"),
        ("file|owner\na|b\n", "line 1: wanted columns"),
        ("file;owner\na;b\n", "line 2: the folder has no file 'a'"),
        ("file,owner\ndogs/b.png,\u202eMax\n", "turn the direction"),
        ('file,owner\ndogs/b.png,"a\nb"\n', "wanted an owner's name of one line"),
        ("file,owner\ndogs/b.png,Max\ndogs/c.png,Max\n", "line 3: the folder has no file 'dogs/c"),
        ("file,owner\n../secret.png,Max\n", "line 2: the folder has no file"),
        ("file,owner\ndogs/b.png\n", "line 2: wanted an owner"),
        ("file,owner\ndogs/b.png,A\ndogs/b.png,B\n", "line 3: 'dogs/b.png' has two owners"),
        (b"file,owner\n\xff,Max\n", "UTF-8"),
    ],
)
def test_wrong_owner_files_name_the_line(folder, content, message):
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "owners.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        image_folder.load(folder, 8)


def test_any_kind_of_image_is_taken(folder):
    for mode, suffix in (("L", "png"), ("CMYK", "jpg"), ("I;16", "png"), ("RGBA", "webp")):
        paint(folder / "dogs" / f"{mode[0]}.{suffix}", 0, mode=mode)
    data = image_folder.load(folder, 8)
    assert (len(data), data.skipped) == (7, ())
    assert data.images.dtype == np.uint8
