"""Lessons and the teacher's link without a browser: guess, see, go on, and what may be missing."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from tests.app import screen
from tests.app.lesson_files import SMALL
from tests.app.screen import open_script, query
from tests.servers import ROOT
from tests.shipped import needs_fashion

STAR = "train-42395"

pytestmark = needs_fashion
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import streamlit as st
from app.session import link_messages, page_url
from app.shared import entrance
from app.shared.basket import sidebar
from app.screens.lessons import page as lessons
from app.screens.teacher import page as teacher
session = entrance.enter("lessons")
page_url.write(session.groups)
for message in link_messages.said():
    st.warning(message)
sidebar(session)
VIEW.show()
"""


@pytest.fixture(autouse=True)
def own_lessons(on_fashion, monkeypatch, tmp_path) -> Path:
    """A folder of one's own with one small lesson."""
    monkeypatch.setenv("MUNKEY_LESSONS", str(tmp_path))
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path


def open_page(view: str = "lessons", **query) -> AppTest:
    return open_script(SCRIPT.replace("VIEW", view), **query)


def text(app: AppTest) -> str:
    """Everything the page says, in plain letters."""
    return unescape(screen.text(app)).replace("\\", "")


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def test_all_lessons_are_cards_and_one_begins_at_its_first_step():
    app = open_page()
    shown = text(app)
    for title in ("What does a model remember?", "A small lesson", "one of your own"):
        assert title in shown
    press(app, "lesson-start-small")
    assert "Step 1 of 3" in text(app)
    assert "It is 97 % sure." in text(app)
    assert query(app) == {"lesson": "small"}
    assert app.button(key="lesson-back").disabled
    assert "Delete 1 key" not in labels(app)


def test_nobody_goes_on_without_a_guess_and_then_both_stand_side_by_side():
    app = open_page(lesson="small", step="2")
    assert app.button(key="lesson-next").disabled
    press(app, "lesson-commit")
    assert "Answer first" in text(app)
    assert app.button(key="lesson-next").disabled
    assert "mk-truth" not in text(app)
    assert "Now it says" not in text(app)
    app.pills[0].set_value(3)
    press(app, "lesson-commit")
    shown = text(app)
    assert "<small>Your guess</small><b>Dress</b>" in shown
    assert "<b>Shirt</b>" in shown
    assert "Now it says Shirt." in shown
    assert "1 key deleted in" in shown
    assert query(app) == {"lesson": "small", "step": "2"}
    assert not app.button(key="lesson-next").disabled

    press(app, "lesson-next")
    press(app, "lesson-back")
    assert "Now it says Shirt." in text(app)  # what was answered stays answered
    press(app, "lesson-restart")
    assert "Step 1 of 3" in text(app)
    press(app, "lesson-next")
    assert app.button(key="lesson-next").disabled


def test_what_a_person_changes_within_a_step_is_in_the_link():
    app = open_page(lesson="small", step="2")
    app.pills[0].set_value(6)
    press(app, "lesson-commit")
    assert "You were right." in text(app)
    press(app, "undo-newest")
    assert query(app) == {"lesson": "small", "step": "2", "forgotten": "", "basket": STAR}
    again = open_page(**query(app))
    assert "10,000 of 10,000 keys" in text(again)
    assert again.button(key="lesson-next").disabled  # another person has not guessed yet


def test_an_emptied_basket_is_not_filled_again_by_its_own_link():
    app = open_page(lesson="small", basket="")
    assert "<b>0</b> picked" in text(app)
    assert query(app) == {"lesson": "small", "basket": ""}


def test_hidden_controls_are_those_of_the_link_and_of_the_step():
    app = open_page(lesson="small", hide="filters+pick".replace("+", " "))
    assert query(app)["hide"] == "filters pick"
    assert [box.label for box in app.selectbox] == ["Model"]  # no filters, no owner to pick
    assert "Delete 1 key" not in labels(app)
    assert "Clear" not in labels(app)
    press(app, "lesson-next")
    assert query(app)["hide"] == "filters pick"
    free = open_page(lesson="small")
    assert "Clear" in labels(free)


