"""One's own images in a real browser: upload a zip, train on it, open the model, delete a key."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.visit import at_rest, delete, open_page, open_popover, pick, turn_to

pytestmark = pytest.mark.timeout(1200)
PER_CLASS = 40


@pytest.fixture(scope="module")
def url(serve, digits_folder: Path, tmp_path_factory) -> Iterator[str]:
    env = {
        "MUNKEY_BUNDLES": str(tmp_path_factory.mktemp("own-bundles")),
        "MUNKEY_BUNDLE": str(digits_folder),
        "MUNKEY_CACHE": str(tmp_path_factory.mktemp("own-cache")),
        "MUNKEY_DATA_FOLDERS": "",
        "MUNKEY_JOB_THREADS": "1",
        "MUNKEY_MAX_REFERENCE_SECONDS": "1",  # two of each kind, which is the least
    }
    with serve(env) as address:
        yield address


def archive(name: str, files: dict[str, bytes]) -> FilePayload:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for path, data in files.items():
            packed.writestr(path, data)
    return {"name": name, "mimeType": "application/zip", "buffer": stream.getvalue()}


def stripes() -> dict[str, bytes]:
    """Small grey pictures of lying and of standing stripes, and a file that is no picture."""
    noise = np.random.default_rng(0)
    files = {"lying/broken.png": b"no picture"}
    for number in range(PER_CLASS):
        wave = 120 + 90 * np.sin(np.arange(16) * (0.6 + 0.02 * number))
        for kind, picture in (
            ("lying", np.tile(wave[:, None], 16)),
            ("standing", np.tile(wave[:, None], 16).T),
        ):
            noisy = np.clip(picture + noise.normal(0, 12, picture.shape), 0, 255)
            stream = io.BytesIO()
            Image.fromarray(noisy.astype(np.uint8)).save(stream, "PNG")
            files[f"{kind}/{number:02}.png"] = stream.getvalue()
    return files


def uploader(page: Page) -> Locator:
    return page.locator("[data-testid=stFileUploader] input[type=file]")


def start(page: Page) -> Locator:
    return page.get_by_role("button", name="Start training")


def cancel(page: Page) -> Locator:
    return page.get_by_role("button", name="Cancel the training")


def name_it(page: Page, name: str) -> None:
    field = page.get_by_role("textbox", name="Name")
    field.fill(name)
    field.press("Enter")


def test_an_archive_that_would_do_harm_is_refused_in_words(page: Page, url: str) -> None:
    open_page(page, f"{url}/own")
    expect(page.get_by_text("What it needs")).to_be_visible()
    uploader(page).set_input_files(archive("bad.zip", {"../evil.png": b"x"}))
    expect(page.get_by_text("This archive can’t be used: bad.zip")).to_be_visible()
    expect(page.get_by_text("leads out of the archive")).to_be_visible()
    uploader(page).set_input_files(archive("flat.zip", {"a.png": b"x", "b.png": b"y"}))
    expect(page.get_by_text("flat.zip: wanted one sub-folder a class")).to_be_visible()
    expect(start(page)).to_have_count(0)


def test_upload_start_watch_open_and_delete_a_key(page: Page, other: Page, url: str) -> None:
    open_page(page, url)
    turn_to(page, "Own images")
    expect(page.get_by_text("What it needs")).to_be_visible()
    uploader(page).set_input_files(archive("stripes.zip", stripes()))

    # What was found, before anything starts.
    expect(page.get_by_text(f"{2 * PER_CLASS} images in 2 classes")).to_be_visible()
    expect(page.locator(".mk-own-classes")).to_contain_text("standing")
    page.get_by_text("1 file is left out").click()
    expect(page.locator(".mk-own-files")).to_contain_text("lying/broken.png")
    name_it(page, "digits")  # The name of the model that is open.
    expect(page.get_by_text("There is a model named “digits”")).to_be_visible()
    expect(start(page)).to_be_disabled()
    name_it(page, "my-stripes")
    expect(start(page)).to_be_enabled()

    # A double click starts one training, which can be cancelled and started again.
    start(page).dblclick()
    expect(page.get_by_text("my-stripes is being trained", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("training=my-stripes"))
    cancel(page).click()
    expect(page.get_by_text(re.compile("“my-stripes” was cancelled"))).to_be_visible()
    page.get_by_role("button", name="Start again").click()
    expect(cancel(page)).to_be_visible()

    # It is there after a turn of pages, after a reload, and in another browser.
    turn_to(page, "About")
    expect(page.get_by_role("heading", name="About this model")).to_be_visible()
    turn_to(page, "Own images")
    told = page.get_by_text(re.compile("^my-stripes is (being trained|ready)"))
    expect(told.first).to_be_visible()
    page.reload()
    expect(told.first).to_be_visible()
    open_page(other, page.url)
    seen = other.get_by_text(re.compile("^my-stripes is (being trained|ready)"))
    expect(seen.first).to_be_visible()

    # Done: both see it, and it opens.
    for person in (page, other):
        opening = person.get_by_role("button", name="Open the model")
        expect(opening).to_be_visible()
    page.get_by_role("button", name="Open the model").click()
    expect(page.get_by_role("heading", name="Watch a model forget")).to_be_visible()
    pick(page, 0)
    expect(page).to_have_url(re.compile("bundle=my-stripes"))
    expect(page).not_to_have_url(re.compile("training="))
    delete(page, 1)

    # And it goes, with the archive it was made of, for whoever looks.
    turn_to(page, "Own images")
    for gone in ("my-stripes", "stripes-"):
        at_rest(page)
        line = page.locator("[class*=st-key-own-kept-]", has_text=gone).last
        if not line.is_visible():
            page.get_by_text("What this server keeps of own images").click()
        asking = open_popover(line.get_by_role("button", name="Delete …"))
        asking.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_text(re.compile(f"{gone}.* is gone"))).to_be_visible()
    expect(page.get_by_text("Nothing is kept.")).to_be_visible()
