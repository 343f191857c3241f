"""Checks of what a bundle promises: its files' checksums, and that its exact mode is exact.

An exact memory without some rows must be the memory that would be there had those images never
been written. Here that is tried: the rows are deleted, all other images are encoded and written
again in another order and in other batches, and what comes out is compared byte by byte. Rows that
another machine wrote may end in other last bits here; then both memories are written here.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.forget_sets import CANONICAL, canonical_name, forget_set
from munkey_core.bundle.ledger import LEDGER
from munkey_core.bundle.manifest import EXACT, EXACT_MODE, SEAL, Manifest, read_manifest
from munkey_core.bundle.versions import MANIFEST, manifest_digest
from munkey_core.bundle.write import row_digests, seal_text
from munkey_core.data.seeding import permutation
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.durable import sha256
from munkey_core.files.in_words import counted
from munkey_core.files.machine import processor
from munkey_core.files.system_files import added_by_system
from munkey_core.files.tensors import read_tensors
from munkey_core.files.typed import checked
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress, Steps, staged
from munkey_core.results import PRIVATE, TEST
from munkey_core.training.calibration import Labelled
from munkey_core.training.exact import ExactCheck, labelled, write_again

_SEED = 61_000  # of the other order
_SEAL_LIMIT = 4096


def damaged_files(folder: Path) -> tuple[int, dict[str, str]]:
    """How many files a manifest names, and what is wrong in the folder, by name: a file that is
    not what the manifest says, a manifest or a ledger that is not what the seal says, a file that
    is no part of the bundle, unless a system put it there: see `added_files`."""
    problems = _seal_problems(folder)
    try:
        manifest, _ = read_manifest(folder)
    except BundleError as error:
        return 0, {**problems, MANIFEST: str(error)}
    for name, wanted in sorted(manifest.files.items()):
        path = folder / name
        if path.is_symlink() or not path.is_file() or ".." in Path(name).parts:
            problems[name] = "missing, or not a plain file"
        elif sha256(path) != wanted:
            problems[name] = "its SHA-256 is not the manifest's"
    added = added_files(folder)
    for name in _foreign(folder, manifest):
        if name not in added:
            problems[name] = "no part of the bundle"
    return len(manifest.files), problems


def added_files(folder: Path) -> tuple[str, ...]:
    """What Finder, Explorer and the like put into the folder of a bundle: .DS_Store, Thumbs.db, …
    Nobody reads it, and nothing of the bundle is damaged by it. Links are never among it."""
    try:
        manifest, _ = read_manifest(folder)
    except BundleError:
        return ()
    return tuple(
        name
        for name in _foreign(folder, manifest)
        if added_by_system(Path(name).parts) and not (folder / name).is_symlink()
    )


def _foreign(folder: Path, manifest: Manifest) -> list[str]:
    """What lies in the folder and isn't the bundle's."""
    known = {*manifest.files, MANIFEST, SEAL, LEDGER}
    folders = {parent.as_posix() for name in known for parent in Path(name).parents}
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return [
        name
        for name, path in paths.items()
        if name not in known and (name not in folders or path.is_symlink() or not path.is_dir())
    ]


def _seal_problems(folder: Path) -> dict[str, str]:
    """What of the seal, the manifest and the ledger doesn't fit together, by file name."""
    found = {}
    for name in (SEAL, MANIFEST, LEDGER):
        path = folder / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            found[name] = "not a plain file"
    seal = folder / SEAL
    if not seal.exists():
        found[SEAL] = (
            "missing: nothing guards the manifest and the ledger (bundles of early versions have "
            "none; saving anything into one makes it)"
        )
    if found:
        return found
    try:
        text = seal.read_bytes()[:_SEAL_LIMIT]
        ledger = sha256(folder / LEDGER) if (folder / LEDGER).exists() else ""
    except OSError as error:
        return {SEAL: f"can't be read ({error.strerror})"}
    digest = manifest_digest(folder)
    if text == seal_text(digest, ledger).encode():
        return {}
    try:
        said = checked(dict[str, str], text, SEAL)
        if text != seal_text(said[MANIFEST], said[LEDGER]).encode():
            return {SEAL: "not what a seal says"}
    except (BadInputError, LookupError):
        return {SEAL: "not what a seal says"}
    now = {MANIFEST: digest, LEDGER: ledger}
    return {name: "its SHA-256 is not the seal's" for name in now if said[name] != now[name]}


