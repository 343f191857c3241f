"""What metrics.json may hold, as far as anybody looks into it without checking further.

The tables stay plain values, for `--json` and for those who write them on as text.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from munkey_core.errors import BadInputError
from munkey_core.files.typed import checked

Reports = dict[str, dict[str, Any]]  # by forget set, as `to_dict` of an audit or its attacks gives


class TunedMethod(TypedDict):
    """settings: the best. search: what was tried, a `Trial` each. source: of the method that was
    tuned (`Method.source`), empty where that can't be told; missing in what was stored earlier."""

    settings: dict[str, int | float]
    avg_gap: NotRequired[float]
    search: NotRequired[list[dict[str, Any]]]
    source: NotRequired[str]


class TunedMethods(TypedDict, total=False):
    """How the methods' settings were chosen: on a forget set of n_forget images, by method."""

    n_forget: int
    set_digest: str
    seed: int
    methods: dict[str, TunedMethod]


class Before(TypedDict):
    """Reports on the version that rows were erased from since, by mode. digest: of that version.
    until: UTC time of the erasure."""

    digest: str
    until: str
    reports: dict[str, Reports]


class Metrics(TypedDict, total=False):
    """exact: the same of an exact mode beside a joint one."""

    reports: Reports | None
    attacks: Reports | None
    tuning: TunedMethods | None
    before_erasure: Before
    exact: Metrics | None


def parse_metrics(data: bytes, name: str) -> dict[str, Any]:
    """The plain values of a file called `name`, which are a `Metrics`. Raises BadInputError for
    any others."""
    metrics = checked(Metrics, data, name)
    for part in (metrics, metrics.get("exact") or Metrics()):
        tuning = part.get("tuning") or TunedMethods()
        if tuning.get("methods") and "n_forget" not in tuning:
            raise BadInputError(f"{name}: tuning needs n_forget")
    return dict(metrics)
