"""The door of own data: what may be chosen, what an upload becomes, what is said first."""

import io
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from painted import break_files, paint_folder

from munkey_core.bundle.find import find_bundles
from munkey_core.bundle.write import write_bundle
from munkey_core.data import image_folder, load_dataset
from munkey_core.errors import BadInputError, DataError
from munkey_core.jobs import own_data
from munkey_core.jobs.job import training_job
from munkey_core.jobs.offer import TrainingOffer
from munkey_core.jobs.queue import JobQueue
from munkey_core.progress import Progress, drive
from tests.waiting import until

ENDLESS = "tail -f /dev/null"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A server of its own: cache, bundles and one data folder with a folder of pictures in it."""
    for name in ("cache", "bundles", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MUNKEY_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.setenv("MUNKEY_DATA_FOLDERS", str(tmp_path / "data"))
    paint_folder(tmp_path / "data" / "digits", [24, 24, 24], size=(16, 16))
    return tmp_path


@pytest.fixture
def queue(home, monkeypatch):
    """The server's queue, whose jobs write what `munkey train` would, or wait to be cancelled."""
    made = []

    def use(script):
        one = JobQueue(command=lambda job, ids: ["sh", "-c", script, "sh", str(job.folder)])
        made.append(one)
        monkeypatch.setattr(own_data, "machine_queue", lambda: one)
        return one

    yield use
    for one in made:
        one.close()


def offer_of(source, name="mine"):
    steps = []
    found = drive(own_data.offer(source, name), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    return found


def a_source():
    return next(source for source in own_data.list_sources() if source.endswith("digits"))


def made_up(source, name="mine", **changes):
    """An offer without its seconds of timing."""
    plain = TrainingOffer(
        source=source, name=name, title="t", images=72, classes=(("a", 36), ("b", 36)),
        image_size=16, grey=True, owners=None, skipped=(), parts={"private": 30}, encoder="conv",
        seconds=10.0, memory_bytes=1, disk_bytes=1, warnings=(), stages=(("training", 10.0),),
    )  # fmt: skip
    return replace(plain, **changes)


# -- what may be chosen --------------------------------------------------------------------------


def test_sources_are_folders_of_classes_and_archives_and_nothing_else(home):
    data = home / "data"
    np.savez(data / "cells.npz", x=np.zeros(1))
    (data / "pets.zip").write_bytes(b"")
    (data / "notes.txt").write_text("no source")
    (data / "one-class" / "only").mkdir(parents=True)
    (data / ".hidden").mkdir()
    (home / "elsewhere").mkdir()
    paint_folder(home / "elsewhere" / "secret", [2, 2])
    (data / "link").symlink_to(home / "elsewhere" / "secret")
    names = [Path(source).name for source in own_data.list_sources()]
    assert names == ["cells.npz", "digits", "pets.zip"]


def test_a_data_folder_may_be_the_folder_of_images_itself(home, monkeypatch):
    monkeypatch.setenv("MUNKEY_DATA_FOLDERS", f"{home / 'data' / 'digits'}{os.pathsep}nowhere")
    assert own_data.list_sources() == (str(home / "data" / "digits"),)


def test_the_app_trains_on_nothing_that_was_not_named(home):
    paint_folder(home / "secret", [30, 30])
    for source in (str(home / "secret"), f"{home}/data/../secret", "digits", ""):
        with pytest.raises(BadInputError, match="is none of the images that may be chosen"):
            next(own_data.offer(source, "mine"))
        with pytest.raises(BadInputError, match="is none of the images that may be chosen"):
            own_data.start_training(made_up(source), "me")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 41, "a b", "-x", "ü"])
def test_names_that_are_no_folder_are_refused(name):
    with pytest.raises(BadInputError, match="a bundle's name must be"):
        next(own_data.offer(a_source(), name))
    with pytest.raises(BadInputError, match="a bundle's name must be"):
        own_data.bundle_ready(name)


def test_a_name_that_is_taken_is_refused_and_the_bundle_is_found(home):
    write_bundle(tiny.random_bundle(), own_data.own_folder() / "mine")
    assert own_data.bundle_ready("mine")
    assert not own_data.bundle_ready("other")
    with pytest.raises(BadInputError, match="there is a bundle 'mine' already"):
        next(own_data.offer(a_source(), "mine"))


def test_own_bundles_lie_in_the_cache_where_no_folder_is_named(home, monkeypatch):
    monkeypatch.delenv("MUNKEY_BUNDLES")
    monkeypatch.chdir(home)
    assert own_data.own_folder() == home / "cache" / "bundles"
    write_bundle(tiny.random_bundle(), own_data.own_folder() / "mine")
    assert own_data.own_folder() / "mine" in find_bundles()


# -- uploads -------------------------------------------------------------------------------------


def zipped(folder, prefix=""):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    stream.seek(0)
    return stream


