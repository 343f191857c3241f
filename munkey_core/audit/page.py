"""RESULTS.md: every figure that bundles carry, on one page, beside the published ones.

All of it comes from metrics.json, experiments.json and the manifests; nothing is computed from
images, and nothing depends on the day or the machine, so the page is the same byte for byte
whenever it is written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munkey_core.audit import verdict
from munkey_core.audit.audit import AuditReport
from munkey_core.audit.figures import ModelFigures
from munkey_core.audit.reports import report_from_dict
from munkey_core.audit.verdict import EQUAL, INSIDE, OUTSIDE, UNKNOWN
from munkey_core.bundle.bundle import MANIFEST
from munkey_core.bundle.card import HOW, duration, recipe_figures, set_figures, tuning_figures
from munkey_core.bundle.find import shipped_folder
from munkey_core.bundle.forget_sets import CANONICAL, CANONICAL_TITLES
from munkey_core.bundle.manifest import EXACT_MODE, Manifest
from munkey_core.bundle.read import BundleFigures, read_figures
from munkey_core.errors import BadInputError, BundleError
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST

WANTED_SEEDS = 3

_MAIN_SET = "random-10pct"
_BEFORE, _AFTER, _ORACLE = "MUNKEY before", "MUNKEY after", "MUNKEY retrained"
_PLACES = {
    EQUAL: "exactly the oracle",
    INSIDE: "inside the band",
    OUTSIDE: "outside the band",
    UNKNOWN: "no band known",
}
_STATES = ("before", "after", "retrained", "plain", "plain retrained")

# Source, data and share forgotten, Avg Gap, MIA AUROC: as published.
_PUBLISHED = (
    ("MUNKEY, arXiv:2603.15033", "CIFAR-10, 10%", "0.56 ± 0.21", "51.40 ± 0.44"),
    ("MUNKEY, arXiv:2603.15033", "DermaMNIST, 10%", "", "51.19 ± 1.19"),
)
_SPM = (
    "SPM, arXiv:2603.22870, publishes other figures: on ImageNet a prediction gap to the oracle "
    "that is 11% lower than its baselines', and unlearning over 10 times faster. The SPM of the "
    "tables below is this project's implementation on these bundles' features; no number of it is "
    "the paper's."
)
_APART = (
    "What differs, so that no row of ours is a repetition of theirs:",
    "",
    "- The MUNKEY paper's own ± and its number of seeds are quoted as they stand; over what they "
    "were taken is not known to us. Ours: ± is the standard deviation over seeds, brackets are the "
    "95% interval over images.",
    "- The paper's keys come from a frozen ViT-B/16; its attack is not known to us in detail. Ours "
    "is the AUROC of the true-class probability, forget against test images.",
    "- Our Avg Gap holds a model against the oracle of the same family and the same seed, and "
    "stands beside the null band, the gap between oracles of different seeds.",
    "- Ours, not the paper's: public anchor steps (θ also learned from the labels of public images "
    "that are never deleted, and so did every oracle), the similarity-weighted ensemble, the null "
    "anchor.",
    "- Our private images are a part of a data set's training images, as the public ones must come "
    "from somewhere; the paper's split is not known to us.",
)
_EXACT = (
    "In the exact mode deletion *is* exact unlearning: θ saw public images only and each row was "
    "written alone. *MUNKEY retrained* is then, by construction, *MUNKEY after*."
)


def shipped_bundles() -> tuple[list[Path], Path]:
    """The folders of the bundles that ship, by name, and the folder that they lie in."""
    folder = shipped_folder()
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    return found, folder


def results_page(folders: Sequence[Path]) -> str:
    """The page on these bundles. Raises BundleError for one whose figures can't be read."""
    bundles = [_read(folder) for folder in folders]
    lines = [
        "# Results",
        "",
        "All figures that the bundles carry, written by `munkey results` from what "
        "`munkey oracles`, `munkey compare --save`, `munkey attacks --save` and "
        "`munkey experiments --save` left in them. `munkey results --check` fails if this page "
        "says anything else.",
        "",
        HOW,
        "",
        "*Inside the band*: the gap to the oracles of the other seeds is no larger than the "
        "largest gap between two of those oracles, so nobody can tell the method from an honest "
        "retraining by it. No method is called better than another inside its band, nor where no "
        "band is known.",
        "",
        "## Beside the published figures",
        "",
        *_published(bundles),
    ]
    for bundle in bundles:
        with _named(bundle.name):
            lines += ["", *_bundle(bundle)]
    return "\n".join([*lines, ""])


@dataclass(frozen=True)
class _Mode:
    """One mode of a bundle: its part of metrics.json, and the reports in it by forget set."""

    name: str
    metrics: dict[str, Any]
    reports: dict[str, AuditReport]


@dataclass(frozen=True)
class _Bundle:
    """modes: the bundle's own, then the exact one beside it; those without reports left out."""

    name: str
    figures: BundleFigures
    modes: tuple[_Mode, ...]


