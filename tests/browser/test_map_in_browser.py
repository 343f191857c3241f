"""The memory map page in a real browser, held against the projection computed in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from munkey_core.studio import Studio
from tests.browser.map_on_page import MapOnPage, Outline, enclosed
from tests.browser.visit import at_rest, open_page
from tests.servers import ROOT
from tests.shipped import needs_fashion

OUTLINE: Outline = [(0.3, 0.15), (0.6, 0.2), (0.65, 0.5), (0.45, 0.4), (0.28, 0.55)]

pytestmark = needs_fashion


@pytest.fixture(scope="module")
def url(fashion_url: str) -> str:
    return fashion_url


@cache
def studio() -> Studio:
    return Studio.open(str(ROOT / "pretrained" / "fashion"))


@cache
def positions() -> np.ndarray:
    """(N, 2) of the PCA map, which needs no fitted bundle."""
    return studio().maps.projection("keys", "pca").positions


def open_map(page: Page, url: str, query: str = "layout=pca") -> MapOnPage:
    open_page(page, f"{url}/map?{query}")
    return MapOnPage(page)


def expect_picked(page: Page, n: int) -> None:
    expect(page.get_by_text(f"{n:,} picked")).to_be_visible()


def in_link(page: Page, name: str) -> set[str]:
    """The ids that the address names, short lists only."""
    found = re.search(rf"[?&]{name}=([^&]+)", page.url)
    return set(found.group(1).split("+")) if found else set()


def test_lasso_delete_ghosts_and_undo(page: Page, url: str) -> None:
    shown = open_map(page, url)
    whole = shown.coordinates()
    assert len(whole) == 10_000
    inside = enclosed(shown.lasso(OUTLINE), positions())
    n = int(inside.sum())
    assert 100 < n < 5_000
    shown.expect_drawn(basket=n)
    expect_picked(page, n)

    page.locator(".st-key-delete button").click()
    shown.expect_drawn(ghosts=n, drawn=10_000 - n, basket=0)
    assert (shown.coordinates() == whole).all()
    page.get_by_text("Before deletion", exact=True).click()
    shown.expect_drawn(ghosts=0, drawn=10_000)
    page.get_by_text("After deletion", exact=True).click()
    shown.expect_drawn(ghosts=n)
    assert enclosed(shown.lasso(OUTLINE), positions()).sum() == n
    expect(page.locator(".mkmap-notice")).to_have_text("No point in there that can be picked")

    page.get_by_role("button", name="Undo", exact=True).click()
    shown.expect_drawn(ghosts=0, drawn=10_000, basket=n)
    expect_picked(page, n)
    assert (shown.coordinates() == whole).all()


def test_a_lasso_picks_exactly_the_enclosed_ids_whatever_is_shown(page: Page, url: str) -> None:
    small: Outline = [(0.5, 0.3), (0.56, 0.31), (0.55, 0.36), (0.51, 0.38)]
    ids = np.array(studio().memory.private_ids())
    labels = np.array([studio().memory.record(id_).label for id_ in ids])
    shown = open_map(page, url, "layout=pca&colour=memorisation&class=0+2+6")
    shown.expect_drawn(drawn=3_000, hidden=7_000)
    inside = enclosed(shown.lasso(small), positions()) & np.isin(labels, (0, 2, 6))
    assert 0 < inside.sum() < 60, inside.sum()
    expect_picked(page, int(inside.sum()))
    expect(page).to_have_url(re.compile("basket="))
    assert in_link(page, "basket") == set(ids[inside])

    i = int(np.flatnonzero(np.isin(labels, (0, 2, 6)) & ~inside)[0])
    page.mouse.click(*shown.to_screen(positions()[i]))
    expect_picked(page, int(inside.sum()) + 1)


def test_a_link_shows_the_same_map_in_a_fresh_browser(
    page: Page, new_page: Callable[..., Page], url: str
) -> None:
    query = studio().memory.test_ids()[3]
    shown = open_map(page, url, "layout=pca&space=tokens&colour=owner")
    page.locator(".mkmap-toggle").first.click()
    expect(page).to_have_url(re.compile("off=0"))
    page.get_by_label("Image id").fill(query)
    page.get_by_label("Image id").press("Enter")
    expect(page.locator(".mkmap-star")).to_have_count(1)
    expect(page).to_have_url(re.compile(f"query={query}"))
    expect(page.locator(".mkmap-share")).to_have_count(4)
    at_rest(page)
    shares = page.locator(".mkmap-share").all_text_contents()

    other = new_page()
    open_page(other, page.url)
    again = MapOnPage(other)
    expect(other.locator(".mkmap-star")).to_have_count(1)
    expect(other.locator(".mkmap-share")).to_have_text(shares)
    at_rest(other)
    assert again.drawn() == shown.drawn()
    assert again.drawn()["hidden"] > 0
    expect(other.locator(".mkmap-title")).to_have_text("Simulated owner")
    expect(other.locator(".mkmap-toggle").first).to_have_attribute("aria-pressed", "false")
    expect(other).to_have_url(page.url)


def test_an_unknown_query_is_refused_and_nothing_else_breaks(page: Page, url: str) -> None:
    shown = open_map(page, url)
    page.get_by_label("Image id").fill("![nobody](http://x)")
    page.get_by_label("Image id").press("Enter")
    expect(page.get_by_text("No training or test image has the id")).to_be_visible()
    assert shown.drawn()["drawn"] == 10_000
    page.get_by_role("button", name="Random test image").click()
    expect(page.locator(".mkmap-star")).to_have_count(1)
    expect(page.get_by_text("No training or test image has the id")).to_be_hidden()


def test_pictures_come_without_running_the_page(page: Page, url: str) -> None:
    shown = open_map(page, url)
    outermost = int(np.argmax(positions()[:, 0]))
    page.mouse.move(*shown.to_screen(positions()[outermost]))
    tip = page.locator(".mkmap-tip")
    expect(tip).to_contain_text(studio().memory.private_ids()[outermost])
    expect(tip.locator("img")).to_have_attribute("src", re.compile("^data:image/png"))


def test_everything_needed_is_on_a_projector_without_scrolling(page: Page, url: str) -> None:
    open_map(page, url)
    at_rest(page)
    for thing in (
        page.locator(".mkmap-stage"),
        page.locator(".mkmap-numbers"),
        page.locator(".st-key-delete"),
        page.get_by_role("button", name="Random test image"),
    ):
        box = thing.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720
        assert box["x"] + box["width"] <= 1280


def test_on_a_tablet_the_map_has_the_full_width(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 834, "height": 1112})
    open_page(page, f"{url}/map?layout=pca")
    MapOnPage(page)
    at_rest(page)
    box = page.locator(".mkmap-stage").bounding_box()
    assert box is not None
    assert box["width"] > 300
    assert box["y"] + box["height"] < 1112
