"""What ships: the default bundle."""

from pathlib import Path

import pytest
import torch

from munkey_core.audit.audit import ForgettingAudit
from munkey_core.audit.figures import GAP_TERMS
from munkey_core.audit.reports import report_from_dict
from munkey_core.bundle.card import write_card
from munkey_core.bundle.find import find_bundle
from munkey_core.bundle.forget_sets import CANONICAL, canonical_sets, forget_set
from munkey_core.bundle.read import read_bundle
from munkey_core.config import Recipe, SplitConfig
from munkey_core.files.typed import checked
from munkey_core.progress import finish
from munkey_core.results import PRIVATE, TEST
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.exact import labelled, write_again
from munkey_core.training.recipes import load_recipe
from munkey_core.training.retraining import MUNKEY, PLAIN, Run
from munkey_core.training.runs import Runs
from munkey_core.unlearning import METHODS, SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "pretrained" / "fashion"


@pytest.fixture(scope="module")
def fashion():
    return read_bundle(FOLDER)


def test_it_is_found_by_its_name():
    assert find_bundle("fashion").resolve() == FOLDER


def test_it_has_ten_thousand_keys_and_test_images_in_at_most_thirty_megabytes(fashion):
    assert len(fashion.bank) == 10_000
    assert len(fashion.records_of(TEST)) == 10_000
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 30e6


def test_its_images_come_with_their_licence(fashion):
    assert fashion.thumbnails is not None
    assert fashion.thumbnails.array([fashion.bank.ids[0]]).shape == (1, 28, 28)
    notice = (FOLDER / "NOTICE").read_text()
    assert "Copyright (c) 2017 Zalando SE" in notice
    assert "this permission notice shall be included" in notice


def test_owners_are_said_to_be_simulated_and_have_a_long_tail(fashion):
    assert fashion.manifest.owners_simulated
    owned: dict[str, int] = {}
    for record in fashion.records_of(PRIVATE):
        owned[record.owner] = owned.get(record.owner, 0) + 1
    counts = sorted(owned.values(), reverse=True)
    assert len(counts) == 400
    assert counts[0] > 20 * counts[len(counts) // 2]


def test_its_influence_scores_are_what_deleting_a_key_gives(fashion):
    explain = Studio(SharedModel(fashion)).explain
    stored = explain.influence()
    for row in stored.total.argsort()[[-1, -100, len(stored.total) // 2]]:
        changes = [one.shift for one in explain.influenced(stored.ids[row])]
        assert stored.total[row] == pytest.approx(sum(map(abs, changes)), abs=1e-4)
        assert stored.shift[row] == pytest.approx(sum(changes), abs=1e-4)


def test_its_recipe_is_the_one_it_was_made_with(fashion):
    recipe = load_recipe(FOLDER / "recipe.toml")
    assert isinstance(recipe, Recipe)
    assert recipe.train == fashion.manifest.train_config()
    assert recipe.split == checked(SplitConfig, fashion.manifest.splits["config"], "splits")
    assert recipe.encoder == fashion.manifest.encoder
    assert recipe.model == fashion.manifest.model


def test_no_figure_of_its_card_was_typed_by_hand(fashion):
    assert fashion.metrics is not None
    assert fashion.card == write_card(fashion, fashion.metrics)


def test_it_carries_the_oracles_of_every_canonical_set(fashion):
    runs = Runs(fashion, torch.device("cpu"))
    for name in CANONICAL:
        ids = tuple(sorted(forget_set(name, fashion)))
        for seed in range(3 if name == "random-10pct" else 1):
            for family in (MUNKEY, PLAIN):
                outputs = runs.shipped.outputs(Run(family, ids, seed))
                assert outputs.private.shape == (10_000, 10)
                assert outputs.test.shape == (10_000, 10)
    for family in (MUNKEY, PLAIN):
        assert len(runs.shipped.references(family).truth) == 8


def test_every_canonical_set_has_a_report_with_every_method(fashion):
    assert list(fashion.metrics["reports"]) == list(CANONICAL)
    for report in fashion.metrics["reports"].values():
        names = set(report["models"])
        assert {method.name for method in METHODS.values()} <= names
        assert {f"{system.name} after" for system in SYSTEMS.values()} <= names


def test_an_audit_of_the_shipped_answers_gives_the_saved_figures(fashion):
    """Nothing is trained for it; the deletion itself is done anew."""
    report = finish(ForgettingAudit(fashion, "hard-1pct").run())
    saved = report_from_dict(fashion.metrics["reports"]["hard-1pct"])
    for name, figures in report.models.items():
        for term in GAP_TERMS:
            assert getattr(figures, term) == pytest.approx(getattr(saved.models[name], term))


def test_a_canonical_set_is_of_the_same_images_in_every_mode(fashion):
    exact = fashion.in_mode("exact")
    assert canonical_sets(exact) == canonical_sets(fashion)
    assert list(canonical_sets(exact)) == list(CANONICAL)
    own = exact.scores["memorisation"].argsort(descending=True)[:100].tolist()
    assert {exact.bank.ids[row] for row in own} != set(forget_set("hard-1pct", exact))


VERIFIED = {"random-1pct": 100, "random-10pct": 1000, "one-class": 1000, "one-owner": 1139}


def test_it_has_an_exact_mode_that_was_verified(fashion):
    assert fashion.modes == ("joint", "exact")
    exact = fashion.in_mode("exact")
    assert exact.bank.keys is fashion.bank.keys
    found = fashion.manifest.exact["verified"]
    for name, n_forget in VERIFIED.items():
        check = found[name]
        assert check["n_forget"] == n_forget
        assert check["rows"] == 10_000 - n_forget
        assert check["answers"] == 20_000 - n_forget
        assert not any(n for what, n in check.items() if what.endswith("_differing"))


def test_its_exact_mode_is_at_most_two_points_less_accurate(fashion):
    joint = fashion.metrics["reports"]["random-10pct"]["models"]
    exact = fashion.metrics["exact"]["reports"]["random-10pct"]["models"]
    name = "MUNKEY after"
    assert exact[name]["exact"]
    assert exact[name]["avg_gap"] == 0.0
    assert exact[name]["test_accuracy"] > joint[name]["test_accuracy"] - 2


def test_rows_of_its_exact_mode_are_what_writing_gives(fashion):
    ids = fashion.bank.ids[5000:5040][::-1]
    tokens = finish(write_again(fashion, labelled(fashion, PRIVATE, ids)))
    stored = fashion.in_mode("exact").bank.tokens[fashion.bank.rows(ids)]
    # On the kind of processor that wrote them all are equal; elsewhere a last bit may tip a value.
    assert float((tokens == stored).float().mean()) > 0.99
