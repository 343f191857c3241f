"""The strip above a page in a lesson: what this step is about, the way on, the question."""

from html import escape

import streamlit as st

from app.lessons import course
from app.lessons.course import Place
from app.lessons.reader import fill, placeholders
from app.screens.lessons.question import question
from app.session import state_keys
from app.shared.changed import polled


def lesson_strip(place: Place) -> None:
    """Draw the strip. The page itself comes below it."""
    with st.container(border=True, key="lesson"):
        _way(place)
        shown = _shown(place)
        wanted = _wanted(place, shown)
        if place.values.missing(wanted):
            place.values.wait()
        waiting = bool(place.values.missing(wanted))
        part = polled(_step) if waiting else _step
        part(place, shown, wanted, waiting)


def _way(place: Place) -> None:
    """How far one is, and the buttons that lead on."""
    lesson, number, total = place.lesson, place.number, len(place.lesson.steps)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson-way"):
        dots = "".join(
            f'<i class="{"mk-done" if n < number else "mk-here" if n == number else ""}"></i>'
            for n in range(1, total + 1)
        )
        st.html(
            f'<div class="mk mk-way"><span>{escape(lesson.title)}</span>'
            f"<b>Step {number} of {total}</b>"
            f'<span class="mk-dots" aria-hidden="true">{dots}</span></div>',
            width="stretch",
        )
        st.button(
            "Restart",
            icon=":material/restart_alt:",
            on_click=course.restart,
            args=(lesson,),
            key="lesson-restart",
            type="tertiary",
        )
        st.button(
            "Leave",
            icon=":material/close:",
            on_click=course.leave,
            key="lesson-leave",
            type="tertiary",
        )
        st.button(
            "Back",
            icon=":material/arrow_back:",
            on_click=course.begin,
            args=(lesson.id, number - 1),
            disabled=number == 1,
            key="lesson-back",
        )
        st.button(
            "Finish" if place.last else "Next",
            icon=":material/check:" if place.last else ":material/arrow_forward:",
            icon_position="right",
            type="primary",
            on_click=_finish if place.last else course.begin,
            args=(lesson.id,) if place.last else (lesson.id, number + 1),
            disabled=place.open,
            key="lesson-next",
        )


def _finish(lesson_id: str) -> None:
    course.leave()
    st.session_state[state_keys.LESSON_FINISHED] = lesson_id


def _shown(place: Place) -> str:
    """The text of the step as it is now."""
    return place.step.text if place.open or not place.step.reveal else place.step.reveal


def _wanted(place: Place, shown: str) -> tuple[str, ...]:
    """Names of the values that have to be known to draw the step."""
    step = place.step
    texts = [shown, step.attempt, step.question.ask if step.question else ""]
    names = list(placeholders(" ".join(texts)))
    if step.question is not None and not place.open:
        names.append(step.question.truth)
    return tuple(dict.fromkeys(names))


def _step(place: Place, shown: str, wanted: tuple[str, ...], waiting: bool) -> None:
    missing = place.values.missing(wanted)
    answered = waiting and bool(st.session_state.get(state_keys.LESSON_TURN))
    if answered or (waiting and not missing):
        st.rerun()  # Draws the whole page once more, without the timer.
    if place.step.question is None:
        _text(place, shown, bool(missing))
        return
    left, right = st.columns([56, 44], gap="medium")
    with left:
        _text(place, shown, bool(missing))
    with right:
        question(place, place.step.question, bool(missing))


def _text(place: Place, shown: str, missing: bool) -> None:
    words = place.values.words()
    st.title(place.step.title, anchor=False)
    st.markdown(fill(shown, words))
    if place.step.attempt and not place.open:
        st.markdown(f":material/touch_app: **Try it.** {fill(place.step.attempt, words)}")
    if missing:
        st.progress(place.values.fraction, text="Asking the model …")
