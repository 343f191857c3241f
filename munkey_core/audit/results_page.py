"""RESULTS.md: every figure that bundles carry, on one page, beside the published ones; and the
figures of one bundle as the README shows them.

All of it comes from metrics.json, experiments.json and the manifests; nothing is computed from
images, and nothing depends on the day or the machine, so the page is the same byte for byte
whenever it is written again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munkey_core.audit import verdict
from munkey_core.audit.attacks import SAME_ORDER
from munkey_core.audit.audit import AFTER, AuditReport
from munkey_core.audit.figures import ModelFigures
from munkey_core.audit.reports import report_from_dict
from munkey_core.audit.verdict import EQUAL, INSIDE, OUTSIDE, UNKNOWN, clearly_closer, place
from munkey_core.bundle.experiments import Experiments
from munkey_core.bundle.find import shipped_folder
from munkey_core.bundle.forget_sets import CANONICAL, CANONICAL_TITLES, MAIN_SET
from munkey_core.bundle.manifest import EXACT_MODE, Manifest
from munkey_core.bundle.read import read_figures
from munkey_core.bundle.versions import MANIFEST
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.templates import fill

WANTED_SEEDS = 3

_PLACES = {
    EQUAL: "by construction",
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


def page_path() -> Path:
    """Where the page lies by default: among the pages of the source tree, beside the bundles of an
    installed package, which has none."""
    folder = shipped_folder()
    pages = folder.parent / "tutorials"
    return (pages if pages.is_dir() else folder) / "RESULTS.md"


def results_page(folders: Sequence[Path]) -> str:
    """The page on these bundles. Raises BundleError for one whose figures can't be read."""
    bundles = [_read(folder) for folder in folders]
    return fill(
        "audit/templates/results.md.j2",
        bundles=bundles,
        sections=[_section(bundle) for bundle in bundles],
        verdict=verdict,
        same_attacks=SAME_ORDER,
    )


def readme_figures(folder: Path) -> str:
    """What the README says of a bundle's main forget set. Raises BundleError if its figures can't
    be read or it has none."""
    name = folder.resolve().name
    with _named(name):
        report = report_from_dict(read_figures(folder).metrics["reports"][MAIN_SET])
        rival = _best(report)
        return fill(
            "audit/templates/readme.md.j2",
            report=report,
            verdict=verdict,
            rival=rival,
            closer=rival is not None and clearly_closer(report, AFTER, rival),
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
            placed=_placed,
            best=_best,
            standings=_standing,
            told=_told,
            verdict=verdict,
        )


def _placed(report: AuditReport, figures: ModelFigures) -> str:
    """Where a gap lies beside its band; a near miss with as many digits as show it."""
    where, band = _PLACES[place(report, figures)], report.band_of(figures)
    if band is None or figures.avg_gap_cross_seeds is None:
        return where
    pair = verdict.two_that_differ(figures.avg_gap_cross_seeds, band.high)
    return (
        where if len(pair[0]) <= len(f"{band.high:.2f}") else f"{where} ({' against '.join(pair)})"
    )


def _told(report: AuditReport) -> list[str]:
    """What the trainings say of MUNKEY, then of all others by what came out."""
    found: dict[str, list[str]] = {}
    for name, figures in report.models.items():
        likeness = verdict.like_retrained(report, figures)
        if name == AFTER or figures.family not in ("by-design", "post-hoc"):
            continue
        if likeness is not None and likeness.p is not None:
            what = (
                "Told from a retrained model"
                if likeness.told_apart
                else ("Not told from a retrained model by these trainings")
            )
            smallest = likeness.smallest
            least = "" if smallest is None else f", smallest that could be shown {smallest:.2f}"
            said = f"{name} (excess {likeness.excess:+.2f}, p = {likeness.p:.3f}{least})"
            found.setdefault(what, []).append(said)
    own = report.models.get(AFTER)
    lines = [f"{AFTER}: {verdict.trainings_say(report, own)}"] if own else []
    return lines + [f"{what}: {'; '.join(names)}" for what, names in found.items()]


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
    known = [name for name in methods if name not in placed[UNKNOWN]]
    better: dict[tuple[str, ...], list[str]] = {}
    for name in known:
        beaten = tuple(n for n in known if clearly_closer(report, name, n))
        if beaten:
            better.setdefault(beaten, []).append(name)
    return {where: names for where, names in placed.items() if names}, better
