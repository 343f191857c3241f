"""Delete two images, ask what an attacker can still tell, and pick an exposed one."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visit import delete, open_page, pick, turn_to, undisturbed


@pytest.fixture(scope="module")
def url(digits_url: str) -> str:
    return digits_url


def over_each_other(page: Page) -> list[object]:
    """Entries of a chart's legend that lie under its toolbar."""
    found: list[object] = page.evaluate(
        """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap((plot) => {
          const bar = plot.querySelector(".modebar-group").parentElement.getBoundingClientRect();
          return [...plot.querySelectorAll(".legend .traces")].filter((entry) => {
            const box = entry.getBoundingClientRect();
            return box.right > bar.left && box.left < bar.right && box.bottom > bar.top
              && box.top < bar.bottom;
          }).map((entry) => entry.textContent);
        })"""
    )
    return found


def test_delete_open_privacy_read_the_sentence_and_pick_an_exposed_image(
    page: Page, url: str
) -> None:
    open_page(page, url)
    pick(page, 0, 1)
    delete(page, 2)

    turn_to(page, "Privacy")
    expect(page.get_by_role("heading", name="Can an attacker tell")).to_be_visible()
    sentence = page.locator(".mk-plainly")
    expect(sentence).to_contain_text("Shown one of the 2 deleted images")
    expect(sentence).to_contain_text("times in 100")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    assert undisturbed(page, over_each_other) == []
    expect(page.get_by_text("No retrained model yet")).to_be_visible()
    expect(page.get_by_text("0 picked")).to_be_visible()

    page.locator(".tile").nth(3).click()
    expect(page.get_by_text("1 picked")).to_be_visible()
    expect(sentence).to_contain_text("Shown one of the 2 deleted images")
    expect(page).to_have_url(re.compile("basket="))
    expect(page).to_have_url(re.compile("forgotten="))
