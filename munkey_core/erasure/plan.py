"""What an erasure would do: what goes, what was gone, what stays, and why it can't be done."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.card import BEFORE
from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.bundle.image_names import ImageNames
from munkey_core.bundle.ledger import Ledger, Purged, Remaining
from munkey_core.bundle.manifest import (
    BANK,
    EXACT,
    EXACT_MODE,
    EXPERIMENTS,
    METRICS,
    MODEL,
    ORACLES,
    PROJECTIONS,
    SCORES,
)
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS
from munkey_core.bundle.twins import Twin, twins_outside
from munkey_core.bundle.versions import MANIFEST
from munkey_core.data.naming import id_of, spellings
from munkey_core.erasure.measure_again import taken_along
from munkey_core.erasure.without_rows import can_measure
from munkey_core.errors import BadInputError
from munkey_core.explain.map import maps_of
from munkey_core.files.in_words import counted
from munkey_core.files.names import lookalikes
from munkey_core.results import NearDuplicate
from munkey_core.training.runs import source_digest


@dataclass(frozen=True)
class ErasurePlan:
    """What erasing some ids would do; nothing is done yet.

    ids: those that would be erased, in the order asked for, each once. gone: asked for, and erased
    before, as the ledger says. unknown: asked for, and no image of this bundle. public: asked for,
    but of another split (id, split): they have no key to erase. owners: of the ids, and how many
    each has of them. alike: (owner, other) for every other owner of private images whose name looks
    like that of one of these: perhaps the same person. near_duplicates: pairs (asked id, other) of
    near-copies that stay. twins: identical pictures without a key, which erasing doesn't reach.
    keys_before, keys_after: entries of the memory. again: stored results that go too, and how to
    have them again, a sentence each. digest: of the version that the plan is about. problem: why it
    can't be done as asked, empty if it can.
    """

    bundle: str
    digest: str
    modes: tuple[str, ...]
    ids: tuple[str, ...]
    gone: tuple[str, ...]
    unknown: tuple[str, ...]
    public: tuple[tuple[str, str], ...]
    owners: dict[str, int]
    alike: tuple[tuple[str, str], ...]
    near_duplicates: tuple[NearDuplicate, ...]
    twins: tuple[Twin, ...]
    keys_before: int
    keys_after: int
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    again: tuple[str, ...]
    problem: str


def make_plan(bundle: Bundle, asked: Iterable[str], ledger: Ledger) -> ErasurePlan:
    """What erasing these ids would do; near-duplicates are left to whoever knows them. bundle: in
    its own mode. asked: ids, or names of files. Nothing is raised for ids that can't be erased: the
    plan says so."""
    names = ImageNames(record.id for record in bundle.records)
    asked = tuple(dict.fromkeys(map(names.id_for, asked)))
    split = {record.id: record.split for record in bundle.records}
    owner = {record.id: record.owner for record in bundle.records}
    ids = tuple(id_ for id_ in asked if id_ in bundle.bank)
    public = tuple((id_, split[id_]) for id_ in asked if id_ in split and id_ not in bundle.bank)
    erased = {id_: _erased(id_, ledger) for id_ in asked if id_ not in split}
    gone = tuple(dict.fromkeys(id_ for id_ in erased.values() if id_))
    unknown = tuple(id_ for id_, known in erased.items() if not known)
    left = len(bundle.bank) - len(ids)
    owners = dict(Counter(owner[id_] for id_ in ids if owner[id_]).most_common())
    plan = ErasurePlan(
        bundle=name_of(bundle),
        digest=bundle.version,
        modes=bundle.modes,
        ids=ids,
        gone=gone,
        unknown=unknown,
        public=public,
        owners=owners,
        alike=lookalikes(owners, dict.fromkeys(o for i, o in owner.items() if i in bundle.bank)),
        near_duplicates=(),
        twins=twins_outside(bundle, ids),
        keys_before=len(bundle.bank),
        keys_after=left,
        purged=tuple(_purged(bundle, ids)),
        remains=tuple(_remains(bundle)),
        again=tuple(taken_along(bundle, name_of(bundle))) if ids else (),
        problem="",
    )
    return replace(plan, problem=_problem(plan))


def _erased(text: str, ledger: Ledger) -> str:
    """The erased image that a text names, by id or file; empty if there is none."""
    forms = dict.fromkeys((text, *map(id_of, spellings(text))))
    return next(iter(ledger.numbers(forms)), "")


def _problem(plan: ErasurePlan) -> str:
    if plan.unknown:
        return f"{_some(plan.unknown)}: no such image in bundle {plan.bundle}, nor an erased one"
    if plan.public:
        id_, split = plan.public[0]
        more = f" (and {len(plan.public) - 1:,} more)" if len(plan.public) > 1 else ""
        return (
            f"{id_!r}{more} is a {split} image: it has no key, and what the model learned from "
            "public images can't be erased"
        )
    if not plan.ids:
        return (
            f"{len(plan.gone):,} of these images are erased already: nothing is left to do"
            if plan.gone
            else "name at least one image to erase"
        )
    if not plan.keys_after:
        return (
            f"all of the memory is named ({counted(plan.keys_before, 'image')}): at least one must "
            "stay; remove the bundle's folder instead"
        )
    return ""


def cache_names(bundle: Bundle) -> tuple[str, ...]:
    """Folders of the cache that hold what was made of a bundle's rows."""
    names = set()
    for mode in bundle.modes:
        one = bundle.in_mode(mode)
        names.add(f"runs/{source_digest(one)[:24]}")
        try:
            names.add(f"projections/{maps_of(one.bank).folder().name}")
            kept = one.kept_features
        except BadInputError:  # there is no cache, or none that can be written
            continue
        if kept is not None:
            names.add(f"features/{kept.folder.name}")
    return tuple(sorted(names))


