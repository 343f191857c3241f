"""Leave-one-out: what the batched arithmetic says is what deleting each key really gives."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny
import torch

from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.cli import main
from munkey_core.errors import BundleError
from munkey_core.explain.influence import (
    Influence,
    influence,
    influenced,
    leave_one_out,
    save_influence,
    stored_influence,
)
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.progress import drive, finish
from munkey_core.results import TEST, Record
from munkey_core.training.runs import source_digest

AGGREGATIONS = ["mean", "similarity", "rank", "single_pass"]
ANCHORS = [None, 0.2]


# -- memorisation ------------------------------------------------------------------------------


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("n", [1, 3, 4, 5, 11])
def test_leave_one_out_is_what_deleting_each_key_gives(n, aggregation, anchor):
    predictor = tiny.random_predictor(k=4, aggregation=aggregation, tau=0.3, anchor=anchor)
    check_leave_one_out(predictor, tiny.random_bank(n))


def test_leave_one_out_holds_among_many_copies_of_one_key():
    bank = tiny.random_bank(8)
    copies = bank.keys[torch.tensor([0, 0, 0, 0, 0, 0, 1, 2])]
    predictor = tiny.random_predictor(k=2, tau=0.3)
    check_leave_one_out(predictor, MemoryBank(bank.ids, copies, bank.tokens))


def check_leave_one_out(predictor, bank):
    features = tiny.random_queries(len(bank)).features
    labels = torch.arange(len(bank)) % 3
    kept, gone = leave_one_out(predictor, bank, features, labels)
    for row, id_ in enumerate(bank.ids):
        query = dataclasses.replace(
            tiny.random_queries(1), keys=bank.keys[row : row + 1], features=features[row : row + 1]
        )
        view = BankView(bank)
        before = predictor.predict(query, view).probabilities[0, labels[row]]
        view.forget([id_])
        after = predictor.predict(query, view).probabilities[0, labels[row]]
        assert float(kept[row]) == pytest.approx(before, abs=1e-5)
        assert float(gone[row]) == pytest.approx(after, abs=1e-5)


# -- influence ---------------------------------------------------------------------------------


def by_deleting(predictor, bank, queries, labels, row):
    """total, shift, flips, touched of one entry: its key deleted, every query predicted again."""
    before = predictor.predict(queries, BankView(bank))
    after = predictor.predict(queries, BankView(bank, [bank.ids[row]]))
    truth = np.arange(len(labels)), labels.numpy()
    change = (after.probabilities - before.probabilities)[truth].astype(np.float64)
    touched = sum(bank.ids[row] in line for line in before.retrieval.ids)
    return np.abs(change).sum(), change.sum(), (before.classes != after.classes).sum(), touched


def check_influence(found, predictor, bank, queries, labels, rows):
    for row in rows:
        total, shift, flips, touched = by_deleting(predictor, bank, queries, labels, row)
        assert found.total[row] == pytest.approx(total, abs=1e-5)
        assert found.shift[row] == pytest.approx(shift, abs=1e-5)
        assert (found.flips[row], found.touched[row]) == (flips, touched)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("n", [1, 3, 4, 11])
def test_influence_is_what_deleting_each_key_gives(n, aggregation, anchor, monkeypatch):
    monkeypatch.setattr("munkey_core.explain.influence._CHUNK", 7)
    predictor = tiny.random_predictor(k=3, aggregation=aggregation, tau=0.3, anchor=anchor)
    bank, queries, labels = tiny.random_bank(n), tiny.random_queries(20), torch.arange(20) % 3
    progress = []
    steps = influence(predictor, bank, labels, lambda part: queries[part])
    found = drive(steps, progress.append)
    assert [(p.done, p.total) for p in progress] == [(7, 20), (14, 20), (20, 20)]
    assert (found.ids, found.n_test) == (bank.ids, 20)
    assert found.touched.sum() == 20 * min(3, n)
    check_influence(found, predictor, bank, queries, labels, range(n))


def test_influence_holds_among_copies_of_one_key():
    bank = tiny.random_bank(8)
    copies = MemoryBank(bank.ids, bank.keys[[0, 0, 0, 0, 0, 0, 1, 2]], bank.tokens)
    predictor = tiny.random_predictor(k=2, tau=0.3)
    queries, labels = tiny.random_queries(10), torch.zeros(10, dtype=torch.int64)
    found = finish(influence(predictor, copies, labels, lambda part: queries[part]))
    check_influence(found, predictor, copies, queries, labels, range(8))


@pytest.mark.slow
def test_influence_in_a_trained_bundle_is_what_deleting_gives(digits):
    shared = digits._shared
    queries = shared.encode(digits.memory.test_ids())
    labels = torch.tensor([record.label for record in shared.test])
    found = digits.explain.influence()
    rows = np.random.default_rng(0).choice(300, 25, replace=False)
    rows[0] = found.total.argmax()
    assert found.flips.sum() > 0
    check_influence(found, shared.predictor, shared.bundle.bank, queries, labels, rows.tolist())


# -- influenced --------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_influenced_are_the_queries_that_deleting_changes(aggregation):
    predictor = tiny.random_predictor(k=3, aggregation=aggregation, tau=0.3, anchor=0.2)
    bank, queries = tiny.random_bank(9), tiny.random_queries(20)
    records = [Record(f"test-{i:02d}", i % 3, "", TEST) for i in range(20)]
    before = predictor.predict(queries, BankView(bank))
    after = predictor.predict(queries, BankView(bank, ["img-04"]))
    changed = np.abs(after.probabilities - before.probabilities).max(axis=1) > 1e-6
    found = influenced(predictor, bank, "img-04", records, queries)
    assert 0 < len(found) < 20
    assert {one.id for one in found} == {records[i].id for i in np.flatnonzero(changed)}
    assert [abs(one.shift) for one in found] == sorted((abs(o.shift) for o in found), reverse=True)
    for one in found:
        i = int(one.id[-2:])
        shift = after.probabilities[i, i % 3] - before.probabilities[i, i % 3]
        assert one.shift == pytest.approx(shift, abs=1e-6)
        assert (one.class_before, one.class_after) == (before.classes[i], after.classes[i])
    assert influenced(predictor, bank, "img-04", [], queries[:0]) == ()


# -- as scores of a bundle ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    write_bundle(tiny.random_bundle(), tmp_path / "tiny")
    return tmp_path / "tiny"


def an_influence(bundle):
    n = len(bundle.bank)
    return Influence(
        ids=bundle.bank.ids,
        touched=np.arange(n),
        flips=np.arange(n) % 2,
        shift=np.linspace(-1, 1, n, dtype=np.float32),
        total=np.linspace(0, 2, n, dtype=np.float32),
        n_test=len(bundle.test_keys),
    )


def test_saved_scores_come_back_and_leave_the_rest_as_it_was(folder):
    before = read_bundle(folder)
    assert stored_influence(before) is None
    save_influence(folder, an_influence(before))
    after = read_bundle(folder)
    found, wanted = stored_influence(after), an_influence(before)
    assert (found.ids, found.n_test) == (wanted.ids, wanted.n_test)
    for name in ("touched", "flips", "shift", "total"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
    assert after.scores["memorisation"].equal(before.scores["memorisation"])
    assert after.digest != before.digest
    # What was trained from this bundle is still known: scores are no source of a training.
    assert source_digest(after) == source_digest(before)
    save_influence(folder, wanted)  # a second time replaces it
    assert set(read_bundle(folder).scores) == set(after.scores)


def test_saving_into_something_else_than_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="not a bundle"):
        save_influence(tmp_path, an_influence(tiny.random_bundle()))


def test_a_new_bundle_knows_its_influence(digits):
    stored = digits.explain.influence()
    anew = finish(digits.explain.compute_influence())
    assert stored.total == pytest.approx(anew.total, abs=1e-4)
    assert np.array_equal(stored.touched, anew.touched)


# -- the command -------------------------------------------------------------------------------


def command(capsys, *arguments):
    assert main(["influence", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_lists_the_most_influential_and_saves_on_demand(folder, capsys):
    computed = command(capsys, folder, "--top", 3)
    assert (computed["source"], computed["saved"]) == ("computed", False)
    assert (computed["n_entries"], computed["n_test"], len(computed["entries"])) == (12, 6, 3)
    totals = [entry["total"] for entry in computed["entries"]]
    assert totals == sorted(totals, reverse=True)
    saved = command(capsys, folder, "--top", 3, "--save")
    stored = command(capsys, folder, "--top", 3)
    assert (saved["saved"], stored["source"]) == (True, "bundle")
    assert computed["entries"] == saved["entries"] == stored["entries"]
    assert main(["influence", str(folder)]) == 0
    assert "each of 12" in capsys.readouterr().out


def test_the_command_refuses_a_negative_number_and_a_bundle_without_images(
    folder, tmp_path, capsys
):
    assert main(["influence", str(folder), "--top", "-1"]) == 2
    assert "--top must be 0 or more" in capsys.readouterr().err
    shutil.rmtree(folder)
    write_bundle(tiny.random_bundle(thumbnails=False), folder)
    assert main(["influence", str(folder)]) == 2
    assert "came without its pictures" in capsys.readouterr().err
