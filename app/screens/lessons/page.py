"""Lessons: all of them as cards, or the one that a person is in, over the page of its step."""

from html import escape
from pathlib import Path

import streamlit as st

from app.lessons import course
from app.lessons.lesson import Lesson
from app.lessons.shelf import VARIABLE, shelf
from app.screens.about import page as about
from app.screens.compare import page as compare
from app.screens.explain import page as explain
from app.screens.forget import page as forget
from app.screens.lessons.strip import lesson_strip
from app.screens.map import page as memory_map
from app.screens.privacy import page as privacy
from app.session import services, state, state_keys
from app.session.pages import turn_to
from app.words.foreign import escaped
from app.words.phrases import count

# What draws each page that a step may stand on.
SHOWS = {
    "forget": forget.show,
    "map": memory_map.show,
    "explain": explain.show,
    "privacy": privacy.show,
    "compare": compare.show,
    "about": about.show,
}
_STYLE = Path(__file__).with_name("lessons.css")


def show() -> None:
    """Draw the page of the current session."""
    place = course.here()
    if place is None:
        _all()
        return
    st.session_state.pop(state_keys.LESSON_FINISHED, None)
    st.html(_STYLE)
    lesson_strip(place)
    with st.container(key="in-lesson"):
        SHOWS[place.screen.page]()


def _all() -> None:
    st.title("Lessons", anchor=False)
    st.markdown(
        "Each takes about ten minutes and runs over the real pages: **guess first, then see** what "
        "the model does."
    )
    found = shelf()
    finished = found.lessons.get(st.session_state.get(state_keys.LESSON_FINISHED, ""))
    if finished is not None:
        st.success(
            f"You have played **{escaped(finished.title)}** to its end.",
            icon=":material/check_circle:",
        )
    for error in found.errors:
        st.error(f"A lesson can't be shown: {escaped(str(error))}", icon=":material/error:")
    if not found.lessons:
        st.info(
            f"No lesson was found. `{VARIABLE}` names a folder of lessons, one YAML file each; "
            "those that come with the app lie in `tutorials/lessons`."
        )
        return
    lessons = list(found.lessons.values())
    for first in range(0, len(lessons), 2):  # row by row, which is also the order of the keyboard
        for cell, lesson in zip(st.columns(2, gap="medium"), lessons[first:], strict=False):
            with cell:
                _card(lesson)
    if not state.hidden("menu"):
        st.markdown("**For a class**")
        if st.button("Make a link with a QR code", icon=":material/qr_code_2:", key="to-teacher"):
            turn_to("teacher")


def _card(lesson: Lesson) -> None:
    here = lesson.bundle == services.current().name  # its model is open; others stay closed
    problem = course.missing(lesson, load=here)
    with st.container(border=True, key=f"lesson-card-{lesson.id}"):
        own = " · one of your own" if lesson.own else ""
        st.html(
            f'<div class="mk"><div class="mk-sum" role="heading" aria-level="2">'
            f"{escape(lesson.title)}</div>"
            f'<div class="mk-small">{lesson.minutes} minutes · '
            f"{count(len(lesson.steps), 'step')}{own}</div></div>"
        )
        st.markdown(lesson.summary)
        if problem:
            st.warning(f"It can't be played here: {problem}", icon=":material/block:")
            return
        if here and _without_pictures():
            st.warning(
                "The pictures of this model are not here, so its answers can't be asked for.",
                icon=":material/image_not_supported:",
            )
        _buttons(lesson)


def _buttons(lesson: Lesson) -> None:
    step = course.reached(lesson)
    with st.container(horizontal=True, gap="small"):
        if step > 1:
            st.button(
                f"Go on at step {step}",
                type="primary",
                icon=":material/play_arrow:",
                on_click=course.begin,
                args=(lesson.id, step),
                key=f"lesson-go-on-{lesson.id}",
            )
        st.button(
            "Start again" if step > 1 else "Start",
            type="secondary" if step > 1 else "primary",
            icon=":material/restart_alt:" if step > 1 else ":material/play_arrow:",
            on_click=course.restart,
            args=(lesson,),
            key=f"lesson-start-{lesson.id}",
        )


def _without_pictures() -> bool:
    pictures = services.current().studio.pictures.status
    return not pictures.ready and pictures.state != "searching"
