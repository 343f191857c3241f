"""Erasing: images leave every place of a bundle that holds anything made of them, for good.

A whole new version is made without them and takes the bundle's place at once; then the old
version's files are overwritten and removed, and so is what the cache made of it (`versions`). The
other rows and all weights keep their bytes. What was measured or learned by other models with the
erased images goes as well, or is kept as what it is: a measurement from before.
"""

import hashlib
import json
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.ledger import (
    LEDGER,
    TOOL,
    Ledger,
    Purged,
    Receipt,
    Remaining,
    committed,
    keyed_hash,
    now,
    owner_hash,
)
from munkey_core.bundle.manifest import (
    CARD,
    ENCODER,
    METRICS,
    MODEL,
    NOTICE,
    QUERIES,
    RECIPE,
    SCORES,
    SEAL,
    read_manifest,
)
from munkey_core.bundle.read import read_bundle
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
from munkey_core.erasure.plan import (
    ErasurePlan,
    cache_names,
    count_files,
    linked,
    make_plan,
    name_of,
)
from munkey_core.erasure.receipts import hashed_rows, read_key, signed
from munkey_core.erasure.without_rows import READING, measured_anew, without_rows
from munkey_core.errors import (
    BadInputError,
    BundleChangedError,
    BundleError,
    MunkeyError,
    UnknownIdError,
)
from munkey_core.files import durable
from munkey_core.progress import Progress, Steps, changed

WRITING, PLACING = "writing the new version", "putting it in place"
_UNTOUCHED = (MODEL, ENCODER, QUERIES, RECIPE, NOTICE)  # these bytes know no private image by name


def erase(
    folder: Path,
    asked: Iterable[str],
    out: Path | None = None,
    key: Path | None = None,
    expected: str = "",
) -> Steps[Receipt]:
    """Yield progress; return the receipt of an erasure that is done. All ids or none.

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
            raise BundleChangedError(name_of(bundle))
        plan = make_plan(bundle, asked, ledger)
        known = _receipt_of(plan, ledger)
        if known is not None:
            return known
        if plan.problem:
            raise (UnknownIdError if plan.unknown or plan.public else BadInputError)(plan.problem)
        yield Progress(READING, 1, 1, time.perf_counter() - start)

        created = now()
        left, anew = yield from changed(
            measured_anew(bundle, without_rows(bundle, plan.ids, created)),
            lambda step: replace(step, elapsed_seconds=time.perf_counter() - start),
        )
        files = dict(_files(left, source))
        digests = {name: _sha256(files[name]) for name in sorted(files)}  # as `seal` sorts them
        manifest = replace(left.manifest, files=digests)
        files[MANIFEST] = manifest.to_json().encode()
        caches = () if out is not None else cache_names(bundle)
        ledger = ledger.with_secret()
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
    return receipt


def _put(
    place: Path, model: Path, files: Mapping[str, bytes], journal: Journal, start: float
) -> Steps[None]:
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
        put(place, journal)
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
    key = ledger.secret
    owners = {record.owner for record in bundle.records if record.id in set(plan.ids)}
    owner = next(iter(owners)) if len(owners) == 1 else ""
    purged = list(plan.purged)
    if anew:
        what = "memorisation scores of images that had one of these as a neighbour, measured anew"
        purged.append(Purged(SCORES, what, anew))
    remains = list(plan.remains)
    if out is None and folder is not None:
        purged += _purged_elsewhere(folder, caches)
        remains += linked(folder)
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
        ids=tuple(sorted(keyed_hash(key, id_) for id_ in plan.ids)),
        owner=owner_hash(key, owner) if owner else "",
        rows=hashed_rows(bundle, plan.ids, key),
        digest_before=bundle.version,
        digest_after=after,
        original_kept=out is not None,
        purged=tuple(purged),
        remains=tuple(remains),
        previous=ledger.last,
        signer="",
        commitment=committed(key),
    )


def _receipt_of(plan: ErasurePlan, ledger: Ledger) -> Receipt | None:
    """The receipt of an erasure of exactly the ids that are asked for, if they are all gone."""
    if plan.ids or plan.unknown or plan.public or not plan.gone:
        return None
    for receipt in ledger.receipts:
        key = ledger.key_of(receipt)
        if key and receipt.ids == tuple(sorted(keyed_hash(key, id_) for id_ in plan.gone)):
            return receipt
    return None


def _purged_elsewhere(folder: Path, caches: Sequence[str]) -> list[Purged]:
    found = [Purged("old version", "files overwritten and removed", count_files(folder))]
    elsewhere = count_elsewhere(folder, caches)
    if elsewhere:
        what = "files of the cache and of unfinished trainings, made of the version before"
        found.append(Purged("cache", what, elsewhere))
    return found


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


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