def test_an_uploaded_zip_becomes_a_source_once(home):
    stream = zipped(home / "data" / "digits", "my pictures/")
    source = own_data.keep_upload("C:\\Users\\me\\My pictures!.zip", stream)
    assert Path(source).name.startswith("My-pictures-")
    assert source in own_data.list_sources()
    assert len(load_dataset(source)) == 72
    stream.seek(0)
    assert own_data.keep_upload("My pictures!.zip", stream) == source
    assert len(own_data.list_sources()) == 2


def test_an_uploaded_npz_is_kept_as_it_is(home):
    stream = io.BytesIO()
    arrays = {}
    for part, n in (("train", 60), ("val", 10), ("test", 20)):
        arrays[f"{part}_images"] = np.zeros((n, 8, 8), np.uint8)
        arrays[f"{part}_labels"] = np.arange(n)[:, None] % 3
    np.savez(stream, **arrays)
    stream.seek(0)
    source = own_data.keep_upload("../../cells.npz", stream)
    assert Path(source).parent == home / "cache" / "uploads"
    assert Path(source).read_bytes() == stream.getvalue()
    assert len(load_dataset(source)) == 90


@pytest.mark.parametrize("name", ["pets.rar", "pets", "pets.zip.exe", "/", ""])
def test_other_kinds_of_files_are_refused(name):
    with pytest.raises(BadInputError, match=r"wanted a .zip or .npz file"):
        own_data.keep_upload(name, io.BytesIO(b"x"))


def test_a_bad_upload_leaves_nothing_behind(home, monkeypatch):
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../../evil.png", b"x")
    for name, stream in (("evil.zip", evil), ("evil.npz", evil), ("no.npz", io.BytesIO(b"x"))):
        stream.seek(0)
        with pytest.raises(DataError):
            own_data.keep_upload(name, stream)
    monkeypatch.setenv("MUNKEY_ZIP_BYTES", "1000")
    with pytest.raises(DataError, match="at most 1,000 bytes"):
        own_data.keep_upload("large.zip", io.BytesIO(bytes(2000)))
    assert list((home / "cache" / "uploads").iterdir()) == []
    assert not list(home.rglob("evil*"))


@pytest.mark.parametrize(
    ("change", "classes"),
    [
        (lambda name: name, 3),
        (lambda name: f"pictures/{name}", 3),
        (lambda name: name.replace("/", "/2020/"), 3),
        (lambda name: name.replace(".png", ".jfif"), 3),
        (lambda name: name.replace(".png", ""), 3),
        (lambda name: f"{'Training' if '/00' in name else 'Testing'}/{name}", 3),
    ],
    ids=["plain", "readme", "nested", "jfif", "no ending", "parts"],
)
def test_an_upload_is_taken_by_the_rule_of_the_command_line(home, change, classes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("README.md", "x")
        for path in sorted((home / "data" / "digits").rglob("*.png")):
            name = path.relative_to(home / "data" / "digits").as_posix()
            archive.write(path, change(name))
    stream.seek(0)
    source = own_data.keep_upload("mine.zip", stream)
    assert source in own_data.list_sources()
    assert len(load_dataset(source).classes) == classes


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda name: name.replace("/", "-"), "got 0 with 72 files skipped.* outside the class"),
        (lambda name: f"cats/{name.replace('/', '-')}", "got 1 with 0 files skipped"),
        (lambda name: name.replace(".png", ".txt/a.txt"), "got 0 with"),
    ],
    ids=["flat", "one class", "texts"],
)
def test_an_upload_is_refused_with_the_command_lines_reason_and_not_kept(home, change, got):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted((home / "data" / "digits").rglob("*.png")):
            name = change(path.relative_to(home / "data" / "digits").as_posix())
            archive.writestr(name, "x" if name.endswith("txt") else path.read_bytes())
    stream.seek(0)
    with pytest.raises(DataError, match=rf"^mine.zip: wanted one sub-folder a class.*{got}"):
        own_data.keep_upload("mine.zip", stream)
    assert list((home / "cache" / "uploads").iterdir()) == []
    (home / "mine.zip").write_bytes(stream.getvalue())
    where = re.escape(str(home / "mine.zip"))  # and no folder that it was unpacked to meanwhile
    with pytest.raises(DataError, match=rf"^{where}: wanted one sub-folder a class.*{got}"):
        load_dataset(str(home / "mine.zip"))


def test_a_folder_that_was_named_is_refused_for_what_is_wrong_with_it(home):
    paint_folder(home / "data" / "one", [70], size=(16, 16))
    with pytest.raises(DataError, match="one: wanted one sub-folder a class"):
        offer_of(str(home / "data" / "one"))


# -- the offer -----------------------------------------------------------------------------------


