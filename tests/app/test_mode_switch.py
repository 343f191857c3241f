"""The switch between the joint and the exact memory, and the panel that sets them side by side."""

from __future__ import annotations

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from munkey_core.cli import main
from munkey_core.studio import Studio
from tests.app.screen import open_script, query, settled, text
from tests.servers import ROOT

HEAD = (
    "import sys\n"
    f"sys.path.insert(0, {str(ROOT)!r})\n"
    "from app.session import page_url\n"
    "from app.shared import entrance\n"
    "from app.shared.basket import sidebar\n"
)
FORGET = (
    HEAD + "from app.screens.forget import page as view\n"
    "session = entrance.enter('forget')\n"
    "page_url.write(session.groups)\n"
    "sidebar(session)\n"
    "view.show()\n"
)
PRIVACY = FORGET.replace("screens.forget", "screens.privacy").replace(
    "enter('forget')", "enter('privacy')"
)
SWITCH = "munkey-widget:mode"


@pytest.fixture(scope="module")
def both(digits_folder, tmp_path_factory):
    """The digits bundle with an exact mode added."""
    folder = shutil.copytree(digits_folder, tmp_path_factory.mktemp("modes") / "digits")
    assert main(["write", str(folder), "--json"]) == 0
    return folder


@pytest.fixture
def with_both(show, both):
    show(both)


@pytest.fixture
def joint_only(on_digits):
    pass


def open_page(script: str = FORGET, **query) -> AppTest:
    return open_script(script, **query)


def switch(app: AppTest):
    found = [group for group in app.get("button_group") if group.key == SWITCH]
    return found[0] if found else None


def studio(app: AppTest) -> Studio:
    return app.session_state["munkey-session"].studio


def test_a_model_with_one_memory_has_no_switch(joint_only):
    app = open_page()
    assert switch(app) is None
    assert studio(app).about.mode == "joint"


def test_a_mode_that_a_model_has_not_is_refused_with_a_message(joint_only):
    app = open_page(mode="exact")
    assert studio(app).about.mode == "joint"
    assert "mode" not in query(app)
    assert any("mode" in line for line in app.session_state["munkey-messages"])


@pytest.mark.parametrize("value", ["magic", "", "JOINT"])
def test_a_bad_mode_in_a_link_gets_the_default(with_both, value):
    app = open_page(mode=value)
    assert studio(app).about.mode == "joint"
    assert "mode" not in query(app)


def test_a_link_opens_the_exact_memory(with_both):
    app = open_page(mode="exact")
    assert studio(app).about.mode == "exact"
    assert query(app)["mode"] == "exact"
    assert switch(app) is not None


def test_what_is_deleted_stays_deleted_in_the_other_memory(with_both):
    ids = list(Studio.open("digits").memory.private_ids()[:5])
    app = open_page(forgotten=f"{' '.join(ids[:2])},{ids[2]}", basket=ids[4])
    joint = studio(app)
    assert joint.memory.forgotten == tuple(ids[:3])
    switch(app).set_value("exact").run()
    assert not app.exception
    exact = studio(app)
    assert (exact.about.mode, exact.about.digest != joint.about.digest) == ("exact", True)
    assert exact.memory.forgotten == tuple(ids[:3])
    assert [deletion.ids for deletion in exact.memory.history] == [tuple(ids[:2]), (ids[2],)]
    assert query(app)["mode"] == "exact"
    assert query(app)["basket"] == ids[4]
    switch(app).set_value("joint").run()
    assert not app.exception
    assert studio(app).about.mode == "joint"
    assert studio(app).memory.forgotten == tuple(ids[:3])


def test_each_memory_says_what_remains(with_both):
    id_ = Studio.open("digits").memory.private_ids()[0]
    assert "deleting keys does not change them" in text(open_page(forgotten=id_))
    exact = open_page(forgotten=id_, mode="exact")
    assert "byte for byte" in text(exact)
    assert "deleting keys does not change them" not in text(exact)
    assert not [b for b in exact.button if b.label.startswith("Retrain now")]


def test_the_privacy_page_sets_both_side_by_side(with_both):
    app = settled(open_page(PRIVACY), "All attacks")
    assert "Where the trace stays" in text(app)
    app.button(key="start-trace").click().run()
    settled(app, "by construction")
    shown = text(app)
    assert "Right on test images" in shown
    assert "not measured for these images" in shown
    assert "Nobody has verified that" in shown
    assert "its accuracy is bounded by what the public images teach" in shown
    # 200 anchors and 60 calibration images; the encoder's 600, and 100 for validation.
    assert "860 images" in shown
    assert "960 images" in shown


def test_in_the_exact_memory_the_attack_finds_what_a_retrained_model_shows(with_both):
    app = settled(open_page(PRIVACY, mode="exact"), "All attacks")
    shown = text(app)
    assert "No retrained model yet" not in shown
    assert "retrained without them" in shown
    assert "nothing, by construction" in shown


def test_a_model_with_one_memory_has_no_such_panel(joint_only):
    app = settled(open_page(PRIVACY), "All attacks")
    assert "Where the trace stays" not in text(app)
