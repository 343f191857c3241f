"""The report of one request: what was asked, done and measured, in plain words, for paper.

One HTML file that asks for nothing else: it can be filed, mailed and printed. It is made of the
receipt and of what was measured before the erasure, and so names no image and shows none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape

from munkey_core.audit.attacks import PrivacyReport
from munkey_core.bundle.ledger import Receipt, Remaining
from munkey_core.erasure import words as plain_words
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


_STATES = {
    "before": "Before the erasure",
    "after": "After it",
    "retrained": "A model trained again without them",
}
_MODES = {"joint": "joint memory", "exact": "exact memory"}

_STYLE = """
@page { size: A4; margin: 15mm 16mm 14mm; }
* { box-sizing: border-box; }
html { color-scheme: light; }
body { max-width: 178mm; margin: 8mm auto; padding: 0 4mm; color: #1b212b; background: #fff;
  font: 10.2pt/1.42 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
header { border-bottom: 2px solid #1b212b; padding-bottom: 2.5mm; margin-bottom: 3mm; }
h1 { margin: 0 0 1mm; font-size: 19pt; line-height: 1.15; }
h2 { margin: 4.6mm 0 1.2mm; font-size: 12pt; break-after: avoid; }
p, ul, dl { margin: 0 0 1.8mm; }
ul { padding-left: 5mm; }
li { margin-bottom: 0.8mm; }
.lead { font-size: 11.4pt; }
.muted, small { color: #596373; }
small { font-size: 8.6pt; }
table { width: 100%; border-collapse: collapse; margin: 0 0 2mm; font-size: 9.4pt; }
th, td { padding: 0.8mm 2mm 0.8mm 0; border-bottom: 0.3mm solid #d9dee6; text-align: left;
  vertical-align: top; }
th { font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr, li, .keep { break-inside: avoid; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.6mm 4mm; font-size: 9.2pt; }
header dl { grid-template-columns: max-content 1fr max-content 1fr; }
dt { color: #596373; }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: 8.6pt/1.35 ui-monospace, "DejaVu Sans Mono", Consolas, monospace;
  overflow-wrap: anywhere; }
pre { margin: 0 0 2mm; padding: 2mm 3mm; background: #f5f6f8; border-radius: 1.5mm;
  white-space: pre-wrap; }
.warning { padding: 2mm 3mm; border: 0.5mm solid #bd4b00; border-radius: 1.5mm; }
@media print { body { max-width: none; margin: 0; padding: 0; } }
"""


def request_report(receipt: Receipt, evidence: RequestEvidence | None = None) -> str:
    """The report as an HTML document. evidence: what was gathered before the erasure; without it
    the report says that the figures of that time are not at hand.

    Every text in it is escaped, and it names no file or address to be fetched.
    """
    title = f"Report of an erasure: receipt {receipt.number} of {receipt.bundle}"
    parts = [*_head(receipt, evidence), *_asked(receipt, evidence), *_done(receipt)]
    parts += [*_measured(evidence), *_remains(receipt, evidence), *_verify(receipt)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


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


# -- the parts -----------------------------------------------------------------------------------


def _head(receipt: Receipt, evidence: RequestEvidence | None) -> Iterator[str]:
    facts = [("Receipt", f"no. {receipt.number}"), ("Time", when(receipt.created))]
    if evidence is not None and evidence.reference:
        facts.insert(0, ("Reference", evidence.reference))
    of = f" ({evidence.title})" if evidence is not None and evidence.title else ""
    facts += [("Model", receipt.bundle + of), ("Made by", receipt.tool)]
    yield (
        f"<header><h1>Report of an erasure</h1>\n{_facts(facts)}</header>\n"
        f'<p class="lead"><b>{_images(receipt.count)}, with every entry made of '
        f"{'it' if receipt.count == 1 else 'them'}, {_were(receipt.count)} removed from this model "
        "for good.</b> There is no undo. What could still hold a trace is listed below.</p>"
    )
    if receipt.original_kept:
        yield (
            '<p class="warning"><b>The bundle itself was left as it was.</b> This erasure wrote a '
            "copy without the images; the bundle that the copy was made of still holds them.</p>"
        )


def _asked(receipt: Receipt, evidence: RequestEvidence | None) -> Iterator[str]:
    yield "<h2>What was asked</h2>"
    if evidence is None:
        owner = " They all had one owner." if receipt.owner else ""
        yield f"<p>To erase {_images(receipt.count)} from this model.{owner}</p>"
        return
    simulated = " (owners are simulated in this data set)" if evidence.owners_simulated else ""
    if evidence.whole_owner:
        whose = f"all {receipt.count:,} images of one owner{simulated}"
        whose = f"the one image of its owner{simulated}" if receipt.count == 1 else whose
    elif evidence.owners > 1:
        whose = f"{_images(receipt.count)} of {evidence.owners:,} owners{simulated}"
    elif evidence.owners:
        whose = f"{_images(receipt.count)} of one owner, who has more{simulated}"
    else:
        whose = _images(receipt.count)
    text = f"To erase {whose}."
    if evidence.gone:
        more = _count(evidence.gone, "more image")
        text += f" {more} of the request had been erased before."
    if evidence.near_copies:
        stay = "stays" if evidence.near_copies == 1 else "stay"
        text += (
            f" {_count(evidence.near_copies, 'near-copy', 'near-copies')} in the memory, so alike "
            f"that the model hardly tells them apart, {stay}: they were not part of the request."
        )
    yield (
        f"<p>{text} <span class='muted'>This report and the receipt hold neither names nor ids: "
        "the receipt knows them as keyed hashes.</span></p>"
    )


def _done(receipt: Receipt) -> Iterator[str]:
    yield "<h2>What was done</h2>"
    which = " and ".join(_MODES.get(mode, mode) for mode in receipt.modes)
    yield (
        f"<p>A new version of the model was written without the images ({escape(which)}), put in "
        "the place of the old one at once, and the old version’s files were overwritten and "
        "removed. All other entries and all shared weights kept their bytes.</p>"
        if not receipt.original_kept
        else f"<p>A new version of the model was written without the images ({escape(which)}).</p>"
    )
    rows = [
        f"<tr><td>{escape(one.what[:1].upper() + one.what[1:])}</td>"
        f"<td>{escape(plain_words.place(one.place))}</td><td class='n'>{one.count:,}</td></tr>"
        for one in receipt.purged
    ]
    yield (
        "<table><thead><tr><th>Removed</th><th>From</th><th class='n'>How many</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _measured(evidence: RequestEvidence | None) -> Iterator[str]:
    memory = f", in the {escape(_MODES.get(evidence.mode, evidence.mode))}" if evidence else ""
    yield f"<h2>What changed, as measured before the erasure{memory}</h2>"
    if evidence is None or not (evidence.answers or evidence.others or evidence.privacy):
        yield (
            "<p>Not at hand. Such figures are measured before an erasure, on the Request desk, and "
            "stand in the report that is made there and then: afterwards nothing is left to "
            "measure them with.</p>"
        )
        return
    if evidence.answers is not None or evidence.privacy is not None:
        yield _table(evidence)
    if evidence.privacy is not None:
        yield from _attacker(evidence, evidence.privacy)
    if evidence.others is not None:
        effects = evidence.others
        yield (
            f"<p>Of the images that stay, {len(effects.retain):,} of {effects.retain_checked:,} in "
            f"the memory and {len(effects.test):,} of {effects.test_checked:,} test images get "
            "another answer. All were accounted for.</p>"
        )
    known = evidence.answers is not None and "retrained" in evidence.answers.right
    if not known and not (evidence.privacy and "retrained" not in evidence.privacy.missing):
        yield (
            "<p class='muted'>No model was trained again without these images, so nobody can say "
            "how it would have answered.</p>"
        )


def _table(evidence: RequestEvidence) -> str:
    answers, privacy = evidence.answers, evidence.privacy
    head = ["<th></th>"]
    if answers is not None:
        head += ["<th class='n'>Recognised</th>", "<th class='n'>How sure of the right answer</th>"]
    if privacy is not None:
        head.append("<th class='n'>An attacker is right (95 % interval)</th>")
    rows = []
    for state, label in _STATES.items():
        cells = [*_answer_cells(answers, state), *_attack_cells(evidence, state)]
        if any(cell != "–" for cell in cells):
            inner = "".join(f"<td class='n'>{cell}</td>" for cell in cells)
            rows.append(f"<tr><th>{label}</th>{inner}</tr>")
    note = "Recognised: the most probable class is the right one. How sure: its mean probability."
    counted = " Both count these images themselves, so they have no interval." if answers else ""
    by = " By construction, the exact memory after deletion is the model trained again."
    exact = by if evidence.mode == "exact" else ""
    part = ""
    if answers is not None and privacy is not None and answers.n < privacy.n_forget:
        part = f" Asked about the first {answers.n:,} images."
    notes = f"<p><small>{note}{counted}{part}{exact}</small></p>" if answers else ""
    return (
        f"<table class='keep'><thead><tr>{''.join(head)}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{notes}"
    )


def _answer_cells(answers: AnswersEvidence | None, state: str) -> list[str]:
    if answers is None:
        return []
    if state not in answers.right:
        return ["–", "–"]
    return [f"{answers.right[state]:,} of {answers.n:,}", _percent(answers.truth[state])]


def _attack_cells(evidence: RequestEvidence, state: str) -> list[str]:
    if evidence.privacy is None:
        return []
    found = evidence.privacy.figures.get(evidence.attack, {}).get(state)
    if found is None:
        return ["–"]
    times = plain_words.in_hundred(found.auroc, found.auroc_ci95)
    return [f"{times} times in 100 ({plain_words.interval(found.auroc_ci95)})"]


def _attacker(evidence: RequestEvidence, report: PrivacyReport) -> Iterator[str]:
    if not {"before", "after"} <= report.figures.get(evidence.attack, {}).keys():
        return
    who = "this image" if report.n_forget == 1 else f"one of these {report.n_forget:,} images"
    sentence = plain_words.attacker(report, evidence.attack, who, lambda words: f"<b>{words}</b>")
    verdict = plain_words.verdict(report, evidence.attack, lambda words: f"<b>{words}</b>")
    yield f"<p>{sentence} {plain_words.GUESSING} {verdict}</p>"
    yield (
        f"<p><small>The attack is “{escape(evidence.attack)}”, against {report.n_test:,} test "
        "images; intervals by bootstrap over images.</small></p>"
    )


def _remains(receipt: Receipt, evidence: RequestEvidence | None) -> Iterator[str]:
    yield "<h2>What remains and could hold a trace</h2>"
    items = [_remaining(one) for one in receipt.remains]
    if "exact" in receipt.modes and "joint" in receipt.modes:
        items.insert(1, f"<li>{EXACT}</li>")
    yield f"<ul>{''.join(items)}</ul>"
    leak = evidence.privacy.leak if evidence is not None and evidence.privacy else None
    if leak is not None and leak.backbone is not None and evidence and evidence.mode == "joint":
        yield (
            "<p>Measured on exactly these images, against a model trained again without them. "
            f"{escape(plain_words.backbone(leak.backbone))}.</p>"
        )


def _remaining(one: Remaining) -> str:
    name = plain_words.place(one.where)
    why = one.why if one.why.endswith(".") else f"{one.why}."
    text = re.sub("`([^`]+)`", r"<code>\1</code>", escape(why))
    return f"<li><b>{escape(name[:1].upper() + name[1:])}:</b> {text}</li>"


EXACT = (
    "In the <b>exact memory</b> nothing remains in the weights, by construction: they were trained "
    "on public images only, and each entry was written alone."
)


def _verify(receipt: Receipt) -> Iterator[str]:
    name, _ = file_names(receipt)
    command = f"munkey verify {shlex.quote(receipt.bundle)} --receipt {name}"
    signed = (
        f"It is signed with the Ed25519 key <code>{escape(receipt.signer)}</code>."
        if receipt.signer
        else "It is not signed: that nobody rewrote it together with the whole ledger can only be "
        "shown by a copy of it that is kept elsewhere."
    )
    yield (
        "<section class='keep'><h2>How to check this</h2>"
        f"<p>Keep the file <code>{escape(name)}</code> with this report. Whoever has it and the "
        "model can check at any time, on the Request desk (<i>Verify a receipt</i>) or with</p>"
        f"<pre><code>{escape(command)}</code></pre>"
        "<p>that the ledger is whole and holds this receipt, that the model is the version the "
        f"ledger speaks of, and that none of the {_rows(receipt)} is in it. {signed}</p>"
    )
    facts = [
        ("Receipt (SHA-256)", receipt.hash),
        ("Entry before it", receipt.previous or "none: it is the first"),
        ("Model before", receipt.digest_before),
        ("Model after", receipt.digest_after),
    ]
    yield f"{_facts(facts, code=True)}</section>"


# -- small ---------------------------------------------------------------------------------------


def _facts(facts: Iterable[tuple[str, str]], code: bool = False) -> str:
    mark = "<code>{}</code>" if code else "{}"
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{mark.format(escape(value))}</dd>" for name, value in facts
    )
    return f"<dl>{rows}</dl>"


def _rows(receipt: Receipt) -> str:
    total = sum(len(rows) for rows in receipt.rows.values())
    return _count(total, "erased row")


def _images(n: int) -> str:
    return _count(n, "image")


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _percent(value: float) -> str:
    if value < 0.01:
        return "under 1 %"
    return "over 99 %" if value > 0.99 else f"{round(100 * value)} %"