def test_the_offer_says_what_would_be_made_and_how_long_it_takes(home):
    broken = break_files(home / "data" / "digits")
    found = offer_of(a_source())
    assert found.images == sum(found.parts.values()) == 72
    assert found.classes == (("kind-00", 24), ("kind-01", 24), ("kind-02", 24))
    assert (found.grey, found.image_size, found.encoder, found.owners) == (True, 16, "conv", None)
    assert {name for name, _ in found.skipped} == broken | {"kind-00/folder.jpg/page.html"}
    assert found.seconds == pytest.approx(sum(seconds for _, seconds in found.stages))
    assert dict(found.stages)["training"] > 0
    assert found.memory_bytes > 1e8
    assert found.problem == ""
    assert any("test images" in warning for warning in found.warnings)
    assert list((home / "bundles").iterdir()) == []


def test_small_and_uneven_classes_and_owners_get_a_sentence_each(home):
    folder = paint_folder(home / "data" / "uneven", [250, 8, 4, 1], size=(16, 16))
    owned = [f"kind-00/{i:03d}.png,ann" for i in range(240)]
    (folder / "owners.csv").write_text("file,owner\n" + "\n".join(owned))
    found = offer_of(str(folder))
    text = "\n".join(found.warnings)
    assert "'kind-03' has no image to test with" in text
    assert "'kind-02', 'kind-03' have fewer than 5 images" in text
    assert "'kind-00' has 250 images" in text
    assert "images of 1 owners are public" in text
    assert found.owners == 1


def test_too_few_images_are_an_error_and_too_little_memory_is_a_problem(home, monkeypatch):
    few = paint_folder(home / "data" / "few", [20, 20], size=(16, 16))
    with pytest.raises(BadInputError, match="wanted 60 images to split, got 40"):
        offer_of(str(few))
    monkeypatch.setattr("munkey_core.jobs.offer.free_memory", lambda: 1000)
    found = offer_of(a_source())
    assert "of memory and 1 kB are free" in found.problem
    with pytest.raises(BadInputError, match="of memory"):
        own_data.start_training(found, "me")
    monkeypatch.setattr("munkey_core.jobs.offer.free_memory", lambda: None)
    monkeypatch.setattr("munkey_core.jobs.offer.free_disk", lambda folder: 1000)
    assert "of disk and 1 kB are free" in offer_of(a_source()).problem


def test_images_that_do_not_fit_are_refused_before_they_are_read(home, monkeypatch):
    monkeypatch.setattr("munkey_core.data.image_folder.free_memory", lambda: 1000)
    with pytest.raises(DataError, match=r"72 images of 16 × 16 pixels take 55\.3 kB"):
        image_folder.load(home / "data" / "digits")


# -- the job -------------------------------------------------------------------------------------


def test_a_training_is_found_by_its_name_until_its_bundle_is_there(home, queue):
    ready = home / "ready"
    write_bundle(tiny.random_bundle(), ready)
    one = queue(f'cp -r "{ready}" "$1"')
    source = a_source()
    assert own_data.training_status("mine") is None
    own_data.start_training(made_up(source), "me")
    until(lambda: not own_data.training_status("mine", "me").active)
    status = own_data.training_status("mine", "me")
    assert (status.kind, status.state, status.reason, status.mine) == ("train", "done", "", True)
    assert own_data.bundle_ready("mine")
    with pytest.raises(BadInputError, match="already"):
        own_data.start_training(made_up(source), "you")
    assert one.status(training_job(source, own_data.own_folder() / "mine")) is not None


def test_cancelling_removes_what_was_half_done(home, queue):
    queue('mkdir -p "$1.making" && touch "$1.making/half" && ' + ENDLESS)
    own_data.start_training(made_up(a_source()), "me")
    making = own_data.own_folder() / "mine.making"
    until((making / "half").exists)
    own_data.cancel_training("mine", "somebody else")
    assert own_data.training_status("mine").state == "running"
    own_data.cancel_training("mine", "me")
    until(lambda: not making.exists())
    assert own_data.training_status("mine").state == "cancelled"
    assert not own_data.bundle_ready("mine")


def test_one_name_is_one_training_whoever_comes_first(home, queue):
    queue(ENDLESS)
    other = home / "data" / "other"
    shutil.copytree(home / "data" / "digits", other)
    own_data.start_training(made_up(a_source()), "me")
    own_data.start_training(made_up(a_source()), "you")  # the same wish is shared
    assert own_data.training_status("mine", "me").others == 1
    with pytest.raises(BadInputError, match="is being trained already"):
        own_data.start_training(made_up(str(other)), "you")
    with pytest.raises(BadInputError, match="is being trained already"):
        next(own_data.offer(str(other), "mine"))
    own_data.start_training(made_up(str(other), "second"), "you")
    assert own_data.training_status("second", "you").state == "queued"
    assert own_data.training_status("second", "you").ahead == 1


def test_a_training_takes_up_its_estimate(home, queue):
    queue(ENDLESS)
    own_data.start_training(made_up(a_source()), "me")
    until(lambda: own_data.training_status("mine").state == "running")
    left = own_data.training_status("mine").progress.remaining_seconds
    assert left is not None
    assert 1 <= left <= 10
