"""Retrained models' answers: computed once, carried by the bundle, found again, never stale."""

import contextlib
import dataclasses
import shutil

import numpy as np
import pytest
import tiny
import torch

from munkey_core.audit.evidence import Evidence
from munkey_core.audit.shipping import ship_oracles
from munkey_core.bundle.forget_sets import (
    CANONICAL,
    canonical_name,
    canonical_sets,
    forget_set,
    forget_set_digest,
)
from munkey_core.bundle.manifest import read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.errors import BadInputError, BundleError
from munkey_core.progress import Progress, drive, finish
from munkey_core.results import PRIVATE
from munkey_core.training.answers import Outputs
from munkey_core.training.retraining import MUNKEY, PLAIN, Run, in_reference, reference_run
from munkey_core.training.runs import Runs, runs_folder
from munkey_core.training.shipped import Shipped

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shipped_folder(tmp_path_factory):
    """A tiny random bundle with 2 seeds and 2 references beside it."""
    home = tmp_path_factory.mktemp("shipping")
    folder = home / "tiny"
    write_bundle(tiny.random_bundle(private=40, test=30), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(home / "cache"))
        sets = finish(ship_oracles(folder, seeds=2, references=2, device="cpu"))
    assert "random-10pct" in sets
    return folder


def test_only_sets_that_there_are_can_be_named(shipped_folder):
    steps = ship_oracles(shipped_folder, 2, 2, "cpu", only=["random-10pct", "random-3pct"])
    with pytest.raises(BadInputError, match="no canonical set 'random-3pct'; known: random-1pct"):
        next(steps)


@pytest.mark.parametrize("other", [0, 3])
def test_other_sets_get_no_seed_that_has_no_original(shipped_folder, other):
    with pytest.raises(BadInputError, match="--other-seeds must be between 1 and 2"):
        next(ship_oracles(shipped_folder, seeds=2, references=2, device="cpu", other_seeds=other))


def test_a_shipped_bundle_is_whole_and_knows_its_oracles(shipped_folder, cache):
    bundle = read_bundle(shipped_folder)
    assert "oracles/random-10pct.safetensors" in bundle.manifest.files
    runs = Runs(bundle, CPU)
    ids = forget_set("random-10pct", bundle)
    for run in (
        Run(MUNKEY, (), 0),
        Run(PLAIN, (), 1),
        Run(MUNKEY, ids, 1),
        Run(PLAIN, tuple(reversed(ids)), 0),
    ):
        outputs = runs.known_outputs(run)
        assert outputs.private.shape == (40, 3)
        assert outputs.test.shape == (30, 3)
        assert (outputs.image_private is None) == (run.family == PLAIN)
    assert runs.known_outputs(Run(MUNKEY, ids, 2)) is None  # two seeds only
    assert runs.known_outputs(Run(MUNKEY, ids[:1], 0)) is None  # another forget set
    assert not cache.exists() or not any(cache.rglob("*.safetensors"))


def test_what_is_shipped_is_what_was_trained(shipped_folder, cache):
    """Trained again from the bundle alone: the same classes, the same probabilities but for
    rounding."""
    bundle = read_bundle(shipped_folder)
    ids = forget_set("random-10pct", bundle)
    for run in (Run(MUNKEY, ids, 1), Run(PLAIN, (), 0)):
        known = Runs(bundle, CPU).known_outputs(run)
        again = finish(Runs(bundle, CPU, use_shipped=False).outputs(run))
        for a, b in ((known.private, again.private), (known.test, again.test)):
            assert (a.argmax(axis=1) == b.argmax(axis=1)).all()
            assert np.abs(a - b).max() < 0.02


@pytest.mark.parametrize("alike", [True, False])
def test_where_a_plain_model_comes_out_otherwise_its_oracles_are_trained_here_too(
    shipped_folder, cache, monkeypatch, alike
):
    """What starts from a model trained here is held against oracles of the same machine."""
    bundle = read_bundle(shipped_folder)
    ids = forget_set("random-10pct", bundle)
    runs, plain, oracle = Runs(bundle, CPU), Run(PLAIN, (), 0), Run(PLAIN, ids, 0)
    finish(runs.trained(plain))
    if not alike:
        there = Shipped.outputs

        def of_another_machine(shipped, run):
            found = there(shipped, run)
            if found is None or run.family != PLAIN:
                return found
            return dataclasses.replace(found, private=np.roll(found.private, 1, axis=1))

        monkeypatch.setattr(Shipped, "outputs", of_another_machine)
    runs = Runs(bundle, CPU)
    assert (runs.known_outputs(oracle) is not None) == alike
    assert runs.known_outputs(Run(MUNKEY, ids, 0)) is not None
    assert runs.known_outputs(Run(PLAIN, (), 1)) is not None  # of which none was trained here
    steps = []
    drive(runs.outputs(oracle), steps.append)
    assert bool(steps) != alike
    known = runs.known_outputs(plain)
    here = finish(Runs(bundle, CPU, use_shipped=False).outputs(plain))
    assert (known.both.argmax(axis=1) == here.both.argmax(axis=1)).all()


