"""The sidebar, on every page: which model, what is picked, what was deleted, the link."""

from html import escape

import streamlit as st

from app.components.clipboard.copy_link import copy_link
from app.components.demo_note import demo_note
from app.lessons import course
from app.session import models, page_url, properties, services, state, state_keys
from app.session.pages import turn_to
from app.session.services import Session
from app.shared.jobs_note import jobs_note
from app.words.foreign import escaped
from app.words.glossary import plain, term
from app.words.phrases import a, count, milliseconds

_THUMBNAILS = 15


def sidebar(session: Session) -> None:
    with st.sidebar:
        _model(session)
        _basket(session)
        _history(session)
        jobs_note(session)
        copy_link()
        if state.demo():
            demo_note("Uploads, training and erasing", "are")
        st.toggle("Large print", **state.widget("large"))
        _lesson_under_way()


def _lesson_under_way() -> None:
    """The way back to a lesson that a person has left for another page."""
    if page_url.current_page() == course.PATH or state.hidden("menu"):
        return
    place = course.here()
    if place is not None and st.button(
        f"Back to the lesson, step {place.number}",
        icon=":material/school:",
        key="lesson-resume",
        width="stretch",
    ):
        turn_to(course.PATH)


def _model(session: Session) -> None:
    names = {info.name: info.title for info in models.bundles()}
    title, memory = session.studio.about.title, session.studio.memory
    names.setdefault(session.name, title)  # $MUNKEY_BUNDLE may lie elsewhere.
    if len(names) > 1 and not state.hidden("settings"):
        st.selectbox(
            "Model",
            list(names),
            format_func=lambda name: f"{names[name]} ({name})",
            **state.widget("bundle", services.other_model),
        )
    _mode(session)
    left, total, keys = memory.keys_left, memory.keys_total, term("key", "keys")
    st.caption(f"{escaped(title)} · {left:,} of {total:,} {keys} in memory")


def _mode(session: Session) -> None:
    """The switch between the two memories of a bundle that has both."""
    if len(models.shared(session.name).studio.about.modes) < 2 or state.hidden("settings"):
        return
    st.segmented_control(
        "Memory",
        help=f"**Joint:** {plain('joint')}\n\n**Exact:** {plain('exact')}",
        width="stretch",
        **state.choice("mode", properties.MODES, services.other_mode, session.studio.about.mode),
    )


def _basket(session: Session) -> None:
    basket = state.get("basket")
    title, clear = st.columns([3, 2], vertical_alignment="center")
    title.html(f'<div class="mk mk-count"><b>{len(basket):,}</b> picked</div>')
    if not state.hidden("pick"):
        clear.button(
            "Clear",
            key="clear-basket",
            on_click=state.change,
            args=("basket", ()),
            disabled=not basket,
            width="stretch",
        )
    if basket:
        newest = basket[::-1][:_THUMBNAILS]
        images = "".join(_thumbnail(session, id_) for id_ in newest)
        st.html(f'<div class="mk mk-thumbs">{images}</div>')
        if len(basket) > len(newest):
            st.caption(f"and {len(basket) - len(newest):,} more (Show → Only my selection)")
    elif not state.hidden("pick"):
        st.caption("Your basket is empty: click images to pick them. It follows you to every page.")
    _add_owner(session)


def _thumbnail(session: Session, id_: str) -> str:
    name = escape(id_, quote=True)
    return f'<img src="{session.pictures.uri(id_)}" alt="{name}" title="{name}">'


def delete_button(n: int) -> None:
    """The main button of every page on which one sees what goes. n: images in the basket."""
    if state.hidden("delete"):
        return
    st.button(
        f"Delete {count(n, 'key')}" if n else "Delete keys",
        type="primary",
        icon=":material/delete:",
        disabled=not n,
        width="stretch",
        key="delete",
        on_click=services.delete_basket,
    )


def _add_owner(session: Session) -> None:
    owners = session.studio.memory.owners
    if not owners or state.hidden("pick"):
        return
    word = session.owner_word
    st.session_state[state_keys.ADD_OWNER] = None
    st.selectbox(
        f"Pick {a(word)}",
        list(owners),
        help=plain("owner"),
        index=None,
        format_func=lambda name: f"{name} ({owners[name]})",
        placeholder="Choose…",
        key=state_keys.ADD_OWNER,
        on_change=services.add_owner,
    )


def _history(session: Session) -> None:
    history = session.studio.memory.history
    if not history or state.hidden("history"):
        return
    st.markdown("**Deleted in this session**")
    for index in range(len(history) - 1, max(-1, len(history) - 7), -1):
        deletion = history[index]
        text, button = st.columns([5, 4], vertical_alignment="center", gap="small")
        text.caption(f"{count(len(deletion.ids), 'key')}  \n{milliseconds(deletion.milliseconds)}")
        button.button(
            "Undo", key=f"undo-{index}", on_click=services.undo, args=(index,), width="stretch"
        )
    if len(history) > 6:
        st.caption(f"and {len(history) - 6} earlier ones")
    if len(history) > 1:
        st.button("Undo everything", on_click=services.undo_all, width="stretch")
