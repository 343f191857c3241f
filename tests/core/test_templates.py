"""Documents made from templates: the figures in them, what they escape, and every byte of them.

The folder `written` holds what the documents said of these small bundles and this receipt before
they were made from templates; whoever changes a sentence changes it there too.
"""

import json
import math
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path

import jinja2
import pytest
import tiny
from test_request_report import EVIL, evidence, receipt, words
from test_results_page import attacks, model, put, report

from munkey_core.audit.results_page import readme_figures, results_page
from munkey_core.bundle.card import BEFORE, write_card
from munkey_core.bundle.experiments import Experiments, RecipeTried, StateFigures, Trial
from munkey_core.bundle.ledger import Purged, Remaining
from munkey_core.bundle.write import write_bundle
from munkey_core.config import EnsembleConfig, TrainConfig, WriteConfig
from munkey_core.erasure.request_page import request_report
from munkey_core.errors import BundleError
from munkey_core.files import templates
from munkey_core.files.in_words import counted, duration, figure, interval, settings
from munkey_core.files.templates import cell, fill

WRITTEN = Path(__file__).parent / "written"
TUNING = {
    "n_forget": 3000,
    "seed": 0,
    "methods": {
        "salun": {
            "settings": {"epochs": 2, "learning_rate": 1e-4},
            "avg_gap": 0.456,
            "search": [{"settings": {"epochs": 1}, "avg_gap": 1.0}],
        }
    },
}


def written(name):
    return (WRITTEN / name).read_text(encoding="utf-8")


def told(html):
    """What a reader sees, a line a sentence."""
    return unescape(words(html)).strip().replace(". ", ".\n") + "\n"


def plain(values):
    """As whoever reads a file of JSON finds it."""
    return json.loads(json.dumps(values))


def experiments():
    before, after = StateFigures(71.4, 100.0, 99.0, 80.0), StateFigures(70.4, 99.0, 50.0, 51.234)

    def trial(seed, after, ci95=(-1.2, 0.2)):
        first = replace(before, test_accuracy=71.4 + seed)
        return Trial(seed, first, after, 70.0, 70.5, seed - 0.5, ci95, 12.0, 4, 0.05, None)

    recipes = (
        RecipeTried("shipped recipe", "shipped", "", {}, {}, (trial(0, after), trial(1, after))),
        RecipeTried(
            *("p|mem\n0.02", "variant", "why|not", {"p_mem": 0.02}, {"dim": 64}),
            (trial(0, after, None),),
            {"1": "loss is nan|\nat last"},
        ),
        RecipeTried("wild", "variant", "", {"learning_rate": 1e30}, {}, (), {"0": "a", "1": "b"}),
        RecipeTried("plain transformer", "plain", "", {}, {}, (trial(0, None),)),
    )
    return Experiments("tiny", "random-10pct", "d", 1000, 12000, 6, (0, 1), "cpu", recipes)


def exact_table(**verified):
    return {
        "training": asdict(TrainConfig()),
        "write": asdict(WriteConfig()),
        "ensemble": asdict(EnsembleConfig(k=3, tau=0.1, anchor=0.25)),
        "calibration": {},
        "provenance": {"device": "CPU", "seconds": {"training": 23.6, "writing": 1.0}},
        "verified": verified,
    }


def bare():
    """A bundle in the exact mode with its pictures, of which nothing was measured."""
    bundle = tiny.random_bundle()
    training = {**bundle.manifest.training, "mode": "exact"}
    manifest = replace(bundle.manifest, training=training, exact=exact_table())
    return replace(bundle, manifest=manifest)


def full():
    """A bundle without pictures of which everything was measured, and something erased."""
    bundle = tiny.random_bundle(thumbnails=False)
    counts = dict.fromkeys(("n_forget", "rows", "token_bytes", "answers", "bits"), 12345)
    outside = {"public_images": 1000, "public_owners": 3, "divided_images": 5}
    manifest = replace(
        bundle.manifest,
        dataset={
            **bundle.manifest.dataset,
            "name": 'ti"ny',
            "licence": "unknown",
            "differs": "its images were read from copies",
            "skipped": [["a.png", "broken"]],
        },
        splits={
            "counts": {**bundle.manifest.splits["counts"], "encoder": 0, "anchor": 27000},
            "owned_outside": {**outside, "divided_owners": 2, "test_images": 7},
        },
        owners_simulated=False,
        exact=exact_table(
            **{"one-owner": {**counts, "token_bytes_differing": 0, "bits_differing": 0}}
        ),
    )
    metrics = {
        "reports": {"random-10pct": report().to_dict()},
        "tuning": TUNING,
        "exact": {"reports": {"one-owner": replace(report("one-owner", 1), leak=None).to_dict()}},
        BEFORE: {
            "digest": "ab" * 32,
            "until": "2026-11-25",
            "reports": {"joint": {"one-class": report("one-class").to_dict()}},
        },
    }
    return replace(bundle, manifest=manifest, experiments=experiments()), plain(metrics)


