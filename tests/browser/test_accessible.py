"""Every page under axe-core in light and dark, in large print and on a narrow screen; and the way
through the app by keyboard alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.session.pages import TITLES
from app.words.glossary import TERMS
from munkey_core.bundle.read import read_bundle
from munkey_core.results import PRIVATE
from tests.browser.map_on_page import MapOnPage
from tests.browser.visit import open_page, styled, undisturbed, worked_out

TABLET = {"width": 820, "height": 1180}
PROJECTOR = {"width": 1280, "height": 720}


@dataclass(frozen=True)
class Allowed:
    """A finding in Streamlit's own widgets that can't be mended from here. rule: axe's name of it.
    inside: a part of the HTML it is about. reason: why it stays."""

    rule: str
    inside: str
    reason: str


ALLOWED: tuple[Allowed, ...] = ()


@pytest.fixture(scope="module")
def url(reports_url: str) -> str:
    return reports_url


@pytest.fixture(scope="module")
def ids(digits_folder: Path) -> list[str]:
    """Two training images."""
    records = read_bundle(digits_folder).records
    return [one.id for one in records if one.split == PRIVATE][:2]


def open_projected(page: Page, address: str) -> None:
    page.set_viewport_size(PROJECTOR)
    open_page(page, address)
    styled(page)
    worked_out(page)


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical, but for what is allowed."""
    found = []
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] not in ("serious", "critical"):
            continue
        for node in violation["nodes"]:
            known = any(a.rule == violation["id"] and a.inside in node["html"] for a in ALLOWED)
            if not known:
                why = (node["any"] or node["all"] or node["none"])[0]["message"]
                found.append(f"{violation['id']}: {why} | {node['html'][:160]}")
    return found


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll sideways, or is cut off at its right edge."""
    parts: list[str] = page.locator(".stMain").evaluate(
        "main => { const end = main.getBoundingClientRect().right + 1;"
        " const scrolls = e => e !== main && /auto|scroll|hidden|clip/.test("
        "getComputedStyle(e).overflowX);"
        " const held = e => { for (let p = e.parentElement; p && p !== main; p = p.parentElement)"
        " if (scrolls(p)) return true; return false; };"
        " return [...main.querySelectorAll('h1, h2, p, button, img, table, label, .mk')].filter("
        "e => e.getBoundingClientRect().right > end && e.getClientRects().length && !held(e)"
        # Streamlit's own buttons over a table are there before they are shown.
        " && !e.closest('[data-testid=stElementToolbar]'))"
        ".map(e => e.outerHTML.slice(0, 120)); }"
    )
    return parts


FIRST, *OTHERS = TITLES  # the first page is at the address itself
STATES = (
    {FIRST: "/"}
    | {name: f"/{name}" for name in OTHERS}
    | {
        "a basket": "/?basket={0}+{1}",
        "after a deletion": "/?forgotten={0}+{1}",
        "a query on the map": "/map?layout=pca&forgotten={0}&query={1}",
        "one image explained": "/explain?query={0}",
        "a set of images attacked": "/privacy?of=random-10pct",
        "a set compared": "/compare?of=random-10pct",
    }
)


@pytest.mark.parametrize("state", STATES)
def test_nobody_is_shut_out_of_a_page(page: Page, url: str, ids: list[str], state: str) -> None:
    """In light and normal print, then in dark and large print; on a projector and on a tablet."""
    address = url + STATES[state].format(*ids)
    open_projected(page, address)
    assert undisturbed(page, serious) == []
    assert undisturbed(page, too_wide) == []
    page.set_viewport_size(TABLET)
    assert undisturbed(page, too_wide) == []

    page.emulate_media(color_scheme="dark")
    open_projected(page, f"{address}{'&' if '?' in address else '?'}large=1")
    assert page.locator(".stApp").evaluate("e => getComputedStyle(e).colorScheme") == "dark"
    assert undisturbed(page, serious) == []
    assert undisturbed(page, too_wide) == []


def test_large_print_is_switched_on_and_travels_in_the_link(page: Page, url: str) -> None:
    size = "() => parseFloat(getComputedStyle(document.querySelector('.stMain h1')).fontSize)"
    open_projected(page, url)
    normal, picture = page.evaluate(size), page.locator(".tile .frame").first.bounding_box()
    page.locator(".stSidebar label", has_text="Large print").click()
    page.wait_for_function(f"normal => ({size})() > 1.25 * normal", arg=normal)
    worked_out(page)
    larger = page.locator(".tile .frame").first.bounding_box()
    assert picture is not None
    assert larger is not None
    assert larger["width"] > 1.2 * picture["width"]
    expect(page).to_have_url(re.compile("large=1"))


# -- by keyboard -----------------------------------------------------------------------------------

FOCUS = """() => {
  let e = document.activeElement;
  while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  const said = (e.innerText || e.getAttribute("aria-label") || e.tagName).trim();
  for (let n = e; n; n = n.parentElement) {
    const style = getComputedStyle(n);
    if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) return [said, true];
  }
  return [said, false];
}"""


def tab_to(page: Page, text: str, most: int = 60) -> None:
    """Press Tab until something with this text has the focus; all on the way shows a ring."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name, ring = page.evaluate(FOCUS)
        assert ring, f"nobody sees that {name!r} has the focus"
        if text in name:
            return
    raise AssertionError(f"Tab never came to {text!r}")


