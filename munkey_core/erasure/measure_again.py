"""What an erasure takes along beside the images, and measuring it again on what is left.

Stored results were found with a memory that held the images, so they go with them. Trainings are
most of what a bundle costs: it is said before anything is erased, and afterwards one call makes up
for it.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from munkey_core.audit.canonical import attack_sets, compare_sets
from munkey_core.audit.comparison import known_methods
from munkey_core.audit.reports import save_reports
from munkey_core.audit.shipping import planned_models, ship_oracles
from munkey_core.audit.tuning import find_tuning
from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.card import BEFORE
from munkey_core.bundle.forget_sets import MAIN_SET, canonical_sets
from munkey_core.bundle.ledger import Ledger
from munkey_core.bundle.manifest import EXACT_MODE, EXPERIMENTS, METRICS, ORACLES, SCORES
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import MANIFEST
from munkey_core.erasure.verification import ExactVerification
from munkey_core.errors import BundleError, MunkeyError
from munkey_core.explain.influence import influence_of, save_influence
from munkey_core.files.in_words import counted
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Pace, Progress, Steps, changed, staged
from munkey_core.training.exact import save_verified
from munkey_core.training.joint import resolve_device
from munkey_core.training.shipped import Shipped

_MINUTE, _HOUR = 60, 3600

ANSWERS, INFLUENCE, FIGURES, NOTES = "answers", "influence", "figures", "notes"


@dataclass(frozen=True)
class Missing:
    """A kind of stored result that an erasure took along and nobody has made again. kind: "answers"
    (of retrained models), "influence", "figures" (audits and attacks) or "notes" (on verified
    forget sets). what: in words. seconds: what making it took the last time, as far as the bundle
    still tells; None where it doesn't, or it was on another kind of device. trainings: about how
    many it takes, 0 for none."""

    kind: str
    what: str
    seconds: float | None = None
    trainings: int = 0


# -- before an erasure ---------------------------------------------------------------------------


def taken_along(bundle: Bundle, name: str) -> Iterator[str]:
    """A sentence for each kind of result that would go, and one on how to have them again. bundle:
    in its own mode, as it is before. name: how commands call it."""
    files, called = bundle.manifest.files, shlex.quote(name)
    models, seconds = _trained(bundle)
    again = bool(models)
    if models:
        yield (
            f"the answers of {counted(models, 'retrained model')} go, as these models were "
            f"compared with a memory that held the images; training them took {_time(seconds)}"
        )
    if METRICS in files:
        again = True
        yield (
            "stored figures of audits and attacks go, or are marked as measured before; to measure "
            "them anew every method is trained again"
        )
    if "influence" in bundle.scores:
        again = True
        yield "who influences whom goes, for all images"
    if bundle.manifest.exact.get("verified"):
        again = True
        yield "the notes on verified forget sets go"
    if again:
        pictures = "" if bundle.thumbnails is not None else ", with the pictures at hand (--images)"
        yield (
            f"to have all of that again, for the images that stay: `munkey measure-again {called}`"
            f"{pictures}, or one button on the Request desk afterwards"
        )
    if EXPERIMENTS in files:
        yield (
            "the table of recipes that were tried goes: "
            f"`munkey experiments {called} --recipes RECIPES.toml --save` trains each of them anew"
        )


def _trained(bundle: Bundle) -> tuple[int, float]:
    """How many models' answers a bundle carries, and the seconds of their trainings; none where
    that can't be read, as what is damaged must not keep anybody from erasing."""
    try:
        return Shipped(bundle).trained()
    except MunkeyError:
        return 0, 0.0


