"""The gallery in a real browser: what a person does with it, and what Python hears of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from playwright.sync_api import Locator, Page, expect

from app.components.gallery import GalleryEvent, Tile, gallery, take_event
from tests.browser.visit import answered, sent

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"  # As in gallery_app.py.
Opener = Callable[..., "App"]


class App:
    """The fixture app as its user sees it."""

    def __init__(self, page: Page, url: str, **query: object) -> None:
        self.page = page
        page.goto(f"{url}/?" + "&".join(f"{k}={v}" for k, v in query.items()))
        expect(page.locator(".st-key-facts")).to_contain_text("basket")

    def tile(self, number: int) -> Locator:
        return self.page.locator(f'.tile[data-id="img-{number:03d}"]')

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def shown_selected(self) -> list[int]:
        """What the browser draws as selected."""
        ids = self.page.locator(".tile.selected").evaluate_all("ts => ts.map(t => t.dataset.id)")
        return sorted(int(i.removeprefix("img-")) for i in ids)

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.page.locator(".st-key-facts").inner_text())
        return facts

    def basket(self) -> list[int]:
        """What Python has."""
        return [int(i.removeprefix("img-")) for i in self.facts()["basket"]]

    def events(self) -> list[list[list[str]]]:
        events: list[list[list[str]]] = json.loads(self.page.locator(".st-key-events").inner_text())
        return events

    def expect_basket(self, *numbers: int) -> None:
        wanted = json.dumps({"basket": [f"img-{number:03d}" for number in sorted(numbers)]})
        expect(self.page.locator(".st-key-facts")).to_contain_text(wanted.rstrip("}"))

    def settle(self) -> None:
        """Wait until no message is due and no run is under way."""
        answered(self.page)

    def run_again(self) -> None:
        """Whatever happened before has reached Python when this run is over."""
        earlier = json.dumps({"runs": self.facts()["runs"]})
        self.button("Rerun").click()
        expect(self.page.locator(".st-key-facts")).not_to_contain_text(earlier.strip("{"))
        self.settle()

    def focused(self) -> str | None:
        focused: str | None = self.page.locator(".gallery").evaluate(
            "g => g.getRootNode().activeElement?.dataset.id ?? null"
        )
        return focused


class Session(dict[str, object]):
    """Stands in for ``st.session_state`` where no browser is needed."""

    def sends(self, *actions: object, nonce: object = "tab") -> None:
        self["g"] = {"batch": {"nonce": nonce, "actions": list(actions)}}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setattr(st, "session_state", session)
    take_event("g")
    record = session["_gallery:g"]
    record.shown |= {"a", "b", "c"}  # type: ignore[attr-defined]
    return session


def test_messages_repeat_what_is_not_acknowledged_yet(session: Session) -> None:
    session.sends([1, ["a"], []])
    assert take_event("g") == GalleryEvent(added=("a",))
    assert take_event("g") is None
    session.sends([1, ["a"], []], [2, ["b"], ["a"]])
    assert take_event("g") == GalleryEvent(added=("b",), removed=("a",))
    session.sends([1, ["c"], []], nonce="the tab was reloaded")
    assert take_event("g") == GalleryEvent(added=("c",))


def test_an_interrupted_handler_gets_its_event_again(session: Session) -> None:
    def interrupted(event: GalleryEvent) -> None:
        raise KeyboardInterrupt

    session.sends([1, ["a"], []])
    with pytest.raises(KeyboardInterrupt):
        take_event("g", interrupted)
    events: list[GalleryEvent] = []
    assert take_event("g", events.append) is None
    take_event("g", events.append)
    assert events == [GalleryEvent(added=("a",))]


@pytest.mark.parametrize(
    "batch",
    [
        None,
        "text",
        {"nonce": 3, "actions": [[1, ["a"], []]]},
        {"nonce": "n", "actions": {"1": "a"}},
        {"nonce": "n", "actions": [[1, ["never on offer"], []]]},
        {"nonce": "n", "actions": [["1", ["a"], []], [1, [7], []], [1, "a", []], [1], None]},
    ],
)
def test_forged_messages_do_nothing(session: Session, batch: object) -> None:
    session["g"] = {"batch": batch}
    assert take_event("g") is None


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        ([Tile("a", "data:image/png;base64,", "A")] * 2, "'a' comes twice"),
        ([Tile("a", "https://elsewhere.example/a.png", "A")], "must be a data:image/ URI"),
    ],
)
def test_wrong_tiles_are_refused(tiles: list[Tile], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gallery(tiles, selected=(), key="g")


@pytest.fixture(scope="module")
def url(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    with serve(script=Path(__file__).with_name("gallery_app.py")) as address:
        yield address


@pytest.fixture
def open_app(page: Page, url: str) -> Opener:
    return lambda **query: App(page, url, **query)


@pytest.mark.parametrize("how", [{}, {"take": 1}], ids=["returned", "taken"])
def test_click_toggles(open_app: Opener, how: dict[str, int]) -> None:
    app = open_app(**how)
    app.tile(1).click()
    assert app.shown_selected() == [1]  # At once, before Python answers.
    app.expect_basket(1)
    app.tile(2).click()
    app.expect_basket(1, 2)
    app.tile(1).click()
    assert app.shown_selected() == [2]
    app.expect_basket(2)
    app.settle()
    assert app.shown_selected() == [2]


def test_a_burst_of_clicks_reaches_python_once(open_app: Opener) -> None:
    app = open_app()
    app.tile(2).wait_for()
    # In one go: on a busy machine the pointer's clicks come too slowly for a burst.
    app.page.locator(".tile").evaluate_all("tiles => [0, 1, 2, 1].forEach((i) => tiles[i].click())")
    app.expect_basket(0, 2)
    app.settle()
    app.run_again()  # Without a change: the component's old state is still there.
    assert app.events() == [[["img-000", "img-002"], ["img-001"]]]

    app.button("Empty basket").click()  # Python has the last word.
    app.expect_basket()
    app.settle()
    assert app.shown_selected() == []


def test_a_lost_message_is_sent_again(open_app: Opener) -> None:
    app = open_app(take=1)
    app.tile(1).wait_for()
    app.settle()
    app.page.evaluate(  # The first message is dropped, however often the gallery is drawn anew.
        """() => {
          const [log] = window.munkeyActionLogs.values();
          let send = log.send;
          window.sent = 0;
          Object.defineProperty(log, "send", {
            get: () => (...message) => (window.sent++ ? send(...message) : undefined),
            set: (newer) => (send = newer),
          });
        }"""
    )
    app.tile(1).click()
    app.page.wait_for_function("window.sent > 1")
    app.expect_basket(1)
    app.settle()
    assert app.events() == [[["img-001"], []]]
    assert app.page.evaluate("[...window.munkeyActionLogs.values()][0].pending.length") == 0


def test_shift_click_makes_a_range_like_the_tile_last_toggled(open_app: Opener) -> None:
    app = open_app(take=1)
    app.tile(2).click()
    app.tile(5).click(modifiers=["Shift"])
    app.expect_basket(2, 3, 4, 5)
    app.tile(4).click()
    app.tile(2).click(modifiers=["Shift"])
    app.expect_basket(5)


def test_ctrl_a_selects_the_page_but_nothing_deleted_and_escape_clears_it(
    open_app: Opener,
) -> None:
    app = open_app(take=1)
    app.tile(0).click()
    app.page.keyboard.press("Control+a")
    everything = [0, 1, 2, 3, 4, 5, 6, 7, 9, 11]
    assert app.shown_selected() == everything
    app.expect_basket(*everything)
    app.page.keyboard.press("Escape")
    assert app.shown_selected() == []
    app.expect_basket()


def test_keyboard_alone(open_app: Opener) -> None:
    app = open_app(take=1)
    press = app.page.keyboard.press
    app.tile(0).focus()
    press("ArrowRight")
    press("ArrowRight")
    press("Space")
    app.expect_basket(2)
    app.settle()
    assert app.focused() == "img-002"  # The answer from Python did not take the focus.
    columns = app.page.locator(".grid").evaluate(
        "g => getComputedStyle(g).gridTemplateColumns.split(' ').length"
    )
    press("ArrowDown")
    assert app.focused() == f"img-{2 + columns:03d}"
    press("End")
    press("Enter")
    app.expect_basket(2, 11)
    press("Home")
    press("ArrowLeft")
    assert app.focused() == "img-000"
    press("Shift+Space")  # From the last toggled (11) to here.
    app.expect_basket(0, 1, 2, 3, 4, 5, 6, 7, 9, 11)
    press("Escape")
    press("ArrowRight")
    press("Space")
    press("Shift+ArrowRight")
    app.expect_basket(1, 2)
    assert app.page.locator('.tile[tabindex="0"]').count() == 1  # Tab reaches one tile only.


@pytest.mark.parametrize("how", [{}, {"take": 1}], ids=["returned", "taken"])
def test_clicks_during_a_slow_run_are_neither_lost_nor_flipped_back(
    open_app: Opener, how: dict[str, int]
) -> None:
    app = open_app(slow=1, **how)
    app.page.evaluate(
        """() => {  // Watch every change of every tile: a flicker would be seen here.
            const host = '[data-testid="stBidiComponentIsolated"]';
            const root = document.querySelector(host).shadowRoot;
            window.states = {};
            const note = () => root.querySelectorAll('.tile').forEach(t => {
                const seen = (window.states[t.dataset.id] ??= [false]);
                const on = t.classList.contains('selected');
                if (seen.at(-1) !== on) seen.push(on);
            });
            const all = {subtree: true, childList: true, attributes: true};
            new MutationObserver(note).observe(root, all);
        }"""
    )
    app.tile(1).click()
    app.page.locator(".stApp[data-test-script-state=running]").wait_for()  # It sleeps now.
    app.tile(2).click()
    app.tile(3).click()
    sent(app.page)  # And these interrupted it.
    app.tile(1).click()
    assert app.shown_selected() == [2, 3]
    app.expect_basket(2, 3)
    app.settle()
    app.run_again()
    assert app.basket() == app.shown_selected() == [2, 3]
    states = app.page.evaluate("window.states")
    assert {id_: seen for id_, seen in states.items() if len(seen) > 1} == {
        "img-001": [False, True, False],
        "img-002": [False, True],
        "img-003": [False, True],
    }


def test_page_keeps_the_selection_of_other_pages(open_app: Opener) -> None:
    app = open_app(take=1)
    app.tile(1).click()
    app.tile(4).click()
    app.button("Turn page").click()  # At once: the clicks must arrive before the button's.
    expect(app.tile(13)).to_be_visible()
    assert app.shown_selected() == []
    app.expect_basket(1, 4)
    app.tile(13).click()
    app.page.keyboard.press("Escape")  # This page's only.
    app.tile(14).click()
    app.expect_basket(1, 4, 14)
    app.button("Turn page").click()
    expect(app.tile(1)).to_be_visible()
    app.settle()
    assert app.shown_selected() == [1, 4]


def test_mounted_anew_it_goes_on(open_app: Opener) -> None:
    app = open_app(take=1)
    app.tile(1).click()
    app.page.get_by_text("Move", exact=True).click()
    app.settle()
    app.tile(2).click()
    app.expect_basket(1, 2)
    assert app.shown_selected() == [1, 2]


def test_single_selection_replaces_also_on_other_pages(open_app: Opener) -> None:
    app = open_app(single=1, take=1)
    app.tile(1).click()
    app.tile(2).click()
    assert app.shown_selected() == [2]
    app.expect_basket(2)
    app.button("Turn page").click()
    app.tile(14).click()
    app.expect_basket(14)


def test_tile_is_text_a_crisp_picture_and_an_option(open_app: Opener) -> None:
    app = open_app()
    expect(app.tile(5).locator(".label")).to_have_text(HOSTILE)
    assert app.tile(5).locator("img").count() == 1
    assert app.page.title() != "owned"

    image = app.tile(0).locator("img")
    box = image.bounding_box()
    assert box is not None
    assert box["width"] == box["height"] == 84  # Three screen pixels for each of the 28.
    assert image.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"

    grid = app.page.get_by_role("listbox", name="Images")
    expect(grid).to_have_attribute("aria-multiselectable", "true")
    expect(grid.get_by_role("option")).to_have_count(12)
    app.tile(3).click()
    expect(grid.get_by_role("option", selected=True)).to_have_count(1)
    expect(app.tile(3)).to_have_attribute("title", "img-003")
    expect(app.page.get_by_text("1 of 12 on this page selected")).to_have_count(1)

    deleted = app.tile(8)
    expect(deleted).to_contain_text("gone")
    expect(deleted).to_have_attribute("aria-disabled", "true")
    deleted.click(force=True)
    app.run_again()
    assert app.basket() == app.shown_selected() == [3]


def test_passive_and_empty(open_app: Opener) -> None:
    app = open_app(passive=1)
    app.tile(1).click()
    app.run_again()
    assert app.basket() == app.shown_selected() == []
    assert app.page.get_by_role("listbox").count() == 0
    app = open_app(nothing=1)
    expect(app.page.get_by_text("No images match.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_follows_the_systems_colours(new_page: Callable[..., Page], url: str, scheme: str) -> None:
    app = App(new_page(color_scheme=scheme), url)
    for number in (1, 2, 6):
        app.tile(number).click()
    app.page.keyboard.press("ArrowLeft")
    app.expect_basket(1, 2, 6)
    app.settle()
    background = app.page.locator('[data-testid="stApp"]').evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}[scheme]
    if shots := os.environ.get("MUNKEY_SHOTS"):  # For people to look at.
        app.page.screenshot(path=Path(shots) / f"gallery-{scheme}.png")
