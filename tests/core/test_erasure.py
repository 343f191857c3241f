"""Erasing: what goes, what stays and keeps its bytes, what the receipt says, and who may do it."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import erasable
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from munkey_core.audit.reports import find_report, save_reports
from munkey_core.audit.shipping import ship_oracles
from munkey_core.bundle.find import find_bundles
from munkey_core.bundle.ledger import Ledger, Receipt, keyed_hash, owner_hash
from munkey_core.bundle.manifest import BANK, ENCODER, EXACT, EXACT_MODE, MODEL, QUERIES
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import work_folder
from munkey_core.erasure.erasure import erase
from munkey_core.erasure.receipts import make_key
from munkey_core.erasure.verification import damaged_files, rows_without_their_digest
from munkey_core.errors import (
    BadInputError,
    BundleChangedError,
    BundleError,
    ProjectionError,
    UnknownIdError,
)
from munkey_core.explain.influence import leave_one_out, save_influence, stored_influence
from munkey_core.explain.map import save_projections
from munkey_core.model.bank import BankView
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress, drive, finish
from munkey_core.results import PRIVATE
from munkey_core.studio import Studio
from munkey_core.studio.erasure import Erasure
from munkey_core.training.retraining import PLAIN, Run
from munkey_core.training.runs import Runs, runs_folder

TWO = ("img-03", "img-17")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(place / "cache"))
        erasable.fill_cache(erasable.make(place / "tiny"))
    return place


@pytest.fixture
def folder(template, tmp_path, cache):
    shutil.copytree(template / "cache", cache)
    return shutil.copytree(template / "tiny", tmp_path / "tiny")


@pytest.fixture
def bundle(folder):
    return read_bundle(folder)


def work_that_gives(result):
    yield from ()
    return result


def erased(folder, ids, **more):
    steps = []
    receipt = drive(erase(folder, ids, **more), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(receipt, Receipt)
    return receipt


# -- what goes -----------------------------------------------------------------------------------


def test_nothing_of_the_images_is_left_in_any_byte_of_bundle_or_cache(folder, bundle, tmp_path):
    ids = [record.id for record in bundle.records_of(PRIVATE) if record.owner == erasable.OWNER]
    assert len(ids) == 6
    planted = erasable.canaries(bundle, ids) | {"owner": erasable.OWNER.encode()}
    there = erasable.in_folder(folder, planted)
    cached = erasable.in_folder(tmp_path / "cache", planted)
    # The search finds what is there: else finding nothing afterwards would say nothing.
    transform = bundle.thumbnails._transform
    unseen = {name for name in planted if name.startswith("image (") and transform not in name}
    assert there == {name for name in planted if not name.startswith("logit row")} - unseen
    kinds = {name.split(" img")[0] for name in cached}
    assert {"id", "key", "token", "logit row 10", "logit row 11"} <= kinds

    erased(folder, ids)

    assert erasable.in_folder(tmp_path, planted) == set()


def test_a_search_finds_what_is_packed_in_other_ways(tmp_path):
    """PNG, zip and gzip do not occur in a bundle; the search would see them if they did."""
    import gzip
    import zipfile

    from munkey_core.data.images import encode_png

    image = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    pattern = {"text": b"customer-0137 was here"}
    (tmp_path / "a.bin").write_bytes(b"123" + gzip.compress(pattern["text"]))
    assert erasable.in_folder(tmp_path, pattern) == {"text"}
    (tmp_path / "a.bin").unlink()
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", pattern["text"] * 9)
    assert erasable.in_folder(tmp_path, pattern) == {"text"}
    (tmp_path / "b.zip").unlink()
    (tmp_path / "c").write_bytes(b"pad" + encode_png(image))
    assert bool(erasable.in_folder(tmp_path, {"row": image[0].tobytes()}))


def test_what_stays_keeps_its_bytes_its_order_and_its_place(folder, bundle):
    before = {name: (folder / name).read_bytes() for name in bundle.manifest.files}
    erased(folder, TWO)
    left = read_bundle(folder)
    kept = [id_ for id_ in bundle.bank.ids if id_ not in TWO]
    rows = bundle.bank.rows(kept)

    assert left.bank.ids == tuple(kept)
    assert torch.equal(left.bank.keys, bundle.bank.keys[rows])
    assert torch.equal(left.bank.tokens, bundle.bank.tokens[rows])
    assert torch.equal(left.exact.tokens, bundle.exact.tokens[rows])
    for mode in bundle.modes:
        assert left.in_mode(mode).manifest.ensemble == bundle.in_mode(mode).manifest.ensemble
    for space, fitted in bundle.projections.items():
        assert np.array_equal(left.projections[space].positions, fitted.positions[rows.numpy()])
    assert left.records == tuple(r for r in bundle.records if r.id not in TWO)
    ids = [record.id for record in left.records]
    assert np.array_equal(left.thumbnails.array(ids), bundle.thumbnails.array(ids))
    for name in (MODEL, ENCODER, QUERIES, "NOTICE", "recipe.toml"):
        assert (folder / name).read_bytes() == before[name]
    assert left.manifest.splits["counts"][PRIVATE] == len(kept)
    assert rows_without_their_digest(left) == 0
    assert damaged_files(folder)[1] == {}


@pytest.mark.parametrize("mode", ["joint", "exact"])
def test_scores_are_those_of_the_memory_that_is_left(folder, bundle, mode):
    """Measured anew where an erased image answered; the others keep their bytes; influence, which
    is about the whole memory, is gone until somebody measures it."""
    receipt = erased(folder, TWO)
    before, after = bundle.in_mode(mode), read_bundle(folder).in_mode(mode)
    assert set(after.scores) == {"memorisation", "truth_with", "truth_without"}
    ids = list(after.bank.ids)
    features = after.encode(ids).features
    labels = torch.tensor([record.label for record in after.records_of(PRIVATE)])
    predictor = Predictor(after.encoder, after.model, after.manifest.ensemble)
    whole = dict(
        zip(
            ("truth_with", "truth_without"),
            leave_one_out(predictor, after.bank, features, labels),
            strict=True,
        )
    )
    whole["memorisation"] = whole["truth_with"] - whole["truth_without"]
    nearest, _ = BankView(before.bank).search(before.bank.keys, before.manifest.ensemble.k + 1)
    gone = before.bank.rows(TWO)
    touched = [bool(torch.isin(nearest[before.bank.row(id_)], gone).any()) for id_ in ids]
    assert 0 < sum(touched) < len(ids)
    rows = before.bank.rows(ids)
    for name, values in after.scores.items():
        assert torch.allclose(values[touched], whole[name][touched], atol=1e-3)
        untouched = ~torch.tensor(touched)
        assert torch.equal(values[untouched], before.scores[name][rows][untouched])
    assert [one.count for one in receipt.purged if "anew" in one.what] == [2 * sum(touched)]


def test_the_app_goes_on_with_what_is_left(folder):
    erased(folder, TWO)
    for mode in ("joint", "exact"):
        studio = Studio.open(str(folder)).session(mode)
        deletion = studio.forget(studio.memory.private_ids()[:2])
        assert len(studio.changes(deletion)) == 2
        studio.undo()
        assert studio.memory.canonical_sets()["random-10pct"]
        assert studio.audit.report(studio.memory.canonical_sets()["random-10pct"]) is None
        assert studio.audit.retrained([studio.memory.private_ids()[0]]) is None or mode == "exact"
        assert studio.audit.main_report() is None
        assert studio.maps.projection("keys").method == "umap"
        with pytest.raises(UnknownIdError):
            studio.memory.record(TWO[0])
        report = finish(studio.privacy.run(studio.memory.private_ids()[:3]))
        assert report.n_forget == 3
    assert Studio.open(str(folder)).explain.influence() is None


def test_figures_from_before_are_kept_as_such_and_name_no_image(folder, bundle):
    spec = bundle.bank.ids[3]
    assert spec in bundle.metrics["reports"]
    erased(folder, ["img-20"])  # none of that set
    left = read_bundle(folder)
    assert set(left.metrics) == {"before_erasure"}
    before = left.metrics["before_erasure"]
    assert before["digest"] == bundle.version
    assert set(before["reports"]["joint"]) == {"random-10pct", "one-owner"}
    assert set(before["reports"]["exact"]) == {"one-owner"}
    assert "set_digest" not in {
        name for part in before["reports"].values() for one in part.values() for name in one
    } or all(
        one["set_digest"] == "" for part in before["reports"].values() for one in part.values()
    )
    assert left.experiments is None
    assert left.manifest.exact["verified"] == {}
    assert not any(name.startswith("oracles/") for name in left.manifest.files)
    assert "## Measured before an erasure" in left.card
    assert "## Measured\n" not in left.card
    assert left.in_mode(EXACT_MODE).metrics is None

    erased(folder, ["img-21"])  # they stay what they were: of the version before the first
    again = read_bundle(folder)
    assert again.metrics["before_erasure"]["digest"] == bundle.version
    assert find_report(again, ["img-22"]) is None


def test_the_only_mode_may_be_exact(tmp_path, folder, bundle):
    from munkey_core.bundle.write import write_bundle

    only = dataclasses.replace(bundle.in_mode(EXACT_MODE), metrics=None, projections={})
    write_bundle(only, tmp_path / "only")
    receipt = erased(tmp_path / "only", TWO)
    assert receipt.modes == (EXACT_MODE,)
    assert "by construction" in next(one.why for one in receipt.remains if one.where == MODEL)
    assert len(read_bundle(tmp_path / "only").bank) == erasable.PRIVATE - 2


def test_one_image_may_stay_alone(folder, bundle):
    erased(folder, bundle.bank.ids[1:])
    studio = Studio.open(str(folder))
    assert studio.memory.private_ids() == bundle.bank.ids[:1]
    assert studio.predict([bundle.bank.ids[0]]).retrieval.ids == ((bundle.bank.ids[0],),)


# -- the receipt ---------------------------------------------------------------------------------


def test_the_receipt_says_what_was_done_and_names_nobody(folder, bundle):
    ids = tuple(r.id for r in bundle.records_of(PRIVATE) if r.owner == erasable.OWNER)
    receipt = erased(folder, ids)
    text = Erasure.receipt_text(receipt)
    assert not any(id_ in text for id_ in (*ids, erasable.OWNER))
    assert Erasure.read_receipt(text.encode()) == receipt
    assert (receipt.number, receipt.count, receipt.previous) == (1, 6, "")
    assert receipt.modes == ("joint", "exact")
    assert receipt.digest_before == bundle.version
    assert receipt.digest_after == read_bundle(folder).version
    secret = Ledger.read(folder).secret
    assert receipt.commitment == hashlib.sha256(bytes.fromhex(secret)).hexdigest()
    assert secret not in text
    assert receipt.ids == tuple(sorted(keyed_hash(secret, id_) for id_ in ids))
    assert receipt.owner == owner_hash(secret, erasable.OWNER)
    rows = (bundle.bank.row_digest(bundle.bank.row(id_)) for id_ in ids)
    joint = {keyed_hash(secret, row) for row in rows}
    assert set(receipt.rows["joint"]) == joint
    assert len(set(receipt.rows["exact"]) - joint) == 6
    counts = {one.place: one.count for one in receipt.purged}
    assert counts[BANK] == counts[EXACT] == counts["thumbnails.safetensors"] == 6
    assert counts["oracles/"] == 3
    assert counts["cache"] == 8
    assert counts["old version"] > 15
    why = next(one.why for one in receipt.remains if one.where == MODEL)
    assert erasable.LEAK in why
    assert any(one.where == "outside" and "backups" in one.why for one in receipt.remains)


def test_an_owner_is_hashed_only_if_all_images_are_one_owners(folder):
    assert erased(folder, ("img-03", "img-04")).owner == ""


def test_no_property_of_a_ledger_is_another_at_the_second_look():
    ledger = Ledger()
    names = [name for name, value in vars(Ledger).items() if isinstance(value, property)]
    assert {"receipts", "last"} <= set(names)
    assert all(getattr(ledger, name) == getattr(ledger, name) for name in names)
    assert ledger.with_secret().secret != ledger.with_secret().secret  # a new one each
    kept = ledger.with_secret()
    assert kept.with_secret() is kept


def test_receipts_are_chained_and_share_a_secret(folder):
    first, second = erased(folder, TWO), erased(folder, ["img-05"])
    assert second.previous == first.hash
    assert second.digest_before == first.digest_after
    assert second.commitment == first.commitment
    studio = Studio.open(str(folder))
    assert [entry.receipt for entry in studio.erasure.ledger()] == [first, second]
    assert all(studio.erasure.check(receipt).ok for receipt in (first, second))


def test_a_second_run_gives_the_receipt_of_the_first(folder):
    receipt = erased(folder, TWO)
    assert erased(folder, tuple(reversed(TWO))) == receipt
    assert len(Studio.open(str(folder)).erasure.ledger()) == 1
    assert erased(folder, [*TWO, "img-05"]).count == 1  # those that are gone are passed over
    with pytest.raises(BadInputError, match="erased already"):
        erased(folder, [TWO[0], "img-05"])  # by two erasures: no one receipt is about them


def test_saving_figures_afterwards_keeps_receipts_good_and_is_in_the_ledger(folder):
    receipt = erased(folder, TWO)
    save_projections(folder, dict(read_bundle(folder).projections))
    assert (
        len(Studio.open(str(folder)).erasure.ledger()) == 1
    )  # the same bytes are the same version
    found = finish(Studio.open(str(folder)).explain.compute_influence())
    save_influence(folder, found)
    studio = Studio.open(str(folder))
    assert [entry.kind for entry in studio.erasure.ledger()] == ["erased", "changed"]
    assert studio.erasure.check(receipt).ok
    assert erased(folder, ["img-05"]).number == 3
    assert Studio.open(str(folder)).erasure.check(receipt).ok


def test_a_receipt_of_another_bundle_or_an_older_state_is_not_confirmed(folder, template, tmp_path):
    other = shutil.copytree(template / "tiny", tmp_path / "other")
    mine, theirs = erased(folder, TWO), erased(other, TWO)
    check = Studio.open(str(folder)).erasure.check(theirs)
    assert (check.in_ledger, check.ok) == (False, False)
    untouched = shutil.copytree(template / "tiny", tmp_path / "untouched")
    check = Studio.open(str(untouched)).erasure.check(mine)
    # Only the ledger's secret could tell, and that bundle has none.
    assert (check.rows_present, check.ids_present) == (None, None)
    assert not check.ok


def test_rows_put_back_are_found_even_in_a_bundle_that_is_sealed_anew(folder, bundle):
    """Somebody who can write the folder puts the old rows back and seals it with the ledger."""
    from munkey_core.bundle.write import pack_bundle, seal

    receipt = erased(folder, TWO)
    for name, data in pack_bundle(bundle):
        (folder / name).write_bytes(data)
    seal(folder, bundle.manifest)
    check = Studio.open(str(folder)).erasure.check(receipt)
    assert (check.chain_whole, check.in_ledger, check.files_damaged) == (True, True, 0)
    assert (check.rows_present, check.ids_present) == (4, 2)
    assert not check.ok


def test_a_signature_is_checked_and_asked_for(folder, tmp_path):
    key, other = tmp_path / "key.pem", tmp_path / "other.pem"
    public, public_other = make_key(key), make_key(other)
    assert key.stat().st_mode & 0o077 == 0
    receipt = erased(folder, TWO, key=key)
    unsigned = erased(folder, ["img-05"])
    studio = Studio.open(str(folder))
    assert studio.erasure.check(receipt).signature == "valid"
    assert studio.erasure.check(receipt, public).ok
    assert studio.erasure.check(receipt, public_other).signature == "other"
    assert not studio.erasure.check(receipt, public_other).ok
    assert not studio.erasure.check(unsigned, public).ok
    forged = dataclasses.replace(receipt, signature="0" * 128)
    assert studio.erasure.check(forged).signature == "invalid"
    stripped = dataclasses.replace(receipt, signature="")
    assert not studio.erasure.check(stripped).ok
    with pytest.raises(BadInputError, match="exists already"):
        make_key(key)
    with pytest.raises(BadInputError, match="private Ed25519 key"):
        erased(folder, ["img-06"], key=public)
    assert "img-06" in read_bundle(folder).bank


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values: values.update(count=3),
        lambda values: values["purged"].pop(),
        lambda values: values["rows"]["joint"].reverse(),
        lambda values: values.update(created="2020-01-01T00:00:00+00:00"),
        lambda values: values.update(extra=1),
        lambda values: values.pop("commitment"),
        lambda values: values.update(commitment="", salt="5a" * 32),
        lambda values: values.update(format="munkey-receipt-1"),
        lambda values: values.update(ids="none"),
        lambda values: values.update(format="another"),
    ],
)
def test_a_changed_receipt_is_refused(folder, spoil):
    values = json.loads(Erasure.receipt_text(erased(folder, TWO)))
    spoil(values)
    with pytest.raises(BadInputError, match="receipt"):
        Erasure.read_receipt(json.dumps(values))


# -- who may erase what --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "kind", "says"),
    [
        (["img-03", "nobody"], UnknownIdError, "nobody"),
        (["img-25"], UnknownIdError, "test image"),
        (["img-33"], UnknownIdError, "anchor image"),
        ([], BadInputError, "at least one"),
        ([f"img-{i:02d}" for i in range(erasable.PRIVATE)], BadInputError, "at least one must"),
        (["img-\ud800"], UnknownIdError, "no such image"),
    ],
)
def test_what_cannot_be_erased_is_refused_and_nothing_changes(folder, ids, kind, says):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    studio = Studio.open(str(folder))
    assert says in studio.erasure.plan(ids).problem
    with pytest.raises(kind, match=says):
        erased(folder, ids)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not work_folder(folder).exists()


def test_a_plan_tells_found_unknown_gone_public_and_near_ones(folder, bundle):
    erased(folder, ["img-05"])
    studio = Studio.open(str(folder))
    studio.forget(["img-04"])  # in a session's view only: in the bundle it is there
    asked = ["img-03", "img-05", "x", "img-25", "img-03", "img-04"]
    plan = studio.erasure.plan(asked)
    assert plan.ids == ("img-03", "img-04")
    assert (plan.gone, plan.unknown) == (("img-05",), ("x",))
    assert plan.public == (("img-25", "test"),)
    assert plan.owners == {"owner-3": 1, "owner-0": 1}
    assert (plan.keys_before, plan.keys_after) == (23, 21)
    assert plan.problem
    near = studio.about.near_duplicate_threshold
    keys = read_bundle(folder).bank
    for pair in plan.near_duplicates:
        assert pair.other not in plan.ids
        assert pair.similarity >= near - 1e-6
    wanted = sum(
        float(keys.keys[keys.row(a)] @ keys.keys[keys.row(b)]) >= near
        for a in plan.ids
        for b in keys.ids
        if b not in plan.ids
    )
    assert len(plan.near_duplicates) == wanted > 0


def test_a_session_erases_the_whole_bundle_in_whatever_mode_it_is(folder):
    studio = Studio.open(str(folder)).session("exact")
    assert studio.erasure.plan(TWO).modes == ("joint", "exact")
    receipt = finish(studio.erasure.erase(TWO))
    assert set(receipt.rows) == {"joint", "exact"}
    assert studio.erasure.stale


def test_a_session_keeps_its_version_and_is_told_that_there_is_another(folder):
    old, new = Studio.open(str(folder)), Studio.open(str(folder))
    pixels = old.pictures.pixels(TWO)
    before = old.predict(TWO).probabilities
    token = old._shared.bundle.bank.tokens.clone()
    assert not old.erasure.stale
    list(new.erasure.erase(["img-03"]))
    assert old.erasure.stale
    # Files of the old version were overwritten: nothing in memory may be a view of them.
    assert torch.equal(old._shared.bundle.bank.tokens, token)
    assert np.array_equal(old.predict(TWO).probabilities, before)
    assert np.array_equal(old.pictures.pixels(TWO), pixels)
    assert old.memory.score("memorisation", "img-03") == new.memory.score("memorisation", "img-03")
    with pytest.raises(BundleChangedError, match="reload"):
        old.audit.retrained(["img-01"])
    with pytest.raises(BundleChangedError, match="reload"):
        next(old.erasure.erase(["img-05"]))
    assert "img-05" in read_bundle(folder).bank
    assert not Studio.open(str(folder)).erasure.stale


def test_what_a_late_job_makes_of_erased_rows_is_not_kept(folder, bundle, monkeypatch):
    """A training that began before an erasure ends after it."""
    runs = Runs(bundle, torch.device("cpu"))
    said = erasable.answers(bundle, 4)
    erased(folder, TWO)
    with pytest.raises(BundleChangedError):
        finish(runs.remembered(["x", 1], lambda: work_that_gives(said)))
    assert not runs_folder(bundle).exists()
    with pytest.raises(BundleChangedError):
        runs.known_outputs(Run(PLAIN, (bundle.bank.ids[1],), 0))


@pytest.mark.parametrize(
    "save",
    [
        lambda folder, old: save_influence(folder, stored_influence(old)),
        lambda folder, old: save_projections(folder, dict(old.projections)),
        lambda folder, old: save_reports(folder, [_report_of(old)]),
    ],
)
def test_figures_of_the_version_before_are_not_saved_into_the_new_one(folder, bundle, save):
    erased(folder, TWO)
    version = read_bundle(folder).version
    with pytest.raises((BundleChangedError, BadInputError, ProjectionError), match="changed"):
        save(folder, bundle)
    assert read_bundle(folder).version == version
    assert not work_folder(folder).exists()


def _report_of(bundle):
    from test_results_page import report

    return dataclasses.replace(report(), digest=bundle.digest)


def test_answers_of_models_trained_before_are_not_shipped_into_the_new_version(folder):
    steps = ship_oracles(folder, 1, 0, "cpu", only=())
    for step in steps:
        if step.stage.endswith("training"):
            break
    erased(folder, TWO)
    with pytest.raises(BundleChangedError):
        list(steps)
    assert not (folder / "oracles").exists()


# -- another place -------------------------------------------------------------------------------


def test_out_leaves_the_bundle_as_it_is_and_says_so(folder, bundle, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    receipt = erased(folder, TWO, out=tmp_path / "new")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert receipt.original_kept
    assert any("still holds all" in one.why for one in receipt.remains)
    assert not any(one.place in ("cache", "old version") for one in receipt.purged)
    assert runs_folder(bundle).exists()
    planted = erasable.canaries(bundle, TWO)
    assert erasable.in_folder(tmp_path / "new", planted) == set()
    assert Studio.open(str(tmp_path / "new")).erasure.check(receipt).ok
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "new", "tiny"]
    for out in (tmp_path / "new", folder / "inside", tmp_path / "no" / "where"):
        with pytest.raises(BadInputError, match=r"exists|inside|no folder"):
            erased(folder, TWO, out=out)


def test_unfinished_work_beside_the_bundle_goes_too(folder):
    for ending in (".training", ".making"):
        work = folder.with_name(folder.name + ending)
        work.mkdir()
        (work / "model.ckpt").write_bytes(b"img-03")
    erased(folder, TWO)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["cache", "tiny"]


def test_what_links_point_to_is_left_alone(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    (precious / "other").write_text("me too")
    (folder / "oracles" / "link").symlink_to(precious / "file")
    (folder / "folder").symlink_to(precious)
    os.link(precious / "other", folder / "hard")
    receipt = erased(folder, TWO)
    assert (precious / "file").read_text() == "keep me"
    assert (precious / "other").read_text() == "me too"
    assert any("hard link" in one.why for one in receipt.remains)
    assert damaged_files(folder)[1] == {}


def test_a_bundle_reached_by_a_link_is_erased_where_it_lies(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    erased(link, TWO)
    assert link.is_symlink()
    assert not set(TWO) & set(read_bundle(folder).bank.ids)


def test_permissions_stay(folder):
    folder.chmod(0o700)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o400)
    erased(folder, TWO)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_abandoned_erasure_changes_nothing_and_frees_the_lock(folder):
    version = read_bundle(folder).version
    steps = erase(folder, TWO)
    for _ in range(6):
        next(steps)
    assert work_folder(folder).exists()
    steps.close()
    assert not work_folder(folder).exists()
    assert read_bundle(folder).version == version
    assert erased(folder, TWO).count == 2


def test_work_in_progress_is_in_no_list_of_bundles(folder, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folder.parent))
    steps = erase(folder, TWO)
    for _ in range(6):
        next(steps)
    assert [path for path in find_bundles() if path.parent == folder.parent] == [folder]
    list(steps)


# -- hostile leftovers ---------------------------------------------------------------------------


def test_a_forged_journal_removes_nothing_outside(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    version = read_bundle(folder).version
    work = work_folder(folder)
    work.mkdir()
    caches = ["../precious", "runs/../../precious", "/" + str(precious)]
    journal = {"before": version, "after": version, "erased": True, "caches": caches}
    (work / "journal.json").write_text(json.dumps(journal))
    erased(folder, TWO)
    assert (precious / "file").read_text() == "keep me"


def test_the_only_copy_is_never_removed(folder):
    """Where neither version fits its journal, everything stays for a person to look at."""
    work = work_folder(folder)
    work.mkdir()
    shutil.copytree(folder, work / "tiny")
    (work / "journal.json").write_text(
        json.dumps({"before": "0" * 64, "after": "1" * 64, "erased": True, "caches": []})
    )
    shutil.rmtree(folder)
    with pytest.raises(BundleError, match="look at both"):
        erased(folder, TWO)
    assert read_bundle(work / "tiny").bank.ids


# -- the command line ----------------------------------------------------------------------------


def test_commands_from_plan_to_receipt(munkey, folder, tmp_path):
    key, receipt = tmp_path / "k.pem", tmp_path / "receipt.json"
    code, document, _ = munkey("key", key)
    assert code == 0
    signer = document["signer"]
    code, document, _ = munkey("erase", folder, ",".join(TWO))
    assert (code, document["erased"], document["ids"]) == (0, False, list(TWO))
    assert "img-03" in read_bundle(folder).bank
    code, document, _ = munkey(
        *("erase", folder, ",".join(TWO), "--yes", "--key", key, "--receipt", receipt)
    )
    assert code == 0
    assert document["receipt"]["signer"] == signer
    assert json.loads(receipt.read_text())["hash"] == document["receipt"]["hash"]
    code, document, _ = munkey("verify", folder)
    assert (code, document["erasures"], document["problems"]) == (0, 1, [])
    code, document, _ = munkey("verify", folder, "--receipt", receipt, "--public-key", f"{key}.pub")
    assert (code, document["ok"], document["signature"]) == (0, True, "valid")
    code, document, _ = munkey("erase", folder, ",".join(TWO), "--yes")
    assert code == 0  # again: the same receipt
    assert document["receipt"]["number"] == 1


def test_an_owner_who_is_gone_is_told_apart_from_one_who_never_was(munkey, folder):
    code, document, _ = munkey("erase", folder, f"owner:{erasable.OWNER}", "--yes")
    assert (code, document["receipt"]["count"]) == (0, 6)
    code, _, err = munkey("erase", folder, f"owner:{erasable.OWNER}", "--yes")
    assert code == 2
    assert "erased already: receipt 1" in err
    code, _, err = munkey("erase", folder, "owner:nobody", "--yes")
    assert code == 2
    assert "erased" not in err


def test_repeating_an_interrupted_command_never_erases_a_second_set_of_that_name(munkey, folder):
    from munkey_core.bundle import versions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "_finish", lambda folder: versions.Finished())
        assert munkey("erase", folder, "random-10pct", "--yes")[0] == 0
    left = read_bundle(folder).bank.ids
    code, _, err = munkey("erase", folder, "random-10pct", "--yes")
    assert code == 2
    assert "receipt 1" in err
    assert read_bundle(folder).bank.ids == left
    assert munkey("verify", folder)[0] == 0


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["erase", "B"], "name the images"),
        (["erase", "B", "nobody", "--yes"], "nobody"),
        (["erase", "B", "img-03", "--yes", "--key", "nothing"], "nothing"),
        (["erase", "B", "img-03", "--finish"], "--finish"),
        (["verify", "B", "--public-key", "x"], "--receipt"),
        (["verify", "B", "--receipt", "nothing.json"], "can't be read"),
        (["verify", "B", "--receipt", "B/manifest.json"], "no receipt"),
    ],
)
def test_bad_commands_are_one_line_and_change_nothing(munkey, folder, argv, says):
    version = read_bundle(folder).version
    code, document, err = munkey(*(word.replace("B", str(folder), 1) for word in argv))
    assert (code, document) == (2, None)
    assert says in err
    assert err.count("\n") == 1
    assert read_bundle(folder).version == version


def test_verify_tells_of_an_interrupted_erasure_and_finish_completes_it(munkey, folder):
    from munkey_core.bundle import versions

    with pytest.MonkeyPatch.context() as patch:
        # It stops right after the switch.
        patch.setattr(versions, "_finish", lambda folder: versions.Finished())
        erased(folder, TWO)
    code, document, _ = munkey("verify", folder)
    assert code == 1
    assert "interrupted" in document["problems"][0]
    code, document, _ = munkey("erase", folder, "--finish")
    assert (code, document["finished"]) == (0, True)
    code, document, _ = munkey("erase", folder, "--finish")
    assert (code, document["finished"]) == (0, False)
    assert munkey("verify", folder)[0] == 0


def test_a_whole_bundle_has_a_row_for_each_stored_tensor(folder):
    """A tensor that is added to a bundle some day must be thought of here: each one either has a
    row an image, and is shorter afterwards, or knows nothing of single images."""
    tables = {}
    for when in ("before", "after"):
        tables[when] = {
            f"{path.name}:{name}": tensor.shape
            for path in sorted(folder.glob("*.safetensors"))
            for name, tensor in load_file(path).items()
        }
        if when == "before":
            erased(folder, TWO)
    shorter = {n for n, shape in tables["before"].items() if tables["after"].get(n) != shape}
    whole = set(tables["before"]) - shorter
    assert {name.split(":")[0] for name in whole} == {
        MODEL,
        ENCODER,
        QUERIES,
        EXACT,
        "projections.safetensors",
        "thumbnails.safetensors",
    }
    assert {name for name in whole if name.startswith((EXACT, "proj", "thumb"))} == {
        *(f"{EXACT}:model.{name}" for name in read_bundle(folder).model.state_dict()),
        *(
            f"projections.safetensors:{s}_{w}"
            for s in ("keys", "tokens")
            for w in ("seed", "digest")
        ),
        "thumbnails.safetensors:shape",
        "thumbnails.safetensors:transform",
        *(
            n
            for n in whole
            if n in ("thumbnails.safetensors:offsets", "thumbnails.safetensors:counts")
        ),
    }
    assert Path(folder / "seal.json").is_file()
