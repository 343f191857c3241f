"""A copied link is the whole screen: page, basket, deletions, query, colours, hidden controls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from munkey_core.results import Browse
from munkey_core.studio import Studio
from tests.browser.visit import at_rest, long_after, open_page, turn_to

# Path of the page → what it is headed by.
HEADINGS = {
    "": "Watch a model forget",
    "map": "The memory, seen from above",
    "explain": "Why does the model say that",
    "privacy": "Can an attacker tell",
    "compare": "How close is forgetting",
}


@pytest.fixture(scope="module")
def url(digits_url: str) -> str:
    return digits_url


@pytest.fixture(scope="module")
def some(digits_folder: Path) -> tuple[str, ...]:
    return Studio.open(str(digits_folder)).browse(Browse())[:4]


def opened(page: Page, address: str, name: str) -> None:
    open_page(page, address)
    expect(page.get_by_role("heading", name=re.compile(HEADINGS[name]))).to_be_visible()


def copied(page: Page) -> str:
    """What the button in the sidebar puts on the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    link: str = page.evaluate("navigator.clipboard.readText()")
    return link


@pytest.mark.parametrize("name", HEADINGS)
def test_a_copied_link_opens_the_same_screen_elsewhere(name, page, other, url, some):
    basket, deleted = "+".join(some[:2]), some[2]
    wanted = {
        "basket": basket,
        "forgotten": deleted,
        "query": some[3],
        "colour": "owner",
        "space": "tokens",
        "layout": "pca",
        "hide": "own+jobs",
    }
    opened(page, f"{url}/{name}?" + "&".join(f"{k}={v}" for k, v in wanted.items()), name)
    expect(page.get_by_text("2 picked")).to_be_visible()
    link = copied(page)
    assert f"/{name}?" in link
    for key, value in wanted.items():
        assert f"{key}={value}" in link, key

    opened(other, link, name)
    expect(other.get_by_text("2 picked")).to_be_visible()
    expect(other.get_by_text("299 of 300 keys")).to_be_visible()
    expect(other).to_have_url(link)
    for one in (page, other):
        expect(one.get_by_text("Try a picture of your own")).to_have_count(0)
        expect(one.get_by_role("button", name=re.compile("Retrain now"))).to_have_count(0)
        expect(one.get_by_text("was not followed to the letter")).to_have_count(0)
    if name in ("map", "explain"):
        expect(other.get_by_text(some[3]).locator("visible=true").first).to_be_visible()


def test_a_link_can_take_the_menu_away(page, url):
    opened(page, url, "")
    expect(page.get_by_role("link", name="Privacy")).to_be_visible()
    opened(page, f"{url}/privacy?hide=menu+settings+filters+pick", "privacy")
    expect(page.get_by_role("link", name="Compare")).to_have_count(0)
    expect(page.get_by_role("combobox")).to_have_count(0)


@pytest.mark.parametrize("path", ["forget", "forget/"])
def test_the_first_page_answers_at_its_own_name_too(path, page, url, some):
    opened(page, f"{url}/{path}?basket={some[0]}&forgotten={some[1]}", "")
    expect(page.get_by_role("dialog")).to_have_count(0)  # Streamlit's "Page not found"
    expect(page.get_by_text("1 picked")).to_be_visible()
    turn_to(page, "Privacy")
    page.go_back()
    expect(page.get_by_role("heading", name=HEADINGS[""])).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/forget\?.*basket={some[0]}"))
    at_rest(page)
    page.get_by_role("link", name="Forget", exact=True).click()
    expect(page).to_have_url(re.compile(rf"/\?.*basket={some[0]}"))
    expect(page.get_by_text("1 picked")).to_be_visible()
    expect(page.get_by_text("299 of 300 keys")).to_be_visible()


@pytest.mark.parametrize("said", ["basket={}", "basket={}&colour=nonsense", "basket={}&embed=true"])
def test_one_step_back_leaves_a_link_that_says_it_in_other_words(said, page, url, some):
    page.goto("about:blank")
    opened(page, f"{url}/?{said.format(some[0])}", "")
    expect(page).to_have_url(re.compile(rf"bundle=digits&basket={some[0]}(&embed=true)?$"))
    page.go_back()
    expect(page).to_have_url("about:blank")


def test_back_and_forward_between_pages_and_within_one(page, url, some):
    opened(page, f"{url}/?basket={some[0]}", "")
    turn_to(page, "Memory map")
    expect(page.get_by_role("heading", name=HEADINGS["map"])).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/map\?.*basket={some[0]}"))
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("0 picked")).to_be_visible()
    long_after(page)
    page.go_back()
    expect(page.get_by_text("1 picked")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=HEADINGS[""])).to_be_visible()
    expect(page.get_by_text("1 picked")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("heading", name=HEADINGS["map"])).to_be_visible()
    expect(page.get_by_text("1 picked")).to_be_visible()
    page.go_forward()
    expect(page.get_by_text("0 picked")).to_be_visible()
