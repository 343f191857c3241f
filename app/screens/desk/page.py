"""Request desk: somebody asks to be forgotten, and is, for good, with a receipt."""

from pathlib import Path

import streamlit as st

from app.components.demo_note import demo_note
from app.screens.desk.effect import Effect, effect
from app.screens.desk.erase import erase_card, erasing_now
from app.screens.desk.ledger import ledger
from app.screens.desk.plan import dry_run
from app.screens.desk.receipt import receipt_card
from app.screens.desk.request import asked
from app.screens.desk.verify import verify
from app.session import services, state
from app.session.services import Session
from app.shared.changed import failure
from app.shared.retrain import measure_again
from app.words.foreign import escaped
from munkey_core.erasure.plan import ErasurePlan
from munkey_core.errors import BundleError

_STYLE = Path(__file__).with_name("desk.css")
_HIDING = ("erase", "delete")


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    st.html(_STYLE)
    st.title("Somebody asks to be forgotten", anchor=False)
    if any(state.hidden(control) for control in _HIDING):
        st.info("The link that brought you here leaves this page out.")
        return
    with st.container(key="desk"):
        _page(session)


def _page(session: Session) -> None:
    st.markdown(
        "On the other pages deleting is a view: yours alone, and you can undo it. **Erasing is a "
        "promise**: the images leave the model on this server, for everybody and for good, and "
        "you get a receipt that anybody can check."
    )
    if state.demo():
        demo_note("Erasing")
    failure()
    if not erasing_now():
        receipt_card(session)
        measure_again(session)
        _request(session)
    books, checks = st.columns([58, 42], gap="large")
    with books:
        ledger(session)
    with checks:
        verify(session)


def _request(session: Session) -> None:
    left, right = st.columns([54, 46], gap="medium")
    with left, st.container(border=True, key="desk-request"):
        st.markdown("**1 · Who, or which images?**")
        ids = asked(session)
        plan = _plan(session, ids) if ids else None
        if plan is not None:
            st.markdown("**2 · What it comes to** (a dry run: nothing is changed)")
            dry_run(session, plan)
    with right:
        if plan is None:
            _first_steps()
            return
        found = Effect(None, None)
        if plan.ids:
            with st.container(border=True, key="desk-effect"):
                st.markdown("**3 · What would change**")
                found = effect(session, plan)
        if not state.demo():
            with st.container(border=True, key="desk-erase-card"):
                erase_card(session, plan, found)


def _plan(session: Session, ids: tuple[str, ...]) -> ErasurePlan | None:
    try:
        return session.remember(("plan", ids), lambda: session.studio.erasure.plan(ids))
    except BundleError as error:
        st.error(f"This request can’t be looked into: {escaped(str(error))}")
        return None


def _first_steps() -> None:
    with st.container(border=True, key="desk-first-steps"):
        st.html(
            '<div class="mk"><div class="mk-sum">How it goes</div><ol class="mk-steps">'
            "<li>Say who asks, or which images: nothing happens yet.</li>"
            "<li>See what was found, what goes, what stays, and what the model would say.</li>"
            "<li>Type the number of images, and they are erased for good.</li>"
            "<li>File the receipt and the report.</li></ol></div>"
        )
