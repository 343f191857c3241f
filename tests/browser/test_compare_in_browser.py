"""The Compare page in a real browser: a stored report, sorted, switched, and reopened by link."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visit import at_rest, open_page
from tests.waiting import until


@pytest.fixture(scope="module")
def url(reports_url: str) -> str:
    return reports_url


def open_comparison(page: Page, address: str) -> None:
    open_page(page, address)
    expect(page.get_by_role("heading", name="How close is forgetting")).to_be_visible()


def names(page: Page) -> list[str]:
    return page.locator("tbody th .text").all_inner_texts()


def choose_set(page: Page, name: str) -> None:
    """Open the menu of forget sets and choose one, however often the menu is shut meanwhile.

    By keyboard, as a click scrolls the page up first; and scrolling, also that of a run which is
    just ending, shuts the menu.
    """
    option = page.get_by_role("option", name=re.compile(name))

    def chosen() -> int:
        at_rest(page)
        page.get_by_role("combobox", name=re.compile("Forget set")).press("ArrowDown")
        found: int = option.evaluate_all("all => all.map((one) => one.click()).length")
        return found

    until(chosen)


def test_sort_filter_switch_and_reopen(page: Page, new_page: Callable[..., Page], url: str) -> None:
    open_comparison(page, f"{url}/compare")
    expect(
        page.get_by_text("not enough trainings to tell it from a retrained model")
    ).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.locator("tbody tr")).to_have_count(9)
    assert names(page)[:2] == ["kNN", "MUNKEY, keys deleted"]
    expect(page.locator("tbody tr").nth(1)).to_contain_text("others 0.18: in band")

    page.get_by_role("button", name=re.compile("^TA")).click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("TA")
    assert names(page)[-1] == "kNN retrained"
    expect(page).to_have_url(re.compile("sort=-test"))
    page.get_by_role("button", name="repaired afterwards").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile("family=post-hoc"))

    other = new_page(834, 1112)
    open_comparison(other, page.url)
    expect(other.locator("tbody tr")).to_have_count(2)
    expect(other.locator("th[aria-sort=descending]")).to_contain_text("TA")
    at_rest(other)
    wide = other.locator(".stMain").evaluate("m => m.scrollWidth > m.clientWidth")
    assert not wide  # On a tablet only the table itself may scroll sideways.

    page.get_by_role("button", name="repaired afterwards").click()
    expect(page.locator("tbody tr")).to_have_count(9)
    choose_set(page, "One whole class")
    expect(page.get_by_text("With 1 seed nobody knows")).to_be_visible()
    expect(page).to_have_url(re.compile("of=one-class"))
    expect(page.locator("tbody tr")).to_have_count(5)


def test_a_set_without_a_report_says_so(page: Page, url: str) -> None:
    open_comparison(page, f"{url}/compare?of=random-1pct")
    expect(page.get_by_text("Nothing is known about this set yet")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Compare now"))).to_be_visible()