def rows_without_their_digest(bundle: Bundle) -> int:
    """How many rows of an exact mode beside a joint one differ from their stored digest."""
    if bundle.folder is None or EXACT not in bundle.manifest.files:
        return 0
    stored = read_tensors(bundle.folder / EXACT, "digests")["digests"]
    return int((row_digests(bundle.in_mode(EXACT_MODE).bank) != stored).any(dim=1).sum())


class ExactVerification:
    """Verifies forget sets of one bundle. What they share is encoded once.

    forget: as on the command line. Raises BadInputError for a set that is empty, unknown or leaves
    nothing, BundleError for a bundle without an exact mode or without pictures.
    """

    def __init__(self, bundle: Bundle, forget: Sequence[str]) -> None:
        self.bundle = bundle.in_mode(EXACT_MODE)
        self.bundle.require_pictures("verifying needs the images")
        self._written_here: MemoryBank | None = None
        self.sets = {_name(spec, self.bundle): _checked(spec, self.bundle) for spec in forget}

    def run(self) -> Steps[tuple[ExactCheck, ...]]:
        """Yield progress; return one check for each set."""
        yield Progress("encoding", 0, 2, 0.0)
        everybody = labelled(self.bundle, PRIVATE)
        yield Progress("encoding", 1, 2, 0.0)
        test = labelled(self.bundle, TEST)
        yield Progress("encoding", 2, 2, 0.0)
        checks = []
        for name, ids in self.sets.items():
            checks.append((yield from self._check(name, ids, everybody, test)))
        return tuple(checks)

    def _whole(self, everybody: Labelled) -> Steps[MemoryBank]:
        """The memory of all images as this machine writes it; the generator returns it."""
        if self._written_here is None:
            bank = self.bundle.bank
            steps = write_again(self.bundle, everybody)
            tokens = yield from staged("all rows as written here", steps)
            self._written_here = MemoryBank(bank.ids, bank.keys, tokens)
        return self._written_here

    def _check(
        self, name: str, ids: tuple[str, ...], everybody: Labelled, test: Labelled
    ) -> Steps[ExactCheck]:
        start = time.perf_counter()
        bank, gone = self.bundle.bank, set(ids)
        kept = [id_ for id_ in bank.ids if id_ not in gone]
        rows = bank.rows(kept)

        # As if those images had never been there: nothing below reads a row or an image of theirs.
        order = permutation(len(kept), _SEED)
        yield Progress(f"{name}: encoding", 0, 1, 0.0)
        anew = labelled(self.bundle, PRIVATE, [kept[i] for i in order])
        tokens = yield from staged(name, write_again(self.bundle, anew))
        back = torch.empty(len(kept), dtype=torch.int64)
        back[torch.tensor(order.tolist())] = torch.arange(len(kept))
        # Keys are what the encoder made of each image when the bundle was built. Made again they
        # can differ in the last bit on another processor, so they are compared among themselves.
        rewritten = MemoryBank(kept, bank.keys[rows].clone(), tokens[back])
        elsewhere = 0
        if written_elsewhere(self.bundle) and not torch.equal(tokens[back], bank.tokens[rows]):
            stored, bank = bank, (yield from self._whole(everybody))
            elsewhere = int((stored.tokens[rows] != bank.tokens[rows]).any(dim=1).sum())
        view = BankView(bank)
        view.forget(ids)
        erased = bank.without(ids)
        digests = (row_digests(erased) != row_digests(rewritten)).any(dim=1)

        predictor = Predictor(self.bundle.encoder, self.bundle.model, self.bundle.manifest.ensemble)
        with_deletion, without = [], []
        asked = (test.images, everybody.images[rows])
        for done, queries in enumerate(asked):
            yield Progress(f"{name}: predicting", done, len(asked), 0.0)
            with_deletion.append(predictor.predict(queries, view).probabilities)
            without.append(predictor.predict(queries, BankView(rewritten)).probabilities)
        before, after = np.concatenate(with_deletion), np.concatenate(without)
        return ExactCheck(
            forget=name,
            n_forget=len(ids),
            rows=len(kept),
            rows_differing=int(digests.sum()),
            token_bytes=2 * rewritten.tokens.numel(),
            token_bytes_differing=_bytes(erased.tokens.half(), rewritten.tokens.half()),
            key_bytes=4 * rewritten.keys.numel(),
            key_bytes_differing=_bytes(everybody.images.keys[rows], anew.images.keys[back]),
            answers=len(before),
            answers_differing=int((_raw(before) != _raw(after)).any(axis=1).sum()),
            bits=32 * before.size,
            bits_differing=int(np.unpackbits(_raw(before) ^ _raw(after)).sum()),
            seconds=time.perf_counter() - start,
            rows_elsewhere=elsewhere,
        )


