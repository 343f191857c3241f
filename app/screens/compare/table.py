"""All methods of a report in one table: sortable, filtered by family, as a CSV file too."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app.components.sortable_table import Cell, Header, Row, sortable_table
from app.screens.compare.words import FAMILIES, title
from app.session import state
from app.words.figures import interval, number, share, took
from app.words.glossary import plain, term
from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, AuditReport
from munkey_core.audit.figures import ModelFigures
from munkey_core.audit.verdict import EQUAL, INSIDE, OUTSIDE
from munkey_core.files.untrusted import safe_cell

MARKS = {"by-design": "●", "post-hoc": "■", "oracle": "◆", "original": "▲"}
_NONE = "–"
_PLACES = {EQUAL: "by construction", INSIDE: "in band", OUTSIDE: "outside"}
_TERMS = ("test_accuracy", "retain_accuracy", "forget_accuracy", "mia_auc", "avg_gap")
_CAPTION = (
    f"Figures are means over {term('seed', 'seeds')}; under each its {term('interval')} over "
    "images (bootstrap). **Others**: the gap to retrained twins of the *other* seeds. **In band**: "
    "it is no larger than the largest gap between two of those twins "
    f"({term('null-band', 'null band')}); nobody is ranked by that. **Time** is that of the "
    "operation under it; none of them removes anything from a file. "
    "A click on a header sorts, a second one turns the order round."
)


@dataclass(frozen=True)
class Column:
    """One column. value: what it is sorted by; None comes last, whatever the direction.
    largest_first: whether a first click puts the largest on top."""

    header: Header
    value: Callable[[str, ModelFigures], float | str | None]
    cell: Callable[[AuditReport, str, ModelFigures], Cell]
    largest_first: bool = False


def _name(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
    family = FAMILIES.get(figures.family, figures.family)
    return Cell(title(name), (family,), "exact by construction" if figures.exact else "")


def _percent(header: Header, term: str) -> Column:
    """The column of a figure that has an interval."""

    def value(name: str, figures: ModelFigures) -> float:
        return float(getattr(figures, term))

    def cell(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
        bounds = figures.ci95.get(term)
        return Cell(number(getattr(figures, term), bounds), (_bounds(report, bounds),))

    return Column(header, value, cell, largest_first=True)


def _gap(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
    if figures.avg_gap is None:
        is_oracle = figures.family == "oracle"
        return Cell(_NONE, ("is the reference" if is_oracle else "not retrained yet",))
    if verdict.by_construction(figures):
        return Cell(_NONE, (verdict.construction(figures),), _PLACES[EQUAL], "good")
    bounds, where = figures.ci95.get("avg_gap"), verdict.place(report, figures)
    tag = _PLACES.get(where, "")
    band = report.band_of(figures)
    if figures.avg_gap_cross_seeds is not None:
        others = number(figures.avg_gap_cross_seeds)
        if band is not None:
            others, _ = verdict.two_that_differ(figures.avg_gap_cross_seeds, band.high)
        tag = f"others {others}" + (f": {tag}" if tag else "")
    small = _bounds(report, bounds)
    return Cell(number(figures.avg_gap, bounds), (small,), tag, "plain")


def _bounds(report: AuditReport, bounds: tuple[float, float] | None) -> str:
    return interval(bounds) if bounds else verdict.no_interval(report)


def _seconds(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
    if figures.unlearn_seconds is None:
        return Cell(_NONE)
    return Cell(took(figures.unlearn_seconds), (verdict.operation(name, figures),))


def _to_twin(
    header: Header, term: str, words: Callable[[float], str], largest_first: bool = False
) -> Column:
    """The column of a figure that is taken of a model and its twin: of forgotten images, and in
    small of test images."""

    def value(name: str, figures: ModelFigures) -> float | None:
        found = figures.to_oracle_forget
        return float(getattr(found, term)) if found else None

    def cell(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
        found, test = value(name, figures), figures.to_oracle_test
        small = (f"test {words(getattr(test, term))}",) if test else ()
        return Cell(_NONE) if found is None else Cell(words(found), small)

    return Column(header, value, cell, largest_first)


def _quality(report: AuditReport, name: str, figures: ModelFigures) -> Cell:
    found = figures.forgetting_quality
    if found is None:
        return Cell(_NONE)
    null = f"null {found.null_mean:.2f}", f"5 % {found.null_low:.2f}"
    return Cell(f"{found.score:.2f}", null, "below null" if found.score < found.null_low else "")


def _three_digits(value: float) -> str:
    return f"{value:.3f}" if value >= 0.0005 or value == 0 else "<0.001"


COLUMNS = {
    column.header.key: column
    for column in (
        Column(
            Header("name", "Method", "", "● by design ■ repaired ◆ retrained ▲ nothing forgotten"),
            lambda name, f: title(name).casefold(),
            _name,
        ),
        Column(
            Header("gap", "Avg Gap", "points, 0 = retrained", plain("avg-gap")),
            lambda name, f: f.avg_gap,
            _gap,
        ),
        Column(
            Header(
                "seconds",
                "Time",
                "to forget",
                "Mean wall time over seeds, on the machine that made the report",
            ),
            lambda name, f: f.unlearn_seconds,
            _seconds,
        ),
        _percent(Header("test", "TA", "test, %", plain("ta")), "test_accuracy"),
        _percent(Header("retain", "RA", "retained, %", plain("ra")), "retain_accuracy"),
        _percent(Header("forget", "FA", "forgotten, %", plain("fa")), "forget_accuracy"),
        _percent(
            Header(
                "attack",
                "MIA",
                "AUROC, %",
                f"{plain('membership-inference')} By the true class's probability, forgotten "
                f"against test images. AUROC: {plain('auroc')}",
            ),
            "mia_auc",
        ),
        _to_twin(
            Header(
                "same",
                "Agrees",
                "with twin, %",
                f"{plain('agreement')} In small: of 100 test images.",
            ),
            "agreement",
            share,
            largest_first=True,
        ),
        _to_twin(
            Header("kl", "KL", "nats", f"{plain('kl')} Forgotten images; in small: test images."),
            "kl",
            _three_digits,
        ),
        Column(
            Header(
                "quality",
                "FQS",
                "beside its null",
                f"{plain('fqs')} First seed; in small: the null's mean and 5th percentile.",
            ),
            lambda name, f: f.forgetting_quality.score if f.forgetting_quality else None,
            _quality,
            True,
        ),
    )
}


def table(report: AuditReport) -> None:
    """The filter, the table and the two files."""
    families = [f for f in FAMILIES if any(m.family == f for m in report.models.values())]
    if not state.hidden("settings"):
        _show_only(families)
    shown = ordered(report, state.get("sort"), state.get("family"))
    key, descending = _sorting(state.get("sort"))
    if shown:
        sortable_table(
            [column.header for column in COLUMNS.values()],
            [_row(report, name) for name in shown],
            sort=key,
            descending=descending,
            on_sort=_sort_by,
            caption=f"Methods on forget set {report.forget}",
            key="compare-table",
        )
    else:
        st.info("This report has no method of that kind. Choose another one, or none for all.")
    st.caption(_CAPTION)
    _files(report, shown)


def _show_only(families: list[str]) -> None:
    st.pills(
        "Show only",
        families,
        selection_mode="multi",
        format_func=lambda family: f"{MARKS[family]} {FAMILIES[family]}",
        **state.widget("family"),
    )


def ordered(report: AuditReport, sort: str, families: tuple[str, ...] = ()) -> list[str]:
    """Names of the rows to show, in order. sort: a column's key, "-" before it to descend."""
    key, descending = _sorting(sort)
    rows = [n for n, f in report.models.items() if not families or f.family in families]
    values = {name: COLUMNS[key].value(name, report.models[name]) for name in rows}
    known = [name for name in rows if values[name] is not None]
    known.sort(key=lambda name: values[name], reverse=descending)  # type: ignore[arg-type,return-value]
    return known + [name for name in rows if values[name] is None]


