"""Which memories made a prediction: Shapley values, before and after deletion, in words."""

from html import escape

import streamlit as st

from app.components.prediction import percent
from app.components.shapley_chart import Answer, Player, chart, common_scale, legend, points
from app.screens.explain.subject import Seen, State
from app.session import services, state
from app.session.services import Session
from app.shared.sections import section
from app.words.glossary import term
from app.words.phrases import count
from munkey_core.explain.shapley import ExemplarAttribution

_NOTHING = 0.005  # Less than half a percentage point is no change that a sentence is about.
_HARDLY_ASKED = 0.01  # share of the answer


def attribution(
    session: Session, image: Seen, when: State, target: int | None
) -> ExemplarAttribution:
    """Shapley values in one state of the memory. target: None for what the model answers there."""
    return session.remember(
        ("exemplars", image.name, target, when.kind),
        lambda: session.studio.explain.exemplars(image.subject, target, when.without),
    )


def verdict(session: Session, found: list[ExemplarAttribution]) -> str:
    """The answers of the states as HTML. found: of each state, for what is answered there."""
    names = session.studio.about.classes
    first, last = found[0], found[-1]
    was = f"{escape(names[first.target])} {percent(first.full)}"
    if len(found) == 1:
        return was
    now = f"{escape(names[last.target])} {percent(last.full)}"
    return (
        f'<span class="mk-before">{was}</span> <span class="mk-arrow">→</span> '
        f'<span class="mk-after">{now}</span>'
    )


def exemplars(session: Session, image: Seen, target: int) -> None:
    """The section of the page."""
    section("Which memories made this prediction", "shapley")
    found = [attribution(session, image, when, target) for when in image.states]
    gone = set(image.states[-1].without)
    answers = [
        Answer(
            when.kind,
            when.title,
            sentence(session, image, one, attribution(session, image, when, None).target),
            players(session, image, one, gone if when.kind == "before" else set()),
            one.empty,
            one.full,
            one.residual,
        )
        for when, one in zip(image.states, found, strict=True)
    ]
    scale, name = common_scale(answers), session.studio.about.classes[target]
    charts = "".join(chart(answer, name, scale) for answer in answers)
    st.html(legend())
    st.html(f'<div class="mk-answers">{charts}</div>')
    _note(session, image, found)
    st.caption(_how(found[0]))
    _pick(session, found[-1])


def _note(session: Session, image: Seen, found: list[ExemplarAttribution]) -> None:
    """What an audience would otherwise ask: why there is one picture, or two that are equal."""
    if len(found) == 1:
        st.info(
            "This image has no key of its own, and nothing is deleted in this session: there is "
            "no *after* to show yet. Delete some of the memories above, and it appears beside."
        )
    elif found[0].ids == found[1].ids and session.studio.memory.forgotten:
        st.info(
            "Nothing that you have deleted takes part in this answer, so both sides are the same."
        )


def _how(found: ExemplarAttribution) -> str:
    n = len(found.ids) + (found.anchor_value is not None)
    groups = f"all {2**n:,} groups" if n else "all groups"
    return (
        f"Computed for {groups} of the memories that could have answered, none left out and none "
        f"drawn at random ({term('shapley', 'Shapley values')}). ∅ is the image without any memory "
        f"({term('null-anchor', 'null anchor')})."
    )


def sentence(session: Session, image: Seen, found: ExemplarAttribution, answer: int) -> str:
    """What one chart shows, for people. answer: the class that the model answers."""
    name, said = session.studio.about.classes[found.target], session.studio.about.classes[answer]
    if not found.ids:
        return f"No memory is left to ask: the image alone decides, and says “{said}”."
    best = int(abs(found.values).argmax())
    value = float(found.values[best])
    if abs(value) < _NOTHING:
        return f"No memory moves “{name}” by a point: the image alone decides, and says “{said}”."
    verb = "adds" if value > 0 else "takes"
    rest = f" to “{name}”" if value > 0 else f" from “{name}”"
    id_ = found.ids[best]
    if id_ == image.name:
        who = f"Its own memory ({id_})"
    else:
        who = f"The memory of {id_} ({session.class_name(id_)})"
    size = points(abs(value)).lstrip("+")
    if found.anchor_value is not None and found.weights[best] < _HARDLY_ASKED:
        direction = "for" if value > 0 else "against"
        return (
            f"{who} would speak {direction} “{name}” ({points(value)} points), but it has less "
            "than 1 % of the answer: the image alone outweighs it."
        )
    return f"{who} {verb} {size} points{rest}."


def players(
    session: Session, image: Seen, found: ExemplarAttribution, gone: set[str]
) -> tuple[Player, ...]:
    """Who took part, the nearest first and the null anchor last. gone: ids whose keys are deleted
    in the other state."""
    shown = [
        Player(
            session.pictures.uri(id_),
            "This image itself" if id_ == image.name else session.class_name(id_),
            id_,
            float(weight),
            float(value),
            id_ in gone,
        )
        for id_, weight, value in zip(found.ids, found.weights, found.values, strict=False)
    ]
    if found.anchor_value is not None:
        share = float(found.weights[-1])
        shown.append(Player("", "Image alone", "null anchor", share, found.anchor_value))
    return tuple(shown)


def _pick(session: Session, found: ExemplarAttribution) -> None:
    if found.ids and not state.hidden("pick"):
        st.button(
            f"Add these {count(len(found.ids), 'memory', 'memories')} to the basket",
            icon=":material/shopping_basket:",
            on_click=services.pick,
            args=(found.ids,),
            help="Those that answer now. Delete them on the page Forget, and come back to see who "
            "answers instead.",
            key="explain-pick-memories",
        )
