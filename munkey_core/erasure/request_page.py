"""The report of one request: what was asked, done and measured, in plain words, for paper.

One HTML file that asks for nothing else: it can be filed, mailed and printed. It is made of the
receipt and of what was measured before the erasure, and so names no image and shows none.
"""

import re
import shlex
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

from munkey_core.audit.privacy import PrivacyReport
from munkey_core.bundle.ledger import Receipt
from munkey_core.erasure import words
from munkey_core.files.templates import fill
from munkey_core.model.side_effects import SideEffects


@dataclass(frozen=True)
class AnswersEvidence:
    """What models said of the images of a request. n: images that were asked about. right: by state
    ("before", "after", "retrained"), how many were taken for what they are. truth: by state, mean
    probability in [0, 1] of the true class."""

    n: int
    right: dict[str, int]
    truth: dict[str, float]


@dataclass(frozen=True)
class RequestEvidence:
    """What was known about the images of a request just before they were erased; nothing in it
    tells which images they were.

    title: of the data set. reference: how whoever handles the request names it, or empty. asked,
    gone: ids in the request, and of them erased before. owners: how many owners the images had, 0
    where none is known. whole_owner: whether they were all images of one. owners_simulated: whether
    the owners were made up. near_copies: near-duplicates that stay. mode: of the model that was
    asked. answers, others, privacy: None where nobody measured it. attack: of `privacy`, the one to
    be told of.
    """

    title: str
    reference: str
    asked: int
    gone: int
    owners: int
    whole_owner: bool
    owners_simulated: bool
    near_copies: int
    mode: str
    answers: AnswersEvidence | None = None
    others: SideEffects | None = None
    attack: str = ""
    privacy: PrivacyReport | None = None


def request_report(receipt: Receipt, evidence: RequestEvidence | None = None) -> str:
    """The report as an HTML document. evidence: what was gathered before the erasure; without it
    the report says that the figures of that time are not at hand.

    Every text in it is escaped, and it names no file or address to be fetched.
    """
    name, _ = file_names(receipt)
    return fill(
        "erasure/templates/request.html.j2",
        receipt=receipt,
        evidence=evidence,
        time=when(receipt.created),
        file=name,
        command=f"munkey verify {shlex.quote(receipt.bundle)} --receipt {name}",
        words=words,
        told=_told,
        code=_code,
        percent=_percent,
    )


def _told(report: PrivacyReport, attack: str) -> Markup:
    """What an attacker can tell, and what that means. Of its texts only ours go into the words."""
    who = "this image" if report.n_forget == 1 else f"one of these {report.n_forget:,} images"
    told = words.attacker(report, attack, who, "<b>{}</b>".format)
    verdict = words.verdict(report, attack, "<b>{}</b>".format)
    return Markup(f"{told} {words.GUESSING} {verdict}")


def _code(text: str) -> Markup:
    """A text in which what stands between backticks is set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _percent(value: float) -> str:
    """A share in [0, 1]: "71 %"."""
    if value < 0.01:
        return "under 1 %"
    return "over 99 %" if value > 0.99 else f"{round(100 * value)} %"


def when(created: str) -> str:
    """A receipt's time for people: "25 November 2026, 04:12 UTC"; the text itself if it is none."""
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = "UTC" if time.utcoffset() is not None and not time.utcoffset() else created[19:]
    return f"{time.day} {time:%B %Y, %H:%M} {zone}".strip()


def file_names(receipt: Receipt) -> tuple[str, str]:
    """What to call the files of a receipt and of its report; a bundle may be called anything."""
    bundle = re.sub(r"[^A-Za-z0-9._-]+", "-", receipt.bundle)[:60].strip("-.") or "bundle"
    return f"receipt-{bundle}-{receipt.number}.json", f"report-{bundle}-{receipt.number}.html"
