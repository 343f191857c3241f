"""The Explain page without a browser, on the digits bundle: whichever image a link, a click or a
deletion makes it be about, and what it says when something can't be had."""

from __future__ import annotations

import base64
import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components.heatmap import colour, common_scale
from app.session import state_keys
from app.words.theme import palette
from munkey_core.errors import BundleError
from munkey_core.explain.explanations import Explanations
from munkey_core.results import Browse
from munkey_core.studio.pictures import BundlePictures
from tests.app import screen
from tests.app.screen import open_script, query, text
from tests.servers import ROOT
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("on_digits")
PAGE = (
    "import sys\n"
    f"sys.path.insert(0, {str(ROOT)!r})\n"
    "from app.session import page_url, state, state_keys\n"
    "from app.shared import entrance\n"
    "from app.shared.basket import delete_button, sidebar\n"
    "from app.screens.explain import page as explain\n"
    "session = entrance.enter('explain')\n"
    "page_url.write(session.groups)\n"
    "sidebar(session)\n"
    "delete_button(len(state.get('basket')))\n"
    "explain.show()\n"
)
DRAWN = "**Unit:**"
AS_IF = "As if its own key were deleted"
AFTER = "After your deletion of 1 key"


@pytest.fixture
def key(digits) -> str:
    """The image known best by heart: its own memory answers for it."""
    return digits.browse(Browse())[0]


def open_page(**query) -> AppTest:
    return open_script(PAGE, **query)


def settled(app: AppTest, wanted: str = DRAWN) -> AppTest:
    return screen.settled(app, wanted)


def charts(app: AppTest) -> int:
    return text(app).count('class="mk mk-card mk-answer')


def messages(app: AppTest) -> str:
    return " ".join(app.session_state["munkey-messages"]).replace("\\", "")


# -- which image ---------------------------------------------------------------------------------


def test_with_nothing_chosen_one_step_is_suggested():
    app = open_page()
    assert not app.exception
    assert "Choose an image to look inside" in text(app)
    assert charts(app) == 0
    app.button(key="explain-best").click().run()
    settled(app)
    assert query(app)["query"].startswith("digit-")
    assert charts(app) == 2


def test_a_training_image_is_shown_with_and_without_its_own_key(digits, key):
    app = settled(open_page(query=key))
    shown = text(app)
    assert AS_IF in shown
    assert "its key is in the memory" in shown
    whole = digits.explain.exemplars(key, None, ())
    alone = digits.explain.exemplars(key, whole.target, (key,))
    name = digits.about.classes[whole.target]
    assert f"Its own memory ({key}) adds" in shown
    assert f"{100 * whole.values[whole.ids.index(key)]:+.1f}" in shown
    assert key not in alone.ids
    assert shown.count(f"says “{name}” with") == 2
    assert "deleted afterwards" in shown
    assert "Difference: after − before" in shown
    settled(app, "of 300 test images have it among their nearest memories")


def test_a_deletion_makes_it_before_and_after_and_an_undo_takes_it_back(key):
    app = settled(open_page(query=key, basket=key))
    assert AFTER not in text(app)
    app.button(key="delete").click().run()
    settled(app)
    assert AFTER in text(app)
    assert AS_IF not in text(app)
    assert "you have deleted its key" in text(app)
    app.button(key="undo-0").click().run()
    settled(app)
    assert AS_IF in text(app)
    assert AFTER not in text(app)


def test_no_result_of_an_older_memory_is_shown(monkeypatch, digits, key):
    asked = []
    for name in ("exemplars", "pixels", "influenced"):
        real = getattr(Explanations, name)

        def spy(self, *args, _name=name, _real=real, **kwargs):
            found = _real(self, *args, **kwargs)
            asked.append((_name, self._view.generation))
            return found

        monkeypatch.setattr(Explanations, name, spy)
    app = settled(open_page(query=digits.memory.test_ids()[0], basket=key))
    first = {generation for _, generation in asked}
    asked.clear()
    app.run()
    assert asked == []  # Nothing has changed: nothing is computed again.
    app.button(key="delete").click().run()
    settled(app)
    assert {name for name, _ in asked} >= {"exemplars", "pixels"}
    assert first.isdisjoint(generation for _, generation in asked)


