"""Whether an address is news: turning pages keeps the state, going back brings the earlier one."""

from __future__ import annotations

import pytest

from app.session import page_url, state


class Params(dict[str, str]):
    """The browser's query as Streamlit hands it over."""

    def to_dict(self) -> dict[str, str]:
        return dict(self)

    def from_dict(self, query: dict[str, str]) -> None:
        self.clear()
        self.update(query)


class Browser:
    """One session: `run` is what happens when the browser sends its address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = 0.0
        self.corrected: list[tuple[str, str]] = []
        self.params = Params()
        monkeypatch.setattr(state.st, "session_state", {})
        monkeypatch.setattr(state.st, "query_params", self.params)
        monkeypatch.setattr(page_url.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(
            page_url, "correct_address", lambda page, query: self.corrected.append((page, query))
        )
        monkeypatch.setenv("MUNKEY_BUNDLE", "digits")

    def run(self, page: str, query: dict[str, str], does=lambda: None) -> bool:
        """does: what a widget's callback does before the page runs."""
        self.params.from_dict(query)
        does()
        news = page_url.is_news(page)
        if news:
            page_url.read()
        page_url.write(())
        return news


@pytest.fixture
def browser(monkeypatch):
    return Browser(monkeypatch)


LOOSE = {"basket": "a"}  # names no bundle
A = {"bundle": "digits", "basket": "a"}


def test_a_turn_by_the_menu_keeps_the_state_and_corrects_the_address(browser):
    assert browser.run("", A)
    browser.clock = 100
    assert not browser.run("map", {})
    assert state.get("basket") == ("a",)
    assert browser.corrected == [("map", "bundle=digits&basket=a")]
    browser.clock = 200  # A run of the server's own, long after, that knows the old address only.
    assert not browser.run("map", {})
    assert state.get("basket") == ("a",)
    assert not browser.run("map", A)


def test_a_step_back_to_another_page_brings_its_state(browser):
    browser.run("", A)
    browser.run("map", {})
    browser.run("map", A)
    browser.run("map", A, lambda: state.change("basket", ("a", "b")))
    assert state.get("basket") == ("a", "b")
    browser.clock = 100
    assert browser.run("", A)
    assert state.get("basket") == ("a",)
    assert len(browser.corrected) == 1


def test_a_click_before_the_address_is_corrected_loses_nothing(browser):
    browser.run("", A)
    browser.run("map", {})
    browser.clock = 100
    assert not browser.run("map", {}, lambda: state.change("basket", ("b",)))
    assert state.get("basket") == ("b",)
    assert browser.params == A | {"basket": "b"}


def test_within_a_page_an_empty_address_is_news_again_once_the_turn_is_over(browser):
    browser.run("", A)
    browser.run("map", {})
    browser.run("map", A)
    browser.run("map", A, lambda: state.change("basket", ()))
    assert browser.params == {}
    browser.run("map", {}, lambda: state.change("basket", ("c",)))
    browser.clock = 100
    assert browser.run("map", {})
    assert state.get("basket") == ()


def test_a_link_in_other_words_is_corrected_in_place_and_is_no_news_meanwhile(browser):
    assert browser.run("", LOOSE)
    assert browser.corrected == [("", "bundle=digits&basket=a")]
    assert browser.params == LOOSE  # nothing was added to the browser's history
    browser.clock = 100
    assert not browser.run("", LOOSE)  # an event from before the browser has corrected it
    assert browser.corrected == [("", "bundle=digits&basket=a")] * 2
    assert not browser.run("", LOOSE, does=lambda: state.change("basket", ("a", "b")))
    assert state.get("basket") == ("a", "b")
    browser.clock = 200
    assert not browser.run("", A | {"basket": "a b"})
    assert browser.run("", A)  # a step back
    assert state.get("basket") == ("a",)
