"""What the app took in or made can be listed and deleted for good, and nothing else can."""

import io
import zipfile
from pathlib import Path

import erasable
import pytest
import tiny
from painted import paint_folder

from munkey_core.bundle.write import write_bundle
from munkey_core.errors import BadInputError, DataError, ReadOnlyError
from munkey_core.files import durable
from munkey_core.jobs import kept, own_data
from munkey_core.jobs.job import making_folder, training_job
from munkey_core.jobs.queue import JobQueue


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("cache", "bundles", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MUNKEY_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.setenv("MUNKEY_DATA_FOLDERS", str(tmp_path / "data"))
    return tmp_path


def zipped(folder):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    stream.seek(0)
    return stream


@pytest.fixture
def upload(home):
    """The name of an upload as the list has it."""
    source = own_data.keep_upload("faces.zip", zipped(paint_folder(home / "mine", [3, 3])))
    return f"upload/{Path(source).name}"


@pytest.fixture
def model(home):
    """The name of a model that the app has made; one beside it was there before."""
    erasable.make(home / "bundles" / "mine")
    write_bundle(tiny.random_bundle(), home / "bundles" / "older")
    kept.note_model(home / "bundles" / "mine")
    return "model/mine"


def names():
    return [one.name for one in kept.list_kept()]


def wiped(monkeypatch):
    """Files that are overwritten from now on, with what was in them."""
    found = {}
    real = durable._overwrite

    def note(path, kind):
        real(path, kind)
        found[path.name] = path.read_bytes()

    monkeypatch.setattr(durable, "_overwrite", note)
    return found


def test_an_upload_is_listed_and_deleted_with_every_byte_overwritten(home, upload, monkeypatch):
    [one] = [one for one in kept.list_kept() if one.kind == kept.UPLOAD]
    assert (one.name, one.files, one.in_use) == (upload, 6, "")
    assert one.bytes == sum(p.stat().st_size for p in Path(one.path).rglob("*.png"))
    assert one.path in own_data.list_sources()
    overwritten = wiped(monkeypatch)
    assert kept.delete_kept(upload) == 6
    assert len(overwritten) == 3  # two classes have files of the same names
    assert not any(any(data) for data in overwritten.values())
    assert list((home / "cache" / "uploads").iterdir()) == []
    assert one.path not in own_data.list_sources()
    with pytest.raises(BadInputError, match="nothing named"):
        kept.delete_kept(upload)


def test_a_model_goes_with_what_was_kept_of_it_and_no_other_does(home, model):
    folder = home / "bundles" / "mine"
    erasable.fill_cache(kept.read_bundle(folder))
    assert any((home / "cache" / "runs").iterdir())
    assert [one.name for one in kept.list_kept() if one.kind == kept.MODEL] == [model]
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    assert kept.delete_kept(model) > files  # the cache's files among them
    assert not folder.exists()
    assert not making_folder(folder).exists()
    assert not own_data.bundle_ready("mine")
    assert own_data.bundle_ready("older")
    assert not any((home / "cache" / "runs").iterdir())
    assert model not in names()


def test_a_damaged_model_can_be_deleted(home, model):
    (home / "bundles" / "mine" / "bank.safetensors").write_bytes(b"no tensors")
    assert kept.delete_kept(model) > 0
    assert not (home / "bundles" / "mine").exists()
    assert model not in names()


def test_only_what_is_asked_for_is_looked_at(home, upload, model, monkeypatch):
    erasable.fill_cache(kept.read_bundle(home / "bundles" / "mine"))
    looked = []
    real = kept._kept
    monkeypatch.setattr(kept, "_kept", lambda *what: looked.append(what[0]) or real(*what))
    found = [one.name for one in kept.list_kept((kept.UPLOAD, kept.MODEL))]
    assert found == [upload, model]
    assert kept.CACHE not in looked


def test_a_deletion_that_was_interrupted_is_seen_and_finished(home, model, monkeypatch):
    real = durable.wipe

    def fails(path, overwrite=True):
        if path == making_folder(home / "bundles" / "mine") and path.exists():
            raise OSError(5, "Input/output error")
        return real(path, overwrite)

    monkeypatch.setattr(durable, "wipe", fails)
    with pytest.raises(kept.BundleError, match="run the same command again"):
        kept.delete_kept(model)
    monkeypatch.setattr(durable, "wipe", real)
    assert not own_data.bundle_ready("mine")
    assert model in names()
    assert kept.delete_kept(model) > 0
    assert model not in names()


def test_what_the_app_did_not_make_is_no_ones_to_delete(home, model):
    for name in ("model/older", "older", "upload/../bundles/older", "cache/uploads", "cache/made"):
        with pytest.raises(BadInputError, match="nothing named"):
            kept.delete_kept(name)
    assert own_data.bundle_ready("older")


def test_the_cache_can_be_emptied_folder_by_folder(home, model):
    erasable.fill_cache(kept.read_bundle(home / "bundles" / "mine"))
    assert "cache/runs" in names()
    assert kept.delete_kept("cache/runs") > 0
    assert not (home / "cache" / "runs").exists()
    assert own_data.bundle_ready("mine")


def test_what_a_job_needs_stays_until_it_has_ended(home, upload, model, monkeypatch):
    queue = JobQueue(command=lambda job, ids: ["tail", "-f", "/dev/null"])
    monkeypatch.setattr(kept, "machine_queue", lambda: queue)
    try:
        source = str(home / "cache" / "uploads" / upload.partition("/")[2])
        queue.submit(training_job(source, home / "bundles" / "mine"), "me")
        for name in (upload, model):
            with pytest.raises(BadInputError, match="can't be deleted now"):
                kept.delete_kept(name)
    finally:
        queue.close()
    assert kept.delete_kept(upload) == 6


def test_a_demonstration_deletes_nothing(home, upload, monkeypatch):
    monkeypatch.setenv("MUNKEY_DEMO", "1")
    with pytest.raises(ReadOnlyError):
        kept.delete_kept(upload)
    assert upload in names()


@pytest.mark.parametrize(
    "files",
    [
        {"a.png": b"x"},
        {"notes.txt": b"x", "deep/er/notes.txt": b"x"},
        {"only/readme.md": b"x"},
    ],
)
def test_an_upload_that_nothing_can_be_trained_on_leaves_nothing(home, files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    stream.seek(0)
    with pytest.raises(DataError, match="wanted one sub-folder a class"):
        own_data.keep_upload("x.zip", stream)
    assert list((home / "cache" / "uploads").iterdir()) == []


def test_the_command_lists_asks_and_deletes(munkey, home, upload, model):
    code, said, _ = munkey("kept")
    assert code == 0
    assert {one["name"] for one in said["kept"]} >= {upload, model}
    assert munkey("kept", "--delete", upload)[1]["deleted"] == []
    assert upload in names()
    code, said, _ = munkey("kept", "--delete", upload, "--delete", model, "--yes")
    assert [one["name"] for one in said["deleted"]] == [upload, model]
    assert not {upload, model} & set(names())
    code, said, err = munkey("kept", "--delete", upload)
    assert (code, said) == (2, None)
    assert "nothing named" in err
    code, _, err = munkey("kept", "--yes")
    assert code == 2
    assert "--delete" in err
    assert [path.name for path in (home / "bundles").iterdir() if path.is_dir()] == ["older"]