def test_what_was_deleted_comes_before_what_is_picked(digits, key):
    other = digits.browse(Browse())[1]
    assert key in text(open_page(basket=f"{other} {key}"))
    app = open_page(basket=other, forgotten=key)
    assert f'alt="{key}' in text(app)
    assert AFTER in text(app)


def test_a_deletion_that_does_not_touch_the_image_is_said_to(digits, key):
    whole = digits.explain.exemplars(key, None, ())
    far = next(id_ for id_ in reversed(digits.memory.private_ids()) if id_ not in whole.ids)
    shown = text(open_page(query=key, forgotten=far))
    assert "Nothing that you have deleted takes part in this answer" in shown
    assert AFTER in shown


def test_a_test_image_has_one_column_until_something_is_deleted(digits, key):
    id_ = digits.memory.test_ids()[3]
    app = settled(open_page(query=id_))
    shown = text(app)
    assert charts(app) == 1
    assert "it never had a key" in shown
    assert "no *after* to show yet" in shown
    assert "Only a training image has a key that can be forgotten" in shown
    assert not [b for b in app.button if b.key == "explain-pick"]
    assert charts(open_page(query=id_, forgotten=key)) == 2


def test_a_persons_own_picture_stays_out_of_the_link(digits, key):
    app = open_page(query=key)
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8), dtype=np.uint8)
    app.session_state[state_keys.OWN_PICTURE] = (digits.about.digest, image)
    app.run()
    app.button(key="explain-own").click().run()
    settled(app)
    assert "Your own picture: it has no key" in text(app)
    assert charts(app) == 1
    assert "query" not in query(app)
    assert not [b for b in app.button if b.key == "explain-map"]
    app.button(key="explain-random").click().run()
    assert not app.exception
    assert "Your own picture: it has no key" not in text(app)


def test_a_picture_for_another_model_is_not_offered(key):
    app = open_page(query=key)
    app.session_state[state_keys.OWN_PICTURE] = ("another", np.zeros((1, 28, 28), np.uint8))
    app.run()
    assert not app.exception
    assert not [b for b in app.button if b.key == "explain-own"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("query", "nobody", "query must be the id of"),
        ("query", "<script>", "query must be the id of"),
        ("target", "99", "target must be a class number from 0 to 9"),
        ("method", "magic", "method must be one of ig, saliency"),
        ("opacity", "101", "opacity must be a whole number from 0 to 100"),
    ],
)
def test_a_bad_link_gets_one_message_and_the_default(name, value, said):
    app = open_page(**{name: value})
    assert not app.exception
    assert said in messages(app)
    assert name not in query(app)
    assert "Choose an image to look inside" in text(app)


def test_an_id_that_is_typed_is_followed_or_refused(digits, key):
    app = open_page(query=key)
    app.text_input(key=state_keys.EXPLAIN_FIND).input("nobody").run()
    assert "No training or test image has the id “nobody”" in app.error[0].value
    assert query(app)["query"] == key
    app.text_input(key=state_keys.EXPLAIN_FIND).input(f" {digits.memory.test_ids()[1]} ").run()
    assert not app.error
    assert query(app)["query"] == digits.memory.test_ids()[1]


def test_everything_deleted_leaves_the_image_alone(digits, key):
    app = settled(open_page(query=key, forgotten=" ".join(digits.memory.private_ids())))
    shown = text(app)
    assert "No memory is left to ask: the image alone decides" in shown
    assert charts(app) == 2
    assert not [b for b in app.button if b.key == "explain-pick-memories"]


def test_memories_that_answer_go_into_the_basket(digits, key):
    app = open_page(query=key)
    app.button(key="explain-pick-memories").click().run()
    alone = digits.explain.exemplars(key, None, (key,))
    assert set(query(app)["basket"].split()) == set(alone.ids)
    app.button(key="explain-pick").click().run()
    assert key in query(app)["basket"].split()
    assert app.button(key="explain-pick").disabled


# -- settings ------------------------------------------------------------------------------------


