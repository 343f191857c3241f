"""RESULTS.md: every figure that bundles carry, on one page, beside the published ones.

All of it comes from metrics.json, experiments.json and the manifests; nothing is computed from
images, and nothing depends on the day or the machine, so the page is the same byte for byte
whenever it is written again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munkey_core.audit.audit import AuditReport
from munkey_core.audit.reports import report_from_dict
from munkey_core.audit.verdict import EQUAL, INSIDE, OUTSIDE, UNKNOWN, clearly_closer, place
from munkey_core.bundle.experiments import Experiments
from munkey_core.bundle.find import shipped_folder
from munkey_core.bundle.forget_sets import CANONICAL, CANONICAL_TITLES
from munkey_core.bundle.manifest import EXACT_MODE, Manifest
from munkey_core.bundle.read import read_figures
from munkey_core.bundle.versions import MANIFEST
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.templates import fill

WANTED_SEEDS = 3

_PLACES = {
    EQUAL: "exactly the oracle",
    INSIDE: "inside the band",
    OUTSIDE: "outside the band",
    UNKNOWN: "no band known",
}
_STATES = ("before", "after", "retrained", "plain", "plain retrained")


def shipped_bundles() -> tuple[list[Path], Path]:
    """The folders of the bundles that ship, by name, and the folder that they lie in."""
    folder = shipped_folder()
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    return found, folder


def results_page(folders: Sequence[Path]) -> str:
    """The page on these bundles. Raises BundleError for one whose figures can't be read."""
    bundles = [_read(folder) for folder in folders]
    return fill(
        "audit/templates/results.md.j2",
        bundles=bundles,
        sections=[_section(bundle) for bundle in bundles],
    )


@dataclass(frozen=True)
class _Mode:
    """One mode of a bundle. where: how titles name it. reports, attacks: of its part of
    metrics.json, by forget set."""

    where: str
    reports: dict[str, AuditReport]
    attacks: dict[str, Any]

    @property
    def few_seeds(self) -> list[str]:
        """The forget sets with fewer seeds than wanted."""
        return [name for name, report in self.reports.items() if len(report.seeds) < WANTED_SEEDS]


@dataclass(frozen=True)
class _Bundle:
    """modes: the bundle's own, then the exact one beside it; those without reports left out.
    tuning: of metrics.json."""

    name: str
    manifest: Manifest
    modes: tuple[_Mode, ...]
    tuning: dict[str, Any] | None
    experiments: Experiments | None


def _read(folder: Path) -> _Bundle:
    name, figures = folder.resolve().name, read_figures(folder)
    with _named(name):
        own, beside = figures.metrics, figures.metrics.get(EXACT_MODE) or {}
        modes = tuple(
            _Mode(
                ", exact mode" if mode == EXACT_MODE else "",
                _reports(metrics["reports"]),
                metrics.get("attacks") or {},
            )
            for mode, metrics in ((figures.manifest.mode, own), (EXACT_MODE, beside))
            if metrics.get("reports")
        )
    return _Bundle(name, figures.manifest, modes, own.get("tuning"), figures.experiments)


def _reports(table: dict[str, Any]) -> dict[str, AuditReport]:
    """By forget set, the canonical ones first and in their order."""
    order = [*(name for name in CANONICAL if name in table), *sorted(set(table) - set(CANONICAL))]
    return {name: report_from_dict(table[name]) for name in order}


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Whatever metrics.json lacks is an error of that bundle."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, BadInputError) as error:
        raise BundleError(
            f"bundle {name}: metrics.json lacks something ({type(error).__name__} {error})"
        ) from error


def _section(bundle: _Bundle) -> str:
    """The part of the page on one bundle."""
    with _named(bundle.name):
        return fill(
            "audit/templates/results_of_bundle.md.j2",
            bundle=bundle,
            states=_STATES,
            titles=CANONICAL_TITLES,
            wanted=WANTED_SEEDS,
            places=_PLACES,
            place=place,
            best=_best,
            standing=_standing,
        )


def _best(report: AuditReport) -> str | None:
    """The post-hoc method with the smallest Avg Gap."""
    gaps = {
        name: model.avg_gap
        for name, model in report.models.items()
        if model.family == "post-hoc" and model.avg_gap is not None
    }
    return min(gaps, key=lambda name: gaps[name], default=None)


def _standing(report: AuditReport) -> tuple[dict[str, list[str]], dict[tuple[str, ...], list[str]]]:
    """Which methods lie where beside their band, and by the methods that they beat, which are
    better."""
    methods = {
        name: model
        for name, model in report.models.items()
        if model.family in ("by-design", "post-hoc") and model.avg_gap is not None
    }
    placed: dict[str, list[str]] = {where: [] for where in _PLACES}
    for name, model in methods.items():
        placed[place(report, model)].append(name)
    known = {n: m for n, m in methods.items() if n not in placed[UNKNOWN]}
    better: dict[tuple[str, ...], list[str]] = {}
    for name, model in known.items():
        beaten = tuple(n for n, other in known.items() if clearly_closer(report, model, other))
        if beaten:
            better.setdefault(beaten, []).append(name)
    return {where: names for where, names in placed.items() if names}, better
