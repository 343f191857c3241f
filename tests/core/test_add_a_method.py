"""A method of one's own, in a file of its own: it has its row, its figures are those of its code,
and what is kept of it goes with the file's text."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from munkey_core.audit import comparison as module
from munkey_core.audit.audit import ForgettingAudit
from munkey_core.audit.comparison import Comparison
from munkey_core.audit.evidence import Evidence
from munkey_core.progress import finish
from munkey_core.training.runs import Runs, short_digest
from munkey_core.unlearning import METHODS, SYSTEMS
from munkey_core.unlearning.base import LoopMethod, Method
from munkey_core.unlearning.systems.base import System

ROOT = Path(__file__).resolve().parent.parent.parent
SET = "random-10pct"
METHOD = """
from dataclasses import dataclass

import torch.nn.functional as F

from munkey_core.unlearning.base import LoopMethod, LoopSettings
from munkey_core.unlearning.batches import forget_only

TIMES = 1
RAN = []


@dataclass(frozen=True)
class MySettings(LoopSettings):
    learning_rate: float = 1e-3


class MyMethod(LoopMethod[MySettings]):
    key, name, paper = "my-method", "My method", "nobody 2026"
    Settings = MySettings
    grid = {"learning_rate": (1e-4, 1e-3)}

    def epoch(self, task, epoch, generator):
        return TIMES * forget_only(len(task.forget), task.batch_size, generator)

    def objective(self, work):
        RAN.append(work.task.seed)
        return lambda batch: -F.cross_entropy(work.logits(batch.forget), batch.forget.labels)
"""
SYSTEM = """
import time

import torch
from my_vote import SHARPNESS

from munkey_core.model.search import nearest
from munkey_core.progress import Progress
from munkey_core.unlearning.systems.base import System, label_votes

RAN = []


class MySystem(System):
    key, name, paper = "my-system", "My system", "nobody 2026"
    exact = True

    def _train(self, data, generator):
        RAN.append(len(data.entries))
        yield Progress("fitting", 1, 1, 0.0, 0.0)

    def _answer(self, queries):
        rows, similarity = nearest(queries.keys, self.support.keys, 5)
        shares = torch.softmax(similarity * SHARPNESS, dim=1)
        return label_votes(shares, self.support.labels[rows], self.n_classes)
"""


def load(path, name):
    """Import a file, anew if it was imported before."""
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Write a file, import it; what it is called is forgotten when the test ends."""
    monkeypatch.syspath_prepend(tmp_path)

    def write_and_load(name, text):
        monkeypatch.setitem(sys.modules, name, None)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return load(tmp_path / f"{name}.py", name)

    return write_and_load


@pytest.fixture(scope="module")
def evidence(digits_bundle, tmp_path_factory):
    """With a cache of its own, in which the models trained on everything soon are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Evidence(Runs(digits_bundle, torch.device("cpu")))


def compare(evidence, *methods):
    audit = ForgettingAudit(evidence.bundle, SET, 1, evidence=evidence)
    return finish(Comparison(audit, methods).run())


def said(figures):
    """What a model's figures say of its answers, and nothing of the time they took."""
    return (figures.mia_auc, figures.avg_gap, figures.forget_accuracy, figures.test_accuracy)


def test_a_method_in_a_file_of_its_own_has_a_row_and_an_edit_other_figures(
    evidence, loaded, monkeypatch
):
    mine = loaded("my_method", METHOD)
    monkeypatch.setitem(METHODS, "my-method", mine.MyMethod)
    first = compare(evidence, "my-method", "gradient-ascent")
    row = first.models["My method"]
    assert (row.family, row.settings) == ("post-hoc", {"epochs": 1, "learning_rate": 1e-3})
    assert mine.RAN == [0]
    assert list(first.models)[-2:] == ["My method", "Gradient ascent"]

    again = compare(evidence, "my-method")  # kept: nothing is trained
    assert mine.RAN == [0]
    assert again.models["My method"] == row

    edited = loaded("my_method", METHOD.replace("TIMES = 1", "TIMES = 9"))
    monkeypatch.setitem(METHODS, "my-method", edited.MyMethod)
    other = compare(evidence, "my-method").models["My method"]
    assert edited.RAN == [0]
    assert said(other) != said(row)
    # By the edited code, worked out by hand from what the comparison gives a method.
    audit = ForgettingAudit(evidence.bundle, SET, 1, evidence=evidence)
    by_hand = finish(module.unlearn(audit, "my-method", {}, 0))
    assert 100 * (by_hand.test.argmax(axis=1) == evidence.test_labels).mean() == pytest.approx(
        other.test_accuracy
    )
    edited.RAN.clear()
    assert compare(evidence, "my-method").models["My method"] == other
    assert edited.RAN == []

    back = loaded("my_method", METHOD)  # the first text again: its figures are still there
    monkeypatch.setitem(METHODS, "my-method", back.MyMethod)
    assert compare(evidence, "my-method").models["My method"] == row
    assert back.RAN == []


