"""What ships beside the default bundle: CIFAR-10 without its images, and its figures."""

import pytest

from munkey_core.audit import verdict
from munkey_core.audit.recipes_tried import load_variants
from munkey_core.audit.reports import report_from_dict
from munkey_core.bundle.card import write_card
from munkey_core.bundle.find import shipped_folder
from munkey_core.bundle.forget_sets import forget_set
from munkey_core.bundle.manifest import EXACT
from munkey_core.bundle.read import read_bundle
from munkey_core.errors import BundleError
from munkey_core.results import PRIVATE, TEST
from munkey_core.studio import SharedModel, Studio
from munkey_core.training.recipes import load_recipe
from munkey_core.unlearning import METHODS, SYSTEMS

FOLDER = shipped_folder() / "cifar10"
MAIN_SET = "random-10pct"


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine that has no pictures of CIFAR-10."""
    monkeypatch.delenv("MUNKEY_IMAGES", raising=False)
    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path))
    monkeypatch.setenv("MUNKEY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def cifar10():
    return read_bundle(FOLDER)


@pytest.fixture(scope="module")
def report(cifar10):
    return report_from_dict(cifar10.metrics["reports"][MAIN_SET])


def test_it_has_twenty_thousand_keys_and_no_image(cifar10):
    assert len(cifar10.bank) == 20_000
    assert len(cifar10.records_of(TEST)) == 10_000
    assert cifar10.thumbnails is None
    names = {path.name for path in FOLDER.rglob("*") if path.is_file()}
    assert not any(name.endswith((".png", ".jpg", ".npy")) for name in names)
    assert "thumbnails.safetensors" not in names
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 60e6


def test_its_card_recipe_and_experiments_are_those_of_its_files(cifar10):
    assert cifar10.card == write_card(cifar10, cifar10.metrics)
    recipe = load_recipe(FOLDER / "recipe.toml")
    assert recipe.train == cifar10.manifest.train_config()
    assert recipe.encoder == cifar10.manifest.encoder
    assert recipe.model == cifar10.manifest.model
    variants = load_variants(FOLDER / "experiments.toml")
    tried = {tried.name: tried for tried in cifar10.experiments.recipes}
    for variant in variants:
        assert tried[variant.name].train == variant.train
        assert tried[variant.name].model == variant.model


def test_without_its_images_it_opens_recalls_and_says_how_to_get_them(cifar10, nowhere):
    studio = Studio(SharedModel(read_bundle(FOLDER)))
    id_ = studio.memory.private_ids()[0]
    assert studio.memory.recall([id_])[0].neighbours[0] == id_
    studio.forget([id_])
    assert id_ not in studio.memory.recall([id_])[0].neighbours
    with pytest.raises(BundleError, match="munkey images cifar10"):
        studio.predict([id_])


def test_the_main_forget_set_was_audited_with_five_seeds_and_every_method(report):
    assert report.n_forget == 2_000
    assert len(report.seeds) == 5
    names = set(report.models)
    assert {method.name for method in METHODS.values()} <= names
    assert {f"{system.name} after" for system in SYSTEMS.values()} <= names


def test_deletion_is_near_to_retraining_and_not_the_same(report):
    """A near miss: by the gap to oracles of other seeds, which the band is of."""
    after, oracle = report.models["MUNKEY after"], report.models["MUNKEY retrained"]
    before, plain = report.models["MUNKEY before"], report.models["plain"]
    band = report.band_of(after)
    assert after.avg_gap_cross_seeds == pytest.approx(0.2611, abs=5e-5)
    assert band.high == pytest.approx(0.2607, abs=5e-5)
    assert verdict.place(report, after) == "outside"
    found = verdict.like_retrained(report, after)
    assert found.seeds == 5
    assert found.p == pytest.approx(12 / 252)
    assert found.told_apart
    assert found.excess == pytest.approx(0.0812, abs=5e-5)
    assert min(before.retain_accuracy, before.forget_accuracy) >= 99
    assert abs(after.mia_auc - oracle.mia_auc) <= 0.5
    assert plain.test_accuracy - after.test_accuracy <= 1.0
    backbone = report.leak.backbone
    low, high = backbone.ci95
    assert low <= 0 <= high
    # Paired with the oracles', which is what tells: the shared weights keep something.
    assert backbone.excess_points == pytest.approx(0.91, abs=5e-3)
    assert backbone.excess_ci95 == pytest.approx((0.44, 1.38), abs=5e-3)


def test_its_exact_mode_costs_at_most_two_points_and_was_verified(cifar10):
    assert EXACT in cifar10.manifest.files
    assert cifar10.modes == ("joint", "exact")
    joint = cifar10.metrics["reports"][MAIN_SET]["models"]["MUNKEY after"]
    exact = cifar10.metrics["exact"]["reports"][MAIN_SET]["models"]["MUNKEY after"]
    assert exact["exact"]
    assert exact["test_accuracy"] > joint["test_accuracy"] - 2
    check = cifar10.manifest.exact["verified"][MAIN_SET]
    assert check["rows"] == 18_000
    assert not any(n for what, n in check.items() if what.endswith("_differing"))


def test_owners_are_simulated_and_the_sets_are_of_private_images(cifar10):
    assert cifar10.manifest.owners_simulated
    private = {record.id for record in cifar10.records_of(PRIVATE)}
    assert set(forget_set(MAIN_SET, cifar10)) <= private
