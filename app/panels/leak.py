"""The measured part of an image's trace that deleting its key does not remove."""

from __future__ import annotations

from typing import Any

from app.panels.words import count
from app.services import Session


def backbone_leak(session: Session) -> str:
    """The bundle's measured leak in sentences, with its interval; empty if it was not measured.

    The forget images of a measurement may be easier than test images, so what counts is the
    excess over models that never saw them.
    """
    metrics = session.studio.metrics or {}
    leak = metrics.get("backbone_leak")
    if not leak:
        return ""
    deleted = count(metrics["n_forget"], "image")
    text = (
        f"Measured by deleting {deleted} and retraining without them "
        f"{count(len(metrics['seeds']), 'time')} (*backbone leak*): with the memory left out, the "
        f"network is right on them {_points(leak['points'])} more often than on test images; "
        f"models that never saw them, {_points(leak['oracle_points'])}. "
        f"The trace is the difference, {_points(leak['excess_points'])}{_interval(leak)}."
    )
    return text.replace("-", "−")


def _points(value: float) -> str:
    return f"{value:+.1f} percentage points"


def _interval(leak: dict[str, Any]) -> str:
    if leak["excess_ci95"] is None:
        return ""
    low, high = leak["excess_ci95"]
    verdict = ": none that this measurement can tell from zero" if low <= 0 <= high else ""
    return f" (95 % interval {low:+.1f} to {high:+.1f}){verdict}"
