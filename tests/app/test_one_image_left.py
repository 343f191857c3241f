"""A memory of one image, or a session that forgets all: there is nothing to compare with."""

from __future__ import annotations

import shutil

import pytest

from munkey_core.progress import finish
from munkey_core.studio import Studio
from tests.app.screen import open_script, settled, text

NOTHING = "There is nothing to compare"


@pytest.fixture(scope="module")
def left(digits_folder, tmp_path_factory):
    """Number of images → a bundle from which all others were erased."""

    def make(n):
        folder = tmp_path_factory.mktemp(f"left-{n}") / "digits"
        shutil.copytree(digits_folder, folder)
        studio = Studio.open(str(folder))
        finish(studio.erasure.erase(studio.memory.private_ids()[n:]))
        return folder

    return {n: make(n) for n in (1, 2)}


def run_page(name, **query):
    """One page alone, as a link opens it."""
    return open_script(
        "from app.session import page_url\nfrom app.shared import entrance\n"
        f"session = entrance.enter({name!r})\npage_url.write(session.groups)\n"
        f"from app.screens.{name}.page import show\nshow()\n",
        **query,
    )


@pytest.mark.parametrize("page", ["explain", "privacy", "compare"])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("state", ["untouched", "basket", "forgotten"])
def test_the_pages_say_that_there_is_nothing_to_compare(left, show, page, n, state):
    show(left[n])
    ids = Studio.open(str(left[n])).memory.private_ids()
    assert len(ids) == n
    app = run_page(page, **({} if state == "untouched" else {state: " ".join(ids)}))
    assert not app.error
    assert (NOTHING in text(app)) == (n == 1 or state != "untouched")


@pytest.mark.parametrize("page", ["explain", "privacy", "compare"])
def test_a_link_to_a_set_that_is_not_there_says_so(left, show, page):
    show(left[1])
    app = run_page(page, of="random-10pct")
    assert NOTHING in text(app)


def test_one_of_two_can_be_looked_at(left, show):
    show(left[2])
    [id_, _] = Studio.open(str(left[2])).memory.private_ids()
    app = settled(run_page("privacy", basket=id_), "the picked image")
    assert NOTHING not in text(app)
    app = run_page("compare", basket=id_)
    assert NOTHING not in text(app)
    assert "In my basket" in str(app.selectbox)
