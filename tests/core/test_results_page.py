"""RESULTS.md: rendered from figures made by hand; the same bytes again; nothing else read."""

import json
from dataclasses import asdict, replace

import pytest
import tiny

from munkey_core.audit.audit import AuditReport
from munkey_core.audit.figures import ModelFigures, NullBand
from munkey_core.audit.leak import BackboneLeak, LeakSplit
from munkey_core.audit.results_page import results_page
from munkey_core.bundle.experiments import Experiments, RecipeTried, StateFigures, Trial
from munkey_core.bundle.manifest import read_manifest
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import seal, write_bundle
from munkey_core.cli import main
from munkey_core.errors import BundleError

TERMS = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc")


def model(family, oracle=None, gap=None, cross=None, seeds=3, seconds=None, exact=False):
    values = dict(zip(TERMS, (91.84, 100.0, 92.33, 49.98), strict=True))
    ci95 = {term: (value - 1, min(value + 1, 100)) for term, value in values.items()}
    if gap is not None:
        values["avg_gap"], ci95["avg_gap"] = gap, (max(gap - 0.05, 0), gap + 0.2)
    return ModelFigures(
        family,
        oracle,
        *(values[term] for term in TERMS),
        mia_auc_ci95=ci95["mia_auc"],
        avg_gap=gap,
        avg_gap_cross_seeds=cross if seeds > 1 else None,
        unlearn_seconds=seconds,
        ci95=ci95,
        spread=dict.fromkeys(values, 0.05),
        per_seed=(dict(values),) * seeds,
        exact=exact,
    )


def report(forget="random-10pct", seeds=3, **more):
    models = {
        "MUNKEY before": model("original", "MUNKEY retrained", 4.5, 4.5, seeds),
        "MUNKEY after": model("by-design", "MUNKEY retrained", 0.13, 0.18, seeds, 0.00046),
        "MUNKEY retrained": model("oracle", seeds=seeds, seconds=89.0),
        "plain": model("original", "plain retrained", 0.35, 0.34, seeds),
        "plain retrained": model("oracle", seeds=seeds, seconds=81.0),
        "SalUn": model("post-hoc", "plain retrained", 0.37, 0.35, seeds, 14.0),
        "Fine-tuning": model("post-hoc", "plain retrained", 0.20, 0.24, seeds, 12.0),
        "kNN after": model("by-design", "kNN retrained", 0.0, 0.0, seeds, 0.004, exact=True),
    } | more
    bands = {
        "MUNKEY retrained": NullBand(0.2, 0.08, 0.29, 3),
        "plain retrained": NullBand(0.18, 0.12, 0.25, 3),
    }
    leak = LeakSplit(
        7.67, 10.17, 50.0, (48.2, 51.8), 49.9, BackboneLeak(0.2, (-1.5, 1.9), 0.3, -0.06, None)
    )
    return AuditReport(
        *("tiny", "", forget, "d" * 64, 1000, 9000, 10000),
        tuple(range(seeds)),
        models,
        bands if seeds > 1 else {},
        leak,
        "cpu",
        1.0,
    )


def attacks():
    figures = {
        "auroc": 84.212,
        "auroc_ci95": [83.07, 85.46],
        "tpr_1pct": 37.6,
        "n_members": 1000,
        "n_non_members": 10000,
    }
    return {
        "n_forget": 1000,
        "n_test": 10000,
        "seed": 0,
        "references": {"munkey": 8, "plain": 0},
        "figures": {"LiRA online": {"before": figures}},
        "errors": {"LiRA online": {"plain": "needs reference models"}},
        "null_bands": {"LiRA online": {"munkey": {"low": 49.7, "high": 50.0, "seeds": [0, 1]}}},
    }


@pytest.fixture
def folder(tmp_path):
    write_bundle(tiny.random_bundle(), tmp_path / "tiny")
    return tmp_path / "tiny"


def put(folder, reports, **more):
    metrics = {"reports": {one.forget: one.to_dict() for one in reports}, **more}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    seal(folder, read_manifest(folder)[0])


def line(page, start):
    return next(one for one in page.splitlines() if one.startswith(start))


def test_every_figure_is_there_with_its_interval_seeds_and_band(folder):
    put(folder, [report()], attacks={"random-10pct": attacks()})
    page = results_page([folder])
    row = line(page, "| random-10pct | 1,000 | 3 |")
    assert "0.13 ± 0.05 [0.08, 0.33] | 0.18 | 0.08 to 0.29 | inside the band | -0.06" in row
    assert "| 0.46 ms | Fine-tuning: 0.20 ± 0.05" in row
    assert "| MUNKEY after | 91.84 ± 0.05 [90.84, 92.84]" in page
    assert "Backbone leak (accuracy of the image pathway alone" in page
    attack = line(page, "| LiRA online |")
    assert "84.21 [83.07, 85.46] (37.6)" in attack
    assert "not computed: needs reference models" in attack
    assert attack.endswith("49.70 to 50.00 |")
    assert "munkey 8, plain 0" in page
    assert "Fewer than the 3 seeds" not in page


def test_no_method_is_ranked_by_its_band(folder):
    put(folder, [report()])
    page = results_page([folder])
    assert "- By construction: kNN after." in page
    assert "kNN after (exact)" in page
    assert "| deletion equals never stored, by construction |  | 4 ms |" in page
    assert "- Inside the band: MUNKEY after, Fine-tuning." in page
    assert "- Outside the band: SalUn." in page
    assert "Closer to its oracle than" not in page
    assert "- No method is called closer than another by these figures." in page
    assert "3 trainings of each kind: not enough trainings to tell it" in page