def _time(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"about {max(1, round(seconds))} s"
    if seconds < 2 * _HOUR:
        return f"about {round(seconds / _MINUTE)} min"
    return f"about {seconds / _HOUR:.1f} h"


# -- after an erasure ----------------------------------------------------------------------------


def missing(bundle: Bundle) -> tuple[Missing, ...]:
    """What erasures took along from a bundle on disk, as its ledger says, and is not there now.
    bundle: in its own mode. Raises BundleError for a ledger that can't be read."""
    if bundle.folder is None or not bundle.manifest.erasures:
        return ()
    places = {
        (one.place, one.what.partition(" ")[0])
        for receipt in Ledger.read(bundle.folder).receipts
        for one in receipt.purged
    }
    taken = {place for place, _ in places}
    found = []
    if f"{ORACLES}/" in taken and not any(f.startswith(ORACLES) for f in bundle.manifest.files):
        models = planned_models(bundle)
        seconds = None if (one := _training_seconds(bundle)) is None else models * one
        what = f"the answers of {counted(models, 'retrained model')}"
        found.append(Missing(ANSWERS, what, seconds, models))
    if (SCORES, "influence") in places and "influence" not in bundle.scores:
        found.append(Missing(INFLUENCE, "who influences whom"))
    reports = [one for part in _unmeasured(bundle).values() for one in part.values()]
    if METRICS in taken and reports:
        seconds, trainings = _figures_seconds(reports), sum(len(one["models"]) for one in reports)
        found.append(Missing(FIGURES, "the figures of audits and attacks", seconds, trainings))
    if (
        MANIFEST in taken
        and EXACT_MODE in bundle.modes
        and not bundle.manifest.exact.get("verified")
    ):
        found.append(Missing(NOTES, f"the note on verified deletion of {MAIN_SET}"))
    return tuple(found)


def measure_again(folder: Path, device: str = "auto") -> Steps[tuple[Missing, ...]]:
    """Yield progress; return what was missing from the bundle in this folder and is there now.

    Each kind is saved when it is there, and trainings lie in the cache: a run that was killed goes
    on with what is left. The settings of the post-hoc methods are chosen anew, on a validation
    forget set of the images that stay.

    Raises BundleError for a bundle whose pictures are not at hand, before anything is done, and if
    its exact mode turns out not to be exact; BundleChangedError if images are erased meanwhile.
    """
    lost = missing(read_bundle(folder))
    if lost:
        read_bundle(folder).require_pictures("measuring again needs the images")
    for one in lost:
        yield from _counted(one, _make(one.kind, folder, device))
    return lost


def _counted(one: Missing, steps: Steps[None]) -> Steps[None]:
    """The same work, told of by its trainings, of which each has a stage of its own."""
    pace, seen = Pace(one.what, one.trainings), set[str]()
    parts = 2 if one.kind == FIGURES else 1  # of the stage's name: the forget set, then the method

    def tell(step: Progress) -> Progress:
        seen.add(": ".join(step.stage.split(": ")[:parts]))
        return pace.at(min(len(seen) - 1, one.trainings))

    return changed(steps, tell) if one.trainings else staged(one.what, steps)


def _make(kind: str, folder: Path, device: str) -> Steps[None]:
    if kind == ANSWERS:
        yield from ship_oracles(folder, device=device)
    elif kind == INFLUENCE:
        bundle = read_bundle(folder)
        predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        found = yield from influence_of(bundle, predictor)
        save_influence(folder, found)
    elif kind == FIGURES:
        for mode, before in _unmeasured(read_bundle(folder)).items():
            yield from _figures(folder, mode, list(before), device)
    else:
        whole = read_bundle(folder)
        checks = yield from ExactVerification(whole, [MAIN_SET]).run()
        if not all(check.exact for check in checks):
            raise BundleError(
                f"deleted and never written differ for {MAIN_SET}, so no note was made: `munkey "
                f"verify {shlex.quote(str(folder))} --exact --without {MAIN_SET}` tells where"
            )
        save_verified(folder, checks)


def _figures(folder: Path, mode: str, sets: Sequence[str], device: str) -> Steps[None]:
    """Audit and attack these sets in a mode."""
    tune, every = not find_tuning(read_bundle(folder)).get("methods"), known_methods(None)
    reports = yield from compare_sets(folder, sets, every, device=device, tune=tune, mode=mode)
    attacks = yield from attack_sets(folder, sets, mode)
    save_reports(folder, reports, find_tuning(read_bundle(folder)), attacks, mode)


def _unmeasured(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """By mode, the reports from before an erasure on sets that there still are, where the mode has
    none of now."""
    measured = (bundle.metrics or {}).get(BEFORE, {}).get("reports", {})
    modes = [m for m in bundle.modes if m in measured and not _part(bundle, m).get("reports")]
    there = {mode: canonical_sets(bundle.in_mode(mode)) for mode in modes}
    found = {
        mode: {name: report for name, report in measured[mode].items() if name in sets}
        for mode, sets in there.items()
    }
    return {mode: reports for mode, reports in found.items() if reports}


def _part(bundle: Bundle, mode: str) -> dict[str, Any]:
    """What metrics.json says of a mode."""
    metrics = bundle.metrics or {}
    part: dict[str, Any] = metrics if mode == bundle.mode else metrics.get(mode) or {}
    return part


def _figures_seconds(reports: Sequence[dict[str, Any]]) -> float | None:
    """What the methods' trainings took for these reports; None if that says nothing of here."""
    if not all(_like_here(report["device"]) for report in reports):
        return None
    return sum(
        len(report["seeds"]) * (figures.get("unlearn_seconds") or 0.0)
        for report in reports
        for figures in report["models"].values()
        if figures["family"] != "oracle"
    )


def _training_seconds(bundle: Bundle) -> float | None:
    """What one training took; None if that says nothing of here."""
    provenance = bundle.manifest.provenance
    seconds: float | None = provenance["seconds"].get("training")
    return seconds if _like_here(provenance.get("device", "")) else None


def _like_here(device: str) -> bool:
    """Whether something was trained on a CPU, and would be here."""
    return device.lower() == "cpu" == resolve_device("auto").type
