"""Holding a receipt that somebody brings against the bundle: each check in a sentence."""

import hashlib
from html import escape

import streamlit as st

from app.components.demo_note import demo_note
from app.session import state
from app.session.background import Background
from app.session.services import Session
from app.shared.work import work
from app.words.phrases import count
from munkey_core.bundle.ledger import Receipt
from munkey_core.erasure.receipts import TESTABLE, ReceiptCheck
from munkey_core.errors import BadInputError
from munkey_core.files import limits
from munkey_core.progress import Progress, Steps
from munkey_core.studio.erasure import Erasure

_PART = "desk-verify"
Line = tuple[bool | None, str]  # None: neither good nor bad, only told


def verify(session: Session) -> None:
    """The uploader, and what the receipt in it comes to."""
    st.markdown("#### Verify a receipt")
    if state.demo():
        demo_note("Uploading a receipt")
        return
    file = st.file_uploader(
        "A receipt: the JSON file that an erasure gave",
        type=["json"],
        max_upload_size=limits.megabytes("csv_bytes"),
        key="desk-verify-file",
    )
    if file is None:
        st.caption(
            "It says whether the receipt is genuine, and whether anything of what it speaks of is "
            "still in this model."
        )
        return
    data = file.getvalue()
    try:
        receipt = Erasure.read_receipt(data)
    except BadInputError as error:
        _verdict(False, "This receipt proves nothing.")
        _lines([(False, f"{str(error)[:1].upper()}{str(error)[1:]}.")])
        return
    check = _check(session, receipt, hashlib.sha256(data).hexdigest())
    if check is not None:
        _say(session, receipt, check)


def _check(session: Session, receipt: Receipt, digest: str) -> ReceiptCheck | None:
    studio = session.studio

    def run() -> Steps[ReceiptCheck]:
        yield Progress("checking", 0, 1, 0.0)
        return studio.erasure.check(receipt)

    found = work(session, _PART, digest, lambda: Background(run, _PART))
    found.begun()
    return found.result({"checking": "Checking every file of the model"})


def _say(session: Session, receipt: Receipt, check: ReceiptCheck) -> None:
    n = count(receipt.count, "image")
    if check.ok:
        left = "it is not" if receipt.count == 1 else "none of them is"
        _verdict(True, f"Verified: receipt no. {receipt.number:,}, {n}; {left} in this model.")
    else:
        _verdict(False, f"Not verified: receipt no. {receipt.number:,} does not hold here.")
    _lines(_checks(session, receipt, check))
    known = [line for line in check.problems if "ledger entry" in line or line.count(":")]
    if known:
        with st.expander("What was found, in detail"):
            st.text("\n".join(known))


def _checks(session: Session, receipt: Receipt, check: ReceiptCheck) -> list[Line]:
    """Each thing that was looked at, and whether it is as it should be."""
    foreign = receipt.bundle != session.studio.about.name and not check.in_ledger
    here = f" It speaks of a model called “{receipt.bundle}”." if foreign else ""
    damaged = check.files_damaged
    return [
        (True, "The receipt itself is unchanged: its fingerprint is that of what it says."),
        (check.in_ledger, "It is in this model’s ledger, to the letter.")
        if check.in_ledger
        else (False, f"It is not in this model’s ledger.{here}"),
        (check.chain_whole, "The ledger is whole: no entry was changed, taken out or moved.")
        if check.chain_whole
        else (False, "There is no whole ledger to hold it against."),
        (True, "The model on the disk is the version that the ledger ends with.")
        if check.digest_right
        else (False, "The model on the disk is not the version that a ledger of it ends with."),
        *_what_is_left(check),
        (True, "Every file is what the model’s seal says.")
        if not damaged
        else (False, f"{count(damaged, 'file is', 'files are')} not what the model’s seal says."),
        _signature(receipt, check),
        *([(None, f"{TESTABLE[:1].upper()}{TESTABLE[1:]}.")] if check.names_can_be_tested else []),
        (True, "No change of the model was interrupted.")
        if not check.unfinished
        else (
            False,
            "A change of the model was interrupted: its old version may still be on the disk. "
            f"`munkey erase {session.studio.about.name} --finish`, on the server, completes it.",
        ),
    ]


def _what_is_left(check: ReceiptCheck) -> list[Line]:
    rows, ids = check.rows_present, check.ids_present
    if rows is None or ids is None:
        return [(False, "Whether anything of the erased images is in it can’t be said.")]
    return [
        (True, "None of the erased rows is in it.")
        if not rows
        else (False, f"{count(rows, 'of the erased rows is', 'of the erased rows are')} in it."),
        (True, "None of the erased images is named in it.")
        if not ids
        else (False, f"{count(ids, 'erased image is', 'erased images are')} named in it."),
    ]


def _signature(receipt: Receipt, check: ReceiptCheck) -> Line:
    if check.signature == "none":
        return None, "It is not signed."
    if check.signature == "valid":
        key = f"{receipt.signer[:16]}…"
        return True, f"It is signed with the key {key}: hold that against the signer’s own."
    return False, "Its signature is not that of the signer it names."


def _verdict(good: bool, text: str) -> None:
    kind, mark = ("good", "✓") if good else ("bad", "✗")
    st.html(
        f'<div class="mk mk-desk-verdict mk-desk-{kind}" role="status">'
        f'<b aria-hidden="true">{mark}</b> {escape(text)}</div>'
    )


def _lines(lines: list[Line]) -> None:
    """The checks as a list (HTML): a sign, a word for it, a sentence."""
    kinds = {True: ("good", "✓", "Right"), False: ("bad", "✗", "Wrong"), None: ("", "–", "Note")}
    items = "".join(
        f'<li class="mk-desk-{kinds[good][0]}"><b>{kinds[good][1]} {kinds[good][2]}</b>'
        f"<span>{escape(text)}</span></li>"
        for good, text in lines
    )
    st.html(f'<ul class="mk mk-desk-checks">{items}</ul>')
