"""Every method on one forget set of the digits bundle, end to end."""

from dataclasses import replace

import numpy as np
import pytest

from munkey_core.audit.audit import (
    AFTER,
    BEFORE,
    FOLDED,
    ORACLE,
    PLAIN_BEFORE,
    PLAIN_ORACLE,
    AuditReport,
    ForgettingAudit,
)
from munkey_core.audit.canonical import compare_sets
from munkey_core.audit.comparison import Comparison, known_methods
from munkey_core.audit.image_table import HEADER, image_table
from munkey_core.audit.reports import (
    find_report,
    keep_report,
    left_out,
    report_from_dict,
    report_lines,
    with_stored,
)
from munkey_core.audit.tuning import find_tuning, keep_tuning, tuned_settings, validation_set
from munkey_core.bundle.forget_sets import forget_set
from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.progress import drive, finish
from munkey_core.results import PRIVATE, TEST
from munkey_core.studio import SharedModel, Studio
from munkey_core.unlearning import METHODS, SYSTEMS

pytestmark = pytest.mark.slow
SET = "random-10pct"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUNKEY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def comparison(digits_bundle, cache):
    """A full comparison with one seed, a few seconds."""
    comparison = Comparison(ForgettingAudit(digits_bundle, SET, 1, "cpu"))
    comparison.report = finish(comparison.run())
    return comparison


@pytest.fixture
def report(comparison):
    return comparison.report


def test_every_method_has_a_row_with_every_figure(report):
    assert isinstance(report, AuditReport)
    names = [method.name for method in METHODS.values()]
    names += [
        f"{system.name} {state}" for system in SYSTEMS.values() for state in ("after", "retrained")
    ]
    assert list(report.models) == [BEFORE, AFTER, ORACLE, PLAIN_BEFORE, PLAIN_ORACLE, *names]
    for name, figures in report.models.items():
        for term in ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc"):
            value = getattr(figures, term)
            low, high = figures.ci95[term]
            assert 0 <= low <= high <= 100
            assert low - 5 <= value <= high + 5
        assert (figures.avg_gap is None) == (figures.family == "oracle"), name
        assert (figures.unlearn_seconds is None) == (figures.family == "original"), name
        assert bool(figures.settings) == (figures.family == "post-hoc"), name


def test_deleting_is_quicker_than_retraining(report):
    assert report.models[AFTER].unlearn_seconds < report.models[ORACLE].unlearn_seconds / 100


def test_knn_deletes_exactly(report):
    figures = report.models["kNN after"]
    assert figures.exact
    assert figures.avg_gap == 0
    assert figures.to_oracle_forget.agreement == 100


def test_what_was_computed_is_not_computed_again(comparison, digits_bundle):
    steps = []
    anew = Comparison(ForgettingAudit(digits_bundle, SET, 1, "cpu"), ["ssd", "knn"])
    again = drive(anew.run(), steps.append)
    assert again.models["SSD"] == comparison.report.models["SSD"]
    assert not any("SSD" in step.stage or "kNN" in step.stage for step in steps)


def test_a_session_audits_from_what_is_known_whatever_it_has_forgotten(report, digits_bundle):
    studio = Studio(SharedModel(digits_bundle))
    ids = studio.memory.select(SET)
    studio.forget(ids[:3])
    found = finish(studio.audit.run(ids, ["fine-tuning"]))
    assert (found.forget, found.seeds) == (SET, report.seeds)
    assert list(found.models) == [*list(report.models)[:5], "Fine-tuning"]
    for name, figures in found.models.items():
        assert figures.per_seed == report.models[name].per_seed
    assert studio.memory.keys_left == studio.memory.keys_total - 3


def test_a_session_refuses_a_bad_audit_before_any_work(digits_bundle):
    studio = Studio(SharedModel(digits_bundle))
    with pytest.raises(BadInputError, match="no method 'magic'"):
        studio.audit.run(studio.memory.select(SET), ["magic"])
    with pytest.raises(UnknownIdError, match="never in the memory"):
        studio.audit.run(studio.memory.test_ids()[:2])
    with pytest.raises(BadInputError, match="at least one"):
        studio.audit.run([])


def test_a_report_survives_json_and_the_cache(report, digits_bundle, cache):
    assert report_from_dict(report.to_dict()) == report
    keep_report(digits_bundle, report)
    ids = forget_set(SET, digits_bundle)
    assert find_report(digits_bundle, ids) == report
    assert find_report(digits_bundle, ids[1:]) is None
    with pytest.raises(BadInputError, match="no audit report"):
        report_from_dict({"models": {}})


def test_an_audit_gets_the_stored_methods_rows(report, digits_bundle):
    audit = finish(ForgettingAudit(digits_bundle, SET, 1, "cpu").run())
    assert "SSD" not in audit.models
    both = with_stored(audit, report)
    assert both.models["SSD"] == report.models["SSD"]
    assert both.models[AFTER] == audit.models[AFTER]
    other = finish(ForgettingAudit(digits_bundle, digits_bundle.bank.ids[0], 1, "cpu").run())
    assert with_stored(other, report) == other


OTHER = {
    "seeds": {"seeds": (0, 1, 2)},
    "device": {"device": "cuda"},
    "bundle": {"bundle": "another"},
    "intervals": {"intervals": FOLDED},
    "PyTorch": {"code": {"PyTorch": "1.0"}},
    "unknown code": {"code": {}},
}


