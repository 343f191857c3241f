"""Near-copies are told before and after a deletion; a link can hide groups of controls."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.session import properties, state_keys
from munkey_core.results import Browse
from tests.app.screen import open_main, query, text

pytestmark = pytest.mark.usefixtures("on_digits")


@pytest.fixture
def twins(digits):
    """Two images that are near-copies of each other, the first of them with no other one."""
    pairs = digits.memory.near_duplicates(digits.memory.private_ids())
    alone = [p for p in pairs if sum(q.id == p.id for q in pairs) == 1]
    return alone[0].id, alone[0].other


def keys(app: AppTest) -> set[str]:
    """Keys of all controls on the screen."""
    kinds = (
        "button",
        "selectbox",
        "multiselect",
        "text_input",
        "number_input",
        "file_uploader",
        "radio",
    )
    return {str(element.key) for kind in kinds for element in app.get(kind)}


def test_a_near_copy_that_stays_is_told_before_and_after(twins):
    app = open_main(basket=twins[0])
    assert "1 near-copy stays** and can answer instead" in text(app)
    assert "may change little" in text(app)
    app.button(key="delete").click().run()
    assert "may have changed little" in text(app)
    app.button(key="pick-near-deleted").click().run()
    assert query(app)["basket"] == twins[1]
    assert not app.exception


def test_picking_the_near_copy_too_ends_the_warning(twins, digits):
    app = open_main(basket=twins[0])
    app.button(key="pick-near-picked").click().run()
    others = {p.other for p in digits.memory.near_duplicates(twins)} - set(twins)
    assert ("and can answer instead" in text(app)) == bool(others)


def test_an_image_without_near_copies_is_not_warned_about(digits):
    near = {pair.id for pair in digits.memory.near_duplicates(digits.memory.private_ids())}
    single = next(id_ for id_ in digits.memory.private_ids() if id_ not in near)
    assert "near-cop" not in text(open_main(basket=single))


def test_tiles_with_near_copies_wear_a_badge(twins, monkeypatch):
    from app.screens.forget import page as forget

    drawn = []
    monkeypatch.setattr(forget, "gallery", lambda tiles, **_: drawn.extend(tiles))
    open_main(find=twins[0])
    assert [(tile.id, tile.badges) for tile in drawn] == [(twins[0], ("1 near-copy",))]


# Control → the keys of what it stands for on the first page, with a basket and a deletion.
SHOWN = {
    "filters": {"munkey-widget:show", "munkey-widget:class"},
    "pick": {"clear-basket", state_keys.ADD_OWNER},
    "own": {"own-invert"},
    "delete": {"delete"},
    "history": {"undo-0", "undo-newest"},
    "jobs": {"job-start-retrain"},
}


@pytest.fixture
def link(digits):
    some = digits.browse(Browse())[:3]
    return {"forgotten": some[0], "basket": " ".join(some[1:])}


@pytest.mark.parametrize("control", SHOWN)
def test_a_link_hides_a_group_of_controls_and_no_other(control, link):
    shown = keys(open_main(**link))
    assert all(names <= shown for names in SHOWN.values())
    app = open_main(**link, hide=control)
    left = keys(app)
    assert not SHOWN[control] & left
    assert all(names <= left for other, names in SHOWN.items() if other != control)
    assert query(app)["hide"] == control


def test_everything_can_be_hidden_and_the_screen_still_works(link):
    app = open_main(**link, hide=" ".join(properties.CONTROLS))
    assert not keys(app) & set().union(*SHOWN.values())
    assert "deleted in" in "\n".join(e.proto.body for e in app.get("html"))


def test_an_unknown_group_is_told():
    app = open_main(hide="everything")
    assert "hide must be some of menu" in app.warning[0].value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("query", "nobody", "query must be the id of a training or test image"),
        ("target", "10", "target must be a class number from 0 to 9"),
        ("colour", "exposure", "nobody has attacked this model"),
    ],
)
def test_a_link_that_does_not_fit_this_model_gets_a_message(name, value, said, monkeypatch):
    from munkey_core.studio.privacy import Privacy

    monkeypatch.setattr(Privacy, "has_exposure", property(lambda self: False))
    app = open_main(**{name: value})
    assert said in app.warning[0].value
    assert name not in query(app)