def _read(folder: Path) -> _Bundle:
    name, figures = folder.resolve().name, read_figures(folder)
    with _named(name):
        own, beside = figures.metrics, figures.metrics.get(EXACT_MODE) or {}
        modes = tuple(
            _Mode(mode, metrics, _reports(metrics["reports"]))
            for mode, metrics in ((figures.manifest.mode, own), (EXACT_MODE, beside))
            if metrics.get("reports")
        )
    return _Bundle(name, figures, modes)


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


# -- beside the papers -----------------------------------------------------------------------------


def _published(bundles: Sequence[_Bundle]) -> list[str]:
    lines = [
        "| | data, forgotten | Avg Gap | MIA AUROC |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in _PUBLISHED),
    ]
    for bundle in bundles:
        for mode in bundle.modes:
            report = mode.reports.get(_MAIN_SET)
            if report is not None and _AFTER in report.models:
                own = report.models[_AFTER]
                lines.append(
                    f"| here: `{bundle.name}`{_in_mode(mode.name)}, {_seeds(report)} | "
                    f"{bundle.figures.manifest.dataset['title']}, 10% | {_term(own, 'avg_gap')} | "
                    f"{_term(own, 'mia_auc')} |"
                )
    lines += ["", _SPM, "", *_APART]
    return lines + [f"- `{one.name}`: {_set_up(one.figures.manifest)}." for one in bundles]


def _set_up(manifest: Manifest) -> str:
    """How a bundle came about, in one sentence without its full stop."""
    counts, encoder = manifest.splits["counts"], manifest.encoder
    if encoder.name == "conv":
        source = f"trained on {counts['encoder']:,} public images of the same data"
    else:
        source = "as published with weights trained on ImageNet"
    text = (
        f"encoder `{encoder.name}`, {source}; {counts[PRIVATE]:,} private images with a key, "
        f"{counts[TEST]:,} test images; {counts[ANCHOR]:,} public labelled anchors, "
        f"{counts[CALIBRATION]:,} calibration and {counts['validation']:,} validation images; "
        f"image tokens `{manifest.model.tokens}`, {manifest.model.layers} layers"
    )
    differs = str(manifest.dataset.get("differs", ""))
    return f"{text}; {differs}" if differs else text


# -- one bundle ------------------------------------------------------------------------------------


def _bundle(bundle: _Bundle) -> list[str]:
    name, figures = bundle.name, bundle.figures
    manifest = figures.manifest
    lines = [
        f"## {manifest.dataset['title']} (`{name}`)",
        "",
        f"Trained on {manifest.provenance['device']}; its set-up is told above, all of it in its "
        "`CARD.md`.",
    ]
    if not bundle.modes:
        lines += ["", f"Nothing has been measured on it: `munkey compare {name} --save`."]
    for mode in bundle.modes:
        where = _in_mode(mode.name)
        lines += ["", f"### All forget sets{where}", "", *_summary(mode.reports)]
        if mode.name == EXACT_MODE:
            lines += ["", _EXACT]
        for forget, report in mode.reports.items():
            title = CANONICAL_TITLES.get(forget)
            lines += ["", f"### {forget}{f', {title}' if title else ''}{where}", ""]
            lines += [*set_figures(mode.metrics["reports"][forget]), "", *_standing(report), ""]
            lines += _attacks(name, mode.name, (mode.metrics.get("attacks") or {}).get(forget))
    if figures.metrics.get("tuning"):
        tuned = tuning_figures(figures.metrics["tuning"])
        lines += ["", "### Settings of the post-hoc methods", "", *tuned]
    if figures.experiments is not None:
        lines += ["", "### Recipes tried", "", *recipe_figures(figures.experiments)]
    return lines


