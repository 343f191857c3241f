"""The teacher's ten minutes in a real browser: pick, delete, see it turn, undo, share the link."""

from __future__ import annotations

import re
import struct
import zlib

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.visit import at_rest, delete, long_after, open_page, pick, turn_to
from tests.shipped import needs_fashion

pytestmark = needs_fashion


@pytest.fixture(scope="module")
def url(fashion_url: str) -> str:
    return fashion_url


def open_gallery(page: Page, url: str) -> None:
    open_page(page, url)
    expect(page.get_by_role("heading", name="Watch a model forget")).to_be_visible()
    expect(tiles(page).or_(page.locator(".empty")).first).to_be_visible()


def tiles(page: Page) -> Locator:
    return page.locator(".tile")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def pick_two(page: Page) -> list[str]:
    """Click the first two images; return the verdicts shown for them."""
    pick(page, 0, 1)
    expect(page.locator(".mk-card")).to_have_count(2)
    at_rest(page)
    return page.locator(".mk-verdict").all_inner_texts()


def delete_two(page: Page) -> None:
    delete(page, 2)
    expect(page.locator(".mk-turns")).to_have_count(2)
    at_rest(page)


def result(page: Page) -> str:
    """What the result says, measured times left out."""
    expect(page.get_by_text("get another answer now")).to_be_visible()
    at_rest(page)
    text = page.locator(".st-key-result").inner_text()
    return re.sub(r"<?[\d.]+ (ms|s)\b", "", text)


def test_pick_delete_see_it_turn_undo_and_share(page: Page, other: Page, url: str) -> None:
    open_gallery(page, url)
    before = pick_two(page)
    assert all("%" in verdict and "→" not in verdict for verdict in before)
    delete_two(page)
    for verdict in page.locator(".mk-verdict").all_inner_texts():
        assert "→" in verdict
    rows = page.locator(".mk-true").first
    shown = rows.locator(".mk-percents").inner_text().split("\n")
    assert len(shown) == 2
    assert shown[0] != shown[1]
    expect(tiles(page).nth(0)).to_contain_text("gone")
    said = result(page)

    expect(page).to_have_url(re.compile("forgotten="))
    open_gallery(other, page.url)
    assert result(other) == said
    expect(other).to_have_url(page.url)

    page.locator(".st-key-undo-newest button").click()
    expect(page.locator(".st-key-delete button")).to_contain_text("Delete 2 keys")
    expect(page.locator(".mk-turns")).to_have_count(0)
    at_rest(page)
    assert sorted(page.locator(".mk-verdict").all_inner_texts()) == sorted(before)
    expect(other.get_by_text("2 keys deleted in")).to_be_visible()


def test_two_browsers_are_two_people(page: Page, other: Page, url: str) -> None:
    open_gallery(page, url)
    open_gallery(other, url)
    pick_two(page)
    delete_two(page)
    tiles(other).nth(2).click()
    expect(other.get_by_text("10,000 of 10,000 keys")).to_be_visible()
    expect(page.get_by_text("9,998 of 10,000 keys")).to_be_visible()
    assert "forgotten" not in other.url


def test_everything_needed_is_on_a_projector_without_scrolling(page: Page, url: str) -> None:
    open_gallery(page, url)
    for thing in (tiles(page).nth(5), page.locator(".st-key-delete"), page.get_by_text("0 picked")):
        box = thing.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720
        assert box["x"] + box["width"] <= 1280


def test_delete_stays_in_reach_when_scrolled(page: Page, url: str) -> None:
    open_gallery(page, url)
    pick_two(page)
    page.locator(".stMain").evaluate("main => main.scrollTo(0, 500)")
    expect(page.locator(".st-key-delete button")).to_be_in_viewport(ratio=1)
    delete(page, 2)


def test_on_a_tablet_nothing_leaves_its_card(page: Page, url: str) -> None:
    open_gallery(page, url)
    page.set_viewport_size({"width": 834, "height": 1112})
    pick_two(page)
    delete_two(page)
    card = page.locator(".mk-card").first.bounding_box()
    assert card is not None
    for part in (".mk-verdict", ".mk-bars", ".mk-tiles"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= card["x"] + card["width"]
    scale = page.locator(".mk-tracks").first.bounding_box()
    assert scale is not None
    assert scale["width"] > 70  # Else nobody can tell 5 % from 50 %.


def test_the_basket_follows_to_another_page_and_back(page: Page, url: str) -> None:
    open_gallery(page, url)
    pick_two(page)
    turn_to(page, "About")
    expect(page.get_by_role("heading", name="About this model")).to_be_visible()
    expect(page.get_by_text("2 picked")).to_be_visible()
    turn_to(page, "Forget")
    expect(page.locator(".tile.selected")).to_have_count(2)
    expect(page).to_have_url(re.compile("basket="))


def test_back_button_takes_the_last_step_back(page: Page, url: str) -> None:
    open_gallery(page, url)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2 of")).to_be_visible()
    expect(page).to_have_url(re.compile("page=2"))
    long_after(page)
    page.go_back()
    expect(page.get_by_text("Page 1 of")).to_be_visible()


def test_back_works_twice_in_a_row_and_forward_again(page: Page, url: str) -> None:
    open_gallery(page, url)
    for number in (2, 3):
        page.get_by_role("button", name="Next").click()
        expect(page).to_have_url(re.compile(f"page={number}"))
    long_after(page)
    for step, number in ((page.go_back, 2), (page.go_back, 1), (page.go_forward, 2)):
        step()
        expect(page.get_by_text(f"Page {number} of")).to_be_visible()


def test_own_picture_is_predicted_and_a_bad_file_refused(page: Page, url: str) -> None:
    open_gallery(page, url)
    page.get_by_text("Try a picture of your own").click()
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_text("This file can't be used")).to_be_visible()
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": grey_png()})
    expect(page.get_by_text("Your picture, as the model gets it")).to_be_visible()
    expect(button(page, "Pick the images that answer")).to_be_visible()


def grey_png(side: int = 40) -> bytes:
    """A grey square on white, without help from an image library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    def shade(x: int, y: int) -> int:
        return 90 if 8 < x < 32 and 8 < y < 32 else 255

    lines = b"".join(b"\0" + bytes(shade(x, y) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
