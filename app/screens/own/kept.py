"""What this server keeps of people's own images: each upload and each model, what was worked out
with them, and a way to be rid of it."""

import streamlit as st

from app.screens.own.start import size
from app.session import models, properties, services, state, state_keys, trainings
from app.words.foreign import escaped
from app.words.phrases import count, time_words
from munkey_core.errors import MunkeyError
from munkey_core.jobs.kept import CACHE, MODEL, UPLOAD, Kept, delete_kept, list_kept

_SAID = state_keys.REFUSED + "own-kept"
_WHAT = {UPLOAD: "an upload", MODEL: "a model", CACHE: "worked out"}
_WORKED_OUT = {
    "runs": "answers of retrained models, and comparisons",
    "projections": "maps of memories",
    "features": "encoded images",
    "reports": "reports of erasures",
    "jobs": "how long jobs took",
    "images.json": "where pictures were found",
}


def kept_here() -> None:
    """List them, each with its deletion, which asks once more."""
    said = st.session_state.pop(_SAID, None)
    found = list_kept((UPLOAD, MODEL))
    if said:
        (st.success if said[0] else st.error)(said[1])
    with st.expander("What this server keeps of own images", key="own-kept", expanded=bool(said)):
        st.caption(
            "Deleted here is gone for good: the files are overwritten before their names go. "
            "Whoever can open this app can do it, as whoever can open it can erase."
        )
        # Of the models of all this server's bundles: very many files, so only for who asks.
        if st.toggle("Also what was worked out with models (the cache)", key="own-kept-cache"):
            found += list_kept((CACHE,))
            st.caption(
                "All of it can be worked out again, but for reports of erasures: their figures "
                "were measured before."
            )
        if not found:
            st.caption("Nothing is kept.")
        for number, one in enumerate(found):
            _line(number, one)


def _line(number: int, one: Kept) -> None:
    name = _name(one)
    with st.container(horizontal=True, vertical_alignment="center", key=f"own-kept-{number}"):
        st.markdown(
            f"**{name}** · {_WHAT[one.kind]}, {count(one.files, 'file')}, {size(one.bytes)} · "
            f"{escaped(time_words(one.changed))}"
        )
        if one.in_use:
            st.caption(f"It can’t be deleted now: {escaped(one.in_use)}.")
            return
        with st.popover("Delete …", icon=":material/delete:"):
            st.markdown(f"Delete **{name}**, {_WHAT[one.kind]}, for good? There is no undo.")
            st.button(
                "Delete for good", key=f"own-kept-delete-{number}", on_click=_delete, args=(one,)
            )


def _name(one: Kept) -> str:
    """What a person reads (Markdown)."""
    name = one.name.partition("/")[2]
    return _WORKED_OUT.get(name, escaped(name)) if one.kind == CACHE else escaped(name)


def _delete(one: Kept) -> None:
    name = _name(one)
    try:
        n = delete_kept(one.name)
    except MunkeyError as error:
        st.session_state[_SAID] = False, f"Not deleted: {escaped(str(error))}"
        return
    st.session_state[_SAID] = True, f"{name} is gone: {count(n, 'file')} overwritten and removed."
    models.bundles.clear()
    if one.kind == MODEL and state.get("bundle") == one.name.partition("/")[2]:
        state.put("bundle", properties.default_bundle())
        services.other_model()
    if trainings.label_of(one.path) == "" and state.get("data"):
        state.put("data", "")
    state.touch()
