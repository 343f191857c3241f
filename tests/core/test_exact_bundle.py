"""An exact mode in a bundle: written and read back bit for bit, refused when damaged, and never
mixed up with the joint mode beside it."""

import dataclasses
import shutil

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from munkey_core.audit.audit import ForgettingAudit
from munkey_core.audit.evidence import Evidence
from munkey_core.audit.trace import trace
from munkey_core.bundle.manifest import EXACT, EXACT_MODE, JOINT_MODE, read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import row_digests, seal, write_bundle
from munkey_core.config import WriteConfig
from munkey_core.erasure.verification import ExactVerification
from munkey_core.errors import BadInputError, BundleError, UnknownIdError
from munkey_core.explain.map import maps_of
from munkey_core.jobs.job import make_job
from munkey_core.progress import finish
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.exact import SPLITS, labelled, make_exact, save_exact
from munkey_core.training.provenance import provenance
from munkey_core.training.retraining import MUNKEY, PLAIN, Run, reference_run
from munkey_core.training.runs import Runs, runs_folder, source_digest

IDS = ("img-01", "img-04", "img-07")


def evidence_of(bundle):
    return Evidence(Runs(bundle, torch.device("cpu")))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder of a tiny bundle with both modes."""
    folder = tmp_path_factory.mktemp("both") / "tiny"
    write_bundle(tiny.random_bundle(), folder)
    bundle = read_bundle(folder)
    made = finish(
        make_exact(
            bundle.encoder,
            bundle.manifest.model,
            dataclasses.replace(tiny.TRAIN, epochs=1),
            WriteConfig(steps=3),
            {split: labelled(bundle, split) for split in SPLITS},
            len(tiny.CLASSES),
            torch.device("cpu"),
        )
    )
    table = {**made.table, "provenance": provenance(torch.device("cpu"), made.seconds)}
    save_exact(folder, made.mode, table)
    return folder


@pytest.fixture(scope="module")
def bundle(both):
    return read_bundle(both)


@pytest.fixture
def folder(both, tmp_path):
    return shutil.copytree(both, tmp_path / "tiny")


def rewrite(folder, **changes):
    path = folder / EXACT
    tensors = {**load_file(path), **changes}
    save_file({k: v.contiguous() for k, v in tensors.items() if v is not None}, path)
    seal(folder, read_manifest(folder)[0])


# -- there and back ------------------------------------------------------------------------------


def test_it_is_read_back_bit_for_bit(both, bundle, tmp_path):
    write_bundle(bundle, tmp_path / "again")
    again = read_bundle(tmp_path / "again")
    assert (tmp_path / "again" / EXACT).read_bytes() == (both / EXACT).read_bytes()
    assert torch.equal(again.exact.tokens, bundle.exact.tokens)
    assert again.manifest.exact == bundle.manifest.exact
    for name, value in bundle.exact.model.state_dict().items():
        assert torch.equal(value, again.exact.model.state_dict()[name])


def test_the_other_mode_shares_images_and_keys_and_nothing_else(bundle):
    exact = bundle.in_mode(EXACT_MODE)
    assert bundle.modes == (JOINT_MODE, EXACT_MODE)
    assert (bundle.mode, exact.mode, exact.modes) == (
        JOINT_MODE,
        EXACT_MODE,
        (EXACT_MODE,),
    )
    assert exact.bank.keys is bundle.bank.keys
    assert exact.encoder is bundle.encoder
    assert exact.thumbnails is bundle.thumbnails
    assert exact.records is bundle.records
    assert not torch.equal(exact.bank.tokens, bundle.bank.tokens)
    assert exact.model is not bundle.model
    assert exact.manifest.training["mode"] == EXACT_MODE
    assert bundle.in_mode(JOINT_MODE) is bundle
    assert exact.in_mode(EXACT_MODE) is exact
    with pytest.raises(BundleError, match="no joint mode"):
        exact.in_mode(JOINT_MODE)
    with pytest.raises(BundleError, match="munkey write"):
        tiny.random_bundle().in_mode(EXACT_MODE)


def test_no_cache_takes_one_mode_for_the_other(bundle):
    exact = bundle.in_mode(EXACT_MODE)
    assert bundle.digest != exact.digest
    assert source_digest(bundle) != source_digest(exact)
    assert runs_folder(bundle) != runs_folder(exact)
    assert maps_of(bundle.bank).folder() != maps_of(exact.bank).folder()
    jobs = [make_job("compare", one, IDS) for one in (bundle, exact)]
    assert jobs[0] != jobs[1]
    assert jobs[0].results != jobs[1].results
    assert (row_digests(bundle.bank) != row_digests(exact.bank)).any(dim=1).all()


def test_theta_depends_on_public_images_only(bundle):
    """Other private images, the same θ and the same settings; each row that stays, the same."""
    parts = {split: labelled(bundle, split) for split in SPLITS}
    private = parts["private"]
    half = private.ids[:5]
    fewer = {**parts, "private": labelled(bundle, "private", half)}
    made = [
        finish(
            make_exact(
                bundle.encoder,
                bundle.manifest.model,
                dataclasses.replace(tiny.TRAIN, epochs=1),
                WriteConfig(steps=3),
                some,
                len(tiny.CLASSES),
                torch.device("cpu"),
            )
        ).mode
        for some in (parts, fewer)
    ]
    for name, value in made[0].model.state_dict().items():
        assert torch.equal(value, made[1].model.state_dict()[name])
    assert made[0].ensemble == made[1].ensemble
    assert torch.equal(made[0].tokens[:5], made[1].tokens)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"codes": None}, "no tensor 'codes'"),
        ({"codes": torch.zeros(12, 3, dtype=torch.uint8)}, "codes must be"),
        ({"codes": torch.full((12, 8), 255, dtype=torch.uint8)}, "not those of written tokens"),
        ({"scales": torch.ones(12)}, "scales must be"),
        ({"scales": torch.full((12,), torch.nan, dtype=torch.float16)}, "not finite"),
        ({"digests": torch.zeros(12, 31, dtype=torch.uint8)}, "digests must be"),
        ({"scores.memorisation": None}, "no tensor 'scores.memorisation'"),
        ({"model.cls": torch.zeros(16)}, "model.cls must be"),
        ({"model.cls": torch.full((16,), torch.inf, dtype=torch.float16)}, "not finite"),
        ({"stranger": torch.zeros(1)}, "stranger"),
    ],
)
def test_a_file_that_is_not_an_exact_mode_is_refused(folder, changes, wanted):
    rewrite(folder, **changes)
    with pytest.raises(BundleError, match=wanted):
        read_bundle(folder)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"write": {}},
        {"ensemble": {"k": 0}},
        {"write": {"steps": -1}},
        {"write": {"magic": 1}},
        {"training": {"epochs": "many"}},
        {"provenance": {}},
        {"verified": {"random-1pct": {"rows": "all"}}},
    ],
)
def test_a_manifest_that_does_not_say_how_it_was_made_is_refused(folder, table):
    manifest = read_manifest(folder)[0]
    exact = {**manifest.exact, **table} if table and table != {"write": {}} else table
    seal(folder, dataclasses.replace(manifest, exact=exact))
    with pytest.raises(BundleError):
        read_bundle(folder)


def test_one_damaged_byte_is_noticed(folder):
    path = folder / EXACT
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(folder)


# -- deletion is retraining ----------------------------------------------------------------------


def test_deleting_is_never_having_written(bundle):
    verification = ExactVerification(bundle, [",".join(IDS), "one-owner"])
    checks = finish(verification.run())
    for check in checks:
        assert check.exact
        assert check.bits_differing == check.rows_differing == check.key_bytes_differing == 0
        assert check.rows == len(bundle.bank) - check.n_forget
        assert check.answers == check.rows + 6
    assert checks[0].n_forget == 3


def test_verification_sees_a_row_that_knew_of_another(bundle, monkeypatch):
    """Tokens that depend on who else is in the batch: what a careless writing would give."""
    import munkey_core.training.rows as writing

    real = writing._write_batch

    def careless(model, features, labels, config):
        tokens = real(model, features, labels, config)
        return writing.round_tokens(tokens + tokens.mean(dim=0))

    monkeypatch.setattr(writing, "_write_batch", careless)
    (check,) = finish(ExactVerification(bundle, [",".join(IDS)]).run())
    assert not check.exact
    assert check.rows_differing > 0
    assert check.token_bytes_differing > 0
    assert check.bits_differing > 0


@pytest.mark.parametrize("spec", ["img-99", "img-12", ",".join(f"img-{i:02d}" for i in range(12))])
def test_a_set_that_cannot_be_verified_is_refused(bundle, spec):
    with pytest.raises((BadInputError, UnknownIdError), match=r"img-|at least one"):
        ExactVerification(bundle, [spec])


def test_an_oracle_of_the_exact_mode_is_the_model_after_deletion(bundle, monkeypatch):
    from munkey_core.training import retraining

    def trains(*_):
        raise AssertionError("a MUNKEY was trained")

    monkeypatch.setattr(retraining.Retraining, "train", trains)
    runs = Runs(bundle.in_mode(EXACT_MODE), torch.device("cpu"))
    evidence = Evidence(runs)
    after = finish(evidence.after(IDS))
    oracle = finish(runs.outputs(Run(MUNKEY, IDS, runs.seed)))
    assert np.array_equal(after.private, oracle.private)
    assert np.array_equal(after.test, oracle.test)
    assert evidence.retrained(IDS) is after
    assert evidence.references(MUNKEY) is None
    for other in (Run(MUNKEY, IDS, runs.seed + 1), reference_run(MUNKEY, 0)):
        with pytest.raises(BadInputError, match="no other seeds"):
            finish(runs.outputs(other))
    with pytest.raises(AssertionError, match="trained"):
        finish(runs.outputs(Run(PLAIN, IDS, runs.seed)))


def test_an_audit_of_the_exact_mode_has_no_gap_and_no_excess_leak(bundle):
    report = finish(ForgettingAudit(bundle.in_mode(EXACT_MODE), ",".join(IDS)).run())
    after = report.models["MUNKEY after"]
    assert after.exact
    assert after.avg_gap == 0.0
    assert report.leak.backbone.excess_points == 0.0
    assert not report.models["MUNKEY before"].exact


def test_a_trace_needs_no_training_in_either_mode(bundle, monkeypatch):
    from munkey_core.training import retraining

    monkeypatch.setattr(retraining.Retraining, "train", lambda *_: iter(()))
    found = {mode: finish(trace(evidence_of(bundle.in_mode(mode)), IDS)) for mode in bundle.modes}
    assert list(found["joint"].models) == ["MUNKEY before", "MUNKEY after"]
    assert found["joint"].leak.backbone is None
    assert list(found["exact"].models) == ["MUNKEY before", "MUNKEY after", "MUNKEY retrained"]
    assert found["exact"].models["MUNKEY after"].avg_gap == 0.0


def test_a_session_in_the_other_mode_answers_with_the_other_memory(bundle):
    joint = Studio(SharedModel(bundle))
    exact = joint.session(EXACT_MODE)
    assert joint.about.modes == ("joint", "exact")
    assert (joint.about.mode, exact.about.mode) == ("joint", "exact")
    assert joint.about.digest != exact.about.digest
    said = [studio.predict(IDS[:1]).probabilities for studio in (joint, exact)]
    assert not np.array_equal(*said)
    exact.forget(IDS)
    assert exact.memory.forgotten == IDS
    assert joint.memory.forgotten == ()
    assert exact.jobs.done("retrain", IDS)
    twin = exact.audit.retrained(IDS)
    asked = ("img-00", *IDS)
    now = exact.predict(asked).probabilities
    assert np.allclose([twin[id_] for id_ in asked], now, atol=1e-6)


# -- made by `munkey train` ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["exact", "both"])
def test_a_bundle_can_be_trained_with_it(tmp_path, mode):
    from test_build import build

    made = build(tmp_path / "stripes")
    made.mode = mode
    finish(made.run())
    bundle = read_bundle(tmp_path / "stripes")
    assert bundle.modes == ((JOINT_MODE, EXACT_MODE) if mode == "both" else (EXACT_MODE,))
    assert (EXACT in bundle.manifest.files) == (mode == "both")
    assert ("**is** exact unlearning" in bundle.card) == (mode == "exact")
    assert "## The exact mode" in bundle.card
    ids = ",".join(bundle.bank.ids[:4])
    (check,) = finish(ExactVerification(bundle, [ids]).run())
    assert check.exact
    report = finish(ForgettingAudit(bundle.in_mode(EXACT_MODE), ids).run())
    assert report.models["MUNKEY after"].avg_gap == 0.0


def test_an_unknown_mode_is_refused(tmp_path):
    from test_build import build

    made = build(tmp_path / "stripes")
    made.mode = "magic"
    with pytest.raises(BadInputError, match="joint, exact, both"):
        finish(made.run())