def test_whose_intervals_lie_apart_over_seeds_too_is_closer(folder):
    far = model("post-hoc", "plain retrained", 9.0, 9.0)
    put(folder, [report(SSD=far)])
    page = results_page([folder])
    assert "- Closer to its oracle than SSD: MUNKEY after, SalUn, Fine-tuning." in page
    assert "- No other pair is ranked." in page


def test_a_near_miss_is_shown_as_one(folder):
    near = replace(report(), null_bands={"MUNKEY retrained": NullBand(0.1, 0.05, 0.1797, 3)})
    put(folder, [near])
    assert "| outside the band (0.1800 against 0.1797) |" in results_page([folder])


def test_too_few_seeds_are_said_and_nobody_is_ranked(folder):
    far = model("post-hoc", "plain retrained", 9.0, seeds=1, seconds=1.0)
    put(folder, [report("one-class", seeds=1, SSD=far), report()])
    page = results_page([folder])
    assert "**Fewer than the 3 seeds wanted:** one-class." in page
    assert "**1 seed of 3 wanted.**" in page
    part = page[page.index("### one-class") :]
    assert "- No method is called closer than another by these figures." in part
    assert "Closer to its oracle" not in part
    assert "± " not in line(part, "| MUNKEY after")
    # The canonical order, not that of the file.
    assert page.index("### random-10pct") < page.index("### one-class")


def test_published_figures_stand_beside_with_their_source_and_what_differs(folder):
    put(folder, [report()])
    page = results_page([folder])
    assert "| MUNKEY, arXiv:2603.15033 | CIFAR-10, 10% | 0.56 ± 0.21 | 51.40 ± 0.44 |" in page
    assert "| MUNKEY, arXiv:2603.15033 | DermaMNIST, 10% |  | 51.19 ± 1.19 |" in page
    assert "| here: `tiny`, 3 seeds | Tiny, 10% | 0.13 ± 0.05 [0.08, 0.33] | 49.98" in page
    assert "arXiv:2603.22870" in page
    assert "`tiny`: encoder `conv`, trained on 40 public images" in page
    assert "5 public labelled anchors" in page


def test_what_is_not_there_is_said(folder):
    page = results_page([folder])
    assert "Nothing has been measured on it: `munkey compare tiny --save`." in page
    put(folder, [report()])
    assert "none stored; `munkey attacks tiny --save` adds them" in results_page([folder])
    few = {"plain": model("original")}
    put(folder, [replace(report(), models=few, null_bands={}, leak=None)])
    assert "MUNKEY was not measured" in results_page([folder])


def test_the_exact_mode_has_tables_of_its_own(folder):
    beside = {"reports": {"random-10pct": report().to_dict()}}
    put(folder, [report()], exact=beside)
    page = results_page([folder])
    assert "### All forget sets, exact mode" in page
    assert "deletion *is* exact unlearning" in page
    assert "| here: `tiny`, exact mode, 3 seeds |" in page
    assert "`munkey attacks tiny --mode exact --save`" in page


def test_recipes_and_settings_are_on_the_page(folder):
    state = StateFigures(71.4, 100.0, 99.0, 80.0)
    trial = Trial(0, state, state, 70.0, 70.5, -0.5, (-1.2, 0.2), 12.0, 4, 0.05, None)
    tried = RecipeTried("p_mem 0.02", "variant", "why|not", {"p_mem": 0.02}, {}, (trial,))
    made = Experiments("tiny", "random-10pct", "d", 1, 12, 6, (0,), "cpu", (tried,))
    (folder / "experiments.json").write_text(json.dumps(asdict(made)))
    tuning = {"n_forget": 3, "seed": 0, "methods": {}}
    put(folder, [report()], tuning=tuning)
    page = results_page([folder])
    assert "### Recipes tried" in page
    assert "| p_mem 0.02: why/not | p_mem = 0.02 | 71.40 | 70.50 | 100.00 → 100.00" in page
    assert "| -0.50 [-1.20, +0.20] | 12 s |" in page
    assert "### Settings of the post-hoc methods" in page


def test_it_reads_figures_and_nothing_else_and_gives_the_same_bytes_again(folder):
    put(folder, [report()])
    page = results_page([folder])
    for path in folder.glob("*.safetensors"):
        path.unlink()
    assert results_page([folder]) == page


@pytest.mark.parametrize(
    "metrics",
    [
        {"reports": {"random-10pct": {}}},
        {"reports": {"random-10pct": 3}},
        {"reports": 3},
        {"reports": {"random-10pct": report().to_dict()}, "attacks": {"random-10pct": {}}},
        {"reports": {"random-10pct": report().to_dict()}, "tuning": {"n_forget": 1}},
    ],
)
def test_a_metrics_file_that_lacks_something_is_one_error(folder, metrics):
    (folder / "metrics.json").write_text(json.dumps(metrics))
    seal(folder, read_manifest(folder)[0])
    with pytest.raises(BundleError, match=r"tiny.*metrics\.json"):
        results_page([folder])


def test_a_file_that_was_changed_by_hand_is_refused(folder):
    put(folder, [report()])
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(BundleError, match="damaged"):
        results_page([folder])


def test_the_command_writes_checks_and_says_so_by_its_code(folder, tmp_path, capsys):
    put(folder, [report()])
    out = tmp_path / "RESULTS.md"
    wish = ["results", str(folder), "--out", str(out)]
    assert main([*wish, "--check"]) == 1
    assert not out.exists()
    assert main(wish) == 0
    assert out.read_text("utf-8") == results_page([folder])
    assert main([*wish, "--check"]) == 0
    out.write_text(out.read_text("utf-8").replace("0.13", "0.12"), encoding="utf-8")
    capsys.readouterr()
    assert main([*wish, "--check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["same"] is False
    put(folder, [])
    assert read_bundle(folder).metrics == {"reports": {}}
    assert main(["results", str(tmp_path / "nowhere")]) == 2
