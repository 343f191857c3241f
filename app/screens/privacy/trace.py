"""Where the trace stays: the joint and the exact mode of one model side by side."""

from html import escape

import streamlit as st

from app.session import models, properties
from app.session.background import Background
from app.session.services import Session
from app.shared.attacks import STAGES
from app.shared.forget_set import ForgetSet
from app.shared.sections import section
from app.shared.work import work
from app.words.figures import interval, number, signed
from app.words.glossary import term
from app.words.phrases import count
from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, BEFORE, AuditReport
from munkey_core.audit.figures import ModelFigures
from munkey_core.progress import Steps
from munkey_core.studio import Studio

Reports = dict[str, AuditReport]

_PART = "trace"
_STAGES = STAGES | {"predicting": "Asking both models about every image (only the first time)"}


def trace_panel(session: Session, subject: ForgetSet) -> None:
    """Draws nothing for a model that has one mode only."""
    if len(models.shared(session.name).studio.about.modes) < 2:
        return
    section("Where the trace stays: both memories", "trace")
    studios = {mode: models.shared(session.name, mode).studio for mode in properties.MODES}
    stored = {mode: studio.audit.report(subject.ids) for mode, studio in studios.items()}
    known = {mode: report for mode, report in stored.items() if report is not None}
    if len(known) < len(studios):
        found = _work_out(session, subject, studios)
        if found is None:
            return
        known = found
    st.html(_table(known, studios["joint"]))
    st.caption(_verified(studios["joint"]))


def _work_out(session: Session, subject: ForgetSet, studios: dict[str, Studio]) -> Reports | None:
    """Ask both models in the background, once somebody wants to know."""

    def run() -> Steps[Reports]:
        found: Reports = {}
        for mode, studio in studios.items():
            found[mode] = yield from studio.privacy.trace(subject.ids)
        return found

    asked = work(session, _PART, subject.ids, lambda: Background(run, _PART))
    if asked.job is None:
        n = len(subject.ids)
        these = "this image" if n == 1 else f"these {n:,} images"
        st.caption(f"What each of the two memories keeps of {these} is not worked out yet.")
        st.button(
            "Set both side by side",
            icon=":material/compare_arrows:",
            on_click=asked.start,
            key="start-trace",
        )
    return asked.result(_STAGES)


def _table(reports: Reports, studio: Studio) -> str:
    """One column a mode, one row a question (HTML)."""
    parts = studio.about.manifest["splits"]["counts"]
    rows = {
        "Right on test images": [_percent(reports[m], AFTER, "test_accuracy") for m in reports],
        "Right on these images, before deletion": [
            _percent(reports[m], BEFORE, "forget_accuracy") for m in reports
        ],
        "Right on these images, after deletion": [
            _percent(reports[m], AFTER, "forget_accuracy") for m in reports
        ],
        "What stays in the shared weights": [_remains(m, reports[m]) for m in reports],
        "What can't be forgotten, as it is public": [_public(m, parts) for m in reports],
    }
    head = "".join(f'<th scope="col">{escape(properties.MODES[mode])}</th>' for mode in reports)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{"</td><td>".join(cells)}</td></tr>'
        for name, cells in rows.items()
    )
    return (
        '<div class="mk mk-scroll"><table class="mk-table mk-words"><thead><tr>'
        f'<th scope="col">In brackets: the 95 % interval</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _percent(report: AuditReport, row: str, term: str) -> str:
    figures: ModelFigures = report.models[row]
    bounds = figures.ci95.get(term)
    small = interval(bounds) if bounds else verdict.no_interval(report)
    return f"{number(getattr(figures, term), bounds)} %<small>{small}</small>"


def _remains(mode: str, report: AuditReport) -> str:
    """The backbone leak with its interval; in the exact mode none."""
    if mode == "exact":
        return "<b>nothing</b>, by construction<small>they never saw these images</small>"
    leak = report.leak.backbone if report.leak is not None else None
    if leak is None:
        return "not measured for these images<small>it takes a model retrained without them</small>"
    inside = "no interval"
    if leak.excess_ci95 is not None:
        low, high = leak.excess_ci95
        zero = "; can't be told from zero" if low <= 0 <= high else ""
        inside = f"{signed(low)} to {signed(high)}{zero}"
    return f"{signed(leak.excess_points)} points<small>{inside}</small>"


def _public(mode: str, parts: dict[str, int]) -> str:
    encoder, anchors = parts.get("encoder", 0), parts.get("anchor", 0)
    chosen = parts.get("calibration", 0) + (parts.get("validation", 0) if mode == "joint" else 0)
    trained = f"{encoder:,} trained the encoder, " if encoder else ""
    role = "helped to train" if mode == "joint" else "alone trained"
    return (
        f"{count(encoder + anchors + chosen, 'image')}<small>{trained}{anchors:,} {role} the "
        f"network, {chosen:,} chose its settings</small>"
    )


def _verified(studio: Studio) -> str:
    """What was tried of the exact mode, and what it costs, in sentences."""
    found = studio.about.exact_verified
    text = (
        f"**Points:** the {term('backbone-leak', 'backbone leak')}. **{term('exact', 'Exact')}:** "
        "deleting an image gives the memory that would be there had it never been. "
    )
    if found:
        rows = sum(one["rows"] for one in found.values())
        answers = sum(one["answers"] for one in found.values())
        differ = sum(
            one["token_bytes_differing"] + one["key_bytes_differing"] + one["bits_differing"]
            for one in found.values()
        )
        text += (
            f"**Verified** on {count(len(found), 'forget set')} ({', '.join(sorted(found))}): all "
            f"other images were written again from scratch, {rows:,} rows and {answers:,} answers "
            f"in all, and **{differ:,} bytes or bits differ**. "
        )
    else:
        text += "Nobody has verified that on this model yet (`munkey verify --exact`). "
    return text + (
        "**What it costs:** its accuracy is bounded by what the public images teach, and the "
        "public images can't be forgotten."
    )
