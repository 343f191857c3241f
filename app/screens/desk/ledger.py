"""The ledger of a bundle: every erasure, and every other change since the first one."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.components.pager import kept, pager, part
from app.screens.desk.receipt import entries
from app.session import state, state_keys
from app.session.services import Session
from app.words.foreign import escaped
from app.words.phrases import count, time_words
from munkey_core.bundle.ledger import LedgerEntry
from munkey_core.errors import BundleError

_PER_PAGE = 10
_SHORT = 12


def ledger(session: Session) -> None:
    """The table, the newest first, and a way to a receipt."""
    st.markdown("#### Ledger")
    try:
        found = entries(session)
    except BundleError as error:
        st.error(f"The ledger can’t be read: {escaped(str(error))}")
        return
    if not found:
        st.caption(
            "Nothing has been erased from this model yet. Every erasure will stand here, each "
            "entry with the fingerprint of the one before it, so that none can be taken out or "
            "changed unseen."
        )
        return
    wanted = st.session_state.get(state_keys.DESK_LEDGER, 1)
    shown, page, total = part(found, _PER_PAGE, wanted)
    st.html(_table(shown))
    if total > 1:
        text = f"Page {page:,} of {total:,} · {count(len(found), 'entry', 'entries')}"
        pager(page, total, text, kept(state_keys.DESK_LEDGER), "desk-ledger-pager")
    _choose([entry for entry in found if entry.receipt is not None])


def _table(entries_: Sequence[LedgerEntry]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{entry.number:,}</th><td>{escape(time_words(entry.created))}</td>'
        f"<td>{escape(entry.what[:1].upper() + entry.what[1:])}</td>"
        f"<td><code>{escape(entry.digest_after[:_SHORT])}</code></td>"
        f"<td><code>{escape(entry.hash[:_SHORT])}</code></td></tr>"
        for entry in entries_
    )
    return (
        '<div class="mk mk-scroll"><table class="mk-table mk-desk-ledger"><caption>The newest '
        'first. Fingerprints are SHA-256, shortened.</caption><thead><tr><th scope="col">No.</th>'
        '<th scope="col">When</th><th scope="col">What</th><th scope="col">Model after</th>'
        f'<th scope="col">Entry</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _choose(erased: list[LedgerEntry]) -> None:
    by_number = {entry.number: entry for entry in erased}
    if not by_number:
        return
    number = state.get("receipt")
    st.session_state[state_keys.DESK_RECEIPT] = number if number in by_number else None

    def show() -> None:
        state.change("receipt", st.session_state[state_keys.DESK_RECEIPT] or 0)

    st.selectbox(
        "Show a receipt",
        list(by_number),
        index=None,
        format_func=lambda n: f"no. {n}, {by_number[n].what}, {time_words(by_number[n].created)}",
        placeholder="Choose…",
        key=state_keys.DESK_RECEIPT,
        on_change=show,
    )
