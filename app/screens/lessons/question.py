"""A lesson's question: first a guess, then the truth beside it."""

from html import escape
from typing import Any

import streamlit as st

from app.lessons import course
from app.lessons.course import Guess, Place
from app.lessons.lesson import CHOICE, CLASS, NUMBER, YES_NO, Question
from app.lessons.measures import Known
from app.lessons.reader import fill
from app.lessons.values import Unknown
from app.session import state_keys


def question(place: Place, asked: Question, missing: bool) -> None:
    """Draw it as it stands. asked: of the step. missing: whether the truth is still being worked
    out."""
    with st.container(key="lesson-question"):
        st.markdown(f"**{fill(asked.ask, place.values.words())}**")
        if place.guess is None:
            _ask(place, asked)
        else:
            _told(place, asked, place.guess, missing)


# -- before ----------------------------------------------------------------------------------------


def _ask(place: Place, asked: Question) -> None:
    key = f"lesson-guess:{place.lesson.id}:{place.number}"
    # A form: what is typed last counts, even if the button comes next.
    with st.form(f"lesson-form-{place.number}", border=False):
        _control(place, asked, key)
        st.form_submit_button(
            asked.commit,
            type="primary",
            icon=":material/lock:",
            on_click=_commit,
            args=(place, key),
            width="stretch",
            key="lesson-commit",
        )
    if st.session_state.pop(state_keys.LESSON_UNGUESSED, False):
        st.warning("Answer first; a guess will do.", icon=":material/help:")


def _commit(place: Place, key: str) -> None:
    guess: Guess | None = st.session_state.get(key)
    if guess is None:
        st.session_state[state_keys.LESSON_UNGUESSED] = True
    else:
        course.answer(place, guess)


def _control(place: Place, asked: Question, key: str) -> None:
    """What one answers with; at first nothing is chosen."""
    label: dict[str, Any] = {"label": "Your guess", "label_visibility": "collapsed", "key": key}
    if asked.kind == CLASS:
        classes = place.values.scope.studio("").about.classes
        st.pills(options=range(len(classes)), format_func=classes.__getitem__, **label)
        return
    if asked.kind == YES_NO:
        yes_no = {True: "Yes", False: "No"}
        st.radio(
            options=list(yes_no),
            index=None,
            horizontal=True,
            format_func=yes_no.__getitem__,
            **label,
        )
        return
    if asked.kind == CHOICE:
        texts = [option.text for option in asked.options]
        st.radio(options=range(len(texts)), index=None, format_func=texts.__getitem__, **label)
        return
    whole = all(value == int(value) for value in (asked.low, asked.high))
    st.number_input(
        min_value=int(asked.low) if whole else asked.low,
        max_value=int(asked.high) if whole else asked.high,
        value=None,
        placeholder=f"A number from {asked.low:g} to {asked.high:g}",
        **label,
    )


# -- after -----------------------------------------------------------------------------------------


def _told(place: Place, asked: Question, guess: Guess, missing: bool) -> None:
    """The guess and the truth side by side."""
    yours = _words(place, asked, guess)
    truth = place.values.known.get(asked.truth)
    if isinstance(truth, Known):
        theirs, verdict = _truth(asked, guess, truth)
    elif missing:
        theirs, verdict = "…", "The model is being asked."
    else:
        theirs = "–"
        reason = truth.reason if isinstance(truth, Unknown) else "it could not be worked out"
        verdict = f"This can't be told here: {reason}."
    st.html(
        '<div class="mk mk-guesses" role="status"><div><small>Your guess</small>'
        f"<b>{escape(yours)}</b></div>"
        '<div class="mk-truth"><small>Measured</small>'
        f"<b>{escape(theirs)}</b></div></div>"
        f'<div class="mk mk-small mk-told">{escape(verdict)}</div>'
    )


def _words(place: Place, asked: Question, guess: Guess) -> str:
    if asked.kind == CLASS:
        return place.values.scope.studio("").about.classes[int(guess)]
    if asked.kind == CHOICE:
        return asked.options[int(guess)].text
    if asked.kind == YES_NO:
        return "Yes" if guess else "No"
    return f"{guess:g}"


def _truth(asked: Question, guess: Guess, truth: Known) -> tuple[str, str]:
    """What is true, and how the guess stands to it."""
    right, wrong = "You were right.", "Another answer than yours."
    if asked.kind == CHOICE:
        fitting = [
            i for i, option in enumerate(asked.options) if option.fits(truth.value, truth.words)
        ]
        if not fitting:
            return truth.words, "None of the answers that the lesson offers fits."
        return asked.options[fitting[0]].text, right if fitting[0] == guess else wrong
    if asked.kind == NUMBER:
        off = abs(float(truth.value) - float(guess))
        if off <= asked.within:
            return truth.words, "Very close." if off else right
        return truth.words, f"Off by {off:.0f}." if off >= 10 else f"Off by {off:.2g}."
    if asked.kind == YES_NO:
        return truth.words.capitalize(), right if truth.value == guess else wrong
    return truth.words, right if truth.value == guess else wrong
