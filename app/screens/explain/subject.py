"""Which image the Explain page is about, which class, and which states of the memory."""

import hashlib
from dataclasses import dataclass, field

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.gallery import GalleryEvent, Tile, gallery, take_event
from app.session import models, properties, services, state, state_keys
from app.session.services import Session
from app.shared.ask import id_field, look_at, look_at_random, refusal, refuse
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.errors import MunkeyError
from munkey_core.files import limits
from munkey_core.results import PRIVATE, TEST, ImageArray

OWN = "own"  # beside the splits of a bundle: a person's own picture
_CHOICES = 12


@dataclass(frozen=True)
class State:
    """One state of the memory in which the image is looked at.

    kind: "before" or "after". title: what it is. without: ids whose keys are deleted in it.
    """

    kind: str
    title: str
    without: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Seen:
    """The image in question, in one or two states of the memory.

    name: its id, or a digest of a person's own picture: what results are remembered by. subject:
    what `studio.explain` is asked. picture: a data URI. label: None if nobody knows it.
    """

    name: str
    subject: str | ImageArray = field(repr=False, compare=False)
    picture: str = field(repr=False)
    split: str
    label: int | None
    states: tuple[State, ...]


def seen(session: Session) -> Seen | None:
    """The image that the state names; without a name the newest deleted one, then the newest
    picked. None if there is nothing of that."""
    id_ = state.get("query")
    if id_:
        return _of_bundle(session, id_)
    own = own_picture(session)
    if own is not None and st.session_state.get(state_keys.OWN_CHOSEN):
        return _of_person(session, own)
    candidates = choices(session)
    return _of_bundle(session, candidates[0]) if candidates else None


def choices(session: Session) -> list[str]:
    """Images that this session is busy with, the newest first: deleted ones, then picked ones."""
    history = session.studio.memory.history
    deleted = [id_ for deletion in reversed(history) for id_ in deletion.ids[:_CHOICES]]
    return [*deleted, *reversed(state.get("basket"))][:_CHOICES]


def own_picture(session: Session) -> ImageArray | None:
    """The picture that this person uploaded last, if it was for this model."""
    digest, image = st.session_state.get(state_keys.OWN_PICTURE, ("", None))
    return image if digest == session.studio.about.digest else None


def _of_bundle(session: Session, id_: str) -> Seen:
    record = session.studio.memory.record(id_)
    states = _states(session, id_ if record.split == PRIVATE else "")
    return Seen(id_, id_, session.pictures.uri(id_), record.split, record.label, states)


def _of_person(session: Session, image: ImageArray) -> Seen:
    name = f"{OWN}:{hashlib.sha256(image.tobytes()).hexdigest()}"
    uri = models.as_uri(session.studio.pictures.as_png(image[0]))
    return Seen(name, image, uri, OWN, None, _states(session, ""))


def _states(session: Session, key: str) -> tuple[State, ...]:
    """key: the id whose key is taken as deleted while nothing is; empty for an image without."""
    before = State("before", "With the whole memory", ())
    gone = session.studio.memory.forgotten
    if gone:
        return before, State("after", f"After your deletion of {count(len(gone), 'key')}", gone)
    if key:
        return before, State("after", "As if its own key were deleted", (key,))
    return (before,)


# -- choosing ------------------------------------------------------------------------------------


def take_clicks() -> None:
    """Follow a click in one of the page's galleries; call it before anything is drawn."""
    before = state.get("query"), st.session_state.get(state_keys.OWN_CHOSEN)
    for key in (state_keys.EXPLAIN_CHOICE, state_keys.EXPLAIN_CHANGED):
        take_event(key, _clicked)
    if (state.get("query"), st.session_state.get(state_keys.OWN_CHOSEN)) != before:
        st.rerun()  # The link is written before a page is drawn.


def _clicked(event: GalleryEvent) -> None:
    if event.added:
        look_at(event.added[-1])


