"""The page of results that ships says what the shipped bundles say, byte for byte."""

import subprocess
import sys
from pathlib import Path

from munkey_core.audit.results_page import results_page, shipped_bundles
from munkey_core.bundle.versions import MANIFEST

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "pretrained" / "RESULTS.md"


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
    assert folder.resolve() == PAGE.parent
    assert {one.name for one in folders} == {
        path.parent.name for path in folder.glob(f"*/{MANIFEST}")
    }
    assert PAGE.read_text(encoding="utf-8") == results_page(folders)


def test_it_names_no_place_and_no_day():
    text = PAGE.read_text(encoding="utf-8")
    assert "/var/" not in text
    assert "/work/" not in text
    assert "2026-" not in text