def as_csv(report: AuditReport, names: list[str]) -> str:
    """One line a method, all digits, empty where a figure isn't known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["method", "family", "held_against", "exact", "seeds", "n_forget", "n_test"]
    for figure in _TERMS:
        head += [figure, f"{figure}_ci95_low", f"{figure}_ci95_high", f"{figure}_sd_over_seeds"]
    head += ["avg_gap_cross_seeds", "null_band", "unlearn_seconds"]
    head += ["agreement_forget", "kl_forget", "agreement_test", "kl_test"]
    head += ["fqs", "fqs_null_mean", "fqs_null_5th_percentile"]
    writer.writerow(head)
    for name in names:
        f = report.models[name]
        line: list[object] = [safe_cell(text) for text in (name, f.family, f.oracle)]
        line += [f.exact, len(report.seeds)]
        line += [report.n_forget, report.n_test]
        for figure in _TERMS:
            spread = f.spread.get(figure) if len(report.seeds) > 1 else None
            line += [getattr(f, figure), *f.ci95.get(figure, (None, None)), spread]
        line += [f.avg_gap_cross_seeds, verdict.place(report, f), f.unlearn_seconds]
        for distance in (f.to_oracle_forget, f.to_oracle_test):
            line += [distance.agreement, distance.kl] if distance else [None, None]
        fqs = f.forgetting_quality
        line += [fqs.score, fqs.null_mean, fqs.null_low] if fqs else [None, None, None]
        writer.writerow(line)
    return out.getvalue()


def _row(report: AuditReport, name: str) -> Row:
    figures = report.models[name]
    cells = tuple(column.cell(report, name, figures) for column in COLUMNS.values())
    return Row(cells, MARKS.get(figures.family, ""), figures.family, name == AFTER)


def _sorting(sort: str) -> tuple[str, bool]:
    return sort.removeprefix("-"), sort.startswith("-")


def _sort_by(key: str) -> None:
    now, descending = _sorting(state.get("sort"))
    down = not descending if now == key else COLUMNS[key].largest_first
    state.change("sort", f"-{key}" if down else key)


def _files(report: AuditReport, names: list[str]) -> None:
    stem = f"munkey-{report.bundle}-{report.set_digest[:8]}"
    files = (
        ("Table as CSV", "csv", "text/csv", lambda: as_csv(report, names)),
        (
            "Report as JSON",
            "json",
            "application/json",
            lambda: json.dumps(report.to_dict(), indent=1),
        ),
    )
    with st.container(horizontal=True):
        for label, ending, mime, make in files:
            st.download_button(
                label,
                make,
                f"{stem}.{ending}",
                mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"compare-{ending}",
            )
