"""Retrain now, in a real browser: it runs beside the page, can be cancelled, and is found again."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.visit import at_rest, delete, open_page, pick

pytestmark = pytest.mark.timeout(1200)
EPOCHS = 3_000  # Of a training that nobody waits for: it is there to be cancelled.


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("retrain-cache")


@pytest.fixture(scope="module")
def url(serve, digits_folder: Path, tmp_path_factory, cache: Path) -> Iterator[str]:
    """Two bundles: `digits`, retrained in seconds, and `slow`, the same with a long training."""
    bundles = tmp_path_factory.mktemp("retrain-bundles")
    for name in ("digits", "slow"):
        shutil.copytree(digits_folder, bundles / name)
    manifest = bundles / "slow" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["training"]["epochs"] = EPOCHS
    manifest.write_text(json.dumps(values))
    env = {
        "MUNKEY_BUNDLES": str(bundles),
        "MUNKEY_BUNDLE": "",
        "MUNKEY_CACHE": str(cache),
        "MUNKEY_JOB_THREADS": "1",
    }
    with serve(env) as address:
        yield address


def delete_two(page: Page, url: str, first: int) -> None:
    """Pick two images by hand and delete them. first: place of the first in the gallery."""
    open_page(page, url)
    pick(page, first, first + 1)
    delete(page, 2)
    expect(offer(page)).to_be_visible()


def offer(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("Retrain now"))


def cancel(page: Page) -> Locator:
    return page.get_by_role("button", name="Cancel")


def bar(page: Page) -> Locator:
    return page.locator(".st-key-job-retrain [role=progressbar]")


def bars_of(page: Page) -> Locator:
    return page.locator(".mk-bar.mk-retrained")


def turns(page: Page) -> list[float]:
    """Seconds until another page of the app is there, four times."""
    took = []
    for link, heading in 2 * (("About", "About this model"), ("Forget", "Watch a model forget")):
        start = time.monotonic()
        page.get_by_role("link", name=link).click()
        page.get_by_role("heading", name=heading).wait_for()
        took.append(time.monotonic() - start)
    return took


def test_it_runs_beside_the_pages_and_stops_when_told_to(
    page: Page, other: Page, url: str, cache: Path
) -> None:
    delete_two(page, f"{url}/?bundle=slow", first=0)
    expect(bars_of(page)).to_have_count(0)
    quiet = turns(page)
    offer(page).click()
    expect(bar(page)).to_be_visible()
    expect(page.get_by_text(re.compile("^Training, about .* left"))).to_be_visible()

    # Other pages answer meanwhile, this person's and anybody else's, and the job goes on.
    open_page(other, url)
    other.locator(".tile").first.wait_for()
    for person in (page, other):
        assert min(turns(person)) < max(1.0, 4 * min(quiet))
    expect(bar(page)).to_be_visible()

    # It is told of on other pages, after a reload too, and on a phone.
    page.get_by_role("link", name="About").click()
    note = page.get_by_text(re.compile("^Retraining without 2 images: training, about"))
    expect(note.first).to_be_visible()
    at_rest(page)
    page.reload()
    expect(note.first).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".st-key-jobs-note-above").get_by_role("button")).to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(page.locator(".st-key-jobs-note-above")).to_be_hidden()
    page.get_by_role("button", name="Go there").locator("visible=true").click()
    expect(page.get_by_role("heading", name="Watch a model forget")).to_be_visible()
    expect(bar(page)).to_be_visible()
    at_rest(page)

    # A reload, or a link: the same job, and no second one.
    page.reload()
    expect(cancel(page)).to_be_visible()
    open_page(other, page.url)
    expect(other.get_by_text("Somebody else on this server asked for it")).to_be_visible()
    expect(cancel(other)).to_have_count(0)

    for _ in range(2):  # and it can be started again
        cancel(page).click()
        expect(page.get_by_text("The retraining was cancelled")).to_be_visible()
        offer(page).click()
        expect(cancel(page)).to_be_visible()
    cancel(page).click()
    expect(offer(page)).to_be_visible()
    expect(offer(other)).to_be_visible()
    assert list(cache.rglob("munkey-*")) == []


def test_when_it_is_done_the_third_bars_appear_and_a_reload_finds_them(
    page: Page, other: Page, url: str
) -> None:
    delete_two(page, f"{url}/?bundle=digits", first=0)
    offer(page).click()
    expect(bar(page)).to_be_visible()
    expect(bars_of(page).first).to_be_visible()
    expect(bar(page)).to_have_count(0)
    expect(offer(page)).to_have_count(0)
    said = page.get_by_text(re.compile("gives the same answer on [0-2] of 2"))
    expect(said).to_be_visible()
    sentence = said.inner_text()
    page.reload()
    expect(bars_of(page).first).to_be_visible()
    open_page(other, page.url)
    expect(bars_of(other).first).to_be_visible()
    expect(other.get_by_text(sentence)).to_be_visible()
    page.locator(".st-key-undo-newest button").click()
    expect(bars_of(page)).to_have_count(0)
