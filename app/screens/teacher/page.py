"""Teacher's link: one address, and a QR code of it, that opens one screen for a whole room."""

from html import escape
from typing import Any

import segno
import streamlit as st

from app.components.clipboard.copy_link import copy_link
from app.lessons import course
from app.lessons.lesson import PAGES
from app.lessons.shelf import shelf
from app.screens.teacher import class_link
from app.session import models, properties, services, state, state_keys
from app.session.long_links import UnknownDigestError
from app.session.pages import TITLES
from app.session.services import Session
from app.words.foreign import escaped, quoted
from app.words.phrases import count

_LESSON, _PAGE = "A lesson", "Chosen images on a page"
_KEY = "teacher-"

Screen = tuple[str, dict[str, Any]]  # page, and the properties that the link says


def show() -> None:
    """Draw the page of the current session."""
    with st.container(key="teacher"):
        _page(services.current())


def _page(session: Session) -> None:
    st.title("A link for your class", anchor=False)
    st.markdown("Everybody who opens it sees the same screen, and **deletes only for themselves**.")
    left, right = st.columns([56, 44], gap="large")
    with left:
        screen = _screen(session)
        hide = _hidden()
        address = _address()
    with right:
        if screen is None or address is None:
            st.info("Put right what is marked on the left, and the link shows up here.")
            return
        page, values = screen
        _link(address, page, values | {"hide": hide})


# -- what it shows ---------------------------------------------------------------------------------


def _screen(session: Session) -> Screen | None:
    lessons = shelf().lessons
    kinds = [_LESSON, _PAGE] if lessons else [_PAGE]
    came_from = st.session_state.get(state_keys.CAME_FROM, "")
    in_lesson = came_from in ("", course.PATH) or bool(state.get("lesson"))
    kind = st.segmented_control(
        "What the class sees",
        kinds,
        default=kinds[0] if in_lesson else kinds[-1],
        required=True,
        key=_KEY + "kind",
    )
    return _of_lesson() if kind == _LESSON else _of_page(session, came_from)


def _of_lesson() -> Screen:
    lessons = shelf().lessons
    names = list(lessons)
    now = state.get("lesson")
    name = st.selectbox(
        "Lesson",
        names,
        index=names.index(now) if now in names else 0,
        format_func=lambda one: lessons[one].title,
        key=_KEY + "lesson",
    )
    lesson = lessons[name]
    problem = course.missing(lesson, load=lesson.bundle == services.current().name)
    if problem:
        st.warning(f"It can't be played here: {problem}", icon=":material/block:")
    numbers = range(1, len(lesson.steps) + 1)
    step = st.selectbox(
        "Begins at step",
        numbers,
        index=min(state.get("step"), len(numbers)) - 1 if name == now else 0,
        format_func=lambda n: f"{n}. {lesson.steps[n - 1].title}",
        key=f"{_KEY}step-{name}",
    )
    return course.PATH, {"bundle": "", "lesson": name, "step": step, "seed": _seed()}


def _of_page(session: Session, came_from: str) -> Screen | None:
    """A page as this session has it, but for what is changed here."""
    page = st.selectbox(
        "Page",
        PAGES,
        index=PAGES.index(came_from) if came_from in PAGES else 0,
        format_func=TITLES.__getitem__,
        key=_KEY + "page",
    )
    values = {
        prop.name: state.get(prop.name)
        for prop in properties.PROPERTIES
        if prop.name not in ("lesson", "step", "data", "training")
    }
    if values["bundle"] == properties.default_bundle():
        values["bundle"] = ""
    values["mode"] = _mode(session)
    picked = _images(session, "basket", "Picked images", " ".join(state.get("basket")))
    gone = _images(
        session, "forgotten", "Deleted images", properties.dump("forgotten", session.groups)
    )
    values["show"] = st.selectbox(
        "The gallery shows",
        list(properties.SHOW),
        index=list(properties.SHOW).index(state.get("show")),
        format_func=properties.SHOW.__getitem__,
        key=_KEY + "show",
    )
    values["seed"] = _seed()
    if picked is None or gone is None:
        return None
    return page, values | {"basket": picked, "forgotten": gone}


