"""Who deletes a whole class is told why the model may go on knowing it."""

from __future__ import annotations

import pytest

from munkey_core.results import PRIVATE
from munkey_core.studio import Studio
from tests.app.screen import open_main, open_script, text

TOLD = "These are all keys of"

pytestmark = pytest.mark.usefixtures("on_digits")


@pytest.fixture(scope="module")
def of_class(digits_bundle):
    """Class → ids of its private images."""
    private = [r for r in digits_bundle.records if r.split == PRIVATE]
    return {label: [r.id for r in private if r.label == label] for label in range(10)}


def public(bundle, *labels):
    return sum(r.split in ("anchor", "calibration") and r.label in labels for r in bundle.records)


@pytest.mark.parametrize("state", ["basket", "forgotten"])
@pytest.mark.parametrize("labels", [(3,), (1, 3)])
def test_it_names_the_class_and_how_many_public_pictures_taught_it(
    of_class, digits_bundle, state, labels
):
    app = open_main(**{state: " ".join(id_ for label in labels for id_ in of_class[label])})
    [told] = [info.value for info in app.info if TOLD in info.value]
    assert f"**{public(digits_bundle, *labels)} public pictures** of th" in told
    for label in labels:
        assert f"**{digits_bundle.manifest.classes[label]}**" in told


@pytest.mark.parametrize("state", ["basket", "forgotten"])
def test_all_but_one_is_not_a_whole_class(of_class, state):
    assert TOLD not in text(open_main(**{state: " ".join(of_class[3][1:])}))


def test_deletions_add_up_to_a_class(of_class):
    first, *rest = of_class[3]
    app = open_main(forgotten=f"{first},{' '.join(rest)}")
    assert TOLD in text(app)


@pytest.mark.parametrize("page", ["explain", "privacy", "compare"])
def test_where_sets_are_compared_the_ready_made_class_is_told_of_too(page):
    script = (
        "from app.session import page_url\nfrom app.shared import entrance\n"
        f"session = entrance.enter({page!r})\npage_url.write(session.groups)\n"
        f"from app.screens.{page}.page import show\nshow()\n"
    )
    assert TOLD in text(open_script(script, of="one-class"))
    assert TOLD not in text(open_script(script, of="random-10pct"))


def test_public_pictures_are_those_that_taught_the_network(digits_bundle, digits_folder):
    memory = Studio.open(str(digits_folder)).memory
    counts = [memory.public_pictures(label) for label in range(10)]
    assert counts == [public(digits_bundle, label) for label in range(10)]
    assert sum(counts) == 260
