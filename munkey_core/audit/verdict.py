"""Judgements: where a model's gap lies beside those of honest retrains, and who is clearly closer."""

from __future__ import annotations

# Where the gap of a method lies beside those of honest retrains (`AuditReport.place`).
EQUAL, INSIDE, OUTSIDE, UNKNOWN = "equal", "inside", "outside", "unknown"
