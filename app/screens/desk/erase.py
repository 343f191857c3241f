"""Erasing for good: says what it does, wants the count typed, runs once, tells how it went."""

import streamlit as st

from app.screens.desk.effect import Effect, evidence, measured_words
from app.session import erasing, services, state_keys
from app.session.background import Background
from app.session.services import Session
from app.shared.work import watched
from app.words.foreign import escaped, quoted
from app.words.phrases import count
from munkey_core.bundle.ledger import Receipt
from munkey_core.erasure.plan import ErasurePlan

_STAGES = {
    "reading": "Reading the model",
    "measuring the others anew": "Measuring the scores of the others anew",
    "writing the new version": "Writing the version without them",
    "putting it in place": "Putting it in place and removing the old one",
}
_MOST_LETTERS = 120


def erase_card(session: Session, plan: ErasurePlan, found: Effect) -> None:
    """The last step of a request that can be erased, or why it can't."""
    st.markdown("**4 · Erase for good**")
    if plan.problem:
        st.info(_why_not(plan), icon=":material/block:")
        return
    n = len(plan.ids)
    these = "This image leaves" if n == 1 else f"These {n:,} images leave"
    st.markdown(
        f"**There is no undo.** {these} this model on this server, for everybody, at once: what is "
        "listed as “what will be removed” is overwritten. You get a receipt. Whoever has the model "
        "open is asked to reload."
    )
    with st.form("desk-erase", border=False, enter_to_submit=False):
        st.text_input(f"Type **{n}** to confirm", key=state_keys.DESK_COUNT, max_chars=20)
        st.text_input(
            "Your file number, if you like",
            key=state_keys.DESK_REFERENCE,
            max_chars=_MOST_LETTERS,
            help="It stands on the report and nowhere else.",
        )
        st.form_submit_button(
            f"Erase {count(n, 'image')} for good",
            type="primary",
            icon=":material/delete_forever:",
            width="stretch",
            key="desk-erase-button",
            on_click=_erase,
            args=(session, plan, found),
        )
    typed = st.session_state.get(state_keys.ERASE_WRONG)
    if typed is not None:
        got = f"got {quoted(typed)}" if typed else "nothing was typed"
        st.error(f"Nothing was erased: wanted the number **{n}** in the field above, {got}.")
    st.caption(measured_words(found))


def erasing_now() -> bool:
    """Draw how far an erasure of this session has come; False if there is none."""
    found = erasing.current()
    if found is None:
        return False
    found.job.wait()
    with st.container(border=True, key="desk-erasing"):
        st.markdown(f"**Erasing {count(len(found.ids), 'image')} for good**")
        watched(found.job, lambda: _progress(found.job))
        st.caption("It goes on even if you leave. Either all of them go or none.")
    return True


def _progress(job: Background[Receipt]) -> None:
    step = job.progress
    stage = _STAGES.get(step.stage, step.stage) if step else "Starting"
    st.progress(job.fraction, text=f"{stage} …")


def _erase(session: Session, plan: ErasurePlan, found: Effect) -> None:
    """Begin, if the count was typed: whoever clicks twice starts it once."""
    typed = str(st.session_state.get(state_keys.DESK_COUNT, "")).strip()
    if erasing.current() is not None or session is not services.opened():
        return
    if typed.replace(",", "").replace("\u00a0", "").replace(" ", "") != str(len(plan.ids)):
        st.session_state[state_keys.ERASE_WRONG] = typed
        return
    st.session_state.pop(state_keys.ERASE_WRONG, None)
    reference = str(st.session_state.get(state_keys.DESK_REFERENCE, "")).strip()
    known = evidence(session, plan, found, reference)
    erasing.start(session.studio, session.name, plan.ids, known)


def _why_not(plan: ErasurePlan) -> str:
    """The plan's problem for people; what is wrong with single ids stands in the dry run."""
    if plan.ids and (plan.unknown or plan.public):
        return (
            "Not as it stands: the request names something that can’t be erased. All of it goes or "
            "none, so leave that out first."
        )
    text = plan.problem[:1].upper() + plan.problem[1:]
    return f"{escaped(text)}."
