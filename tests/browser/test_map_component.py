"""The memory map in a real browser: what lasso, clicks and legend do, and what Python hears."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from playwright.sync_api import Locator, Page, expect

from app.components.memory_map import MapEvent, points, take_event
from tests.browser.map_on_page import MapOnPage, Outline, enclosed
from tests.browser.visit import answered, sent

# Corners as shares of the stage: one cloud and a part of its neighbours, with a dent.
AROUND_THE_FIRST: Outline = [(0.08, 0.2), (0.4, 0.3), (0.3, 0.5), (0.42, 0.75), (0.1, 0.8)]


def positions(n: int) -> np.ndarray:
    """As in map_app.py."""
    rng = np.random.default_rng(0)
    centres = np.array([[-6.0, 0], [-3, 3], [0, -1], [3, 3], [6, 0]])
    return (centres[np.arange(n) % 5] + rng.normal(0, 1, (n, 2))).astype(np.float32)


class App(MapOnPage):
    """The fixture app."""

    def __init__(self, page: Page, url: str, **query: object) -> None:
        page.goto(f"{url}/?" + "&".join(f"{k}={v}" for k, v in query.items()))
        super().__init__(page)
        expect(page.locator(".st-key-facts")).to_contain_text("basket")
        self.n = int(str(query.get("n", 2000)))
        self.xy = positions(self.n)

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.page.locator(".st-key-facts").inner_text())
        return facts

    def basket(self) -> list[int]:
        return [int(i.removeprefix("img-")) for i in self.facts()["basket"]]

    def events(self) -> list[list[Any]]:
        events: list[list[Any]] = json.loads(self.page.locator(".st-key-events").inner_text())
        return events

    def expect_basket(self, wanted: np.ndarray | list[int]) -> None:
        basket = json.dumps({"basket": [f"img-{i:06d}" for i in sorted(map(int, wanted))]})
        expect(self.page.locator(".st-key-facts")).to_contain_text(basket.rstrip("}"))

    def settle(self) -> None:
        """Wait until no message is due and no run is under way."""
        answered(self.page)

    def run_again(self) -> None:
        """Whatever happened before has reached Python when this run is over."""
        earlier = json.dumps({"runs": self.facts()["runs"]})
        self.page.get_by_role("button", name="Rerun").click()
        expect(self.page.locator(".st-key-facts")).not_to_contain_text(earlier.strip("{"))
        self.settle()

    def legend(self, name: str) -> Locator:
        return self.page.locator(".mkmap-toggle", has_text=name)

    def click(self, number: int) -> None:
        self.page.mouse.click(*self.to_screen(self.xy[number]))


# -- without a browser -----------------------------------------------------------------------------


class Session(dict[str, object]):
    """Stands in for ``st.session_state``."""

    def sends(self, *actions: object, nonce: object = "tab") -> None:
        self["m"] = {"batch": {"nonce": nonce, "actions": list(actions)}}

    def event(self) -> MapEvent | None:
        events: list[MapEvent] = []
        take_event("m", events.append)
        return events[0] if events else None


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setattr(st, "session_state", session)
    assert session.event() is None
    session["_memory_map:m"].ids = frozenset("abc")  # type: ignore[attr-defined]
    return session


def test_messages_repeat_what_is_not_acknowledged_yet(session: Session) -> None:
    session.sends([1, "click-add", ["a"]])
    assert session.event() == MapEvent(added=("a",), clicked="a")
    assert session.event() is None
    session.sends([1, "click-add", ["a"]], [2, "add", ["b", "c"]], [3, "remove", ["a", "b"]])
    assert session.event() == MapEvent(added=("c",), removed=("a", "b"))
    session.sends([1, "off", [2, 0]], nonce="the tab was reloaded")
    assert session.event() == MapEvent(off=(2, 0))


def test_an_interrupted_handler_gets_its_event_again(session: Session) -> None:
    def interrupted(event: MapEvent) -> None:
        raise KeyboardInterrupt

    session.sends([1, "add", ["a"]])
    with pytest.raises(KeyboardInterrupt):
        take_event("m", interrupted)
    assert session.event() == MapEvent(added=("a",))


@pytest.mark.parametrize(
    "batch",
    [
        None,
        "text",
        {"nonce": 3, "actions": [[1, "add", ["a"]]]},
        {"nonce": "n", "actions": {"1": "a"}},
        {"nonce": "n", "actions": [[1, "add", ["never on the map"]]]},
        {"nonce": "n", "actions": [["1", "add", ["a"]], [1, "add", [7]], [1, "add", "a"], None]},
        {"nonce": "n", "actions": [[1, "drop", ["a"]], [2, "off", [-1]], [3, "off", [True]]]},
        {"nonce": "n", "actions": [[1, "off", ["0"]], [2, "off", [1e9]], [3]]},
    ],
)
def test_forged_messages_do_nothing(session: Session, batch: object) -> None:
    session["m"] = {"batch": batch}
    assert session.event() is None


@pytest.mark.parametrize(
    ("xy", "labels", "message"),
    [
        (np.zeros((2, 3)), [0, 0], "positions of shape"),
        (np.zeros((2, 2)), [0], "as many labels"),
        (np.array([[0, 0], [0, np.nan]]), [0, 0], "must be finite"),
    ],
)
def test_points_that_do_not_fit_are_refused(
    xy: np.ndarray, labels: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        points(["a", "b"], xy, labels, ["class"])


def test_the_same_points_have_the_same_name() -> None:
    one, same, other = (
        points(["a", "b"], np.array([[0, 0], [1, y]]), [0, 1], ["x", "y"]) for y in (1, 1, 2)
    )
    assert one.name == same.name != other.name
    assert one.payload == same.payload


# -- in the browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    with serve(script=Path(__file__).with_name("map_app.py")) as address:
        yield address


@pytest.fixture
def open_app(page: Page, url: str) -> Callable[..., App]:
    return lambda **query: App(page, url, **query)


def test_a_lasso_picks_exactly_what_it_encloses(open_app: Callable[..., App]) -> None:
    app = open_app()
    view = app.view()
    inside = enclosed(app.lasso(AROUND_THE_FIRST), app.xy)
    assert 200 < inside.sum() < 1000
    app.expect_drawn(basket=int(inside.sum()))  # At once, before Python answers.
    app.expect_basket(np.flatnonzero(inside))
    expect(app.page.locator(".mkmap-notice")).to_have_text(
        f"{inside.sum()} added, {inside.sum()} in the basket"
    )
    expect(app.page.locator(".mkmap-lasso")).to_be_hidden()
    assert app.view() == view

    box = [(0.3, 0.1), (0.6, 0.9)]
    app.page.get_by_role("button", name="Box").click()
    (x0, y0), (x1, y1) = app.lasso(box)
    both = inside | enclosed(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), app.xy)
    app.expect_basket(np.flatnonzero(both))

    app.page.get_by_role("button", name="Lasso").click()
    taken = enclosed(app.lasso(AROUND_THE_FIRST, shift=True), app.xy)
    assert (taken == inside).all()
    app.expect_basket(np.flatnonzero(both & ~taken))


def test_a_lasso_is_right_after_recolouring_filtering_and_zooming(
    open_app: Callable[..., App],
) -> None:
    app = open_app()
    app.page.get_by_text("By heart").first.click()
    expect(app.legend("much")).to_be_visible()
    app.page.get_by_text("Hide trousers").click()
    app.expect_drawn(hidden=400)
    kept = np.arange(app.n) % 5 != 1
    inside = enclosed(app.lasso(AROUND_THE_FIRST), app.xy)
    assert (inside & ~kept).any()
    app.expect_basket(np.flatnonzero(inside & kept))

    app.legend("little").click()
    app.expect_drawn(drawn=int((kept & (np.arange(app.n) >= app.n / 2)).sum()))
    app.page.get_by_role("button", name="Empty basket").click()
    app.expect_basket([])
    with app.changed_view():
        app.page.get_by_role("button", name="Zoom in").click()
    inside = enclosed(app.lasso([(0.2, 0.1), (0.8, 0.2), (0.6, 0.9)]), app.xy)
    app.expect_basket(np.flatnonzero(inside & kept & (np.arange(app.n) >= app.n / 2)))


def test_click_toggles_and_is_remembered(open_app: Callable[..., App]) -> None:
    app = open_app(n=40)
    app.click(7)
    app.expect_basket([7])
    app.click(12)
    app.expect_basket([7, 12])
    app.settle()
    app.click(7)
    app.expect_basket([12])
    app.settle()
    assert app.events() == [
        [1, 0, None, "img-000007"],
        [1, 0, None, "img-000012"],
        [0, 1, None, "img-000007"],
    ]


def test_clicks_on_a_slow_page_are_neither_lost_nor_flipped_back(
    open_app: Callable[..., App],
) -> None:
    app = open_app(n=40, slow=1)
    for number in (1, 2, 3, 2):
        app.click(number)
        sent(app.page)
    app.expect_drawn(basket=2)
    app.expect_basket([1, 3])
    app.settle()
    app.expect_drawn(basket=2)


def test_ghosts_stay_in_place_and_cannot_be_picked(open_app: Callable[..., App]) -> None:
    whole = open_app().coordinates()
    app = open_app(ghosts=300)
    assert app.drawn()["ghosts"] == 300
    assert (app.coordinates() == whole).all()
    inside = enclosed(app.lasso(AROUND_THE_FIRST), app.xy)
    inside[:300] = False
    app.expect_basket(np.flatnonzero(inside))
    app = open_app(ghosts=300, before=1)
    assert app.drawn()["ghosts"] == 0
    assert app.drawn()["drawn"] == app.n
    app.click(2)
    inside = enclosed(app.lasso(AROUND_THE_FIRST), app.xy)
    inside[:300] = False
    app.expect_basket(np.flatnonzero(inside))


def test_the_legend_hides_and_tells_python(open_app: Callable[..., App]) -> None:
    app = open_app()
    app.legend("Trouser").click()
    app.expect_drawn(drawn=1600, hidden=400)
    app.settle()
    assert app.facts()["off"] == [1]
    expect(app.legend("Trouser")).to_have_attribute("aria-pressed", "false")
    only = app.page.get_by_role("button", name="Show only Coat")
    only.focus()  # The keyboard reaches it, too.
    app.page.keyboard.press("Enter")
    app.expect_drawn(drawn=400)
    app.settle()
    assert app.facts()["off"] == [0, 1, 2, 3]
    app.page.get_by_role("button", name="Show all").click()
    app.expect_drawn(drawn=2000)


def test_the_picture_of_the_point_under_the_pointer_arrives(open_app: Callable[..., App]) -> None:
    app = open_app(n=40)
    app.page.mouse.move(*app.to_screen(app.xy[9]))
    tip = app.page.locator(".mkmap-tip")
    expect(tip).to_contain_text("img-000009")
    expect(tip).to_contain_text("Coat")
    expect(tip.locator("img")).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    expect(tip).to_contain_text("customer 0003")
    assert app.events() == []
    left, top, width, _ = app.stage()
    app.page.mouse.move(left + width / 2, top - 60)
    expect(tip).to_be_hidden()


def test_the_star_and_its_lines_are_drawn(open_app: Callable[..., App]) -> None:
    app = open_app(query=1)
    expect(app.page.locator(".mkmap-star")).to_have_count(1)
    expect(app.page.locator(".mkmap-link")).to_have_count(4)
    expect(app.page.locator(".mkmap-share")).to_have_text(["62 %", "20 %", "12 %", "6 %"])
    with app.changed_view():
        app.page.get_by_role("button", name="Zoom to the star").click()
    assert np.mean(app.view()["x"]) == pytest.approx(-6, abs=1e-3)


def test_moving_the_map_picks_nothing(open_app: Callable[..., App]) -> None:
    app = open_app()
    view = app.view()
    app.page.get_by_role("button", name="Move").click()
    with app.changed_view():
        app.lasso([(0.5, 0.5), (0.6, 0.5), (0.7, 0.6)])
    app.run_again()
    shift = app.view()["x"][0] - view["x"][0]
    assert shift == pytest.approx(-0.2 * (view["x"][1] - view["x"][0]), rel=0.05)
    assert app.basket() == []
    with app.changed_view():
        app.page.get_by_role("button", name="Show the whole map").click()
    assert app.view()["x"] == pytest.approx(view["x"])


def test_a_mere_display_cannot_be_picked_from(open_app: Callable[..., App]) -> None:
    app = open_app(n=40, passive=1)
    expect(app.page.get_by_role("button", name="Lasso")).to_be_hidden()
    app.click(7)
    app.lasso(AROUND_THE_FIRST)
    app.run_again()
    assert app.basket() == []