def test_the_class_explained_is_in_the_link_and_belongs_to_its_image(digits, key):
    predicted = digits.explain.exemplars(key, None, ()).target
    wanted = (predicted + 1) % 10
    app = open_page(query=key)
    app.selectbox(key="munkey-widget:target").select(wanted).run()
    assert query(app)["target"] == str(wanted)
    assert f"The image alone says “{digits.about.classes[wanted]}” with" in text(app)
    again = open_page(query=key, target=str(wanted))
    assert f"The image alone says “{digits.about.classes[wanted]}” with" in text(again)
    app.button(key="explain-random").click().run()
    assert "target" not in query(app)


def test_methods_and_opacity(monkeypatch, digits):
    asked = []
    real = Explanations.pixels

    def spy(self, subject, method, *args):
        asked.append(method)
        return real(self, subject, method, *args)

    monkeypatch.setattr(Explanations, "pixels", spy)
    app = settled(open_page(query=digits.memory.test_ids()[0], method="saliency"))
    shown = text(app)
    assert "matters little" in shown
    assert "does not promise" in shown
    assert "held fixed" in shown
    assert "opacity:0.60" in shown
    app.slider(key="munkey-widget:opacity").set_value(25).run()
    assert "opacity:0.25" in text(app)
    assert query(app)["opacity"] == "25"
    app.get("button_group")[0].set_value("occlusion").run()
    settled(app, "speaks against")
    assert query(app)["method"] == "occlusion"
    assert asked == ["saliency", "occlusion"]


def test_hidden_settings_leave_their_values_and_take_the_controls(digits):
    id_ = digits.memory.test_ids()[0]
    app = settled(open_page(query=id_, method="saliency", hide="settings own"))
    assert "matters little" in text(app)
    assert not app.slider
    assert not app.get("button_group")
    assert not [box for box in app.selectbox if box.key == "munkey-widget:target"]
    assert not any("own picture" in box.proto.popover.label for box in app.get("popover"))


# -- work in the background ----------------------------------------------------------------------


def test_slow_pixels_show_progress_and_can_be_stopped(monkeypatch, key):
    go = threading.Event()
    real = Explanations.pixels

    def slow(self, *args):
        go.wait(PATIENCE)
        return real(self, *args)

    monkeypatch.setattr(Explanations, "pixels", slow)
    app = open_page(query=key)
    assert charts(app) == 2  # The rest of the page doesn't wait.
    assert DRAWN not in text(app)
    app.button(key="stop-pixels").click().run()
    settled(app, "Stopped: nothing is known yet")
    go.set()
    app.button(key="again-pixels").click().run()
    settled(app)


def test_what_cannot_be_worked_out_says_why(monkeypatch, key):
    def fails(self, *args):
        raise BundleError("no such weights")

    monkeypatch.setattr(Explanations, "pixels", fails)
    app = settled(open_page(query=key), "could not be worked out")
    assert "no such weights" in app.error[0].value
    monkeypatch.setattr(Explanations, "exemplars", fails)
    app = open_page(query=key)
    assert "can't be explained: no such weights" in app.error[0].value
    assert not app.exception


def test_the_sanity_check_shows_its_stages_and_a_verdict(digits, key):
    app = settled(open_page(query=key))
    app.button(key="sanity").click().run()
    settled(app, "With all weights random")
    shown = text(app)
    assert "Random: head" in shown
    assert "Adebayo et al. 2018" in shown
    assert "likeness 1<" in shown
    # Nothing is deleted: the map that the others are held against is that of the whole memory.
    trained = digits.explain.pixels(key, "ig", None, ()).values
    drawn = colour(trained, common_scale([trained]), True, palette(dark=False))
    png = base64.b64encode(BundlePictures.as_png(drawn)).decode()
    assert png in shown.split("mk-check")[1]


def test_pathways_are_measured_when_asked_for_and_kept(digits, key):
    app = open_page(query=key)
    app.button(key="measure-pathways").click().run()
    settled(app, "The model is right on")
    assert "95 % interval" in text(app)
    app.run()
    assert "The model is right on" in text(app)
    assert not [b for b in app.button if b.key == "measure-pathways"]
