"""What a walk through every page found untrue, a dead end or out of step, each on its own screen in
a real browser, on a projector, a tablet or a phone."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.write import write_bundle
from munkey_core.erasure.erasure import erase
from munkey_core.progress import finish
from munkey_core.results import PRIVATE
from tests.browser.visit import at_rest, open_page, turn_to

PROJECTOR = {"width": 1280, "height": 720}
TABLET = {"width": 820, "height": 1180}
PHONE = {"width": 390, "height": 844}
SMALL = pytest.mark.parametrize("device", [PHONE, TABLET], ids=["phone", "tablet"])


@pytest.fixture
def opens(new_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens an address on a device; small ones are touched."""

    def opened(address: str, device: dict[str, int] = PROJECTOR) -> Page:
        page = new_page(**device, has_touch=device is not PROJECTOR)
        open_page(page, address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        at_rest(page)
        expect(page.locator(".stException")).to_have_count(0)
        return page

    return opened


@pytest.fixture(scope="module")
def other_url(serve, digits_folder: Path, tmp_path_factory) -> Iterator[str]:
    """The same model without its pictures, which are nowhere, and with one image left."""
    folder = tmp_path_factory.mktemp("other-bundles")
    bundle = read_bundle(digits_folder)
    dataset = {**bundle.manifest.dataset, "name": "cifar10", "title": "Without pictures"}
    manifest = dataclasses.replace(bundle.manifest, dataset=dataset)
    bare = dataclasses.replace(bundle, thumbnails=None, manifest=manifest)
    write_bundle(bare, folder / "bare")
    shutil.copytree(digits_folder, folder / "one")
    finish(erase(folder / "one", bundle.bank.ids[1:]))
    with serve({"MUNKEY_BUNDLES": str(folder), "MUNKEY_BUNDLE": "bare"}) as url:
        yield url


@pytest.fixture(scope="module")
def some(digits_folder: Path) -> tuple[str, ...]:
    return read_bundle(digits_folder).bank.ids[:2]


def test_without_pictures_nothing_is_shown_as_measured_that_was_not(opens, other_url):
    page = opens(other_url)
    expect(page.get_by_text("This model came without its pictures").first).to_be_visible()
    page.locator(".tile").first.click()
    expect(page.get_by_role("button", name="Delete 1 key")).to_be_enabled()
    expect(page.get_by_text("after your deletion")).to_have_count(0)


@SMALL
@pytest.mark.parametrize("name", ["privacy", "compare", "explain"])
def test_one_image_left_says_that_there_is_nothing_to_compare(opens, other_url, device, name):
    page = opens(f"{other_url}/{name}?bundle=one", device)
    expect(page.get_by_text("There is nothing to compare").first).to_be_visible()


@SMALL
def test_who_deletes_a_whole_class_is_told_why_it_is_known_still(
    opens, digits_url, digits_folder, device
):
    records = read_bundle(digits_folder).records
    ids = [r.id for r in records if r.split == PRIVATE and r.label == 3]
    page = opens(f"{digits_url}/?forgotten={'+'.join(ids)}", device)
    told = page.get_by_text("These are all keys of")
    told.first.scroll_into_view_if_needed()
    expect(told.first).to_be_in_viewport()
    expect(told.first).to_contain_text("public pictures")


@SMALL
def test_three_pages_are_about_the_same_images(opens, digits_url, some, device):
    """Chosen on one, it is the subject of the others; and Compare says what it takes."""
    page = opens(f"{digits_url}/privacy?of=basket&basket={'+'.join(some)}", device)
    which = page.get_by_role("combobox", name=re.compile("^Forget set"))
    expect(which).to_have_value(re.compile("In my basket"))
    query = page.url.partition("?")[2]
    for name, heading in (("explain", "Why does"), ("compare", "How close is forgetting")):
        page.goto(f"{digits_url}/{name}?{query}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        expect(page).to_have_url(re.compile("of=basket"))
    expect(page.get_by_role("button", name=re.compile(r"Compare now \(about \d"))).to_be_visible()


def test_two_images_have_no_interval_without_width(opens, digits_url, some):
    page = opens(f"{digits_url}/privacy?of=basket&basket={'+'.join(some)}")
    expect(page.get_by_text(re.compile("2 images")).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\[100(\.0)?, 100(\.0)?\]"))).to_have_count(0)


def test_each_press_of_back_takes_one_step(opens, digits_url):
    page = opens(digits_url)
    titles = {"About": "About this model", "Privacy": "Can an attacker", "": "Watch a model forget"}
    for name in ("Privacy", "About", "Compare"):
        turn_to(page, name)
        at_rest(page)
    for path, title in titles.items():
        page.go_back()
        expect(page).to_have_url(re.compile(rf"^{re.escape(digits_url)}/{path.lower()}(\?|$)"))
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        at_rest(page)


def test_speaking_for_a_class_has_no_colour_of_what_is_deleted(opens, digits_url, some):
    page = opens(f"{digits_url}/explain?query={some[0]}&forgotten={some[1]}")
    shown = page.locator(".mk-legend .mk-for").first
    expect(shown).to_be_visible()
    colour, forget = shown.evaluate(
        """mark => {
            const of = (name) => getComputedStyle(mark).getPropertyValue(name).trim();
            return [of("--mk-colour"), of("--mk-forget")];
        }"""
    )
    assert colour
    assert colour != forget