@pytest.mark.parametrize("what", [*OTHER, "method", "models"])
def test_rows_of_other_models_are_never_put_beside(what, report, digits_bundle):
    """Finding 7: `--seeds 1` printed a head of one seed over stored rows of three."""
    audit = finish(ForgettingAudit(digits_bundle, SET, 1, "cpu").run())
    stored = replace(report, **OTHER.get(what, {}))
    if what == "method":
        stored = replace(report, code={**report.code, "SalUn": "0" * 64})
    if what == "models":
        row = report.models[PLAIN_ORACLE]
        seeds = ({**row.per_seed[0], "test_accuracy": 1.0},)
        models = {**report.models, PLAIN_ORACLE: replace(row, per_seed=seeds)}
        stored = replace(report, models=models)
    assert with_stored(audit, stored) is audit
    [line] = left_out(audit, stored)
    assert line.startswith(f"not shown beside these: {len(report.models) - 5} rows")
    assert left_out(report, stored) == []


@pytest.mark.parametrize("source", ["0" * 64, ""])
def test_a_kept_report_of_an_edited_method_is_not_found(source, report, digits_bundle):
    """Finding 6: the old figures were shown."""
    ids = forget_set(SET, digits_bundle)
    keep_report(digits_bundle, replace(report, code={**report.code, "SalUn": source}))
    assert find_report(digits_bundle, ids) is None
    keep_report(digits_bundle, replace(report, code={}))
    assert find_report(digits_bundle, ids) is None
    keep_report(digits_bundle, report)
    assert find_report(digits_bundle, ids) == report


def test_a_shipped_report_counts_unless_its_methods_are_others(report, digits_bundle, tmp_path):
    """More seeds before more rows, whichever of the two lies where."""
    keep_report(digits_bundle, report)
    ids = forget_set(SET, digits_bundle)

    def found(shipped):
        metrics = {"reports": {SET: shipped.to_dict()}}
        return find_report(replace(digits_bundle, metrics=metrics), ids)

    few = {name: report.models[name] for name in (BEFORE, AFTER, ORACLE)}
    three = replace(report, seeds=(0, 1, 2), models=few, code={})
    assert found(three) == three
    assert found(replace(three, code={"PyTorch": "1.0"})).seeds == (0, 1, 2)
    assert found(replace(three, seeds=(0,))) == report
    salun = {**few, "SalUn": report.models["SalUn"]}
    edited = replace(three, models=salun, code={"SalUn": "0" * 64})
    assert found(edited) == report


def test_the_report_is_readable(report):
    text = "\n".join(report_lines(report))
    for name in report.models:
        assert name in text
    assert "not exact unlearning" in text
    assert "backbone leak" in text


def test_one_row_an_image(comparison, digits_bundle):
    audit = ForgettingAudit(digits_bundle, SET, 1, "cpu")
    _ = finish(audit.run())
    rows = [line.split(",") for line in image_table(audit, audit.measured).splitlines()]
    assert tuple(rows[0]) == HEADER
    images = len(digits_bundle.records_of(PRIVATE)) + len(digits_bundle.records_of(TEST))
    assert len(rows) == 1 + images
    sets = [row[1] for row in rows[1:]]
    assert sets.count("forget") == len(audit.ids)
    assert sets.count("test") == len(digits_bundle.records_of(TEST))
    forgotten = [row for row in rows[1:] if row[1] == "forget"]
    assert np.mean([float(row[-2]) for row in forgotten]) < 0  # deletion makes it less sure


def test_the_validation_set_is_none_that_is_reported(digits_bundle):
    chosen = validation_set(digits_bundle)
    assert len(chosen) == 30
    assert not set(chosen) & set(forget_set(SET, digits_bundle))


def test_tuning_chooses_on_other_images_and_is_used(digits_folder, digits_bundle, cache):
    [report] = finish(
        compare_sets(digits_folder, "random-1pct", ["ssd", "knn"], seeds=1, device="cpu", tune=True)
    )
    tuning = find_tuning(digits_bundle)
    chosen = tuning["methods"]["ssd"]
    assert chosen["settings"] == tuned_settings(digits_bundle)["ssd"]
    assert report.models["SSD"].settings == chosen["settings"]
    scores = [trial["score"] for trial in chosen["search"] if trial["score"] is not None]
    assert chosen["avg_gap"] == min(scores)
    assert set(tuning["methods"]) == {"ssd"}  # kNN has nothing to be tuned
    assert chosen["source"] == METHODS["ssd"].source


@pytest.mark.parametrize("source", ["0" * 64, "", None])
def test_settings_of_an_edited_method_are_not_used(source, digits_bundle, tmp_path, monkeypatch):
    """Nor those in a cache that don't say of which source they are; a bundle's own count."""
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path))
    ssd = {"settings": {"alpha": 3.0}} | ({} if source is None else {"source": source})
    known = {"settings": {"alpha": 0.9}, "source": METHODS["neg-grad-plus"].source}
    tuning = {"n_forget": 3, "seed": 0, "methods": {"ssd": ssd, "neg-grad-plus": known}}
    shipped = replace(digits_bundle, metrics={"tuning": tuning})
    used = {"neg-grad-plus": {"alpha": 0.9}}
    assert tuned_settings(shipped) == used | ({"ssd": {"alpha": 3.0}} if source is None else {})
    keep_tuning(digits_bundle, tuning)
    assert tuned_settings(digits_bundle) == used


@pytest.mark.parametrize("methods", [["nothing"], ["ssd", ""]])
def test_an_unknown_method_is_refused_by_name(methods):
    with pytest.raises(BadInputError, match="no method"):
        known_methods(methods)


def test_bad_forget_sets_and_seeds_are_refused(digits_bundle):
    with pytest.raises(UnknownIdError, match="nobody"):
        ForgettingAudit(digits_bundle, "nobody")
    with pytest.raises(BadInputError, match="between 1 and 20"):
        ForgettingAudit(digits_bundle, SET, 0)
    with pytest.raises(BadInputError, match="at least one"):
        ForgettingAudit(digits_bundle, ",".join(digits_bundle.bank.ids))