def test_a_system_and_what_it_imports_from_beside_it(evidence, loaded, monkeypatch):
    def load_both(sharpness):
        loaded("my_vote", f"SHARPNESS = {sharpness}\n")
        mine = loaded("my_system", SYSTEM)
        monkeypatch.setitem(SYSTEMS, "my-system", mine.MySystem)
        return mine

    mine = load_both(5)
    report = compare(evidence, "my-system")
    rows = {name: said(report.models[name]) for name in ("My system after", "My system retrained")}
    assert report.models["My system after"].exact
    assert mine.RAN == [300, 270]
    again = load_both(5)
    assert compare(evidence, "my-system").models == report.models
    assert again.RAN == []

    # A helper was edited since this process looked at it first. Which text of it runs can't be
    # told then, so nothing is kept, and nothing found.
    for _ in range(2):
        edited = load_both(0.01)
        other = compare(evidence, "my-system")
        assert edited.RAN == [300, 270]
        assert {name: said(other.models[name]) for name in rows} != rows
    assert edited.MySystem.source is None


def test_a_method_without_a_file_works_and_is_never_kept(evidence, monkeypatch):
    """As in a notebook or at a prompt."""
    space = {"__name__": "__main__"}
    exec(compile(METHOD, "<cell>", "exec"), space)
    monkeypatch.setitem(METHODS, "my-method", space["MyMethod"])
    assert space["MyMethod"].source is None
    first, again = (compare(evidence, "my-method").models["My method"] for _ in range(2))
    assert space["RAN"] == [0, 0]
    assert said(first) == said(again)


def test_a_file_that_is_not_what_was_loaded_is_never_kept(tmp_path, loaded):
    """A compiled file of the same second and size is taken for the new one's by Python."""
    assert loaded("my_method", METHOD).MyMethod.source is not None
    path = tmp_path / "my_method.py"
    stamp = path.stat().st_mtime
    path.write_text(METHOD.replace("TIMES = 1", "TIMES = 2"), encoding="utf-8")
    os.utime(path, (stamp, stamp))
    stale = load(path, "my_method")
    if stale.TIMES == 1:  # unless nothing is compiled here ($PYTHONDONTWRITEBYTECODE)
        assert stale.MyMethod.source is None
    half = "import sys\nfrom pathlib import Path\nPath(__file__).write_text('class (')\n" + METHOD
    assert loaded("half_edited", half).MyMethod.source is None


def test_every_shipped_method_knows_its_source_in_every_process():
    program = (
        "from munkey_core.unlearning import METHODS, SYSTEMS\n"
        "for kind in (*METHODS.values(), *SYSTEMS.values()): print(kind.key, kind.source)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    ).stdout
    wanted = {kind.key: kind.source for kind in (*METHODS.values(), *SYSTEMS.values())}
    assert dict(line.split() for line in out.splitlines()) == wanted
    assert None not in wanted.values()
    assert len(set(wanted.values())) == len(wanted)


@pytest.mark.parametrize("name", ["base", "batches", "distillation", "scrub"])
def test_an_edit_of_what_a_method_is_made_of_makes_another_one(tmp_path, name):
    """Of a copy of the project: the loop, the batches, a helper, the method's own file."""
    shutil.copytree(ROOT / "munkey_core", tmp_path / "munkey_core")

    def sources():
        """Of two methods, in a new process."""
        program = (
            "from munkey_core.unlearning import METHODS\n"
            "print(METHODS['scrub'].source, METHODS['fine-tuning'].source)\n"
        )
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=env, cwd=tmp_path
        )
        return done.stdout.split()

    path = tmp_path / "munkey_core" / "unlearning" / f"{name}.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nEDITED = True\n", encoding="utf-8")
    scrub, fine_tuning = sources()
    assert scrub != METHODS["scrub"].source
    assert (fine_tuning != METHODS["fine-tuning"].source) == (name in ("base", "batches"))


def test_the_next_version_of_pytorch_finds_nothing_of_the_last_one(monkeypatch):
    before = short_digest(["x", 1])
    assert before == short_digest(["x", 1]) != short_digest(["x", 2])
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert short_digest(["x", 1]) != before


def test_bases_are_part_of_a_class():
    assert {Method.source, LoopMethod.source, System.source}.isdisjoint({None})
    assert Method.source != LoopMethod.source
