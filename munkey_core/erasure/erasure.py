"""Erasing: images leave every place of a bundle that holds anything made of them, for good.

A whole new version is made without them and takes the bundle's place at once; then the old
version's files are overwritten and removed, and so is what the cache made of it (`versions`). The
other rows and all weights keep their bytes. What was measured or learned by other models with the
erased images goes as well, or is kept as what it is: a measurement from before.
"""

from __future__ import annotations

import hashlib
import json
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle, FittedMap
from munkey_core.bundle.card import BEFORE, write_card
from munkey_core.bundle.forget_sets import CANONICAL
from munkey_core.bundle.ledger import (
    LEDGER,
    TOOL,
    Ledger,
    Purged,
    Receipt,
    Remaining,
    keyed_hash,
    now,
    owner_hash,
)
from munkey_core.bundle.manifest import (
    BANK,
    CARD,
    ENCODER,
    EXACT,
    EXACT_MODE,
    EXPERIMENTS,
    JOINT_MODE,
    METRICS,
    MODEL,
    NOTICE,
    ORACLES,
    PROJECTIONS,
    QUERIES,
    RECIPE,
    SCORES,
    SEAL,
    read_manifest,
    with_files,
)
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS
from munkey_core.bundle.versions import (
    MANIFEST,
    Journal,
    abandon,
    changing,
    count_elsewhere,
    manifest_digest,
    new_version,
    put,
)
from munkey_core.bundle.write import pack_bundle, seal_text
from munkey_core.erasure.receipts import keeps_shared_weights, read_key, row_digests_of, signed
from munkey_core.errors import (
    BadInputError,
    BundleChangedError,
    BundleError,
    MunkeyError,
    UnknownIdError,
)
from munkey_core.explain.influence import leave_one_out
from munkey_core.explain.map import maps_of
from munkey_core.explain.projection import fit_digest
from munkey_core.files import durable
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress
from munkey_core.results import PRIVATE, NearDuplicate
from munkey_core.training.runs import source_digest


@dataclass(frozen=True)
class ErasurePlan:
    """What erasing some ids would do; nothing is done yet.

    ids: those that would be erased, in the order asked for, each once. gone: asked for, and erased
    before, as the ledger says. unknown: asked for, and no image of this bundle. public: asked for,
    but of another split (id, split): they have no key to erase. near_duplicates: pairs (asked id,
    other) of near-copies that stay. keys_before, keys_after: entries of the memory. digest: of the
    version that the plan is about. problem: why it can't be done as asked, empty if it can.
    """

    bundle: str
    digest: str
    modes: tuple[str, ...]
    ids: tuple[str, ...]
    gone: tuple[str, ...]
    unknown: tuple[str, ...]
    public: tuple[tuple[str, str], ...]
    owners: dict[str, int]
    near_duplicates: tuple[NearDuplicate, ...]
    keys_before: int
    keys_after: int
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    problem: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


READING, MEASURING = "reading", "measuring the others anew"
WRITING, PLACING = "writing the new version", "putting it in place"
_SCORES = ("memorisation", "truth_with", "truth_without")
_UNTOUCHED = (MODEL, ENCODER, QUERIES, RECIPE, NOTICE)  # these bytes know no private image by name


def make_plan(bundle: Bundle, asked: Iterable[str], ledger: Ledger) -> ErasurePlan:
    """What erasing these ids would do; near-duplicates are left to whoever knows them. bundle: in
    its own mode. Nothing is raised for ids that can't be erased: the plan says so."""
    asked = tuple(dict.fromkeys(asked))
    split = {record.id: record.split for record in bundle.records}
    owner = {record.id: record.owner for record in bundle.records}
    ids = tuple(id_ for id_ in asked if id_ in bundle.bank)
    public = tuple((id_, split[id_]) for id_ in asked if id_ in split and id_ not in bundle.bank)
    nowhere = [id_ for id_ in asked if id_ not in split]
    gone = ledger.gone(nowhere)
    unknown = tuple(id_ for id_ in nowhere if id_ not in set(gone))
    left = len(bundle.bank) - len(ids)
    plan = ErasurePlan(
        bundle=_name(bundle),
        digest=bundle.version,
        modes=bundle.modes,
        ids=ids,
        gone=gone,
        unknown=unknown,
        public=public,
        owners=dict(Counter(owner[id_] for id_ in ids if owner[id_]).most_common()),
        near_duplicates=(),
        keys_before=len(bundle.bank),
        keys_after=left,
        purged=tuple(_purged(bundle, ids)),
        remains=tuple(_remains(bundle)),
        problem="",
    )
    return replace(plan, problem=_problem(plan))


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
            f"all {plan.keys_before:,} images of the memory are named: at least one must stay; "
            "remove the bundle's folder instead"
        )
    return ""