def _mode(session: Session) -> str:
    modes = [
        mode for mode in properties.MODES if mode in models.shared(session.name).studio.about.modes
    ]
    if len(modes) < 2:
        return ""
    mode = st.segmented_control(
        "Memory",
        modes,
        default=session.studio.about.mode,
        required=True,
        format_func=properties.MODES.__getitem__,
        key=_KEY + "mode",
    )
    return "" if mode == models.shared(session.name).studio.about.mode else str(mode)


def _images(session: Session, name: str, label: str, now: str) -> Any | None:
    """Ids that a person may change; None, with the reason, if they are not ids of this model."""
    text = st.text_input(
        label,
        value=now,
        placeholder="none; ids with a space between them",
        max_chars=100_000,
        key=_KEY + name,
        help="With a comma between them they are separate deletions."
        if name == "forgotten"
        else None,
    )
    try:
        value = properties.parse(name, text.strip())
    except (properties.BadValueError, UnknownDigestError):
        st.error("Wanted: ids, with a space between them.")
        return None
    ids = [one for group in value for one in group] if name == "forgotten" else value
    memory, title = session.studio.memory, escaped(session.studio.about.title)
    unknown = [id_ for id_ in ids if not memory.is_private(id_)]
    if unknown:
        st.error(
            f"{count(len(unknown), 'id')} of no image with a key in {title}: "
            + ", ".join(map(quoted, unknown[:3]))
        )
        return None
    return value


def _seed() -> int:
    return int(
        st.number_input(
            "Seed of what is drawn at random",
            0,
            2**31 - 1,
            value=state.get("seed"),
            key=_KEY + "seed",
            help="The same seed draws the same images, for everybody.",
        )
    )


# -- what it hides ---------------------------------------------------------------------------------


def _hidden() -> tuple[str, ...]:
    """Groups of controls. A lesson hides more, step by step."""
    everything = st.toggle(
        "Read-only: looking, no controls",
        key=_KEY + "read-only",
        help="Hides all groups below. In a lesson its own buttons stay.",
    )
    chosen = st.multiselect(
        "Hidden controls",
        list(properties.CONTROLS),
        default=list(state.get("hide")),
        format_func=lambda name: properties.CONTROLS[name],
        placeholder="None, but for what a lesson hides",
        disabled=everything,
        key=_KEY + "hide",
    )
    return tuple(properties.CONTROLS) if everything else tuple(chosen)


# -- where it leads --------------------------------------------------------------------------------


def _address() -> str | None:
    text = st.text_input(
        "Address under which the room reaches this machine",
        value=class_link.own_address(),
        max_chars=300,
        key=_KEY + "address",
    )
    try:
        return class_link.checked_address(text)
    except properties.BadValueError as error:
        st.error(f"Wanted: {error}.")
        return None


def _link(address: str, page: str, values: dict[str, Any]) -> None:
    link, kept = class_link.class_link(address, page, values)
    if class_link.only_here(address):
        _nobody_else()
    _qr_code(link)
    st.code(link, language=None, wrap_lines=True)
    left, right = st.columns(2)
    with left:
        copy_link(link, key="copy-class-link")
    right.link_button("Open it", link, icon=":material/open_in_new:", width="stretch")
    if kept:
        st.caption(
            ":material/warning: The list of images is too long for a link. This server keeps it "
            "until it is ended; after that the link opens without it."
        )


def _qr_code(link: str) -> None:
    """Dark on white in both modes, because many cameras read no other, and as large as its place
    allows. link: at most some 2,000 characters."""
    picture = segno.make(link, error="m", micro=False).svg_data_uri(scale=4, border=4, light="#fff")
    text = escape(f"QR code that opens {link}", quote=True)
    st.html(f'<img class="mk-qr" src="{picture}" alt="{text}">')


def _nobody_else() -> None:
    text = "**This link works on this machine only.** "
    if class_link.listens_here_only():
        text += (
            "The app listens to nobody else. End it and start it with "
            "`munkey app --host 0.0.0.0`, then type into the field for the address how the room "
            "reaches this machine, for instance `http://192.168.1.20:8501`. Everybody in that "
            "network can then open it."
        )
    else:
        text += (
            "Type into the field for the address how the room reaches this machine, for instance "
            "`http://192.168.1.20:8501`."
        )
    st.warning(text, icon=":material/wifi_off:")
