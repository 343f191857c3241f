"""Whom or what a request is about: an owner, ids, a CSV file, the basket, or what was deleted."""

import streamlit as st

from app.components.demo_note import demo_note
from app.session import erasing, properties, services, state, state_keys
from app.session.services import Session
from app.shared.ask import refusal, refuse
from app.words.foreign import escaped
from app.words.phrases import count
from munkey_core.errors import BadInputError
from munkey_core.files import limits
from munkey_core.results import Browse


def asked(session: Session) -> tuple[str, ...]:
    """Draw the chooser; returns the ids that the request names, whether they are known or not."""
    ways = _ways(session)
    chosen = state.get("who") if state.get("who") in ways else ways[0]
    st.segmented_control(
        "Who or what",
        label_visibility="collapsed",
        **state.choice("who", {who: properties.WHO[who] for who in ways}, shown=chosen),
    )
    if chosen == "owner":
        return _owner(session)
    if chosen == "basket":
        return _already(state.get("basket"), "picked", "Your basket is empty: pick images first.")
    if chosen == "forgotten":
        return _already(session.studio.memory.forgotten, "deleted in this session", "")
    if chosen == "csv":
        _csv()
    else:
        _ids(session)
    request: tuple[str, ...] = state.get("request")
    return request


def name_instead(ids: tuple[str, ...]) -> None:
    """Make the request be about exactly these ids."""
    _anew()
    state.put("request", tuple(dict.fromkeys(ids)))
    state.change("who", "ids")


def _anew() -> None:
    """What was wrong with an earlier request says nothing about another one."""
    st.session_state.pop(state_keys.ERASE_WRONG, None)
    erasing.forget_failure()


def _ways(session: Session) -> list[str]:
    """What there is to choose from, here and now."""
    there = {
        "owner": bool(session.studio.memory.owners),
        "csv": not state.demo(),
        "forgotten": bool(session.studio.memory.forgotten),
    }
    return [who for who in properties.WHO if there.get(who, True)]


def _owner(session: Session) -> tuple[str, ...]:
    owners, word = session.studio.memory.owners, session.owner_word
    st.session_state[state_keys.DESK_OWNER] = state.get("asks") or None

    def choose() -> None:
        _anew()
        state.change("asks", st.session_state[state_keys.DESK_OWNER] or "")

    st.selectbox(
        f"Which {word} asks to be forgotten?",
        list(owners),
        index=None,
        format_func=lambda name: f"{name} ({count(owners[name], 'image')})",
        placeholder="Type a part of the name…",
        key=state_keys.DESK_OWNER,
        on_change=choose,
    )
    name = state.get("asks")
    return session.browse(Browse(owner=name, order="id")) if name else ()


def _already(ids: tuple[str, ...], how: str, empty: str) -> tuple[str, ...]:
    st.caption(f"{count(len(ids), 'image')} {how}." if ids else empty)
    return ids


def _ids(session: Session) -> None:
    st.session_state[state_keys.DESK_IDS] = "\n".join(state.get("request"))

    def take() -> None:
        typed = st.session_state[state_keys.DESK_IDS]
        ids = services.current().studio.erasure.ids_in_text(typed)
        _take(ids, state_keys.DESK_IDS)

    st.text_area(
        "Ids or file names of images, one a line or with commas between them",
        key=state_keys.DESK_IDS,
        height=120,
        placeholder="\n".join(session.studio.memory.private_ids()[:2]),
        on_change=take,
    )
    refusal(state_keys.DESK_IDS)
    st.button("Look them up", icon=":material/search:", key="desk-look-up")


def _csv() -> None:
    if state.demo():
        demo_note("Uploading")
        return
    key = state_keys.DESK_CSV

    def take() -> None:
        file = st.session_state[key]
        if file is None:  # taken out again: the request stays until there is another one
            return
        try:
            ids = services.current().studio.erasure.ids_in_csv(file.getvalue(), file.name)
        except BadInputError as error:
            refuse(key, f"Nothing was taken from this file. {escaped(str(error))}")
        else:
            _take(ids, key)

    st.file_uploader(
        "A CSV file with a column `id` or `file` (or nothing but ids)",
        type=["csv", "txt"],
        max_upload_size=limits.megabytes("csv_bytes"),
        key=key,
        on_change=take,
    )
    refusal(key)
    if state.get("request"):
        st.caption(f"{count(len(state.get('request')), 'id')} in the request.")


def _take(ids: tuple[str, ...], key: str) -> None:
    """Make these ids the request, or say why not and leave it as it was."""
    ids = tuple(dict.fromkeys(ids))
    if len(ids) > limits.limits().ids:
        wanted = limits.at_most("ids", "ids")
        refuse(key, escaped(f"Wanted {wanted} in one request, got {len(ids):,}."))
        return
    st.session_state.pop(state_keys.REFUSED + key, None)
    _anew()
    state.change("request", ids)