def _summary(reports: dict[str, AuditReport]) -> list[str]:
    lines = [
        "MUNKEY, before → after deletion (its oracle in brackets); Avg Gap after deletion, with "
        "what honest retrainings of other seeds differ by; the post-hoc method with the smallest "
        "Avg Gap. Excess leak: backbone leak beyond the oracles', in points.",
        "",
        "| forget set | images | seeds | FA | MIA AUROC | Avg Gap | other seeds | null band | "
        "verdict | excess leak | time to forget | best post-hoc |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        lines.append(f"| {name} | {' | '.join(_summary_cells(report))} |")
    few = [name for name, report in reports.items() if len(report.seeds) < WANTED_SEEDS]
    if few:
        lines += [
            "",
            f"**Fewer than the {WANTED_SEEDS} seeds wanted:** {', '.join(few)}. Where there is "
            "one, no null band is known: by how much two honest retrainings differ there can't be "
            "said, and no method is ranked.",
        ]
    return lines


def _summary_cells(report: AuditReport) -> list[str]:
    cells = [f"{report.n_forget:,}", str(len(report.seeds))]
    models = report.models
    if not {_BEFORE, _AFTER, _ORACLE} <= set(models):
        return [*cells, *["MUNKEY was not measured"], *[""] * 8]
    before, after, oracle = models[_BEFORE], models[_AFTER], models[_ORACLE]
    for term in ("forget_accuracy", "mia_auc"):
        values = (getattr(model, term) for model in (before, after, oracle))
        cells.append("{:.2f} → {:.2f} ({:.2f})".format(*values))
    band, cross = report.band_of(after), after.avg_gap_cross_seeds
    excess = report.leak.backbone if report.leak else None
    rivals = {
        name: model
        for name, model in models.items()
        if model.family == "post-hoc" and model.avg_gap is not None
    }
    best = min(rivals, key=lambda name: rivals[name].avg_gap or 0.0, default=None)
    return [
        *cells,
        _term(after, "avg_gap"),
        "" if cross is None else f"{cross:.2f}",
        "" if band is None else f"{band.low:.2f} to {band.high:.2f}",
        _PLACES[verdict.place(report, after)],
        ""
        if excess is None
        else f"{excess.excess_points:+.2f}{_bounds(excess.excess_ci95, signed=True)}",
        "" if after.unlearn_seconds is None else duration(after.unlearn_seconds),
        "" if best is None else f"{best}: {_term(rivals[best], 'avg_gap')}",
    ]


# -- one forget set --------------------------------------------------------------------------------


def _standing(report: AuditReport) -> list[str]:
    """Which methods lie inside their band, and which is better than which."""
    if len(report.seeds) < WANTED_SEEDS:
        lines = [f"**{_seeds(report)} of {WANTED_SEEDS} wanted.**"]
    else:
        lines = []
    methods = {
        name: model
        for name, model in report.models.items()
        if model.family in ("by-design", "post-hoc") and model.avg_gap is not None
    }
    placed: dict[str, list[str]] = {}
    for name, model in methods.items():
        placed.setdefault(verdict.place(report, model), []).append(name)
    lines += [
        f"{_PLACES[place].capitalize()}: {', '.join(placed[place])}."
        for place in _PLACES
        if place in placed
    ]
    known = {n: m for n, m in methods.items() if verdict.place(report, m) != UNKNOWN}
    better: dict[tuple[str, ...], list[str]] = {}
    for name, model in known.items():
        beaten = tuple(
            n for n, other in known.items() if verdict.clearly_closer(report, model, other)
        )
        if beaten:
            better.setdefault(beaten, []).append(name)
    lines += [
        f"Closer to its oracle than {', '.join(beaten)}: {', '.join(names)}."
        for beaten, names in better.items()
    ]
    if not better:
        lines.append("No method is better than another by these figures.")
    else:
        lines.append("No other pair is ranked.")
    return [f"- {line}" for line in lines]


def _attacks(name: str, mode: str, attacks: dict[str, Any] | None) -> list[str]:
    if attacks is None:
        option = f" --mode {mode}" if mode == EXACT_MODE else ""
        return [f"Attacks: none stored; `munkey attacks {name}{option} --save` adds them."]
    k = ", ".join(f"{family} {count}" for family, count in attacks["references"].items())
    lines = [
        f"Membership attacks: {attacks['n_forget']:,} members (the forget set), "
        f"{attacks['n_test']:,} non-members (test images), models of seed {attacks['seed']}; "
        f"reference models: {k}. AUROC with its 95% interval over images; in brackets the share of "
        "members found while 1% of the non-members are called members. Null band: AUROC on "
        "MUNKEY's oracles of several seeds.",
        "",
        f"| attack | {' | '.join(_STATES)} | null band |",
        f"|---|{'---|' * (len(_STATES) + 1)}",
    ]
    for attack, states in attacks["figures"].items():
        errors = attacks["errors"].get(attack, {})
        cells = [_attack_cell(states.get(state), errors.get(state)) for state in _STATES]
        band = attacks["null_bands"].get(attack, {}).get("munkey")
        cells.append("" if band is None else f"{band['low']:.2f} to {band['high']:.2f}")
        lines.append(f"| {attack} | {' | '.join(cells)} |")
    return lines


def _attack_cell(figures: dict[str, Any] | None, error: str | None) -> str:
    if figures is None:
        return "" if error is None else "not computed: " + error.replace("|", "/")
    rate = figures["tpr_1pct"]
    found = "" if rate is None else f" ({rate:.1f})"
    return f"{figures['auroc']:.2f}{_bounds(figures['auroc_ci95'])}{found}"


# -- words -----------------------------------------------------------------------------------------


def _term(model: ModelFigures, term: str) -> str:
    value = getattr(model, term)
    if value is None:
        return ""
    spread = f" ± {model.spread[term]:.2f}" if len(model.per_seed) > 1 else ""
    return f"{value:.2f}{spread}{_bounds(model.ci95.get(term))}"


def _bounds(ci95: Sequence[float] | None, signed: bool = False) -> str:
    if ci95 is None:
        return ""
    low, high = (f"{bound:+.2f}" if signed else f"{bound:.2f}" for bound in ci95)
    return f" [{low}, {high}]"


def _seeds(report: AuditReport) -> str:
    return "1 seed" if len(report.seeds) == 1 else f"{len(report.seeds)} seeds"


def _in_mode(mode: str) -> str:
    return ", exact mode" if mode == EXACT_MODE else ""
