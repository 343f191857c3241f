"""What ships: the default bundle, and the tutorial that opens it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from munkey_core.bundle import find_bundle, read_bundle
from munkey_core.card import figures, write_card
from munkey_core.config import Recipe, load_recipe
from munkey_core.types import PRIVATE, TEST

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
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 30e6


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


def test_its_recipe_is_the_one_it_was_made_with(fashion):
    recipe = load_recipe(FOLDER / "recipe.toml")
    assert isinstance(recipe, Recipe)
    said = recipe.to_dict()
    assert said["train"] == fashion.manifest.training
    assert said["split"] == fashion.manifest.splits["config"]
    assert recipe.encoder == fashion.manifest.encoder
    assert recipe.model == fashion.manifest.model


def test_no_figure_of_its_card_was_typed_by_hand(fashion):
    assert fashion.metrics is not None
    assert fashion.card == write_card(fashion, fashion.metrics)


def test_the_figures_of_the_readme_are_the_measured_ones(fashion):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, block, _ = re.split(r"<!-- /?figures -->\n", readme)
    assert block == "\n".join(figures(fashion.metrics)[2:]) + "\n"


def test_the_tutorial_runs_on_it():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tutorials" / "forget_one_image.py"), str(FOLDER)],
        capture_output=True,
        text=True,
        check=True,
    )
    with_key, _, without, restored = done.stdout.splitlines()[1:]
    assert with_key.removeprefix("with its key") == restored.removeprefix("restored")
    assert with_key.removeprefix("with its key") != without.removeprefix("without it")