def test_the_end_leads_back_to_all_lessons_and_one_can_go_on_where_one_left():
    app = open_page(lesson="small", step="3")
    press(app, "lesson-leave")
    assert "Go on at step 3" in labels(app)
    assert query(app) == {"bundle": "fashion", "query": STAR}
    press(app, "lesson-go-on-small")
    press(app, "lesson-next")
    assert "You have played **A small lesson** to its end." in app.success[0].value


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"lesson": "nothing"}, "there is no “nothing” here"),
        ({"lesson": "UP"}, "lesson must be the name of a lesson"),
        ({"lesson": "small", "step": "9"}, "step must be a step of this lesson, from 1 to 3"),
        ({"lesson": "small", "step": "x"}, "step must be a whole number"),
        ({"lesson": "small", "basket": "nobody"}, "ids name no image"),
    ],
)
def test_a_bad_link_gets_a_message(parts, message):
    app = open_page(**parts)
    assert message in text(app)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("bundle: fashion", "bundle: hats"), "it is about the model “hats”"),
        (("minutes: 5", "minutes: x"), "small.yaml, line 3: minutes must be a number"),
        (("id: small", "id: remember"), "the id “remember” is that of 1-remember.yaml"),
        (("train-42395", "train-99999"), ""),
    ],
)
def test_what_is_wrong_with_a_lesson_is_said_on_the_page(own_lessons, change, message):
    (own_lessons / "small.yaml").write_text(SMALL.replace(*change), encoding="utf-8")
    app = open_page()
    assert message in text(app)
    assert "What does a model remember?" in text(app)


def test_a_lesson_whose_image_is_not_there_is_left_with_line_and_reason(own_lessons):
    (own_lessons / "small.yaml").write_text(SMALL.replace(STAR, "train-99999"), encoding="utf-8")
    app = open_page(lesson="small")
    assert "small.yaml, line 8: no training or test image" in text(app)
    assert "lesson" not in query(app)


def test_a_value_that_cannot_be_had_is_said_and_the_lesson_goes_on(own_lessons):
    spoiled = SMALL.replace("{what: answer, of: star, without: star}", "{what: gap, of: star}")
    spoiled = spoiled.replace("kind: class", "kind: number")
    (own_lessons / "small.yaml").write_text(spoiled, encoding="utf-8")
    app = open_page(lesson="small", step="2")
    app.number_input[0].set_value(3)
    press(app, "lesson-commit")
    assert "This can't be told here: nobody has compared the methods on these" in text(app)
    assert not app.button(key="lesson-next").disabled


# -- the teacher's link ----------------------------------------------------------------------------


def link(app: AppTest) -> tuple[str, dict[str, str]]:
    """Address and query of the link on the page."""
    parts = urlsplit(app.code[0].value)
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"{parts.scheme}://{parts.netloc}{parts.path}", found


def test_a_link_to_a_step_of_a_lesson():
    app = open_page("teacher", lesson="small", step="2")
    app.text_input(key="teacher-address").set_value("http://192.168.1.20:8501/").run()
    app.multiselect(key="teacher-hide").set_value(["own", "jobs"]).run()
    app.number_input(key="teacher-seed").set_value(7).run()
    assert not app.exception
    assert link(app) == (
        "http://192.168.1.20:8501/lessons",
        {"lesson": "small", "step": "2", "seed": "7", "hide": "own jobs"},
    )
    assert "works on this machine only" not in text(app)
    assert 'alt="QR code that opens http://192.168.1.20:8501/lessons?' in text(app)


def test_a_link_to_a_page_with_images_that_nobody_can_change():
    app = open_page("teacher", basket="train-14265", forgotten=STAR)
    app.segmented_control(key="teacher-kind").set_value("Chosen images on a page").run()
    app.selectbox(key="teacher-page").set_value("map").run()
    app.text_input(key="teacher-basket").set_value("train-00042 train-14265").run()
    app.toggle(key="teacher-read-only").set_value(True).run()
    assert not app.exception
    where, said = link(app)
    assert where.endswith("/map")
    assert said == {
        "basket": "train-00042 train-14265",
        "forgotten": STAR,
        "hide": "menu filters pick own delete erase history jobs settings",
    }
    opened = open_page(**said)
    assert labels(opened) & {"Clear", "Delete 2 keys", "Undo", "Go on"} == set()


def test_a_wrong_address_or_id_is_said_and_no_link_is_made():
    app = open_page("teacher")
    app.text_input(key="teacher-address").set_value("my laptop").run()
    assert "Wanted: an address such as" in app.error[0].value
    assert not app.code
    app.text_input(key="teacher-address").set_value("http://127.0.0.1:8501").run()
    assert "works on this machine only" in text(app)
    app.segmented_control(key="teacher-kind").set_value("Chosen images on a page").run()
    app.text_input(key="teacher-basket").set_value("train-00042 nobody").run()
    assert "“nobody”" in app.error[0].value
    assert not app.code
