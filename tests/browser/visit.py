"""What a person does on any page of the app: open it, wait until it stands still, pick, delete."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Locator, Page, expect

from app.session import page_url
from tests.waiting import until

T = TypeVar("T")

# Streamlit has answered, nothing it drew is of an earlier run, and nothing moves or fades. What
# never ends, such as a spinner, is no reason to wait.
_AT_REST = """
  const seen = (selector) => document.querySelector(selector);
  const answered = seen(".stApp[data-test-script-state=notRunning] .stMain h1")
    && !seen(".stMain [data-stale=true], [data-testid=stConnectionStatus]");
  const inside = [...document.querySelectorAll("*")].map((node) => node.shadowRoot);
  const moves = (animation) =>
    animation.playState === "running" && animation.effect?.getComputedTiming().endTime < Infinity;
  const rests = answered
    && ![document, ...inside].some((root) => root?.getAnimations().some(moves));
"""
_STYLED = "getComputedStyle(seen('.stApp')).getPropertyValue('--mk-page')"
_LOGS = "const logs = [...(window.munkeyActionLogs?.values() ?? [])];"
# Counts in window.disturbed whatever begins to run, to move or to fade.
_WATCH = """() => {
  window.disturbed = 0;
  const note = () => (window.disturbed += 1);
  for (const name of ["transitionrun", "animationstart"]) document.addEventListener(name, note);
  const state = { attributes: true, attributeFilter: ["data-test-script-state"] };
  new MutationObserver(note).observe(document.querySelector(".stApp"), state);
}"""


def wait_for(page: Page, script: str) -> None:
    page.wait_for_function(f"() => {{ {script} }}", polling=50)


def at_rest(page: Page) -> None:
    """Wait until no run is under way and nothing moves."""
    wait_for(page, f"{_AT_REST} return rests;")


def open_page(page: Page, address: str) -> None:
    """Go to an address, and begin when its first run is over: one that ends later takes away what a
    click has just opened, and a click of the menu can be lost in it."""
    page.goto(address)
    at_rest(page)


def styled(page: Page) -> None:
    """Wait for the app's style sheet, which may come a second after the text."""
    wait_for(page, f"{_AT_REST} return rests && {_STYLED};")


def turn_to(page: Page, name: str) -> None:
    """Go to another page by the menu, when what was done before is answered."""
    at_rest(page)
    title = page.locator(".stMain h1")
    here = title.inner_text()
    page.get_by_role("link", name=name, exact=True).click()
    expect(title).not_to_have_text(here)
    at_rest(page)


def open_popover(button: Locator) -> Locator:
    """Open the popover behind a button, and once more where a run that ended took it away; returns
    what it holds."""
    page = button.page
    inside = page.locator("[data-testid=stPopoverBody]")

    def shown() -> bool:
        at_rest(page)
        if not inside.is_visible():
            button.click()
            at_rest(page)
        return inside.is_visible()

    until(shown)
    return inside


def worked_out(page: Page) -> None:
    """Wait until the page is at rest and no work in the background is left."""
    wait_for(page, f"{_AT_REST} return rests && !seen('.stMain [data-testid=stProgress]');")


def sent(page: Page) -> None:
    """Wait until all that was done in a gallery or on a map is on its way to Python."""
    wait_for(page, f"{_LOGS} return logs.every((log) => log.timer === null);")


def answered(page: Page) -> None:
    """Wait until Python has acknowledged all that was done, and the page is at rest."""
    wait_for(page, f"{_LOGS} {_AT_REST} return rests && !logs.some((log) => log.pending.length);")


def undisturbed(page: Page, measure: Callable[[Page], T]) -> T:
    """What is measured on a page that stands still from the first to the last moment of it."""
    page.evaluate(_WATCH)
    while True:
        worked_out(page)
        before = page.evaluate("window.disturbed")
        found = measure(page)
        if page.evaluate("window.disturbed") == before:
            return found


def long_after(page: Page) -> None:
    """Wait until an older address can't be taken any more for one that was under way when the
    present one was written: a step back is one then."""
    at_rest(page)
    end = time.monotonic() + page_url.LATE_SECONDS
    until(lambda: time.monotonic() > end)


def pick(page: Page, *places: int) -> None:
    """Pick the images at these places of the gallery, none being picked yet."""
    for place in places:
        page.locator(".tile").nth(place).click()
    keys = "1 key" if len(places) == 1 else f"{len(places)} keys"
    # While a page is turned the last one's button may still stand beside it.
    button = page.locator(".st-key-delete button:enabled", has_text=f"Delete {keys}")
    expect(button).to_be_visible()
    answered(page)


def delete(page: Page, n: int) -> None:
    """Delete the keys of the n images that are picked."""
    page.locator(".st-key-delete button:enabled").click()
    expect(page.get_by_text(f"{n} key{'s'[: n > 1]} deleted in")).to_be_visible()
