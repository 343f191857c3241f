"""Judgements: where a model's gap lies beside those of honest retrains, and who is closer."""

from munkey_core.audit.audit import AuditReport
from munkey_core.audit.figures import ModelFigures

# Where the gap of a method lies (`place`).
EQUAL, INSIDE, OUTSIDE, UNKNOWN = "equal", "inside", "outside", "unknown"


def place(report: AuditReport, figures: ModelFigures) -> str:
    """Where a model's gap lies: EQUAL to its oracle, INSIDE or OUTSIDE the null band, or UNKNOWN.

    Inside: its mean gap to the oracles of the other seeds is no larger than the largest gap between
    two of those oracles.
    """
    if figures.avg_gap == 0 and figures.exact:
        return EQUAL
    band = report.band_of(figures)
    if band is None or figures.avg_gap_cross_seeds is None:
        return UNKNOWN
    return INSIDE if figures.avg_gap_cross_seeds <= band.high else OUTSIDE


def clearly_closer(report: AuditReport, one: ModelFigures, other: ModelFigures) -> bool:
    """Whether one is closer to its oracle than the other, beyond bands and intervals. Never so for
    two that are both inside their bands."""
    if one.avg_gap is None or other.avg_gap is None or one.avg_gap >= other.avg_gap:
        return False
    places = place(report, one), place(report, other)
    if places[0] in (EQUAL, INSIDE) and places[1] == OUTSIDE:
        return True
    apart = one.ci95["avg_gap"][1] < other.ci95["avg_gap"][0]
    return places[1] in (OUTSIDE, UNKNOWN) and apart
