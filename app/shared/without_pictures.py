"""A model that came without its pictures: what to say, and what is known all the same.

Keys, tokens and stored answers are there, so who answers for an image is known, and for ready-made
sets the answers too. A visitor can name no place on the server: only its owner can.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from app.components.prediction import Series, card, head, legend, neighbour_row, percent
from app.session import state_keys
from app.session.background import Background
from app.session.services import Session
from app.shared import answers
from app.shared.changed import polled
from app.words.foreign import escaped
from munkey_core.audit.recall import Recalled

_POLL = 2.0
_WHOLE = "with the whole memory"
_BEFORE, _AFTER = "before your deletion", "after your deletion"


def has_pictures(session: Session) -> bool:
    return session.studio.pictures.status.ready


def banner(session: Session) -> None:
    """Say once what is missing and how the server's owner gets it, until it is put away."""
    studio = session.studio
    status = studio.pictures.status
    if status.ready:
        _another_copy(session)
        return
    if status.state == "searching":
        polled(_wait, seconds=_POLL)(session)
        return
    if st.session_state.get(state_keys.PICTURES_SEEN) == studio.about.digest:
        return
    with st.container(border=True, key="no-pictures"):
        text, button = st.columns([6, 1], vertical_alignment="top")
        text.markdown(_what_is_missing(session))
        button.button("Got it", on_click=_put_away, args=(studio.about.digest,), width="stretch")


def _put_away(digest: str) -> None:
    st.session_state[state_keys.PICTURES_SEEN] = digest


def _wait(session: Session) -> None:
    if session.studio.pictures.status.state != "searching":
        st.rerun()
    st.info("The pictures are being read and checked …", icon=":material/hourglass_top:")


def _what_is_missing(session: Session) -> str:
    source = session.studio.pictures.source
    name = escaped(source.bundle)
    if session.studio.pictures.status.state == "refused":
        return (
            "**The pictures on this server are not this model's**, so none are shown. "
            f"`munkey images {name}`, on the server, tells why. {_KNOWN}"
        )
    why = (
        "because their licence doesn't allow it"
        if source.downloadable
        else "because they were left out when it was made"
    )
    download = f"`munkey images {name} --download`, or " if source.downloadable else ""
    return (
        f"**This model came without its pictures**, {why}. Get them on this server: {download}"
        f"`munkey images {name} --from FOLDER` if they are there already. {_KNOWN}"
    )


_KNOWN = (
    "Until then you can pick images, delete keys, see who answers instead, and open the map and "
    "the stored reports; new predictions and explanations need the pictures."
)


def cannot_be_known(session: Session, job: Background[Any]) -> bool:
    """Whether a work has failed for want of pictures; then the page says so."""
    if has_pictures(session):
        return False
    job.wait()
    if not job.error:
        return False
    st.info(
        "This takes the model's answers to every image, and so the pictures, which this model came "
        "without. For ready-made sets the answers may be stored with it."
    )
    return True


def _another_copy(session: Session) -> None:
    match = session.studio.pictures.status.match
    if match is not None and not match.same:
        st.caption(
            f"Pictures from this machine: another copy than the model was made of ({match.words}). "
            "The figures were measured on its own copy; answers may differ a little."
        )


# -- what is known without them ------------------------------------------------------------------


def blind_cards(session: Session, ids: Sequence[str]) -> None:
    """Who answers for images of the bundle now, and what is stored of the answers."""
    retrained = answers.retrained_answers(session) if session.studio.memory.forgotten else None
    now = session.studio.memory.recall(ids)
    whole = session.studio.memory.recall(ids, whole=True)
    pairs = list(zip(whole, now, strict=True))
    series = [_series(session, *pair, retrained) for pair in pairs]
    longest = max(series, key=len, default=[])
    if longest and session.studio.memory.forgotten:
        st.html(legend(longest))
    cards = [
        _card(session, before, after, shown)
        for (before, after), shown in zip(pairs, series, strict=True)
    ]
    st.html(f'<div class="mk-cards">{"".join(cards)}</div>')
    if not all(series):
        st.caption("What the model answers needs the picture; who answers, only the key.")


def _series(
    session: Session, before: Recalled, after: Recalled, retrained: answers.Retrained | None
) -> list[Series]:
    """The stored answers: with the whole memory and, once something is deleted, now and
    retrained."""
    found, memory = [], session.studio.memory
    its_own = memory.is_forgotten(before.id)
    if before.probabilities is not None:
        name = answers.BEFORE if its_own else _BEFORE if memory.forgotten else _WHOLE
        found.append(Series("before", name, before.probabilities))
    if memory.forgotten and after.probabilities is not None:
        found.append(Series("after", answers.AFTER if its_own else _AFTER, after.probabilities))
    if found and retrained is not None and after.id in retrained:
        found.append(Series("retrained", answers.RETRAINED, retrained[after.id]))
    return found


def _card(session: Session, before: Recalled, after: Recalled, series: list[Series]) -> str:
    id_ = after.id
    picture, title = session.pictures.uri(id_), session.whose(id_)
    who = answers.neighbours(session, after.neighbours, after.weights, own=id_)
    note = _note(session, before, after)
    if series:
        label = session.studio.memory.record(id_).label
        if session.studio.memory.forgotten and not any(one.kind == "after" for one in series):
            note = f"{_verdict(session, before, after)}. {note}".strip()
        return card(picture, title, session.studio.about.classes, label, series, note, who)
    top = head(picture, title, escape(_verdict(session, before, after)), note)
    return f'<article class="mk mk-card">{top}{neighbour_row(who, "Who answers now")}</article>'


def _verdict(session: Session, before: Recalled, after: Recalled) -> str:
    """The true class, with what is stored of its probability."""
    name = session.class_name(after.id)
    was, now = (None if r.truth is None else percent(r.truth) for r in (before, after))
    if not session.studio.memory.forgotten:
        return f"{name} {was}" if was else f"True class: {name}"
    if was and now:
        return f"{name} {was} → {now}"
    if was:
        return f"{name} {was} before your deletion; now it isn't known without the picture"
    return f"{name} {now} now" if now else f"True class: {name}"


def _note(session: Session, before: Recalled, after: Recalled) -> str:
    gone = session.studio.memory.is_forgotten(before.id)
    state = before if gone else after
    own = answers.share_of(state.id, state.neighbours, state.weights)
    if gone:
        return f"Before, its own key gave {percent(own)} of the answer."
    return f"Its own key gives {percent(own)} of this answer." if own else ""