def test_references_are_shipped_with_who_was_inside(shipped_folder, cache):
    references = Evidence(Runs(read_bundle(shipped_folder), CPU)).references(PLAIN)
    assert references.truth.shape == references.member.shape == (2, 70)
    assert (references.member[0] ^ references.member[1]).all()  # the two halves of one pair
    assert (references.member[0] == in_reference(0, 70).numpy()).all()


def test_a_damaged_or_strange_oracle_file_is_refused(shipped_folder, tmp_path):
    folder = shutil.copytree(shipped_folder, tmp_path / "copy")
    path = folder / "oracles" / "originals.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"originals\.safetensors is damaged"):
        read_bundle(folder)
    path.rename(folder / "oracles" / "Bad Name.safetensors")
    manifest, _ = read_manifest(folder)
    seal(folder, manifest)
    with pytest.raises(BundleError, match="no part of a bundle"):
        read_bundle(folder)


def test_a_run_is_trained_once_and_remembered(cache):
    bundle = sealed(cache)
    runs = Runs(bundle, CPU)
    run = Run(MUNKEY, (bundle.bank.ids[3],), 5)
    assert runs.known_outputs(run) is None
    steps = []
    first = drive(runs.outputs(run), steps.append)
    assert steps
    assert all(isinstance(step, Progress) for step in steps)
    steps.clear()
    again = drive(Runs(bundle, CPU).outputs(run), steps.append)
    assert not steps  # no progress: nothing was done
    assert (again.private == first.private).all()
    trained = finish(Runs(bundle, CPU).trained(run))
    assert bundle.bank.ids[3] not in trained.bank.ids
    assert len(trained.bank) == len(bundle.bank) - 1
    recomputed = finish(runs.retraining.outputs(MUNKEY, trained))
    assert np.abs(recomputed.private - first.private).max() < 1e-5


def test_another_recipe_image_or_seed_is_another_run(cache):
    bundle = sealed(cache)
    other = sealed(cache, "other", anchor=6)
    assert runs_folder(bundle) != runs_folder(other)
    runs = Runs(bundle, CPU)
    paths = {
        runs.path(run)
        for run in (
            Run(MUNKEY),
            Run(PLAIN),
            Run(MUNKEY, seed=1),
            Run(MUNKEY, ("img-00",)),
            Run(MUNKEY, ("img-00", "img-01")),
            reference_run(MUNKEY, 0),
        )
    }
    assert len(paths) == 6
    assert runs.path(Run(PLAIN, ("a", "b"))) == runs.path(Run(PLAIN, ("b", "a")))


def test_a_cut_cache_file_counts_as_none(cache):
    bundle = sealed(cache)
    runs, run = Runs(bundle, CPU), Run(PLAIN)
    finish(runs.outputs(run))
    path = runs.path(run)
    path.write_bytes(path.read_bytes()[:100])
    assert runs.known_outputs(run) is None
    assert not list(runs_folder(bundle).iterdir())  # the damaged file is gone already


def test_after_deletion_only_the_touched_are_asked_and_all_are_right(cache):
    """Against predicting every image with the diminished bank."""
    bundle = sealed(cache)
    runs = Runs(bundle, CPU)
    ids = bundle.bank.ids[2:5]
    for seed in (0, 3):  # the bundle's own model, and one trained for it
        run = Run(MUNKEY, (), seed)
        quick = finish(runs.after(run, ids))
        trained = finish(runs.trained(run))
        diminished = dataclasses.replace(trained, bank=trained.bank.without(ids))
        slow = finish(runs.retraining.outputs(MUNKEY, diminished))
        assert np.abs(quick.private - slow.private).max() < 1e-5
        assert np.abs(quick.test - slow.test).max() < 1e-5
        assert isinstance(quick, Outputs)


