"""One variable moves each limit, and every refusal names it; a demonstration is read-only."""

import io

import pytest
import tiny
from PIL import Image

from munkey_core.bundle.forget_sets import parse_id_csv, select_ids
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.data import image_folder
from munkey_core.data.images import decode_image
from munkey_core.errors import BadInputError, DataError, MunkeyError, ReadOnlyError
from munkey_core.files import limits
from munkey_core.jobs import own_data
from munkey_core.jobs.job import Job
from munkey_core.jobs.queue import JobQueue
from munkey_core.progress import finish
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.answers import Outputs
from munkey_core.training.runs import Runs

NAMES = tuple(limits.Limits.__dataclass_fields__)


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_has_a_variable_of_its_own(name, monkeypatch):
    monkeypatch.setenv(limits.variable(name), "7")
    assert getattr(limits.limits(), name) == 7
    assert limits.at_most(name, "things") == f"at most 7 things (${limits.variable(name)})"
    others = [other for other in NAMES if other != name]
    usual = limits.Limits()
    assert all(getattr(limits.limits(), o) == getattr(usual, o) for o in others)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "1_000", "٣", "9" * 40])
def test_a_limit_that_is_no_number_is_refused_by_name(wrong, monkeypatch):
    monkeypatch.setenv("MUNKEY_MAX_CSV_ROWS", wrong)
    with pytest.raises(BadInputError, match=r"^\$MUNKEY_MAX_CSV_ROWS must be a whole number"):
        limits.limits()


def test_the_app_does_not_start_with_a_wrong_limit(monkeypatch, capsys):
    monkeypatch.setenv("MUNKEY_MAX_JOBS", "none")
    assert main(["app", "--port", "1"]) == 2
    assert "$MUNKEY_MAX_JOBS must be a whole number" in capsys.readouterr().err


def png(width, height):
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "act"),
    [
        ("picture_bytes", 20, lambda: decode_image(png(9, 9), 8)),
        ("picture_pixels", 80, lambda: decode_image(png(9, 9), 8)),
        ("csv_bytes", 5, lambda: parse_id_csv(b"id\nimg-00\n", "a.csv")),
        ("csv_rows", 2, lambda: parse_id_csv(b"id\na\nb\n", "a.csv")),
        ("ids", 1, lambda: parse_id_csv(b"id\na\nb\n", "a.csv")),
        ("ids", 1, lambda: select_ids("a,b", [])),
        ("upload_bytes", 10, lambda: own_data.keep_upload("a.zip", io.BytesIO(bytes(11)))),
        ("kept_bytes", 1, lambda: own_data.keep_upload("a.zip", io.BytesIO(b"x"))),
        ("zip_bytes", 10, lambda: own_data.keep_upload("a.zip", io.BytesIO(bytes(11)))),
    ],
)
def test_a_limit_is_kept_and_named(name, value, act, tmp_path, monkeypatch):
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "earlier.npz").write_bytes(b"xx")
    monkeypatch.setenv(limits.variable(name), str(value))
    with pytest.raises(MunkeyError) as refused:
        act()
    assert f"${limits.variable(name)}" in str(refused.value)


def test_a_folder_of_too_many_images_is_refused(tmp_path, monkeypatch):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.png").write_bytes(png(20, 20))
    assert len(image_folder.load(tmp_path)) == 2
    monkeypatch.setenv("MUNKEY_MAX_OWN_IMAGES", "1")
    with pytest.raises(DataError, match=r"at most 1 images \(\$MUNKEY_MAX_OWN_IMAGES\), got 2"):
        image_folder.load(tmp_path)


def test_a_bundle_of_too_many_rows_or_bytes_is_refused(tmp_path, monkeypatch):
    write_bundle(tiny.random_bundle(), tmp_path / "tiny")
    monkeypatch.setenv("MUNKEY_MAX_BUNDLE_ROWS", "26")
    with pytest.raises(MunkeyError, match="MUNKEY_MAX_BUNDLE_ROWS"):
        read_bundle(tmp_path / "tiny")
    monkeypatch.setenv("MUNKEY_MAX_BUNDLE_BYTES", "100")
    with pytest.raises(MunkeyError, match="MUNKEY_MAX_BUNDLE_BYTES"):
        read_bundle(tmp_path / "tiny")


# -- the demonstration -------------------------------------------------------------------------


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setenv(limits.DEMO, "1")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", False), ("0", False), ("no", False), (" False ", False), ("1", True), ("yes", True)],
)
def test_only_a_clear_no_makes_it_no_demonstration(text, wanted, monkeypatch):
    monkeypatch.setenv(limits.DEMO, text)
    assert limits.demo() is wanted


@pytest.fixture
def folder(tmp_path):
    write_bundle(tiny.random_bundle(), tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_demonstration_takes_nothing_in_and_trains_nothing(
    demo, folder, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("MUNKEY_DATA_FOLDERS", str(tmp_path))
    (tmp_path / "data.zip").write_bytes(b"x")
    studio = Studio(SharedModel(read_bundle(folder)))
    queue = JobQueue(command=lambda job, ids: pytest.fail("a job was started"))
    acts = {
        "picture": lambda: studio.pictures.read(png(9, 9)),
        "upload": lambda: own_data.keep_upload("a.zip", io.BytesIO(b"x")),
        "offer": lambda: finish(own_data.offer(str(tmp_path / "data.zip"), "x")),
        "job": lambda: studio.jobs.start("retrain", ["img-00"], "me"),
        "queue": lambda: queue.submit(Job("retrain", folder, tmp_path, ("img-00",), 0), "me"),
    }
    for name, act in acts.items():
        with pytest.raises(ReadOnlyError, match="read-only demonstration"):
            pytest.fail(f"{name} was done: {act()}")
    assert own_data.list_sources() == ()
    assert limits.upload_megabytes() == 0
    assert not list(tmp_path.rglob("cache/uploads/*"))


def test_what_a_demonstration_is_for_works(demo, folder):
    studio = Studio(SharedModel(read_bundle(folder)))
    deletion = studio.forget(["img-00"])
    assert len(studio.changes(deletion)) == 1
    assert studio.undo().ids == ("img-00",)


def outputs_of(folder):
    import torch

    runs = Runs(read_bundle(folder), torch.device("cpu"))
    found = finish(runs.outputs(runs.original("munkey")))
    assert isinstance(found, Outputs)
    return runs.path(runs.original("munkey"))


def test_a_visitor_of_a_demonstration_makes_no_file(demo, folder, cache, monkeypatch):
    assert not outputs_of(folder).exists()
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    monkeypatch.delenv(limits.DEMO)
    assert outputs_of(folder).is_file()  # elsewhere the answers are kept
