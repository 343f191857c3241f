"""`munkey train` on a person's own images: one command, a bundle in which everything works."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from painted import break_files, paint_folder

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.bundle.read import read_bundle
from munkey_core.cli import main
from munkey_core.config import TrainConfig
from munkey_core.errors import BundleError
from munkey_core.model.encoder import encode_inputs
from munkey_core.progress import drive, finish
from munkey_core.studio import Studio
from munkey_core.training import recipes
from munkey_core.training.recipes import load_recipe
from munkey_core.training.retraining import MUNKEY, PLAIN
from munkey_core.training.runs import Runs

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """As many steps as it takes to see that all stages work; no maps, which take UMAP's import."""
    monkeypatch.setattr(recipes, "_TRAINING_STEPS", 1)
    monkeypatch.setattr(recipes, "_PRETRAINED_STEPS", 1)
    monkeypatch.setattr(recipes, "_ENCODER_STEPS", 1)
    monkeypatch.setattr(recipes, "TrainConfig", lambda: replace(TrainConfig(), epochs=3))
    monkeypatch.setattr("munkey_core.explain.projection.umap_installed", lambda: False)


@pytest.fixture
def munkey(munkey):
    return lambda *argv: munkey(*argv, "--device", "cpu")


def test_a_folder_with_broken_files_becomes_a_bundle_in_which_everything_works(munkey, tmp_path):
    folder = paint_folder(tmp_path / "colours", [30, 20, 14], (40, 30), colour=True, suffix="jpg")
    broken = break_files(folder)
    out = tmp_path / "out"
    code, document, err = munkey("train", "--data", str(folder), "--out", str(out))
    assert code == 0, err
    assert {name for name, _ in document["skipped"]} >= broken
    for name in broken:
        assert f"skipped {name}: " in err
    assert "estimate for this machine: " in err
    assert document["references"] >= 2
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out"]

    bundle = read_bundle(out)
    assert bundle.manifest.encoder.name == "efficientnet_lite0"
    assert bundle.manifest.splits["counts"]["encoder"] == 0
    assert "Files of the source that were skipped: 5" in bundle.card
    # What was encoded for the training is kept for those that follow.
    assert bundle.kept_features.missing == {}
    ids = bundle.bank.ids[::-4]
    anew = encode_inputs(bundle.encoder, bundle.pictures.array(ids), "features")
    torch.testing.assert_close(bundle.encode(ids).features, anew.features, atol=1e-2, rtol=0)
    studio = Studio.open(str(out))
    forgotten = studio.forget(studio.memory.private_ids()[:3])
    assert len(studio.changes(forgotten)) == 3
    assert set(studio.memory.canonical_sets()) >= {"random-10pct", "one-class", "one-owner"}
    assert studio.explain.influence() is not None
    evidence = Evidence(Runs(bundle, torch.device("cpu")))
    for family in (MUNKEY, PLAIN):
        assert len(evidence.references(family).truth) == document["references"]
    studio.undo()
    report = finish(studio.privacy.run(studio.memory.canonical_sets()["random-10pct"]))
    assert isinstance(report, PrivacyReport)
    assert report.references == {"munkey": document["references"], "plain": document["references"]}
    assert "before" in report.figures["RMIA"] or "before" in report.errors["RMIA"]


def test_the_same_as_a_zip_and_a_killed_run_goes_on(munkey, tmp_path, monkeypatch):
    import shutil

    paint_folder(tmp_path / "pets", [30, 30, 9], (24, 24))
    archive = shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path, "pets")
    argv = ["train", "--data", archive, "--out", str(tmp_path / "out"), "--references", "2"]

    def killed(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("munkey_core.jobs.making.ship_oracles", killed)
        assert munkey(*argv)[0] == 130
    made = (tmp_path / "out.making" / "out" / "model.safetensors").read_bytes()
    assert not (tmp_path / "out").exists()
    other = ["train", "--data", archive, "--out", str(tmp_path / "out"), "--seed", "9"]
    code, _, err = munkey(*other)
    assert code == 2
    assert "holds an unfinished run with another recipe or other data" in err
    code, document, err = munkey(*argv)
    assert (code, document["references"]) == (0, 2)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == made
    assert not (tmp_path / "out.making").exists()
    bundle = read_bundle(tmp_path / "out")
    assert (bundle.manifest.dataset["title"], bundle.manifest.dataset["grey"]) == ("pets", True)
    assert load_recipe(tmp_path / "out" / "recipe.toml").split.at_least == 1


def test_a_medmnist_file_is_trained_on_as_it_is(munkey, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 80), ("val", 10), ("test", 24)):
        labels = rng.integers(0, 3, (n, 1))
        images = rng.integers(0, 60, (n, 28, 28)) + 60 * labels[:, :, None]
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels}
    np.savez_compressed(tmp_path / "cells.npz", **arrays)
    out = tmp_path / "cells"
    code, document, err = munkey(
        "train", "--data", str(tmp_path / "cells.npz"), "--out", str(out), "--references", "0"
    )
    assert code == 0, err
    assert (document["parts"]["test"], document["references"]) == (24, 0)
    bundle = read_bundle(out)
    assert bundle.manifest.encoder.name == "conv"  # small and grey: no photographs
    assert bundle.manifest.classes == ("class 0", "class 1", "class 2")


def test_a_dry_run_tells_the_estimate_and_writes_nothing(munkey, tmp_path, capsys):
    folder = paint_folder(tmp_path / "pets", [30, 30, 2], (20, 20))
    argv = ["train", "--data", str(folder), "--out", str(tmp_path / "out"), "--dry-run"]
    code, document, _ = munkey(*argv)
    assert code == 0
    assert document["images"] == 62
    assert document["seconds"] == pytest.approx(sum(s for _, s in document["stages"]))
    assert sum(document["parts"].values()) == 62
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "62 grey images of 20 × 20 pixels in 3 classes"
    assert any(line.startswith("estimate for this machine: ") for line in lines)
    assert any("'kind-02' has no image as public anchor" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_what_cannot_be_done_is_said_in_one_line_before_anything_is_written(
    munkey, tmp_path, monkeypatch
):
    folder = paint_folder(tmp_path / "pets", [30, 30], (20, 20))
    argv = ["train", "--data", str(folder), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("munkey_core.jobs.offer.free_memory", lambda: 1000)
    code, document, err = munkey(*argv)
    assert (code, document) == (2, None)
    assert err.splitlines()[-1].startswith("munkey: the training needs about ")
    for extra, reason in (
        (["--references", "3"], "even number"),
        (["--references", "2", "--no-thumbnails"], "needs the images"),
    ):
        code, _, err = munkey(*argv, *extra)
        assert (code, err.count("\n")) == (2, 1)
        assert reason in err
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_a_notebook_gets_the_same_bundle_as_the_command_line(munkey, tmp_path):
    folder = paint_folder(tmp_path / "grey", [40, 40], (16, 16))
    code, _, err = munkey(
        *("train", "--data", str(folder), "--out", str(tmp_path / "one" / "mine")),
        *("--references", "0"),
    )
    assert code == 0, err
    steps = []
    studio = drive(Studio.train(folder, tmp_path / "two" / "mine", device="cpu"), steps.append)
    assert {"encoder", "training"} <= {step.stage for step in steps}
    other = Studio.open(str(tmp_path / "one" / "mine"))
    for name in ("bank.safetensors", "model.safetensors", "thumbnails.safetensors"):
        assert studio.about.manifest["files"][name] == other.about.manifest["files"][name]
    with pytest.raises(BundleError, match="exists already"):
        next(Studio.train(folder, tmp_path / "two" / "mine"))
