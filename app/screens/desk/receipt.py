"""A receipt on the screen and as a file, with the report of the request."""

from html import escape

import streamlit as st

from app.components.clipboard.digests import Digest, digests
from app.screens.desk.plan import purged_table, remains_list
from app.session import erasing, state
from app.session.services import Session
from app.words.phrases import count, time_words
from munkey_core.bundle.ledger import LedgerEntry, Receipt
from munkey_core.errors import BundleError
from munkey_core.studio.erasure import Erasure

_MEMORIES = {"joint": "joint memory", "exact": "exact memory"}


def entries(session: Session) -> tuple[LedgerEntry, ...]:
    """The ledger, the newest entry first. Raises BundleError."""
    return session.remember("ledger", lambda: session.studio.erasure.ledger()[::-1])


def receipt_card(session: Session) -> None:
    """The receipt that the page is about, if it is about one."""
    number = state.get("receipt")
    if not number:
        return
    try:
        found = [entry.receipt for entry in entries(session) if entry.number == number]
    except BundleError:
        return  # The ledger's own part of the page says so.
    receipt = found[0] if found else None
    if receipt is None:
        st.warning(f"This model’s ledger has no receipt no. {number:,}.", icon=":material/search:")
        return
    with st.container(border=True, key="desk-receipt"):
        _draw(receipt, erasing.done(receipt))


def _draw(receipt: Receipt, done: erasing.Done | None) -> None:
    just = " :green-badge[:material/check: done just now]" if done is not None else ""
    st.markdown(f"#### Receipt no. {receipt.number:,}{just}")
    if receipt.original_kept:
        st.warning(
            "**The original was kept.** This erasure wrote a copy without the images; the model it "
            "was copied from still holds them."
        )
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.html(_facts(receipt))
        digests(
            [
                Digest("Receipt", receipt.hash),
                Digest("Entry before it", receipt.previous),
                Digest("Model before", receipt.digest_before),
                Digest("Model after", receipt.digest_after),
                Digest("Signed with", receipt.signer),
            ],
            key=f"desk-digests-{receipt.number}",
        )
    with right:
        _files(receipt, done)
        with st.expander("What was removed", key=f"desk-was-{receipt.number}"):
            st.html(purged_table(receipt.purged))
        with st.expander("What remains, and could hold a trace", key=f"desk-left-{receipt.number}"):
            st.markdown(remains_list(receipt.remains, receipt.modes))
        st.button(
            "Close",
            key="desk-close",
            icon=":material/close:",
            on_click=state.change,
            args=("receipt", 0),
        )


_NAMES = {
    False: "It names nobody: ids and owner are in it as hashes, whose key lies in this model’s "
    "ledger alone.",
    True: "It was made by an older version and holds the key of its hashes: whoever has it and a "
    "list of names can find out which of them it is about.",
}


def _facts(receipt: Receipt) -> str:
    """The receipt in a few lines (HTML)."""
    memories = " and ".join(_MEMORIES.get(mode, mode) for mode in receipt.modes)
    signed = "signed" if receipt.signer else "not signed"
    owner = " of one owner" if receipt.owner else ""
    known = receipt.names_can_be_tested
    return (
        f'<div class="mk mk-sum">{count(receipt.count, "image")}{owner} erased for good'
        f"<small>{escape(time_words(receipt.created))} · {escape(receipt.bundle)}, "
        f"{escape(memories)} · {escape(receipt.tool)} · {signed}. {_NAMES[known]}</small></div>"
    )


def _files(receipt: Receipt, done: erasing.Done | None) -> None:
    receipt_name, report_name = Erasure.file_names(receipt)
    st.download_button(
        "Download the receipt",
        Erasure.receipt_text(receipt),
        file_name=receipt_name,
        mime="application/json",
        icon=":material/receipt_long:",
        type="primary" if done is not None else "secondary",
        width="stretch",
        on_click="ignore",
        key=f"desk-file-{receipt.number}",
    )
    filed = Erasure.filed_report(receipt) if done is None else None
    st.download_button(
        "Download the report",
        done.report if done is not None else filed or Erasure.report(receipt),
        file_name=report_name,
        mime="text/html",
        icon=":material/description:",
        width="stretch",
        on_click="ignore",
        key=f"desk-report-{receipt.number}",
    )
    st.caption(_about_the_report(done, filed))


def _about_the_report(done: erasing.Done | None, filed: str | None) -> str:
    if done is not None:
        return (
            "Keep both: figures of before can’t be measured again. This server keeps the report, "
            "too, without your file number."
        )
    if filed is not None:
        return "With the figures that were measured before. Your file number was not kept."
    return (
        "This report is without figures: they are measured before an erasure, and stand in the "
        "report that was made then."
    )