def written_elsewhere(bundle: Bundle) -> bool:
    """Whether an exact mode's rows come from another version of PyTorch or kind of processor than
    is here: its arithmetic may end in other last bits."""
    made = bundle.in_mode(EXACT_MODE).manifest.exact_table().provenance
    there = made.get("versions", {}).get("torch"), made.get("processor")
    return there != (torch.__version__, processor())


def check_lines(check: ExactCheck) -> list[str]:
    """A check for a terminal."""
    return [
        f"{check.forget}: {counted(check.n_forget, 'image')} deleted, {check.rows:,} written again "
        f"in {check.seconds:.0f} s",
        f"  rows that differ: {check.rows_differing:,} of {check.rows:,}; token bytes "
        f"{check.token_bytes_differing:,} of {check.token_bytes:,}; key bytes "
        f"{check.key_bytes_differing:,} of {check.key_bytes:,}",
        f"  answers that differ: {check.answers_differing:,} of {check.answers:,} images, "
        f"{check.bits_differing:,} of {check.bits:,} bits",
        *(
            [
                "  the stored rows were written elsewhere: this machine writes "
                f"{check.rows_elsewhere:,} of them with other last bits, whether or not the "
                "deleted images are there; compared are memories that this machine wrote"
            ]
            if check.rows_elsewhere
            else []
        ),
    ]


def bytes_differing(tokens: Tensor, others: Tensor) -> int:
    """Bytes in which two sets of tokens differ, in half precision, as a bank keeps them."""
    return _bytes(tokens.half(), others.half())


def _bytes(one: Tensor, other: Tensor) -> int:
    return int((_raw(one.numpy()) != _raw(other.numpy())).sum())


def _raw(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(n, …) → (n, bytes)."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _name(spec: str, bundle: Bundle) -> str:
    spec = spec.strip()
    if spec in CANONICAL:
        return spec
    ids = forget_set(spec, bundle)
    return canonical_name(ids, bundle) or counted(len(set(ids)), "image")


def _checked(spec: str, bundle: Bundle) -> tuple[str, ...]:
    ids = tuple(sorted(set(forget_set(spec, bundle))))
    bundle.bank.rows(ids)  # raises for one that has no key
    if not 0 < len(ids) < len(bundle.bank):
        raise BadInputError(
            f"verifying needs at least one image to delete and one to keep, got {len(ids):,} of "
            f"{len(bundle.bank):,} to delete"
        )
    return ids