def erase(
    folder: Path,
    asked: Iterable[str],
    out: Path | None = None,
    key: Path | None = None,
    expected: str = "",
) -> Iterator[Progress | Receipt]:
    """Yield progress, then the receipt of an erasure that is done. All ids or none.

    Ids that are erased already are passed over; if all are, and by one erasure, its receipt is
    given. out: a new folder for the erased version; the bundle itself is then left as it is. key:
    file of a private Ed25519 key that signs the receipt. expected: the version (digest) that
    whoever asks has seen. Go through it to the end: it holds the bundle's lock.

    Raises UnknownIdError or BadInputError for ids that can't be erased, a bad key or an `out` that
    exists; BundleChangedError if the bundle is not the expected version; BundleError if it can't
    be read or written: it is then wholly the old version or wholly the new one, and says which.
    """
    signer = None if key is None else read_key(key)
    if out is not None:
        out = _free_place(out, folder)
    start = time.perf_counter()
    source = folder.resolve()
    with changing(out or source) as place:
        bundle = read_bundle(source)
        ledger = Ledger.read(source)
        if bundle.changed or (expected and bundle.version != expected):
            raise BundleChangedError(_name(bundle))
        plan = make_plan(bundle, asked, ledger)
        known = _receipt_of(plan, ledger)
        if known is not None:
            yield known
            return
        if plan.problem:
            raise (UnknownIdError if plan.unknown or plan.public else BadInputError)(plan.problem)
        yield Progress(READING, 1, 1, time.perf_counter() - start)

        created = now()
        left, anew = bundle, 0
        for step in _measured_anew(bundle, without_rows(bundle, plan.ids, created)):
            if isinstance(step, Progress):
                yield replace(step, elapsed_seconds=time.perf_counter() - start)
            else:
                left, anew = step
        files = dict(_files(left, source))
        digests = {name: _sha256(files[name]) for name in sorted(files)}  # as `seal` sorts them
        manifest = with_files(left.manifest, digests)
        files[MANIFEST] = manifest.to_json().encode()
        caches = () if out is not None else cache_names(bundle)
        receipt = signed(
            _receipt(plan, bundle, ledger, created, _sha256(files[MANIFEST]), caches, out, anew),
            signer,
        )
        ledger = ledger.with_receipt(receipt)
        files[LEDGER] = ledger.to_bytes()
        files[SEAL] = seal_text(receipt.digest_after, _sha256(files[LEDGER])).encode()
        if out is None:
            journal = Journal(bundle.version, receipt.digest_after, True, caches)
        elif place.exists():
            raise BadInputError(f"{out} exists already; choose another folder")
        else:
            journal = Journal("", receipt.digest_after)
        yield from _put(place, source, files, journal, start)
    yield receipt


def _put(
    place: Path, model: Path, files: Mapping[str, bytes], journal: Journal, start: float
) -> Iterator[Progress]:
    """Write a new version and let it take its place, which is locked. model: the folder whose
    permissions the new one gets."""
    mode = stat.S_IMODE((model / MANIFEST).stat().st_mode) | stat.S_IWUSR
    try:
        draft = new_version(place)
        for done, (name, data) in enumerate(files.items()):
            yield Progress(WRITING, done, len(files), time.perf_counter() - start)
            durable.write_file(draft / name, data, mode)
        yield Progress(WRITING, len(files), len(files), time.perf_counter() - start)
        yield Progress(PLACING, 0, 1, time.perf_counter() - start)
    except BaseException as error:
        abandon(place)
        if isinstance(error, OSError):
            raise _failed(place, error, "nothing was changed") from error
        raise
    try:
        put(place, draft, journal)
    except OSError as error:
        switched = manifest_digest(place) == journal.after
        state = (
            "the images are out of the bundle, but files of its old version may still be on the "
            "disk: run the same command again"
            if switched
            else "nothing was changed"
        )
        raise _failed(place, error, state) from error
    yield Progress(PLACING, 1, 1, time.perf_counter() - start)


def _failed(place: Path, error: OSError, state: str) -> MunkeyError:
    return BundleError(f"bundle {place.name} could not be written ({error.strerror}): {state}")


