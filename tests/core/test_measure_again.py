"""What erasing takes along beside the images is told before, and made again afterwards."""

import shutil
from functools import partial

import erasable
import pytest

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.card import BEFORE
from munkey_core.bundle.manifest import EXACT_MODE
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import seal
from munkey_core.erasure import measure_again
from munkey_core.erasure.erasure import erase
from munkey_core.errors import BundleError
from munkey_core.explain.influence import stored_influence
from munkey_core.progress import drive, finish
from munkey_core.studio import Studio
from munkey_core.training.exact import with_table
from munkey_core.training.retraining import PLAIN, Run
from munkey_core.training.shipped import Shipped

ALL = ["answers", "influence", "figures", "notes"]
GONE = ("img-03", "img-17")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A bundle with everything, and the same after an erasure."""
    place = tmp_path_factory.mktemp("measure-again")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(place / "cache"))
        erasable.make(place / "whole")
        shutil.copytree(place / "whole", place / "erased")
        finish(erase(place / "erased", GONE))
    return place


@pytest.fixture
def folder(template, tmp_path, cache):
    return shutil.copytree(template / "erased", tmp_path / "erased")


@pytest.fixture
def few(monkeypatch):
    """Two methods, and one model of each kind: which they are is nothing to these tests."""
    monkeypatch.setattr(measure_again, "known_methods", lambda _: ("ssd", "knn"))
    ship = partial(measure_again.ship_oracles, seeds=1, references=0)
    monkeypatch.setattr(measure_again, "ship_oracles", ship)


def kinds(bundle):
    return [one.kind for one in measure_again.missing(bundle)]


def test_nothing_is_missing_before_and_all_that_was_there_is_afterwards(template):
    assert kinds(read_bundle(template / "whole")) == []
    assert kinds(read_bundle(template / "erased")) == ALL


def test_before_it_is_said_what_goes_and_which_command_makes_it_again(template):
    sentences = list(measure_again.taken_along(read_bundle(template / "whole"), "my bundle"))
    told = "\n".join(sentences)
    assert "6 retrained models" in told
    assert "figures of audits" in told
    assert "who influences whom" in told
    assert "notes on verified" in told
    assert told.count("`munkey measure-again 'my bundle'`") == 1


def test_what_a_bundle_never_had_is_not_missing(tmp_path, cache):
    bundle = erasable.make(tmp_path / "tiny")
    for name in [*bundle.manifest.files]:
        if name.startswith("oracles/") or name == "metrics.json":
            (tmp_path / "tiny" / name).unlink()
    seal(tmp_path / "tiny", with_table(bundle, {**bundle.manifest.exact, "verified": {}}).manifest)
    finish(erase(tmp_path / "tiny", GONE))
    assert kinds(read_bundle(tmp_path / "tiny")) == ["influence"]


def test_one_call_makes_all_of_it_for_the_images_that_stay(folder, few):
    steps = []
    made = drive(measure_again.measure_again(folder, "cpu"), steps.append)
    assert [one.kind for one in made] == ALL

    bundle = read_bundle(folder)
    assert kinds(bundle) == []
    assert not set(GONE) & set(bundle.bank.ids)
    answers = Shipped(bundle).outputs(Run(PLAIN, (), 0))
    assert len(answers.private) == len(bundle.bank)
    assert stored_influence(bundle).ids == bundle.bank.ids
    for mode in bundle.modes:
        metrics = bundle.metrics if mode == bundle.mode else bundle.metrics[EXACT_MODE]
        measured = bundle.metrics[BEFORE]["reports"][mode]
        assert set(metrics["reports"]) == set(measured)
        for report in metrics["reports"].values():
            assert report["n_forget"] + report["n_retain"] == len(bundle.bank)
        assert set(metrics["attacks"]) == set(measured)
    assert set(bundle.manifest.exact["verified"]) == {"random-10pct"}

    # It tells how far it is: each kind in turn, and trainings by their number.
    stages = list(dict.fromkeys(step.stage.split(":")[0] for step in steps))
    assert stages == [one.what for one in made]
    trained = [step for step in steps if step.stage == made[0].what]
    assert [step.done for step in trained] == sorted(step.done for step in trained)
    assert all(step.done <= step.total for step in steps)
    assert trained[-1].done > 3

    before = (folder / "manifest.json").read_bytes()
    assert drive(measure_again.measure_again(folder, "cpu"), steps.append) == ()
    assert (folder / "manifest.json").read_bytes() == before

    finish(erase(folder, ["img-05"]))
    assert kinds(read_bundle(folder)) == ALL


def test_what_was_made_stays_when_it_is_interrupted(folder, few):
    steps = measure_again.measure_again(folder, "cpu")
    for step in steps:
        if step.stage.startswith("who influences whom"):
            break
    steps.close()
    assert kinds(read_bundle(folder)) == ALL[1:]
    finish(measure_again.measure_again(folder, "cpu"))
    assert kinds(read_bundle(folder)) == []


def test_without_pictures_it_is_refused_before_anything_is_done(folder, monkeypatch):
    def refuse(self, why):
        raise BundleError(why)

    monkeypatch.setattr(Bundle, "require_pictures", refuse)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BundleError, match="needs the images"):
        finish(measure_again.measure_again(folder))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_memory_that_is_not_exact_gets_no_note(folder, few, monkeypatch):
    class Differs:
        exact = False

    class Verification:
        def __init__(self, bundle, sets):
            assert sets == ["random-10pct"]

        def run(self):
            yield from ()
            return (Differs(),)

    monkeypatch.setattr(measure_again, "ExactVerification", Verification)
    with pytest.raises(BundleError, match="no note was made"):
        finish(measure_again.measure_again(folder, "cpu"))
    assert kinds(read_bundle(folder)) == ["notes"]


def test_the_commands_say_what_is_missing_and_make_it(munkey, template, tmp_path, few):
    place = shutil.copytree(template / "whole", tmp_path / "tiny")
    code, document, _ = munkey("erase", place, ",".join(GONE), "--yes")
    assert (code, document["missing"]) == (0, ALL)
    code, document, _ = munkey("measure-again", place, "--device", "cpu")
    assert (code, document["measured"]) == (0, ALL)
    code, document, _ = munkey("measure-again", place)
    assert (code, document["measured"]) == (0, [])


def test_a_session_knows_what_is_missing_and_whether_the_job_is_done(folder, template):
    studio = Studio.open(str(folder))
    assert [one.kind for one in studio.erasure.missing] == ALL
    assert not studio.jobs.done("measure", ())
    assert studio.jobs.seconds("measure") > 100
    assert Studio.open(str(template / "whole")).jobs.done("measure", ())
