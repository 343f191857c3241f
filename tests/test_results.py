"""The page of results that ships says what the shipped bundles say, byte for byte."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from munkey_core.audit import verdict
from munkey_core.audit.reports import report_from_dict
from munkey_core.audit.results_page import (
    page_path,
    readme_figures,
    results_page,
    shipped_bundles,
)
from munkey_core.bundle.read import read_figures
from munkey_core.bundle.versions import MANIFEST

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "tutorials" / "RESULTS.md"


def test_the_page_is_what_munkey_results_would_write():
    done = subprocess.run(
        [sys.executable, "-m", "munkey_core.cli", "results", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_on_every_bundle_that_ships():
    folders, folder = shipped_bundles()
    assert page_path().resolve() == PAGE
    assert {one.name for one in folders} == {
        path.parent.name for path in folder.glob(f"*/{MANIFEST}")
    }
    assert PAGE.read_text(encoding="utf-8") == results_page(folders)


README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- figures: (\w+) -->\n(.*?)<!-- /figures -->\n", README, re.S))


def test_the_readme_has_the_figures_of_every_bundle_that_ships():
    folders, _ = shipped_bundles()
    assert set(BLOCKS) == {folder.name for folder in folders}
    for folder in folders:
        assert BLOCKS[folder.name] == readme_figures(folder)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_page_and_readme_give_the_same_verdict(name):
    folder = shipped_bundles()[0][0].parent / name
    report = report_from_dict(read_figures(folder).metrics["reports"]["random-10pct"])
    after = report.models["MUNKEY after"]
    page = PAGE.read_text(encoding="utf-8")
    part = page[page.index(f"(`{name}`)\n") :]
    for text, said in (
        (BLOCKS[name], verdict.against_band(report, after)),
        (BLOCKS[name], verdict.trainings_say(report, after)),
        (part, f"- MUNKEY after: {verdict.trainings_say(report, after)}.\n"),
    ):
        assert said in text
    row = next(line for line in part.splitlines() if line.startswith("| random-10pct |"))
    assert f"| {verdict.place(report, after)} the band" in row


def test_a_near_miss_and_its_leak_stand_in_the_readme():
    text = BLOCKS["cifar10"]
    assert "0.2611 against at most 0.2607 between two retrained models: outside" in text
    assert "they tell it from a retrained model" in text
    assert "+0.91 points, 95% interval [+0.44, +1.38]" in text


# Claims that no test of this project bears out, wherever they were made.
SOFT = (
    "nobody can tell",
    "no one can tell",
    "can't be told from a retrained",
    "as close to its retrained twin as two retrainings",
)


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "tutorials").rglob("*.md")),
        *sorted((ROOT / "tutorials").rglob("*.yaml")),
        *sorted((ROOT / "tutorials").glob("*.ipynb")),
        *sorted((ROOT / "pretrained").glob("*/CARD.md")),
        *sorted((ROOT / "app" / "screens" / "compare").glob("*.py")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nothing_says_that_nobody_can_tell(path):
    text = path.read_text(encoding="utf-8").lower()
    assert [said for said in SOFT if said in text] == []


def test_it_names_no_place_and_no_day():
    text = PAGE.read_text(encoding="utf-8")
    assert "/var/" not in text
    assert "/work/" not in text
    assert "2026-" not in text
