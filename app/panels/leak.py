"""The measured part of an image's trace that deleting its key does not remove."""

from __future__ import annotations

from app.services import Session


def backbone_leak(session: Session) -> str:
    """The bundle's measured leak for people, with its interval; empty if it was not measured."""
    leak = (session.studio.metrics or {}).get("backbone_leak")
    if not leak:
        return ""
    text = f"{leak['points']:+.1f} percentage points"
    if leak["ci95"] is not None:
        low, high = leak["ci95"]
        text += f", 95 % interval [{low:+.1f}, {high:+.1f}]"
    return f"{text}; {leak['oracle_points']:+.1f} in a model that never saw them".replace("-", "−")
