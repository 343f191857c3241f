"""Look into one image in a real browser: who answered, which pixels, before and after deletion."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from munkey_core.results import Browse
from munkey_core.studio import Studio
from munkey_core.studio.pictures import BundlePictures
from tests.browser.visit import open_page, open_popover, turn_to, worked_out


@pytest.fixture(scope="module")
def url(digits_url: str) -> str:
    return digits_url


def answers(page: Page) -> Locator:
    return page.locator(".mk-answer")


def overlays(page: Page) -> Locator:
    return page.locator(".mk-maps .mk-stack img:last-child")


def test_choose_switch_delete_compare_and_share(page: Page, other: Page, url: str) -> None:
    open_page(page, f"{url}/explain")
    page.get_by_role("button", name="Look at the image it knows best").click()
    expect(answers(page)).to_have_count(2)
    expect(answers(page).first).to_contain_text("Its own memory")
    expect(answers(page).last).to_contain_text("As if its own key were deleted")
    expect(overlays(page)).to_have_count(3)
    expect(page).to_have_url(re.compile("query="))
    id_ = re.search(r"query=([\w-]+)", page.url)[1]

    page.get_by_role("radio", name="Saliency").click()
    expect(page.get_by_text("matters little")).to_be_visible()
    expect(page).to_have_url(re.compile("method=saliency"))
    expect(overlays(page)).to_have_count(2)
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    expect(overlays(page).first).to_have_css("opacity", "0.59")
    expect(page).to_have_url(re.compile("opacity=59"))

    page.get_by_role("button", name="Add to the basket", exact=True).click()
    expect(page.get_by_role("button", name="In the basket")).to_be_disabled()
    turn_to(page, "Forget")
    page.locator(".st-key-delete button", has_text="Delete 1 key").click()
    expect(page.get_by_text("1 key deleted in")).to_be_visible()
    turn_to(page, "Explain")
    expect(answers(page).last).to_contain_text("After your deletion of 1 key")
    expect(page.get_by_text("you have deleted its key")).to_be_visible()
    expect(overlays(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(f"forgotten={id_}"))
    expect(page).to_have_url(re.compile("opacity=59"))

    open_page(other, page.url)
    expect(overlays(other)).to_have_count(2)
    worked_out(page)
    worked_out(other)
    assert answers(other).all_inner_texts() == answers(page).all_inner_texts()
    for i in range(2):
        source = overlays(page).nth(i).get_attribute("src")
        assert overlays(other).nth(i).get_attribute("src") == source
    expect(overlays(other).first).to_have_css("opacity", "0.59")


def test_an_image_that_a_memory_changes_an_id_the_map_and_an_own_picture(
    page: Page, url: str, digits_folder: Path, tmp_path: Path
) -> None:
    studio = Studio.open(str(digits_folder))
    some = studio.browse(Browse())
    id_ = next(i for i in some if any(abs(q.shift) > 0.01 for q in studio.explain.influenced(i)))
    changed = studio.explain.influenced(id_)[0].id
    open_page(page, f"{url}/explain?query={id_}")
    tile = page.locator(f'.tile[data-id="{changed}"]')
    tile.scroll_into_view_if_needed()
    tile.click()
    expect(page).to_have_url(re.compile(f"query={changed}"))
    expect(page.get_by_text("it never had a key")).to_be_visible()
    expect(answers(page)).to_have_count(1)

    page.get_by_placeholder("Image id").fill(id_)
    page.get_by_placeholder("Image id").press("Enter")
    expect(page).to_have_url(re.compile(f"query={id_}"))
    page.get_by_role("button", name="Show on the map").click()
    expect(page).to_have_url(re.compile(f"/map?.*query={id_}"))
    turn_to(page, "Explain")
    expect(answers(page)).to_have_count(2)

    picture = tmp_path / "own.png"
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    picture.write_bytes(BundlePictures.as_png(noise))
    own = open_popover(page.get_by_role("button", name="Your own picture"))
    own.locator('input[type="file"]').set_input_files(picture)
    expect(page.get_by_text("Your own picture: it has no key")).to_be_visible()
    expect(page).not_to_have_url(re.compile("query="))
    expect(overlays(page)).to_have_count(1)


def test_a_click_on_a_deleted_or_a_picked_image_chooses_it(
    page: Page, url: str, digits_folder: Path
) -> None:
    gone, picked = Studio.open(str(digits_folder)).browse(Browse())[:2]
    open_page(page, f"{url}/explain?forgotten={gone}&basket={picked}")
    expect(page.get_by_text("you have deleted its key")).to_be_visible()
    page.locator(f'.tile[data-id="{picked}"]').click()
    expect(page).to_have_url(re.compile(f"query={picked}"))
    expect(page.get_by_text("its key is in the memory")).to_be_visible()
    page.locator(f'.tile[data-id="{gone}"]').click()
    expect(page).to_have_url(re.compile(f"query={gone}"))
    expect(page.get_by_text("you have deleted its key")).to_be_visible()
    expect(page).to_have_url(re.compile(f"basket={picked}"))
