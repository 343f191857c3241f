"""A whole request in a real browser: owner, dry run, count, erasure, receipt, report on paper,
verification by upload, and the other person who has the model open."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader

from munkey_core.bundle.write import write_bundle
from munkey_core.studio import Studio
from tests.browser.visit import at_rest, open_page, turn_to
from tests.core import tiny

OWNER = "owner-3"
KEYS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of its own, never trained: what is erased from it is gone."""
    place: Path = tmp_path_factory.mktemp("desk") / "desk"
    write_bundle(tiny.random_bundle(private=KEYS, test=30), place)
    return place


@pytest.fixture(scope="module")
def url(serve, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    env = {
        "MUNKEY_BUNDLES": str(folder.parent),
        "MUNKEY_BUNDLE": "desk",
        "MUNKEY_CACHE": str(tmp_path_factory.mktemp("desk-cache")),
    }
    with serve(env) as address:
        yield address


def uploader(page: Page, place: str):
    return page.locator(f"{place} input[type=file]")


def pages_on_a4(browser: Browser, report: Path) -> int:
    """Print a file as a person would, without a network to fetch anything from."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    context.close()
    assert asked == [report.as_uri()]
    return len(PdfReader(io.BytesIO(printed)).pages)


def test_a_request_from_the_owners_name_to_the_filed_receipt(
    page: Page, other: Page, browser: Browser, url: str, folder: Path, tmp_path: Path
) -> None:
    studio = Studio.open(str(folder))
    n = studio.memory.owners[OWNER]
    theirs = studio.erasure.named_ids(f"owner:{OWNER}")
    stays = next(id_ for id_ in studio.memory.private_ids() if id_ not in theirs)

    # Another person has deleted one of the images, and picked it and one that stays.
    open_page(other, f"{url}/?forgotten={theirs[0]}&basket={theirs[1]}+{stays}")
    expect(other.get_by_text("1 key deleted in")).to_be_visible()

    open_page(page, url)
    turn_to(page, "Request desk")
    expect(page.get_by_text("How it goes")).to_be_visible()
    field = page.get_by_role("combobox", name="asks to be forgotten")
    field.fill(OWNER[-3:])
    page.get_by_role("option", name=OWNER).click()
    expect(page.get_by_text(f"{n} images found")).to_be_visible()
    expect(page.get_by_text("These figures go into the report")).to_be_visible()
    expect(page.locator(".mk-plainly")).to_contain_text("times in 100")
    assert studio.erasure.stale is False

    # A wrong count erases nothing; a double click erases once.
    count = page.get_by_label("to confirm")
    button = page.get_by_role("button", name="for good")
    count.fill(str(n + 1))
    button.click()
    expect(page.get_by_text("Nothing was erased: wanted the number")).to_be_visible()
    assert studio.erasure.stale is False
    count.fill(str(n))
    button.dblclick()
    expect(page.get_by_role("heading", name="Receipt no. 1")).to_be_visible()
    expect(page.get_by_text(f"{KEYS - n} of {KEYS - n}")).to_be_visible()
    [entry] = Studio.open(str(folder)).erasure.ledger()
    assert entry.receipt is not None
    assert entry.receipt.count == n

    with page.expect_download() as getting:
        page.get_by_role("button", name="Download the receipt").click()
    receipt = tmp_path / getting.value.suggested_filename
    getting.value.save_as(receipt)
    assert receipt.name == "receipt-desk-1.json"
    with page.expect_download() as getting:
        page.get_by_role("button", name="Download the report").click()
    report = tmp_path / getting.value.suggested_filename
    getting.value.save_as(report)
    assert 1 <= pages_on_a4(browser, report) <= 2
    for id_ in (*theirs, OWNER):
        assert id_ not in receipt.read_text() + report.read_text()

    # Whoever brings the receipt can have it checked, and a changed one is found out.
    uploader(page, ".st-key-desk-verify-file").set_input_files(receipt)
    expect(page.get_by_text("Verified: receipt no. 1")).to_be_visible()
    text = receipt.read_text().replace(f'"count": {n}', f'"count": {n - 1}')
    page.get_by_role("button", name="Remove").click()
    uploader(page, ".st-key-desk-verify-file").set_input_files(
        {"name": "r.json", "mimeType": "application/json", "buffer": text.encode()}
    )
    expect(page.get_by_text("This receipt proves nothing")).to_be_visible()

    # The other person is told at the next step, and goes on with what is still there.
    turn_to(other, "Explain")
    expect(other.get_by_role("heading", name="This bundle has changed")).to_be_visible()
    expect(other.locator(".mk-thumbs")).to_have_count(0)
    other.get_by_role("button", name="Reload").click()
    expect(other.get_by_role("heading", name="Why does the model say that")).to_be_visible()
    expect(other.get_by_text("erased for good (receipt no. 1)").first).to_be_visible()
    expect(other.get_by_text("1 picked")).to_be_visible()
    expect(other.get_by_text(f"{KEYS - n} of {KEYS - n}")).to_be_visible()


def test_no_address_and_no_line_of_the_log_says_whom_a_request_is_about(
    page: Page, running, tmp_path: Path
) -> None:
    place = tmp_path / "bundles" / "quiet"
    write_bundle(tiny.random_bundle(private=KEYS, test=30), place)
    studio = Studio.open(str(place))
    theirs = studio.erasure.named_ids(f"owner:{OWNER}")
    others = [id_ for id_ in studio.memory.private_ids() if id_ not in theirs][:2]
    env = {
        "MUNKEY_BUNDLES": str(place.parent),
        "MUNKEY_BUNDLE": "quiet",
        "MUNKEY_CACHE": str(tmp_path / "cache"),
    }
    addresses: list[str] = []
    page.on("framenavigated", lambda frame: addresses.append(frame.url))
    page.on("request", lambda request: addresses.append(request.url))
    with running(env) as server:
        open_page(page, f"{server.url}/desk")
        field = page.get_by_role("combobox", name="asks to be forgotten")
        field.fill(OWNER[-3:])
        page.get_by_role("option", name=OWNER).click()
        expect(page.get_by_text(f"{len(theirs)} images found")).to_be_visible()
        at_rest(page)
        page.get_by_role("radio", name="A CSV file").click()
        asked = ("id\n" + "\n".join(others)).encode()
        place = page.get_by_role("region", name="A CSV file")
        place.locator("input[type=file]").set_input_files(
            {"name": "asked.csv", "mimeType": "text/csv", "buffer": asked}
        )
        expect(page.get_by_text("2 images found")).to_be_visible()
        expect(page.get_by_text("These figures go into the report")).to_be_visible()
        page.get_by_label("to confirm").fill("2")
        page.get_by_role("button", name="for good").click()
        expect(page.get_by_role("heading", name="Receipt no. 1")).to_be_visible()
        with page.expect_download():
            page.get_by_role("button", name="Download the report").click()
        at_rest(page)
        addresses.append(page.url)
        said = server.said()
    for name in (OWNER, *theirs, *others):
        assert not [one for one in addresses if name in unquote(one)]
        assert name not in said
    assert any("who=csv" in one for one in addresses)