def chooser(session: Session, chosen: Seen | None) -> DeltaGenerator:
    """The ways to another image. Returns where there is room for the class."""
    if state.hidden("pick"):
        return st.container()
    candidates = choices(session)
    if candidates:
        gallery(
            [_tile(session, id_) for id_ in candidates],
            selected=[chosen.name] if chosen is not None else [],
            key=state_keys.EXPLAIN_CHOICE,
            size=state.scaled(56),
            single=True,
            deleted_selectable=True,
            label="Images deleted in this session, and those in the basket",
        )
        total = len(session.studio.memory.forgotten) + len(state.get("basket"))
        if total > len(candidates):
            st.caption(
                f"The newest {len(candidates)} of the {total:,} images that are deleted or in the "
                "basket; any other by its id."
            )
    with st.container(horizontal=True, gap="small"):
        _other_images(session, chosen)
    find, room = st.columns([2, 3], gap="small")
    with find:
        id_field(session, state_keys.EXPLAIN_FIND)
    refusal(state_keys.EXPLAIN_FIND)
    return room


def _other_images(session: Session, chosen: Seen | None) -> None:
    st.button(
        "A random test image",
        icon=":material/shuffle:",
        width="stretch",
        on_click=look_at_random,
        key="explain-random",
    )
    if not state.hidden("own"):
        _own(session, chosen)


def _tile(session: Session, id_: str) -> Tile:
    gone = session.studio.memory.is_forgotten(id_)
    return session.tile(id_, more="deleted" if gone else "in the basket")


def _own(session: Session, chosen: Seen | None) -> None:
    with st.popover("Your own picture", icon=":material/add_photo_alternate:", width="stretch"):
        st.file_uploader(
            "A picture of one thing that belongs to one of the classes (PNG or JPEG)",
            max_upload_size=limits.megabytes("picture_bytes"),
            key=state_keys.EXPLAIN_FILE,
            on_change=_uploaded,
        )
        if own_picture(session) is not None and (chosen is None or chosen.split != OWN):
            st.button("Look at your last picture", on_click=_look_at_own, key="explain-own")
        st.caption(
            "It stays in this session: not stored, never in the memory, not in the link. Of an "
            "animation the first frame is taken."
        )


def _uploaded() -> None:
    file = st.session_state[state_keys.EXPLAIN_FILE]
    if file is None:
        return
    session = services.current()
    try:
        image = session.studio.pictures.read(file.getvalue())
    except MunkeyError as error:
        reason = escaped(str(error))
        refuse(state_keys.EXPLAIN_FIND, f"This file can't be used: {reason}")
        return
    st.session_state[state_keys.OWN_PICTURE] = (session.studio.about.digest, image)
    _look_at_own()


def _look_at_own() -> None:
    look_at("")
    st.session_state[state_keys.OWN_CHOSEN] = True


# -- the class -----------------------------------------------------------------------------------


def explained_class(session: Session, image: Seen, predicted: int) -> int:
    """The class whose reasons are shown, with the control for it. predicted: what the model
    answers with the whole memory; it stays the same in both states, so that they compare."""
    names, chosen = session.studio.about.classes, state.get("target")
    if not state.hidden("settings"):
        first = [image.label] if image.label is not None else []
        others = [i for i in range(len(names)) if i not in first]
        st.selectbox(
            "Class explained",
            [properties.PREDICTED, *first, *others],
            format_func=lambda i: _class_words(names, i, image.label, predicted),
            label_visibility="collapsed",
            **state.widget("target"),
        )
    return predicted if chosen == properties.PREDICTED else chosen


def _class_words(names: tuple[str, ...], i: int, label: int | None, predicted: int) -> str:
    if i == properties.PREDICTED:
        return f"Why “{names[predicted]}”, the answer"
    return f"Why “{names[i]}”" + (", the true class" if i == label else "")


# -- words ---------------------------------------------------------------------------------------


def about(session: Session, image: Seen) -> str:
    """Where an image comes from and whether it has a key."""
    if image.split == OWN:
        return "Your own picture: it has no key in the memory"
    if image.split == TEST:
        return "A test image: it never had a key in the memory"
    if session.studio.memory.is_forgotten(image.name):
        return "A training image: you have deleted its key"
    return "A training image: its key is in the memory"
