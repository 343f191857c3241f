"""On a phone all lies below each other: what was picked, the button that deletes and the way to the
answers are in sight all the same; and the map has a height."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from munkey_core.results import Browse
from munkey_core.studio import Studio
from tests.browser.map_on_page import MapOnPage
from tests.browser.visit import answered, at_rest, open_page

PHONE = {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}


@pytest.fixture
def opens(new_page: Callable[..., Page], digits_url: str) -> Callable[[str, dict[str, int]], Page]:
    """Opens a path of the app on a device that is touched."""

    def opened(path: str, device: dict[str, int]) -> Page:
        page = new_page(**device, has_touch=True)
        open_page(page, f"{digits_url}/{path}")
        return page

    return opened


@pytest.fixture(scope="module")
def some(digits_folder: Path) -> tuple[str, ...]:
    return Studio.open(str(digits_folder)).browse(Browse())[:2]


def delete_button(page: Page) -> Locator:
    return page.locator(".st-key-delete button:enabled")


def to_answers(page: Page) -> Locator:
    return page.locator(".st-key-to-answers").get_by_role("button")


def test_a_tapped_picture_is_answered_where_the_thumb_is(opens):
    page = opens("", PHONE)
    expect(to_answers(page)).to_be_hidden()
    first = page.locator(".tile").first
    first.scroll_into_view_if_needed()
    first.tap()
    expect(delete_button(page)).to_contain_text("Delete 1 key")
    answered(page)
    expect(first).to_be_in_viewport()
    expect(delete_button(page)).to_be_in_viewport(ratio=1)
    expect(to_answers(page)).to_be_in_viewport(ratio=1)
    assert page.locator(".mk-card").first.bounding_box()["y"] > PHONE["height"]

    to_answers(page).tap()
    expect(page.locator(".mk-card").first).to_be_in_viewport()
    page.locator(".stMain").evaluate("main => main.scrollTo(0, 0)")
    delete_button(page).tap()
    expect(page.get_by_text("1 key deleted in")).to_be_in_viewport()
    expect(to_answers(page)).to_be_in_viewport(ratio=1)  # and from anywhere, later


def test_a_link_with_deletions_opens_at_its_top(opens, some):
    page = opens(f"?forgotten={some[0]}", PHONE)
    expect(page.locator(".st-key-result")).to_be_attached()
    at_rest(page)
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()


def test_the_end_of_the_page_does_not_lie_under_the_buttons(opens, some):
    page = opens(f"?basket={some[0]}", PHONE)
    page.locator(".stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    last = page.get_by_role("button", name="What am I looking at?").last
    over = delete_button(page).bounding_box()["y"]
    box = last.bounding_box()
    assert box["y"] + box["height"] <= over


def test_where_both_columns_fit_the_buttons_stay_where_they_were(opens, some):
    page = opens(f"?basket={some[0]}", TABLET)
    expect(to_answers(page)).to_be_hidden()
    assert delete_button(page).bounding_box()["y"] < page.locator(".mk-card").bounding_box()["y"]


@pytest.mark.parametrize("device", [PHONE, TABLET])
def test_the_map_can_be_seen_and_picked_from(opens, some, device):
    page = opens("map", device)
    on_map = MapOnPage(page)
    *_, width, height = on_map.stage()
    assert height >= 300
    assert width >= 0.6 * device["width"] - 200 * (device is TABLET)
    page.get_by_role("button", name="Pick shown").tap()
    expect(delete_button(page)).to_contain_text("Delete 300 keys")
    if device is PHONE:
        expect(delete_button(page)).to_be_in_viewport(ratio=1)
