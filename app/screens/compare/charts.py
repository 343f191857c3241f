"""A report as two charts: how far each method is off, and how long it takes."""

from dataclasses import replace

import streamlit as st

from app.components.gap_charts import Band, Mark, gap_by_method, gap_by_time
from app.screens.compare.words import FAMILIES, title
from app.shared.sections import draw, section
from app.words.figures import interval, number, took
from app.words.glossary import term
from app.words.theme import current_palette
from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, AuditReport
from munkey_core.audit.figures import ModelFigures

_FAR = 2.5  # Originals that are off by more than so many times everybody else stretch the scale.


def charts(report: AuditReport) -> None:
    """Both charts, side by side where there is room."""
    marks, left_out = method_marks(report)
    timed = time_marks(report)
    if not marks and not timed:
        return
    bands, p = null_bands(report), current_palette()
    with st.container(key="compare-charts"):
        dots, times = st.columns([46, 54], gap="small")
        with dots:
            section("Distance from the retrained twin", "gap-by-method")
            if marks:
                figure = gap_by_method(marks, bands, p)
                draw(figure, "gap-by-method", gaps_in_words(marks, bands))
                st.caption(_dots_caption(report, left_out))
            else:
                st.info("No model of this report has a retrained twin yet.")
        with times:
            section("Distance against the time to forget", "gap-by-time")
            if timed:
                figure = gap_by_time(timed, bands, p)
                draw(figure, "gap-by-time", times_in_words(timed))
                st.caption(_times_caption(report))
            else:
                st.info("No time to forget has been measured for this report.")


def method_marks(report: AuditReport) -> tuple[list[Mark], list[Mark]]:
    """Every row with a gap, and those left out because they would stretch the scale."""
    marks = [_mark(report, name, f) for name, f in report.models.items() if f.avg_gap is not None]
    rest = [mark.gap for mark in marks if mark.family != "original"]
    far = _FAR * max(rest, default=float("inf"))
    left_out = [mark for mark in marks if mark.family == "original" and mark.gap > far]
    return [mark for mark in marks if mark not in left_out], left_out


def time_marks(report: AuditReport) -> list[Mark]:
    """Every row that was timed, and the oracles of MUNKEY and the plain transformer. An oracle lies
    where other seeds' oracles are from it; at 0, which is its distance from itself, if there is
    one seed."""
    marks = [_mark(report, n, f) for n, f in report.models.items() if f.avg_gap is not None]
    for name in _oracles(report):
        figures = report.models[name]
        band = report.null_bands.get(name)
        mark = _mark(report, name, figures)
        if band is not None:
            mark = replace(mark, gap=band.mean, interval=(band.low, band.high))
        marks.append(mark)
    return [mark for mark in marks if mark.seconds]


def null_bands(report: AuditReport) -> list[Band]:
    """The bands of the two networks that most rows belong to."""
    return [
        Band(name, report.null_bands[name].low, report.null_bands[name].high)
        for name in _oracles(report)
        if name in report.null_bands
    ]


def gaps_in_words(marks: list[Mark], bands: list[Band]) -> str:
    """What the first chart shows, for whoever can't see it."""
    order = sorted(marks, key=lambda mark: mark.gap)
    shown = ", ".join(f"{mark.name} {number(mark.gap, mark.interval)}" for mark in order)
    text = f"Avg Gap in points, the closest to its retrained twin first: {shown}."
    return f"{text} Null band: {_spelled(bands)}." if bands else text


def times_in_words(marks: list[Mark]) -> str:
    """What the second chart shows, for whoever can't see it."""
    order = sorted(marks, key=lambda mark: mark.seconds or 0.0)
    shown = "; ".join(
        f"{mark.name} {took(mark.seconds or 0.0)}, {number(mark.gap, mark.interval)} points"
        for mark in order
    )
    return f"Time to forget and Avg Gap, the fastest first: {shown}."


def _oracles(report: AuditReport) -> list[str]:
    """The oracles of the models that were there before anything was forgotten."""
    wanted = dict.fromkeys(f.oracle or "" for f in report.models.values() if f.family == "original")
    return [name for name in wanted if name in report.models]


def _mark(report: AuditReport, name: str, figures: ModelFigures) -> Mark:
    return Mark(
        title(name),
        figures.family,
        figures.avg_gap or 0.0,
        figures.ci95.get("avg_gap"),
        figures.unlearn_seconds,
        name == AFTER,
        _hover(report, name, figures),
    )


def _hover(report: AuditReport, name: str, figures: ModelFigures) -> str:
    lines = [f"<b>{title(name)}</b>, {FAMILIES.get(figures.family, figures.family)}"]
    if figures.avg_gap is not None:
        bounds = figures.ci95.get("avg_gap")
        small = interval(bounds) if bounds else verdict.no_interval(report)
        lines.append(
            verdict.construction(figures)
            if verdict.by_construction(figures)
            else f"Avg Gap {number(figures.avg_gap, bounds)} ({small})"
        )
    if figures.avg_gap_cross_seeds is not None:
        lines.append(f"to oracles of other seeds {number(figures.avg_gap_cross_seeds)}")
    band = report.null_bands.get(name) or report.band_of(figures)
    if band is not None:
        lines.append(f"null band {number(band.low)}–{number(band.high)}")
    if figures.unlearn_seconds is not None:
        lines.append(took(figures.unlearn_seconds))
    return "<br>".join(lines)


def _dots_caption(report: AuditReport, left_out: list[Mark]) -> str:
    text = f"Dot: mean over seeds. Bar: {term('interval')} over images."
    bands = null_bands(report)
    if bands:
        text += (
            f" Grey: the {term('null-band', 'null band')} "
            f"({_spelled(bands)}); darker where two bands lie over each other."
            if len(bands) > 1
            else f" Grey: the {term('null-band', 'null band')}."
        )
    else:
        text += " One seed: no null band is known."
    if left_out:
        off = ", ".join(f"{mark.name} ({number(mark.gap, mark.interval)})" for mark in left_out)
        text += f" Off the scale: {off}."
    return text


def _times_caption(report: AuditReport) -> str:
    text = (
        "● by design, ■ repaired afterwards, ◆ retrained. Down and to the left is better; inside "
        "the grey band lower is not better."
    )
    if report.null_bands:
        return text + " A retrained model lies where those of other seeds are from it."
    return text + " A retrained model is its own reference: 0."


def _spelled(bands: list[Band]) -> str:
    return ", ".join(f"{title(b.name)} {number(b.low)}–{number(b.high)}" for b in bands)