def test_after_deletion_every_answer_is_of_one_model(cache, monkeypatch):
    """Finding 7: the untouched images' answers came with the bundle, of another training."""
    bundle = sealed(cache)
    runs, run, ids = Runs(bundle, CPU), Run(MUNKEY, (), 3), bundle.bank.ids[2:5]
    known = runs.known_outputs

    def shipped(asked):
        found = known(asked)
        return None if found is None else dataclasses.replace(found, test=0 * found.test + 1 / 3)

    own = finish(runs.outputs(run))
    monkeypatch.setattr(runs, "known_outputs", shipped)
    after = finish(runs.after(run, ids))
    touched = runs.neighbours.touched_by(bundle.bank.rows(ids)).numpy()
    n = len(bundle.bank)
    rest = np.setdiff1d(np.arange(len(own.both)), touched)
    assert len(rest) > len(after.test) // 4
    assert np.abs(after.both[rest] - own.both[rest]).max() < 1e-5
    assert set(rest) - set(range(n))  # test images are among them


def sealed(cache, name="tiny", **sizes):
    folder = cache.parent / name
    write_bundle(tiny.random_bundle(**sizes), folder)
    return read_bundle(folder)


# -- canonical sets ----------------------------------------------------------------------------


def test_canonical_sets_name_private_images_once(digits_bundle):
    found = {}
    for name in sorted(CANONICAL):
        with contextlib.suppress(BadInputError):  # e.g. no near-duplicates
            found[name] = forget_set(name, digits_bundle)
    for name, ids in found.items():
        assert len(set(ids)) == len(ids) > 0
        assert set(ids) <= set(digits_bundle.bank.ids)
        assert canonical_name(reversed(ids), digits_bundle) == name
    assert {"random-1pct", "random-10pct", "one-class", "one-owner", "hard-1pct"} <= set(found)
    labels = {r.label for r in digits_bundle.records if r.id in set(found["one-class"])}
    assert len(labels) == 1
    owners = {r.owner for r in digits_bundle.records if r.id in set(found["one-owner"])}
    assert len(owners) == 1
    scores = dict(zip(digits_bundle.bank.ids, digits_bundle.scores["memorisation"], strict=True))
    rest = [scores[i] for i in digits_bundle.bank.ids if i not in found["hard-1pct"]]
    assert min(scores[i] for i in found["hard-1pct"]) >= max(rest)


@pytest.mark.parametrize(
    ("private", "missing"),
    [
        (12, {"random-1pct", "random-5pct", "hard-1pct"}),
        (60, {"random-1pct", "hard-1pct"}),
        (200, set()),
    ],
)
def test_one_image_is_not_called_one_percent_of_a_small_memory(private, missing):
    bundle = tiny.random_bundle(private=private, thumbnails=False)
    found = canonical_sets(bundle)
    named = {"random-1pct", "random-5pct", "random-10pct", "hard-1pct", "one-class", "one-owner"}
    assert set(found) - {"near-duplicates"} == named - missing
    assert len(found["random-10pct"]) == max(1, round(private / 10))
    assert forget_set("random-1pct", bundle)  # by its name it can be had all the same


def test_no_canonical_set_is_empty_or_the_whole_memory():
    bundle = tiny.random_bundle(private=12, thumbnails=False)
    labels = [0 if r.split == PRIVATE else r.label for r in bundle.records]
    records = tuple(
        dataclasses.replace(record, label=label, owner="ann" if record.owner else "")
        for record, label in zip(bundle.records, labels, strict=True)
    )
    found = canonical_sets(dataclasses.replace(bundle, records=records))
    assert "one-owner" not in found  # all of it is hers: nothing would be left to retain
    assert "one-class" not in found


def test_near_duplicate_pairs_lose_one_of_each():
    bundle = tiny.random_bundle(private=6)
    keys = bundle.bank.keys
    keys[1], keys[4] = keys[0], keys[3]  # two pairs of twins
    assert forget_set("near-duplicates", bundle) == (bundle.bank.ids[1], bundle.bank.ids[4])


def test_the_digest_of_a_set_is_of_its_members():
    assert forget_set_digest(["b", "a"]) == forget_set_digest(("a", "b"))
    assert forget_set_digest(["a"]) != forget_set_digest(["a", "b"])