def _purged(bundle: Bundle, ids: Sequence[str]) -> Iterator[Purged]:
    n = len(ids)
    files = bundle.manifest.files
    yield Purged(BANK, "keys and exemplar tokens", n)
    yield Purged(PARQUET if PARQUET in files else CSV, "records: id, class, owner", n)
    yield Purged(SCORES, f"rows of {len(bundle.scores)} scores", n)
    if "influence" in bundle.scores:
        what = "influence of the other images, measured beside these"
        yield Purged(SCORES, what, len(bundle.bank) - n)
    if bundle.thumbnails is not None:
        yield Purged(THUMBNAILS, "images", n)
    if EXACT in files:
        yield Purged(EXACT, "rows of the exact mode, their digests and scores", n)
    if bundle.projections:
        yield Purged(PROJECTIONS, f"points on {len(bundle.projections)} maps", n)
    answers = sum(name.startswith(f"{ORACLES}/") for name in files)
    if answers:
        yield Purged(
            f"{ORACLES}/", "files of answers by models that had seen these images", answers
        )
    if METRICS in files:
        yield Purged(METRICS, "figures of the version before, as of now", 1)
    if EXPERIMENTS in files:
        yield Purged(EXPERIMENTS, "figures of models trained with these images", 1)
    verified = len(bundle.manifest.exact.get("verified", {}))
    if verified:
        yield Purged(MANIFEST, "notes on verified forget sets of the version before", verified)


def _remains(bundle: Bundle) -> Iterator[Remaining]:
    if bundle.mode != EXACT_MODE:
        yield Remaining(
            MODEL,
            "the shared weights of the joint mode were trained while these images were there and "
            f"stay as they are. {_leak_words(bundle)}",
        )
        ensemble = bundle.manifest.ensemble
        yield Remaining(
            MANIFEST,
            f"K = {ensemble.k}, tau = {ensemble.tau} and anchor = {ensemble.anchor} were chosen on "
            "public images while the keys of these images were in the memory",
        )
    else:
        yield Remaining(
            MODEL,
            "nothing, by construction: the weights of the exact mode saw public images only, and "
            "each row was written alone",
        )
    if not can_measure(bundle):
        yield Remaining(
            SCORES,
            "memorisation scores of other images that had one of these among their neighbours were "
            "measured while it was there: without the pictures they can't be measured anew",
        )
    if bundle.projections:
        yield Remaining(
            PROJECTIONS,
            "the other points stay where they are: the map was laid out while these images were on "
            "it; `munkey project --save` with another seed lays out a new one",
        )
    if (bundle.metrics or {}).get("reports") or BEFORE in (bundle.metrics or {}):
        yield Remaining(
            METRICS, "figures over whole forget sets, marked as measured before; they name no image"
        )
    yield Remaining(
        "outside",
        "whatever this program can't reach: the images' source, uploads kept by the server, "
        "backups, snapshots and copies of the bundle, blocks that a disk keeps after they were "
        "overwritten, and sessions that opened the version before, until they reload",
    )


def _leak_words(bundle: Bundle) -> str:
    """The measured backbone leak, in a sentence; says so if nobody has measured it."""
    metrics = bundle.metrics or {}
    own = metrics.get("reports") or metrics.get(BEFORE, {}).get("reports", {}).get(bundle.mode, {})
    measured = [
        report
        for name, report in own.items()
        if name in CANONICAL and (report.get("leak") or {}).get("backbone")
    ]
    if not measured:
        return "How much of them these weights keep was not measured for this bundle."
    report = max(measured, key=lambda report: len(report["seeds"]))
    leak = report["leak"]["backbone"]
    return (
        "Measured on forget set "
        f"{report['forget']} before any erasure: without the memory the model is right "
        f"{leak['points']:+.2f} points{_interval(leak['ci95'])} more often on the forget images "
        f"than on test images; models that never saw them {leak['oracle_points']:+.2f}; excess "
        f"{leak['excess_points']:+.2f} points{_interval(leak['excess_ci95'])}."
    )


def _interval(ci95: Sequence[float] | None) -> str:
    return "" if ci95 is None else f" (95% interval {ci95[0]:+.2f} to {ci95[1]:+.2f})"


def linked(folder: Path) -> Iterator[Remaining]:
    linked = sum(1 for p in folder.rglob("*") if p.is_file() and p.lstat().st_nlink > 1)
    if linked:
        yield Remaining(
            "outside",
            f"{linked:,} files of the old version have a second name somewhere on this disk (a "
            "hard link): they were not overwritten, and what that name stands for is still there",
        )


def name_of(bundle: Bundle) -> str:
    return bundle.folder.resolve().name if bundle.folder else bundle.manifest.name


def count_files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id_) for id_ in ids[:3])
    return shown + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")