def without_rows(bundle: Bundle, ids: Sequence[str], when: str) -> Bundle:
    """The bundle without some private images, as it is to be written. when: UTC time.

    The other rows keep their bytes, their order and their places on the maps.
    """
    gone = set(ids)
    keep = torch.tensor([id_ not in gone for id_ in bundle.bank.ids])
    bank = bundle.bank.without(ids)
    manifest = bundle.manifest
    counts = {**manifest.splits["counts"], PRIVATE: len(bank)}
    exact_table = {**manifest.exact, "verified": {}} if manifest.exact else {}
    exact = bundle.exact
    if exact is not None:
        exact = replace(exact, tokens=exact.tokens[keep].clone(), scores=_kept(exact.scores, keep))
    left = replace(
        bundle,
        manifest=replace(
            manifest,
            splits={**manifest.splits, "counts": counts},
            exact=exact_table,
            files={},
            erasures=manifest.erasures + 1,
        ),
        bank=bank,
        records=tuple(record for record in bundle.records if record.id not in gone),
        scores={
            name: values
            for name, values in _kept(bundle.scores, keep).items()
            if not name.startswith("influence")
        },
        exact=exact,
        projections=_maps_without(bundle, bank, keep),
        thumbnails=None if bundle.thumbnails is None else bundle.thumbnails.without(ids),
        metrics=_measured_before(bundle, when),
        experiments=None,
    )
    return replace(left, card=write_card(left, left.metrics))


def _kept(tensors: Mapping[str, Tensor], keep: Tensor) -> dict[str, Tensor]:
    return {name: tensor[keep].clone() for name, tensor in tensors.items()}


def _can_measure(bundle: Bundle) -> bool:
    """Whether the pictures of a bundle are here, and encoding some of them is quick."""
    kept = bundle.kept_features
    if kept is not None:
        return PRIVATE not in kept.missing
    return bundle.picture_status.ready


def _measured_anew(bundle: Bundle, left: Bundle) -> Iterator[Progress | tuple[Bundle, int]]:
    """Yield progress, then the bundle that is left with the memorisation scores of those images
    anew for which an erased one answered, and how many these are, over all modes."""
    count = 0
    if _can_measure(bundle):
        for done, mode in enumerate(bundle.modes):
            yield Progress(MEASURING, done, len(bundle.modes), 0.0)
            old, new = bundle.in_mode(mode), left.in_mode(mode)
            rows = _touched(old, new)
            if not len(rows) or not set(_SCORES) <= set(new.scores):
                continue
            ids = [new.bank.ids[row] for row in rows.tolist()]
            label = {record.id: record.label for record in new.records}
            predictor = Predictor(new.encoder, new.model, new.manifest.ensemble)
            kept, gone = leave_one_out(
                predictor,
                new.bank,
                bundle.encode(ids).features,
                torch.tensor([label[id_] for id_ in ids]),
                rows,
            )
            scores = {name: values.clone() for name, values in new.scores.items()}
            for name, values in zip(_SCORES, (kept - gone, kept, gone), strict=True):
                scores[name][rows] = values if mode == JOINT_MODE else values.half().float()
            exact = None if left.exact is None else replace(left.exact, scores=scores)
            left = replace(left, scores=scores) if mode == left.mode else replace(left, exact=exact)
            count += len(rows)
    yield left, count


def _touched(old: Bundle, new: Bundle) -> Tensor:
    """(n,) int64 rows of the new bank whose image had an erased entry among the K + 1 nearest."""
    kept = old.bank.rows(new.bank.ids)
    gone = torch.ones(len(old.bank), dtype=torch.bool)
    gone[kept] = False
    rows, _ = BankView(old.bank).search(old.bank.keys[kept], old.manifest.ensemble.k + 1)
    return gone[rows].any(dim=1).nonzero()[:, 0]


def _maps_without(bundle: Bundle, bank: MemoryBank, keep: Tensor) -> dict[str, FittedMap]:
    """Points that stay stay where they are. A map of another memory is dropped."""
    return {
        space: FittedMap(
            fitted.positions[keep.numpy()].copy(),
            fitted.seed,
            fit_digest(bank, space, fitted.seed),
        )
        for space, fitted in bundle.projections.items()
        if fitted.digest == fit_digest(bundle.bank, space, fitted.seed)
    }


def _measured_before(bundle: Bundle, when: str) -> dict[str, Any] | None:
    """metrics.json of the erased bundle: the audits of canonical sets, named as of before and
    without the digests of their ids. What was measured before the first erasure stays as it is."""
    metrics = bundle.metrics or {}
    if BEFORE in metrics:
        return {BEFORE: metrics[BEFORE]}
    kept: dict[str, Any] = {}
    own, beside = metrics, metrics.get(EXACT_MODE) or {}
    for mode, part in ((bundle.mode, own), (EXACT_MODE, beside)):
        reports = {
            name: {**report, "set_digest": "", "digest": ""}
            for name, report in (part.get("reports") or {}).items()
            if name in CANONICAL
        }
        if reports:
            kept[mode] = reports
    if not kept:
        return None
    return {BEFORE: {"digest": bundle.version, "until": when, "reports": kept}}


