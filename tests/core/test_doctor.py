"""`munkey doctor`: what it finds, what it says of it, and that nothing makes it fall over."""

import json
import os
import re
import shutil
import socket
from pathlib import Path

import picture_trees as trees
import pytest
import tiny

from munkey_core.bundle.write import write_bundle
from munkey_core.cli import doctor as module
from munkey_core.cli import main
from munkey_core.studio import Studio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_bundle(tiny.random_bundle(private=12, test=30), home / "bundles" / "tiny")
    return home


@pytest.fixture(autouse=True)
def quiet(home, tmp_path, monkeypatch):
    """No setting but a bundle and a cache of this test's own, and plenty of room."""
    for name in [name for name in os.environ if name.startswith("MUNKEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MUNKEY_BUNDLES", str(home / "bundles"))
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "free_memory", lambda: 8 * 10**9)
    monkeypatch.setattr(module, "free_disk", lambda folder: 8 * 10**9)
    monkeypatch.setattr(module, "_SLOW_MS", 1e6)


@pytest.fixture
def free():
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture
def doctor(capsys, free):
    """Exit code, findings by check, and the whole document."""

    def run(*argv):
        argv = argv if "--port" in argv else (*argv, "--port", free)
        code = main(["doctor", *map(str, argv), "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        document = json.loads(out)
        checks = {}
        for one in document["checks"]:
            checks.setdefault(one["check"], []).append(one)
        assert document["ok"] == (code == 0)
        return code, checks, document

    return run


def says(checks, name, state):
    return [one["says"] for one in checks[name] if one["state"] == state]


def test_where_all_is_well_it_says_so_and_writes_nothing_into_the_bundle(doctor, home):
    folder = home / "bundles" / "tiny"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, checks, document = doctor("tiny")
    assert code == 0, document
    assert list(document) == ["ok", "bundle", "port", "checks"]
    assert [list(one) for one in document["checks"]] == [["check", "state", "says", "facts"]] * len(
        document["checks"]
    )
    assert list(checks) == [
        *("versions", "device", "machine", "cache", "settings", "bundles", "port", "bundle"),
        *("pictures", "prediction", "deletion", "retraining"),
    ]
    assert {one["state"] for one in document["checks"]} <= {"ok", "note"}
    assert set(checks["versions"][0]["facts"]) == {
        *("munkey", "Python", "torch", "torchvision", "streamlit")
    }
    assert "tiny" in checks["bundles"][0]["facts"]["names"]
    assert checks["bundle"][0]["facts"]["digest"] == Studio.open("tiny").about.digest
    assert checks["prediction"][0]["facts"]["milliseconds"] > 0
    assert checks["deletion"][0]["facts"]["undo_milliseconds"] >= 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_for_people_it_is_a_line_a_finding_and_what_would_fail(capsys, free, monkeypatch):
    assert main(["doctor", "tiny", "--port", free]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "nothing would fail"
    assert all(re.match(r"(ok|note)  ?  ?\S", line) for line in lines[:-1])
    assert main(["doctor", "nobody", "--port", free]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "would fail: bundle"
    assert any(line.startswith("fails  no bundle 'nobody'") for line in lines)


def test_a_port_that_is_taken_is_named(doctor):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, checks, document = doctor("tiny", "--port", port)
    assert code == 1
    assert says(checks, "port", "fails") == [
        f"port {port} is taken: another munkey app? use --port"
    ]
    assert document["port"] == port
    assert "prediction" in checks  # the others went on


def test_a_port_that_is_none_is_bad_input(capsys):
    assert main(["doctor", "tiny", "--port", "0"]) == 2
    assert capsys.readouterr().err.startswith("munkey: --port must be between 1 and 65535, got 0")


def test_a_broken_bundle_fails_if_it_is_to_be_shown_and_is_a_note_otherwise(
    doctor, home, tmp_path, monkeypatch
):
    shutil.copytree(home / "bundles" / "tiny", tmp_path / "more" / "bad")
    (tmp_path / "more" / "bad" / "manifest.json").write_text("{}")
    places = os.pathsep.join([str(home / "bundles"), str(tmp_path / "more")])
    monkeypatch.setenv("MUNKEY_BUNDLES", places)
    code, checks, _ = doctor("tiny")
    assert code == 0
    [note] = says(checks, "bundles", "note")
    assert note.startswith(str(tmp_path / "more" / "bad"))
    assert "format_version must be 1" in note
    code, checks, _ = doctor("bad")
    assert code == 1
    assert "format_version must be 1" in says(checks, "bundle", "fails")[0]
    assert "deletion" not in checks


def test_one_spoiled_byte_is_found(doctor, home, tmp_path):
    copy = shutil.copytree(home / "bundles" / "tiny", tmp_path / "copy")
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    code, checks, _ = doctor(copy)
    assert code == 1
    assert "model.safetensors is damaged" in says(checks, "bundle", "fails")[0]


def test_without_a_name_it_is_about_the_bundle_that_the_app_opens_first(doctor, home, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLE", str(home / "bundles" / "tiny"))
    code, checks, document = doctor()
    assert (code, document["bundle"]) == (0, str(home / "bundles" / "tiny"))
    assert "bundle tiny: 12 keys" in checks["bundle"][0]["says"]


def test_a_bundle_without_its_pictures_would_fail_and_is_fine_with_them(doctor, tmp_path):
    names, images = trees.cifar_bundle(tmp_path / "mine")
    code, checks, _ = doctor(tmp_path / "mine")
    assert code == 1
    assert "carries no pictures" in says(checks, "pictures", "fails")[0]
    assert "prediction" not in checks
    assert checks["deletion"][0]["state"] == "ok"
    tree = trees.write_tree(tmp_path / "tree", names, images)
    code, checks, _ = doctor(tmp_path / "mine", "--images", tree)
    assert code == 0
    assert checks["pictures"][0]["facts"] == {"state": "found", "place": str(tree)}
    assert checks["prediction"][0]["state"] == "ok"


def test_little_room_and_slow_answers_are_said(doctor, monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 10**9)
    monkeypatch.setattr(module, "free_disk", lambda folder: 10**9)
    monkeypatch.setattr(module, "_SLOW_MS", 0)
    code, checks, _ = doctor("tiny")
    assert code == 0
    assert "less than 2 GB of memory free" in says(checks, "machine", "note")[0]
    assert "less than 2 GB free on the disk" in says(checks, "cache", "note")[0]
    assert "slow" in says(checks, "prediction", "note")[0]


def test_a_cache_that_cannot_be_written_fails(doctor, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "file"))
    code, checks, _ = doctor("tiny")
    assert code == 1
    assert "$MUNKEY_CACHE must name a folder" in says(checks, "cache", "fails")[0]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("MUNKEY_DEMO", "1", "demo mode: nothing can be erased"),
        ("MUNKEY_CASHE", "here", "$MUNKEY_CASHE is no setting: $MUNKEY_CACHE?"),
        ("MUNKEY_BACKGROUND", "0", "$MUNKEY_BACKGROUND is no setting"),
        ("MUNKEY_JOBS", "many", "$MUNKEY_JOBS should be a whole number"),
        ("MUNKEY_LESSONS", "/no/lessons", "$MUNKEY_LESSONS names /no/lessons"),
        ("MUNKEY_IMAGES", "other=/no/images", "$MUNKEY_IMAGES names /no/images"),
    ],
)
def test_odd_settings_are_notes(doctor, monkeypatch, name, value, wanted):
    monkeypatch.setenv(name, value)
    # What a background job does is not to be done to the tests' own process.
    monkeypatch.setattr("munkey_core.cli._stay_in_the_background", lambda: None)
    code, checks, _ = doctor("tiny")
    assert code == 0
    assert any(note.startswith(wanted) for note in says(checks, "settings", "note"))
    assert checks["settings"][0]["facts"][name] == value


def test_a_limit_that_is_no_number_fails(doctor, monkeypatch):
    monkeypatch.setenv("MUNKEY_MAX_JOBS", "none")
    code, checks, _ = doctor("tiny")
    assert code == 1
    assert "$MUNKEY_MAX_JOBS must be a whole number" in says(checks, "settings", "fails")[0]


def test_a_check_that_breaks_is_a_line_and_the_others_go_on(doctor, monkeypatch):
    def device(stage):
        yield module.OK, "so far", {}
        raise RuntimeError("driver\ntoo old")

    monkeypatch.setattr(module, "CHECKS", (device, *module.CHECKS[2:]))
    monkeypatch.setattr(Studio, "forget", lambda self, ids: 1 / 0)
    code, checks, _ = doctor("tiny")
    assert code == 1
    assert says(checks, "device", "ok") == ["so far"]
    assert says(checks, "device", "fails") == ["RuntimeError: driver too old"]
    assert says(checks, "deletion", "fails") == ["ZeroDivisionError: division by zero"]
    assert checks["prediction"][0]["state"] == "ok"


def test_a_program_that_is_not_installed_is_named(doctor, monkeypatch):
    def version(name):
        if name == "streamlit":
            raise module.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(module, "version", version)
    code, checks, _ = doctor("tiny")
    assert code == 1
    assert says(checks, "versions", "fails") == [
        "streamlit is not installed: pip install streamlit"
    ]


def test_it_knows_every_setting_that_the_program_reads():
    files = [*(ROOT / "munkey_core").rglob("*.py"), *(ROOT / "app").rglob("*.py")]
    texts = "\n".join(path.read_text(encoding="utf-8") for path in files)
    read = set(re.findall(r"[\"'$](MUNKEY_[A-Z_]*[A-Z])\b", texts))
    read |= set(
        re.findall(r"^\| `(MUNKEY_\w+)` \|", (ROOT / "tutorials" / "COMMANDS.md").read_text(), re.M)
    )
    assert len(read) > 20
    assert read - set(module.SETTINGS) == {"MUNKEY_BACKGROUND"}  # for the app's own jobs
