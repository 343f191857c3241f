"""How often each pathway is right: a dot and its interval a group of images."""

from collections.abc import Mapping

import plotly.graph_objects as go

from app.components.chart_marks import dress, line
from app.words.theme import Palette
from munkey_core.explain.pathways import PathwayAccuracy

PATHWAYS = {"full": "Image and memory", "image": "Image alone", "memory": "Memory alone"}
GROUPS = {
    "test": "test images",
    "retain": "images that stay",
    "forget before": "forget set, before",
    "forget after": "forget set, after",
}
_ROW = 25
_BAND = 1.3  # Rows between the last group of one pathway and the first of the next.


def colours(p: Palette) -> dict[str, str]:
    """The colour of each group, as on every page."""
    return {"test": p.test, "retain": p.retain, "forget before": p.forget, "forget after": p.forget}


def pathway_chart(
    figures: Mapping[str, Mapping[str, PathwayAccuracy]], p: Palette, reference: float
) -> go.Figure:
    """One band a pathway, one row a group, all on one axis from 0 to 100 %.

    figures: by group, then by pathway, as PathwayReport has them. reference: accuracy of guessing
    in percent, drawn as a dotted line.
    """
    groups = [group for group in GROUPS if group in figures]
    chart = go.Figure()
    rows: dict[float, str] = {}
    at = 0.0
    for pathway, title in PATHWAYS.items():
        rows[at - 0.9] = f'<b><span style="color:{p.text}">{title}</span></b>'
        for group in groups:
            _dot(chart, figures[group][pathway], at, group, title, p)
            rows[at] = GROUPS[group]
            at += 1
        at += _BAND
    last = at - _BAND - 1
    dress(chart, p, round(_ROW * (last + 2.2)) + 62, right=16, top=4)
    accuracy = "Images classified rightly (accuracy)"
    chart.update_xaxes(title_text=accuracy, range=[0, 101], ticksuffix=" %")
    chart.update_yaxes(
        range=[last + 0.7, -1.5],
        tickvals=list(rows),
        ticktext=list(rows.values()),
        showgrid=False,
        zeroline=False,
    )
    chart.add_vline(x=reference, line={"color": p.muted, "width": 1, "dash": "dot"})
    return chart


def _dot(
    chart: go.Figure, found: PathwayAccuracy, y: float, group: str, pathway: str, p: Palette
) -> None:
    colour = colours(p)[group]
    low, high = found.ci95
    chart.add_trace(line([low, high], [y, y], colour, 5, 0.4))
    chart.add_trace(
        go.Scatter(
            x=[found.accuracy],
            y=[y],
            mode="markers",
            marker={
                "size": 12,
                "color": p.page if group == "forget before" else colour,
                "line": {"color": colour, "width": 2.5},
            },
            name=f"{pathway}, {GROUPS[group]}",
            hovertemplate=(
                f"{found.accuracy:.1f} % (95 % interval {low:.1f}–{high:.1f})<br>"
                f"{found.n:,} of {found.of:,} images<extra>%{{fullData.name}}</extra>"
            ),
        )
    )
