"""`munkey retrain`: oracles from a training, the cache, with the same figures each time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.training.retraining import MUNKEY, Run
from munkey_core.training.runs import Runs
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cache")]


@pytest.fixture
def retrain(digits_folder, capsys):
    def run(*argv):
        code = main(["retrain", str(digits_folder), *argv])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_it_trains_once_and_says_how_often_each_oracle_is_right(retrain, digits_bundle):
    ids = digits_bundle.bank.ids[:9]
    wish = ["--without", ",".join(ids), "--family", "munkey", "--seeds", "2", "--json"]
    code, out, err = retrain(*wish)
    assert code == 0
    assert "training" in err
    document = json.loads(out)
    assert (document["bundle"], document["n_forget"]) == ("digits", 9)
    first, second = document["oracles"]
    assert [one["seed"] for one in (first, second)] == [0, 1]
    assert [one["source"] for one in (first, second)] == ["trained", "trained"]

    # The figures by hand, from the outputs that the cache holds now.
    outputs = Runs(digits_bundle, torch.device("cpu")).known_outputs(
        Run(MUNKEY, tuple(sorted(ids)), 0)
    )
    labels = np.array([r.label for r in digits_bundle.records_of("private")])
    right = outputs.private.argmax(1) == labels
    assert first["forget_accuracy"] == pytest.approx(100 * right[:9].mean())
    assert first["retain_accuracy"] == pytest.approx(100 * right[9:].mean())
    assert first["seconds"] > 0

    code, again, err = retrain(*wish)
    assert (code, err) == (0, "")
    again = json.loads(again)["oracles"]
    assert [one["source"] for one in again] == ["cache", "cache"]
    assert [{**one, "source": ""} for one in again] == [
        {**one, "source": ""} for one in (first, second)
    ]


def test_both_families_and_a_table_for_people(retrain):
    code, out, _ = retrain("--without", "random-1pct", "--seed", "7")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows[-2:]] == [["munkey", "7"], ["plain", "7"]]
    assert rows[-1][-1] == "trained"


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--without", "nobody"], "nobody"),
        (["--without", "random-1pct", "--seeds", "0"], "--seeds must be between 1 and 20, got 0"),
        (["--without", "random-1pct", "--family", "all"], "'all' is not one of 'munkey', 'plain'"),
        (["--without", ""], "name at least one image"),
    ],
)
def test_bad_input_is_one_line_of_reason(retrain, argv, reason):
    code, out, err = retrain(*argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err


def test_something_must_be_left_to_retrain_on(retrain, digits_bundle):
    code, _, err = retrain("--without", ",".join(digits_bundle.bank.ids))
    assert code == 2
    assert "at least one image must be left" in err


def test_a_bundle_without_images_says_so(tmp_path, capsys):
    import dataclasses

    bundle = dataclasses.replace(tiny.random_bundle(private=12, test=30), thumbnails=None)
    write_bundle(bundle, tmp_path / "bare")
    assert main(["retrain", str(tmp_path / "bare"), "--without", "img-02"]) == 2
    assert (
        "retraining needs the images: bundle bare came without its pictures"
        in capsys.readouterr().err
    )


def test_as_a_job_it_tells_progress_as_json_lines_and_ends_with_its_parent(digits_folder):
    command = [sys.executable, "-m", "munkey_core.cli", "retrain", str(digits_folder)]
    process = subprocess.Popen(
        [*command, "--without", "random-1pct", "--seeds", "20", "--json"],
        cwd=ROOT,
        env={**os.environ, "MUNKEY_BACKGROUND": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stages = []
    for line in process.stderr:
        step = json.loads(line)["progress"]
        assert set(step) == {"stage", "done", "total", "remaining_seconds"}
        stages.append(step["stage"])
        if step["stage"] == "predicting":
            break
    assert list(dict.fromkeys(stages)) == ["encoding", "training", "predicting"]
    process.stdin.close()
    process.wait(PATIENCE)
    process.stderr.close()
    assert process.returncode != 0  # It left the other seeds untrained.
