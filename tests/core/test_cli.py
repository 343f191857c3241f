"""The command line: one JSON document on stdout, one line of reason on stderr, the exit code."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from munkey_core.bundle.forget_sets import canonical_sets
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.studio import Studio
from munkey_core.training.recipes import load_recipe
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """
name = "folder"
[split]
public_encoder = 18
public_anchor = 9
calibration = 6
validation = 9
private = 24
test = 12
[encoder]
width = 4
grid = 2
image_size = 8
epochs = 1
batch_size = 8
[model]
dim = 16
layers = 1
heads = 2
[train]
epochs = 1
batch_size = 8
anchor_batch = 4
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of bundles with one tiny bundle in it, and an image and a list of ids beside it."""
    home = tmp_path_factory.mktemp("home")
    write_bundle(tiny.random_bundle(private=12, test=30), home / "bundles" / "tiny")
    Image.fromarray(tiny.random_images(1, seed=4)[0]).save(home / "mine.png")
    (home / "ids.csv").write_text("id\nimg-02\nimg-05\n")
    return home


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of images: three classes of 30, and one file that is no image."""
    folder = tmp_path_factory.mktemp("pictures")
    dataset = tiny.striped_dataset(90)
    for name in dataset.classes:
        (folder / name).mkdir()
    for id_, image, label in zip(dataset.ids, dataset.images, dataset.labels, strict=True):
        Image.fromarray(image).save(folder / dataset.classes[label] / f"{id_}.png")
    (folder / "ant" / "broken.png").write_bytes(b"no image")
    (folder.parent / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(autouse=True)
def at_home(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("MUNKEY_BUNDLES", str(home / "bundles"))


# -- answers -----------------------------------------------------------------------------------


def test_one_damaged_bundle_does_not_hide_the_others(munkey, home, tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    monkeypatch.setenv("MUNKEY_BUNDLES", os.pathsep.join([str(tmp_path), str(home / "bundles")]))
    code, document, _ = munkey("bundles")
    problems = {info["name"]: info["problem"] for info in document}
    assert code == 0
    assert problems["tiny"] == ""
    assert "format_version must be 1" in problems["broken"]


def test_bundles_lists_what_can_be_opened(munkey, home):
    code, document, _ = munkey("bundles")
    assert code == 0
    found = {entry["name"]: entry for entry in document}
    assert found["tiny"]["keys"] == 12
    assert Path(found["tiny"]["path"]) == home / "bundles" / "tiny"


def test_show_checks_a_bundle_and_tells_its_manifest(munkey, home):
    code, document, _ = munkey("show", "tiny")
    assert code == 0
    assert document["digest"] == read_bundle(home / "bundles" / "tiny").digest
    assert document["dataset"]["licence"] == "MIT"
    assert document["metrics"] is None


def test_predict_answers_for_ids_and_files(munkey):
    code, document, _ = munkey("predict", "tiny", "img-03", "img-12", "mine.png")
    assert code == 0
    studio = Studio.open("tiny")
    assert [entry["image"] for entry in document["images"]] == ["img-03", "img-12", "mine.png"]
    private, test, mine = document["images"]
    assert private["neighbours"][0]["id"] == "img-03"
    assert private["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert test["label"] == studio.about.classes[studio.memory.record("img-12").label]
    assert "label" not in mine
    wanted = studio.predict(["img-12"])
    assert test["class"] == studio.about.classes[wanted.classes[0]]
    assert list(test["probabilities"].values()) == pytest.approx(
        wanted.probabilities[0].tolist(), abs=1e-6
    )
    for entry in document["images"]:
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_predict_without_keys_never_names_them(munkey):
    gone = ["img-03", "img-00"]
    code, document, _ = munkey("predict", "tiny", "img-03", "--without", ",".join(gone))
    assert code == 0
    assert document["generation"] == 1
    assert not {n["id"] for n in document["images"][0]["neighbours"]} & set(gone)


@pytest.mark.parametrize(
    ("spec", "count"), [("img-00,img-07", 2), ("@ids.csv", 2), ("owner:owner-1", 3)]
)
def test_forget_tells_what_would_change_and_writes_nothing(munkey, home, spec, count):
    before = {path.name: path.read_bytes() for path in (home / "bundles" / "tiny").iterdir()}
    code, document, _ = munkey("forget", "tiny", spec)
    assert code == 0
    assert document["n_forget"] == len(document["images"]) == count
    assert document["keys_left"] == 12 - count
    assert document["written"] is False
    flipped = [image for image in document["images"] if image["before"] != image["after"]]
    assert document["changed"]["forget"] == len(flipped)
    assert document["changed"]["retain_of"] == 12 - count
    assert document["changed"]["test_of"] == 30
    after = {path.name: path.read_bytes() for path in (home / "bundles" / "tiny").iterdir()}
    assert after == before


def test_forgetting_everything_is_answered_too(munkey):
    ids = ",".join(Studio.open("tiny").memory.private_ids())
    code, document, _ = munkey("forget", "tiny", ids)
    assert code == 0
    assert document["keys_left"] == 0
    assert all(image["neighbours_after"] == [] for image in document["images"])


@pytest.mark.slow
def test_train_makes_a_bundle_of_a_folder_of_images(munkey, pictures, tmp_path):
    config = str(pictures.parent / "recipe.toml")
    out = tmp_path / "mine"
    code, document, err = munkey(
        "train", "--data", str(pictures), "--out", str(out), "--config", config, "--seed", "5",
        "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    assert document["bundle"] == str(out)
    assert document["parts"]["private"] == 24
    assert [name for name, _ in document["skipped"]] == ["ant/broken.png"]
    assert "skipped ant/broken.png" in err
    assert "training: " in err
    bundle = read_bundle(out)
    assert bundle.manifest.training["seed"] == 5
    assert len(bundle.bank) == 24
    # The recipe in the bundle is the one that was run, seed included.
    assert load_recipe(out / "recipe.toml").train.seed == 5
    assert bundle.thumbnails is not None


def test_train_leaves_the_images_out_when_asked_to(munkey, pictures, tmp_path):
    config = str(pictures.parent / "recipe.toml")
    out = tmp_path / "bare"
    munkey("train", "--data", str(pictures), "--out", str(out), "--config", config,
           "--no-thumbnails")  # fmt: skip
    assert read_bundle(out).thumbnails is None


@pytest.mark.parametrize("spec", ["owner:owner-1", "img-00"])
def test_audit_reports_every_model_in_percent(munkey, spec):
    code, document, _ = munkey("audit", "tiny", "--forget", spec, "--seeds", "2")
    assert code == 0
    assert document["n_test"] == 30
    assert document["n_forget"] == (3 if spec.startswith("owner") else 1)
    assert document["seeds"] == [0, 1]
    families = {figures["family"] for figures in document["models"].values()}
    assert families >= {"by-design", "oracle", "original"}
    for figures in document["models"].values():
        for term in ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc"):
            assert 0 <= figures[term] <= 100


def test_audit_writes_a_row_for_each_image(munkey, tmp_path):
    file = tmp_path / "images.csv"
    code, document, _ = munkey("audit", "tiny", "--forget", "img-00", "--csv", str(file))
    assert code == 0
    assert (
        len(file.read_text().splitlines()) == 1 + 30 + document["n_forget"] + document["n_retain"]
    )


def test_compare_saves_its_reports_into_the_bundle_when_asked_to(munkey, home, tmp_path):
    copy = shutil.copytree(home / "bundles" / "tiny", tmp_path / "copy")
    argv = ["compare", str(copy), "--forget", "canonical", "--methods", "knn,ssd", "--save"]
    code, documents, _ = munkey(*argv)
    assert code == 0
    names = [document["forget"] for document in documents]
    assert {"random-10pct", "one-class", "one-owner"} <= set(names)
    bundle = read_bundle(copy)
    assert names == list(canonical_sets(bundle))  # no 1% of so small a memory
    assert list(bundle.metrics["reports"]) == names
    assert all(f"Forget set {name}" in bundle.card for name in names)
    # An audit shows the saved rows beside its own.
    code, document, _ = munkey("audit", str(copy), "--forget", "random-10pct")
    assert {"SSD", "kNN after", "MUNKEY after"} <= set(document["models"])


def test_oracles_are_put_into_the_bundle(munkey, home, tmp_path):
    copy = shutil.copytree(home / "bundles" / "tiny", tmp_path / "copy")
    code, document, _ = munkey("oracles", str(copy), "--seeds", "1", "--references", "2")
    assert code == 0
    assert document["sets"] == list(canonical_sets(read_bundle(copy)))
    assert "random-10pct" in document["sets"]
    assert document["bytes"] == sum(p.stat().st_size for p in (copy / "oracles").iterdir())
    assert read_bundle(copy).manifest.files.keys() >= {"oracles/references.safetensors"}


def test_bench_times_this_machine(munkey):
    code, document, _ = munkey("bench", "tiny")
    assert code == 0
    assert all(value >= 0 for value in document["median"].values())


@pytest.mark.parametrize(
    "argv",
    [
        ["bundles"],
        ["show", "tiny"],
        ["predict", "tiny", "img-03", "mine.png"],
        ["forget", "tiny", "owner:owner-1"],
    ],
)
def test_without_json_the_answer_is_text(capsys, argv):
    assert main(argv) == 0
    out, _ = capsys.readouterr()
    assert "tiny" in out or "img-03" in out or "owner" in out or "deleted" in out
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["nonsense"], "no such command 'nonsense' (see munkey --help)"),
        (["show"], "missing argument 'BUNDLE' (see munkey show --help)"),
        (["show", "tiny", "more"], "unexpected extra argument"),
        (["show", "tiny", "--nothing"], "no such option: --nothing (see munkey show --help)"),
        (
            ["audit", "tiny", "--forget"],
            "requires an argument (see munkey audit --help)",
        ),
        (["project", "tiny", "--space", "colours"], "'colours' is not one of 'keys', 'tokens'"),
        (["train", "--data", "bundles", "--out", "new", "--mode", "none"], "'joint', 'exact'"),
        (["show", "nope"], "no bundle 'nope'"),
        (["show", "x" * 5000], "no bundle"),
        (["predict", "tiny", "nobody"], "neither an id of bundle tiny nor a file"),
        (["predict", "tiny", "x" * 5000], "neither an id of bundle tiny nor a file"),
        (["predict", "tiny", "ids.csv"], "ids.csv"),
        (["predict", "tiny", "img-00", "--without", "img-12"], "is a test image"),
        (["forget", "tiny", "nobody"], "no image with id 'nobody'"),
        (["forget", "tiny", ","], "name at least one image"),
        (["forget", "tiny", "@missing.csv"], "missing.csv: wanted a CSV file"),
        (["forget", "tiny", "owner:nobody"], "no private image belongs to an owner 'nobody'"),
        (["train", "--out", "new"], "--data"),
        (["train", "--data", "nowhere", "--out", "new"], "nowhere"),
        (["train", "--data", "bundles", "--out", "new", "--device", "tpu"], "device must be"),
        (["train", "--data", "bundles", "--out", "new", "--config", "no.toml"], "no.toml"),
        (["train", "--data", "bundles", "--out", "new", "--seed", "x"], "--seed"),
        (["audit", "tiny", "--forget", "nobody"], "nobody"),
        (["compare", "tiny", "--forget", "img-00", "--methods", "magic"], "no method 'magic'"),
        (["compare", "tiny", "--forget", "nobody"], "nobody"),
        (["compare", "tiny"], "--forget"),
        (["oracles", "tiny", "--references", "3"], "even number"),
        (["oracles", "tiny", "--seeds", "0"], "--seeds must be between"),
        (["audit", "tiny", "--forget", "img-00", "--seeds", "0"], "--seeds must be between"),
        (["audit", "nope", "--forget", "img-00"], "no bundle 'nope'"),
        (["bench", "nope"], "no bundle 'nope'"),
        (["app", "--port", "70000"], "--port must be between 1 and 65535, got 70000"),
        (["app", "--bundle", "nope"], "no bundle 'nope'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input_exits_2_with_one_line_of_reason_and_no_output(capsys, argv, reason):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.startswith("munkey: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    ["[split]\npublic = 3", "[train]\nepochs = 0", "[train]\nepochs = 'x'", "name = 3", "not toml"],
)
def test_a_bad_recipe_is_refused_by_name(capsys, tmp_path, pictures, line):
    recipe = tmp_path / "bad.toml"
    recipe.write_text(line)
    argv = ["train", "--data", str(pictures), "--out", str(tmp_path / "new")]
    assert main([*argv, "--config", str(recipe)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "new").exists()


def test_training_into_an_existing_folder_is_refused(capsys, tmp_path, pictures):
    config = str(pictures.parent / "recipe.toml")
    argv = ["train", "--data", str(pictures), "--out", str(tmp_path), "--config", config]
    assert main(argv) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_damaged_bundle_is_refused_by_every_command(capsys, home, tmp_path):
    copy = shutil.copytree(home / "bundles" / "tiny", tmp_path / "bad")
    (copy / "bank.safetensors").write_bytes(b"")
    for argv in (
        ["show", str(copy)],
        ["predict", str(copy), "img-00"],
        ["forget", str(copy), "img-00"],
        ["audit", str(copy), "--forget", "img-00"],
        ["compare", str(copy), "--forget", "canonical"],
        ["oracles", str(copy)],
        ["bench", str(copy)],
    ):
        assert main([*argv, "--json"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("munkey: bundle bad: bank.safetensors is damaged: its SHA-256")
        assert err.count("\n") == 1


def test_an_interrupted_command_says_so_and_exits_130(capsys, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Studio, "open", interrupted)
    assert main(["show", "tiny"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_is_given_for_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ("app", "bundles", "show", "predict", "forget", "train", "audit", "bench"):
        assert command in out
    for command in ("retrain", "compare", "oracles", "project"):
        assert command in out


@pytest.mark.parametrize(
    "run", ["import munkey_core", "from munkey_core.cli import main; main({argv})"]
)
@pytest.mark.parametrize("argv", [["--help"], ["compare", "--help"], ["compare", "--nothing"]])
def test_help_and_mistyped_options_import_nothing_that_takes_long(run, argv):
    heavy = ("torch", "numpy", "streamlit", "rich")
    script = f"{run.format(argv=argv)}\nimport sys\nassert not {heavy} & sys.modules.keys()"
    script = script.replace(str(heavy), str(set(heavy)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr


def test_a_console_without_the_letters_shows_others(home):
    done = subprocess.run(
        [sys.executable, "-m", "munkey_core.cli", "train", "--dry-run", "--data", "bilder-für-θ"],
        capture_output=True,
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 2
    assert done.stderr == b"munkey: missing option '--out' (see munkey train --help)\n"


# -- where only PyTorch is installed -----------------------------------------------------------

ONLY = """
import sys

ALLOWED = {{
    "munkey_core", "torch", "torchgen", "functorch", "torchvision", "numpy", "safetensors", "PIL",
    "msgspec",
    # what PyTorch itself requires
    "sympy", "mpmath", "jinja2", "markupsafe", "networkx", "fsspec", "filelock",
    "typing_extensions", "packaging", "triton", "nvidia", "setuptools", "_distutils_hack",
    # small, and of our own choice: cachetools; typer with what it requires
    "cachetools", "typer", "annotated_doc", "pydantic", "pydantic_core", "annotated_types",
    "typing_inspection", "shellingham",
}}


class OnlyTorch:
    # Finds what another finder finds, if a machine with nothing but PyTorch would have it.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names or top.startswith("_"):
            return self.finder.find_spec(name, path, target)
        return None


sys.meta_path[:] = [OnlyTorch(finder) for finder in sys.meta_path]
for blocked in ("streamlit", "sklearn", "pyarrow", "pandas", "umap", "captum", "plotly", "scipy"):
    try:
        __import__(blocked)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{{blocked}} can be imported, so this test shows nothing")

import torch

torch.set_num_threads(1)
from munkey_core.cli import main

sys.exit(main({argv!r}) or main({show!r}))
"""


@pytest.mark.slow
def test_training_needs_nothing_but_pytorch_and_its_bundle_opens_anywhere(pictures, tmp_path):
    out = tmp_path / "bundle"
    argv = ["train", "--data", str(pictures), "--out", str(out), "--device", "cpu",
            "--config", str(pictures.parent / "recipe.toml")]  # fmt: skip
    script = tmp_path / "only.py"
    script.write_text(textwrap.dedent(ONLY).format(argv=argv, show=["show", str(out), "--json"]))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert (out / "records.csv").is_file()
    assert not (out / "records.parquet").exists()
    studio = Studio.open(str(out))  # here, where everything is installed
    assert studio.memory.keys_total == 24
    prediction = studio.predict(studio.memory.test_ids())
    assert prediction.probabilities.sum(axis=1) == pytest.approx(np.ones(12), abs=1e-5)
    assert (
        dataclasses.asdict(studio.memory.record(studio.memory.private_ids()[0]))["split"]
        == "private"
    )