# -- figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (figure(None, (1, 2), 0.1), ""),
        (figure(91.836), "91.84"),
        (figure(0.13, [0.08, 0.33], 0.05), "0.13 ± 0.05 [0.08, 0.33]"),
        (figure(0.0, (-1.5, 1.9), signed=True), "+0.00 [-1.50, +1.90]"),
        (figure(1, spread=0.0), "1.00 ± 0.00"),
        (interval((-1.5, 1.9)), "[-1.50, 1.90]"),
        (figure(math.nan), "nan"),
        (duration(None), ""),
        (duration(0.00046), "0.46 ms"),
        (duration(0.1), "0.1 s"),
        (duration(9.94), "9.9 s"),
        (duration(1868.2), "1868 s"),
        (counted(1, "image"), "1 image"),
        (counted(2000, "image"), "2,000 images"),
        (counted(2, "near-copy", "near-copies"), "2 near-copies"),
        (settings({"epochs": 2, "gamma": 1e-5}), "epochs = 2, gamma = 1e-05"),
        (cell("a|b\nc"), "a/b c"),
    ],
)
def test_a_figure_is_said_so(made, said):
    assert made == said


# -- templates -------------------------------------------------------------------------------------


@pytest.fixture
def template(monkeypatch):
    """Makes templates of texts, by name."""

    def make(**texts):
        named = {name.replace("_", "."): text for name, text in texts.items()}
        environment = templates._ENVIRONMENT.overlay(loader=jinja2.DictLoader(named))
        monkeypatch.setattr(templates, "_ENVIRONMENT", environment)

    return make


def test_html_is_escaped_and_markdown_is_not(template):
    template(a_html_j2="{{ text }}", a_md_j2="{{ text }}")
    assert fill("a.html.j2", text="<b>&'") == "&lt;b&gt;&amp;&#39;"
    assert fill("a.md.j2", text="<b>&'") == "<b>&'"


def test_what_is_not_given_is_an_error(template):
    template(a_md_j2="{{ one.two }}")
    with pytest.raises(LookupError, match="two"):
        fill("a.md.j2", one={"three": 3})


# -- whole documents -------------------------------------------------------------------------------


def test_every_byte_of_a_card():
    assert write_card(bare()) == written("card_bare.md")
    bundle, metrics = full()
    assert write_card(bundle, metrics) == written("card_full.md")


def test_every_byte_of_a_part_of_the_readme(tmp_path):
    write_bundle(full()[0], tmp_path / "tiny")
    put(tmp_path / "tiny", [report()])
    assert readme_figures(tmp_path / "tiny") == written("readme.md")
    put(tmp_path / "tiny", [report("one-class")])
    with pytest.raises(BundleError, match="random-10pct"):
        readme_figures(tmp_path / "tiny")


def test_every_byte_of_the_page_of_results(tmp_path):
    bundle, metrics = full()
    write_bundle(bundle, tmp_path / "tiny")
    (tmp_path / "tiny" / "experiments.json").write_text(json.dumps(asdict(experiments())))
    unmeasured = replace(report("alpha"), models={"plain": model("original")}, null_bands={})
    reports = [unmeasured, report("one-class", 1), report()]
    found = attacks()
    found["figures"]["RMIA"] = {"after": {"auroc": 51.2, "auroc_ci95": None, "tpr_1pct": None}}
    beside = {"tuning": TUNING, "exact": metrics["exact"]}
    put(tmp_path / "tiny", reports, attacks={"random-10pct": found}, **beside)
    write_bundle(bare(), tmp_path / "bare")
    assert results_page([tmp_path / "bare", tmp_path / "tiny"]) == written("results.md")


def test_every_word_of_the_report_of_a_request():
    assert told(request_report(receipt(), evidence())) == written("request.txt")
    strange = receipt(
        modes=("joint",),
        count=1,
        bundle=EVIL,
        original_kept=True,
        signer="ab" * 32,
        previous="",
        purged=(Purged("cache", EVIL, 4000), Purged("exact.safetensors", "rows", 1)),
        remains=(Remaining("outside", "Copies; see `munkey verify`."),),
    )
    assert told(request_report(strange)) == written("request_bare.txt")