def _files(left: Bundle, old: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files but manifest, ledger and seal. old: folder of the version
    before, whose files without private images are copied."""
    there = read_manifest(old)[0].files
    texts = {CARD: left.card} if CARD in there else {}
    for name, data in pack_bundle(left, texts):
        if name not in _UNTOUCHED:
            yield name, data
    for name in _UNTOUCHED:
        if name in there:
            yield name, (old / name).read_bytes()
    if left.metrics is not None:
        yield METRICS, (json.dumps(left.metrics, indent=1) + "\n").encode()


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


# -- what a receipt says -------------------------------------------------------------------------


def _receipt(
    plan: ErasurePlan,
    bundle: Bundle,
    ledger: Ledger,
    created: str,
    after: str,
    caches: Sequence[str],
    out: Path | None,
    anew: int,
) -> Receipt:
    folder = bundle.folder
    salt = ledger.next_salt()
    owners = {record.owner for record in bundle.records if record.id in set(plan.ids)}
    owner = next(iter(owners)) if len(owners) == 1 else ""
    purged = list(plan.purged)
    if anew:
        what = "memorisation scores of images that had one of these as a neighbour, measured anew"
        purged.append(Purged(SCORES, what, anew))
    remains = list(plan.remains)
    if out is None and folder is not None:
        purged += _purged_elsewhere(folder, caches)
        remains += _linked(folder)
    else:
        remains.append(
            Remaining(
                f"the bundle {plan.bundle} itself",
                f"it was left as it is, version {bundle.version[:12]}, and still holds all that "
                "was erased from the new one",
            )
        )
    return Receipt(
        number=len(ledger) + 1,
        created=created,
        tool=TOOL,
        bundle=plan.bundle,
        modes=plan.modes,
        count=len(plan.ids),
        salt=salt,
        ids=tuple(sorted(keyed_hash(salt, id_) for id_ in plan.ids)),
        owner=owner_hash(salt, owner) if owner else "",
        rows=row_digests_of(bundle, plan.ids),
        digest_before=bundle.version,
        digest_after=after,
        original_kept=out is not None,
        purged=tuple(purged),
        remains=tuple(remains),
        previous=ledger.last,
        signer="",
    )


def _receipt_of(plan: ErasurePlan, ledger: Ledger) -> Receipt | None:
    """The receipt of an erasure of exactly the ids that are asked for, if they are all gone."""
    if plan.ids or plan.unknown or plan.public or not plan.gone:
        return None
    for receipt in ledger.receipts:
        if receipt.ids == tuple(sorted(keyed_hash(receipt.salt, id_) for id_ in plan.gone)):
            return receipt
    return None


def _purged(bundle: Bundle, ids: Sequence[str]) -> Iterator[Purged]:
    n = len(ids)
    files = bundle.manifest.files
    yield Purged(BANK, "keys and exemplar tokens", n)
    yield Purged(PARQUET if PARQUET in files else CSV, "records: id, class, owner", n)
    yield Purged(SCORES, f"rows of {len(bundle.scores)} scores", n)
    if "influence" in bundle.scores:
        what = "influence of the other images, measured beside these; `munkey influence --save`"
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


def _purged_elsewhere(folder: Path, caches: Sequence[str]) -> list[Purged]:
    found = [Purged("old version", "files overwritten and removed", _count_files(folder))]
    elsewhere = count_elsewhere(folder, caches)
    if elsewhere:
        what = "files of the cache and of unfinished trainings, made of the version before"
        found.append(Purged("cache", what, elsewhere))
    return found


def _remains(bundle: Bundle) -> Iterator[Remaining]:
    if keeps_shared_weights(bundle):
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
    if not _can_measure(bundle):
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
            METRICS,
            "figures over whole forget sets, marked as measured before; they name no image",
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


def _linked(folder: Path) -> Iterator[Remaining]:
    linked = sum(1 for p in folder.rglob("*") if p.is_file() and p.lstat().st_nlink > 1)
    if linked:
        yield Remaining(
            "outside",
            f"{linked:,} files of the old version have a second name somewhere on this disk (a "
            "hard link): they were not overwritten, and what that name stands for is still there",
        )


# -- small -----------------------------------------------------------------------------------------


def _free_place(out: Path, folder: Path) -> Path:
    place = out.expanduser().resolve()
    if place.exists():
        raise BadInputError(f"{out} exists already; choose another folder")
    if place.is_relative_to(folder.resolve()):
        raise BadInputError(f"{out} lies inside the bundle; choose a folder outside it")
    if not place.parent.is_dir():
        raise BadInputError(f"{out.parent} is no folder: make it first")
    return place


def _name(bundle: Bundle) -> str:
    return bundle.folder.resolve().name if bundle.folder else bundle.manifest.name


def _count_files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id_) for id_ in ids[:3])
    return shown + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")
