"""The one thing to do when the bundle on disk is another version than the one a session shows."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.session import erasing, page_url, services
from app.session.background import POLL
from app.words.foreign import escaped
from munkey_core.errors import BundleChangedError


def bundle_changed() -> None:
    """Say so instead of a page: what the session holds may be gone for good by now."""
    session = services.opened()
    title = "This model"
    if session is not None:
        page_url.write(session.groups)
        title = escaped(session.studio.about.title)
    st.title("This bundle has changed", anchor=False)
    st.info(
        f"**{title}** is another version by now than the one you opened: somebody erased images "
        "from it for good, or saved figures into it. What you worked out belongs to the old "
        "version, so it is not shown any more.",
        icon=":material/update:",
    )
    failure()
    st.markdown(
        "Reload to go on. What you picked and deleted stays as it is, as far as it is still there; "
        "you will be told what is not."
    )
    st.button(
        "Reload",
        type="primary",
        icon=":material/refresh:",
        key="reload-bundle",
        on_click=services.reload,
    )


def failure() -> None:
    """Why this session's newest erasure came to no receipt, until something else is done."""
    reason = erasing.failed()
    if reason:
        st.error(
            f"**The erasure did not come to its end.** {escaped(reason[:1].upper())}"
            f"{escaped(reason[1:])}.",
            icon=":material/error:",
        )


def polled(
    part: Callable[..., None], watching: bool = True, seconds: float = POLL
) -> Callable[..., Any]:
    """A part of a page that is drawn again every so many seconds; if nobody is watching only with
    the page. If the bundle changes between two drawings, the whole page is drawn and says so."""

    def guarded(*args: Any) -> None:
        try:
            part(*args)
        except BundleChangedError:
            if erasing.current() is None:  # else the end of the own erasure draws the page
                st.rerun()

    fragment: Callable[..., Any] = st.fragment(guarded, run_every=seconds if watching else None)
    return fragment
