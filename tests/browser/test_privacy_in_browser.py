"""Delete two images, ask what an attacker can still tell, and pick an exposed one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
SLOW = 240_000  # Asking a model about every image, on a busy machine.


@pytest.fixture(scope="module")
def url(serve, digits_folder) -> Iterator[str]:
    env = {
        "MUNKEY_BUNDLES": str(digits_folder.parent),
        "MUNKEY_BUNDLE": str(digits_folder),
        "MUNKEY_CACHE": os.environ["MUNKEY_CACHE"],
    }
    with serve(ROOT / "app" / "main.py", env=env) as address:
        yield address


def test_delete_open_privacy_read_the_sentence_and_pick_an_exposed_image(
    page: Page, url: str
) -> None:
    page.goto(url)
    tiles = page.locator(".tile")
    expect(tiles.first).to_be_visible(timeout=SLOW)
    tiles.nth(0).click()
    tiles.nth(1).click()
    expect(page.locator(".st-key-delete button")).to_contain_text("Delete 2 keys", timeout=SLOW)
    page.locator(".st-key-delete button").click()
    expect(page.get_by_text("2 keys deleted in")).to_be_visible(timeout=SLOW)

    page.get_by_role("link", name="Privacy").click()
    expect(page.get_by_role("heading", name="Can an attacker tell")).to_be_visible(timeout=SLOW)
    sentence = page.locator(".mk-plainly")
    expect(sentence).to_contain_text("Shown one of the 2 deleted images", timeout=SLOW)
    expect(sentence).to_contain_text("times in 100")
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=SLOW)
    expect(page.get_by_text("No retrained model yet")).to_be_visible()
    expect(page.get_by_text("0 picked")).to_be_visible()

    tiles.nth(3).click()
    expect(page.get_by_text("1 picked")).to_be_visible(timeout=SLOW)
    expect(sentence).to_contain_text("Shown one of the 2 deleted images", timeout=SLOW)
    assert "basket=" in page.url
    assert "forgotten=" in page.url
