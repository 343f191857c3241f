"""A model that came without its pictures: every page says so in place, and stays of use."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from app.components.blank_picture import blank_picture
from app.components.prediction import Series, card
from app.session import models
from munkey_core.bundle.write import write_bundle
from tests.app.screen import open_main, open_script, settled, text
from tests.shipped import PRETRAINED

MISSING = "This model came without its pictures"


@pytest.fixture(scope="module")
def folders(digits_bundle, tmp_path_factory):
    """Two bundles without pictures: of the first they are nowhere, of the second scikit-learn has
    them."""
    folder = tmp_path_factory.mktemp("without")
    bare = dataclasses.replace(digits_bundle, thumbnails=None)
    dataset = {**bare.manifest.dataset, "name": "cifar10", "title": "CIFAR-10"}
    manifest = dataclasses.replace(bare.manifest, dataset=dataset)
    write_bundle(dataclasses.replace(bare, manifest=manifest), folder / "nowhere")
    write_bundle(bare, folder / "elsewhere")
    return folder


@pytest.fixture(autouse=True)
def these_bundles(folders, monkeypatch, tmp_path):
    monkeypatch.delenv("MUNKEY_IMAGES", raising=False)
    monkeypatch.setenv("MUNKEY_DATA", str(tmp_path))
    monkeypatch.setenv("MUNKEY_BUNDLES", str(folders))
    monkeypatch.setenv("MUNKEY_BUNDLE", str(folders / "nowhere"))


def run_page(name, **query):
    """One page alone, as the menu would draw it."""
    script = (
        "from app.session import state, models\n"
        "from app.shared import entrance\n"
        "from app.shared.without_pictures import banner\n"
        f"session = entrance.enter({name!r})\n"
        "models.find_pictures(session.studio)\nbanner(session)\n"
        f"from app.screens.{name}.page import show\nshow()\n"
    )
    return open_script(script, **query)


@pytest.fixture(scope="module")
def ids(digits_bundle):
    return digits_bundle.bank.ids


def test_the_first_page_tells_how_to_get_them_once_and_shows_cards_instead(ids):
    app = open_main()
    assert not app.exception
    found = text(app)
    assert MISSING in found
    assert "because their licence doesn't allow it" in found
    assert "`munkey images nowhere --download`" in found
    next(b for b in app.button if b.label == "Got it").click().run()
    assert MISSING not in text(app)


def test_no_field_lets_a_visitor_name_a_place_on_the_server():
    app = open_main()
    assert [field.placeholder for field in app.text_input] == ["Image id, or a part of it"]


def test_picking_and_deleting_work_by_key(ids):
    app = open_main(basket=ids[0])
    assert not app.exception
    assert not app.error
    assert "Its own key gives" in text(app)
    assert "Who answers now" in text(app)
    next(b for b in app.button if b.label == "Delete 1 key").click().run()
    app = settled(app, "can't be told without the pictures")
    assert not app.exception
    assert not app.error
    found = text(app)
    assert "1 key deleted in" in found
    assert "Before, its own key gave" in found
    assert "→" in found  # the true class's probability with and without its key, as stored
    next(b for b in app.button if b.label == "Undo").click().run()
    assert not app.exception


@pytest.mark.parametrize("page", ["map", "explain", "privacy", "compare", "about"])
def test_no_page_breaks_with_or_without_a_query(ids, page):
    for query in ({}, {"query": ids[0]}, {"query": ids[0], "forgotten": ids[1]}):
        app = run_page(page, **query)
        assert not app.exception
        assert MISSING in text(app)


def test_explain_says_what_it_takes_and_shows_who_answers(ids):
    app = run_page("explain", query=ids[0])
    found = text(app)
    assert "takes the picture, and this model came without" in found
    assert "Who answers now" in found
    assert not app.error


def test_privacy_says_in_place_what_is_missing(ids):
    app = run_page("privacy", of="basket", basket=" ".join(ids[:3]))
    found = text(settled(app, "so the pictures, which this model came without"))
    assert "Traceback" not in found
    assert not app.error


def test_with_pictures_from_elsewhere_all_is_as_ever(folders, ids, monkeypatch):
    monkeypatch.setenv("MUNKEY_BUNDLE", str(folders / "elsewhere"))
    app = open_main(basket=ids[0])
    found = text(app)
    assert MISSING not in found
    assert "data:image/png" in found
    assert not app.error
    next(b for b in app.button if b.label == "Delete 1 key").click().run()
    settled(app, "get another answer now")


def test_pictures_that_are_not_the_models_are_refused_without_naming_the_place(
    folders, monkeypatch, tmp_path_factory, digits_bundle
):
    place = tmp_path_factory.mktemp("private-place")
    monkeypatch.setenv("MUNKEY_IMAGES", str(place))
    copied = tmp_path_factory.mktemp("refused") / "refused"
    import shutil

    shutil.copytree(folders / "nowhere", copied)
    with (copied / "manifest.json").open("a") as file:
        file.write("\n")  # another digest: not the one that other tests have opened
    monkeypatch.setenv("MUNKEY_BUNDLE", str(copied))
    found = text(open_main())
    assert "are not this model's" in found
    assert str(place) not in found


def test_a_blank_picture_says_class_and_number():
    import base64

    uri = blank_picture("train-cat-0012", 3, "<cat>")
    svg = base64.b64decode(uri.partition(",")[2]).decode()
    assert ">&lt;cat&gt;<" in svg
    assert ">0012<" in svg
    other = base64.b64decode(blank_picture("cats/img%201.jpg", 12, "c").partition(",")[2]).decode()
    assert ">1<" in other or ">201<" in other


@pytest.mark.parametrize(
    ("side", "rules"),
    [
        (28, ("--mk-pic:112px", "--mk-small-pic:56px", "--mk-hover-pic:84px", "pixelated")),
        (32, ("--mk-pic:128px", "--mk-small-pic:64px", "--mk-seen-pic:160px", "pixelated")),
        (96, ("--mk-pic:112px", "--mk-small-pic:56px", "auto")),
    ],
)
def test_small_pictures_are_enlarged_by_whole_numbers_and_large_ones_are_smooth(side, rules):
    script = f"from app.components.style import use_picture_size\nuse_picture_size({side})"
    [block] = open_script(script).get("html")
    for rule in rules:
        assert rule in block.proto.body


# -- an "after" is one that was measured -----------------------------------------------------------


@pytest.fixture
def cifar10(monkeypatch):
    """The shipped bundle without pictures, which has stored answers: its ids, and those of a
    set whose retrained model is stored, too."""
    monkeypatch.setenv("MUNKEY_BUNDLES", str(PRETRAINED))
    monkeypatch.setenv("MUNKEY_BUNDLE", str(PRETRAINED / "cifar10"))
    memory = models.shared("cifar10").studio.memory
    return memory.private_ids(), memory.canonical_sets()["random-10pct"]


def verdicts(app):
    return re.findall(r'class="mk-verdict">(.*?)</div>', text(app))


@pytest.mark.parametrize("page", ["forget", "map", "explain"])
def test_before_anything_is_deleted_there_is_no_after(cifar10, page):
    ids, _ = cifar10
    app = run_page(page, basket=ids[0], query=ids[0])
    assert verdicts(app)
    assert "mk-after" not in text(app)
    assert not any("→" in verdict for verdict in verdicts(app))


def test_a_deleted_image_has_no_after_that_was_not_stored(cifar10):
    ids, stored = cifar10
    app = settled(run_page("forget", forgotten=ids[0]), "can't be told without the pictures")
    assert "mk-after" not in text(app)
    assert "→" in text(app)  # the true class's probability, of which both are stored
    assert not any("→" in verdict for verdict in verdicts(app))
    app = settled(run_page("forget", forgotten=" ".join(stored)), "can't be told without")
    assert "retrained without it" in text(app)
    assert not any("→" in verdict for verdict in verdicts(app))


@pytest.mark.parametrize("page", ["map", "explain"])
def test_an_image_that_lost_no_memory_keeps_its_answer_and_is_told_so_of_its_own_key(cifar10, page):
    ids, _ = cifar10
    memory = models.shared("cifar10").studio.memory
    asked = memory.test_ids()[0]
    [found] = memory.recall([asked])
    far = next(id_ for id_ in ids if id_ not in found.neighbours)
    app = run_page(page, query=asked, forgotten=far)
    assert "before your deletion" in text(app)
    assert "after your deletion" in text(app)
    assert "with its key" not in text(app)  # a test image has none
    near = found.neighbours[0]
    app = run_page(page, query=asked, forgotten=near)
    assert "mk-after" not in text(app)
    assert not any("→" in verdict for verdict in verdicts(app))


def test_a_retrained_model_is_no_turn_of_the_answer():
    def series(kind, *p):
        return Series(kind, kind, np.array(p))

    told = card(
        "", "", ("a", "b"), 0, [series("before", 0.9, 0.1), series("retrained", 0.2, 0.8)], "", []
    )
    assert "a, 90" in told
    assert "→" not in told