def test_pick_delete_undo_and_turn_the_page_by_keyboard(page: Page, url: str) -> None:
    open_projected(page, url)
    page.locator(".tile").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".tile.selected")).to_have_count(2)
    expect(page.locator(".st-key-delete button")).to_contain_text("Delete 2 keys")
    expect(page.locator(".keys")).to_be_visible()
    worked_out(page)
    tab_to(page, "Delete 2 keys")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 keys deleted in")).to_be_visible()
    worked_out(page)
    tab_to(page, "Undo", most=4)
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-delete button")).to_contain_text("Delete 2 keys")
    worked_out(page)

    page.locator(".tile[tabindex='0']").focus()
    tab_to(page, "Next", most=4)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Page 2 of")).to_be_visible()


def test_a_term_says_what_it_means_to_pointer_and_keyboard(page: Page, url: str) -> None:
    open_projected(page, url)
    tip = page.locator(".mk-tip")
    word = page.locator('.stMain a[href="#term-key"]').first
    expect(word).to_have_role("button")  # The page's terms are known by now.
    word.hover()
    expect(tip).to_contain_text(TERMS["key"].plain)
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()

    word.focus()
    expect(tip).to_contain_text(TERMS["key"].plain)
    expect(word).to_have_attribute("aria-description", TERMS["key"].plain)
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.keyboard.press("Enter")
    expect(tip).to_be_visible()
    assert "#" not in page.url
    box = tip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PROJECTOR["width"]


def test_a_chart_answers_what_it_is_and_says_what_it_shows(page: Page, url: str) -> None:
    open_projected(page, f"{url}/compare?of=random-10pct")
    chart = page.get_by_role("figure", name="Avg Gap in points, the closest to its retrained twin")
    expect(chart).to_have_count(1)
    page.locator(".st-key-looking-gap-by-method button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Look for:")).to_be_visible()
    expect(page.get_by_text("It doesn't say:")).to_be_visible()
    page.keyboard.press("Escape")

    header = page.locator("button[data-key=gap]")
    header.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".mk-tip")).to_contain_text(TERMS["avg-gap"].plain)
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Avg Gap")


def test_the_map_is_walked_and_picked_from_by_keyboard(page: Page, url: str) -> None:
    open_projected(page, f"{url}/map?layout=pca")
    MapOnPage(page).expect_drawn(drawn=300)
    stage, said = page.locator(".mkmap-stage"), page.locator(".mkmap-notice")
    stage.focus()
    page.keyboard.press("ArrowRight")
    expect(said).not_to_be_empty()
    first = said.inner_text()
    page.keyboard.press("ArrowLeft")
    expect(said).not_to_have_text(first)
    expect(page.locator(".mkmap-tip")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 picked")).to_be_visible()
    expect(page.locator(".mkmap-bar")).to_contain_text("Pick shown")
    page.get_by_role("button", name="Pick shown").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("300 picked")).to_be_visible()
