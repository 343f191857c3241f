"""Writing a bundle: it appears whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from munkey_core.bundle.bundle import Bundle, ExactMode, FittedMap
from munkey_core.bundle.ledger import LEDGER, Ledger
from munkey_core.bundle.manifest import (
    BANK,
    ENCODER,
    EXACT,
    EXACT_SCORES,
    JOINT_MODE,
    MODEL,
    OPTIONAL,
    ORACLES,
    PROJECTIONS,
    QUERIES,
    REQUIRED,
    SCORES,
    SEAL,
    Manifest,
)
from munkey_core.bundle.records import CSV, PARQUET, THUMBNAILS, pack_records
from munkey_core.bundle.versions import MANIFEST, manifest_digest
from munkey_core.errors import BundleError
from munkey_core.files.durable import sha256, write_file, write_whole
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import own_state
from munkey_core.model.tokens import pack_tokens, unpack_tokens


def write_bundle(bundle: Bundle, folder: Path, extra: Mapping[str, str] | None = None) -> None:
    """Write a bundle to a new folder; it appears whole or not at all.

    extra: texts of CARD.md, NOTICE or recipe.toml. Raises BundleError if the folder exists.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already; choose another folder or remove it")
    partial = folder.with_name(folder.name + ".writing")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, data in pack_bundle(bundle, extra):
        write_file(partial / name, data)
    seal(partial, bundle.manifest)
    partial.rename(folder)


def pack_bundle(
    bundle: Bundle, extra: Mapping[str, str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files of a bundle, all but the manifest and what other models said."""
    yield MODEL, save(_contiguous(bundle.model.state_dict()))
    yield ENCODER, save(_contiguous(own_state(bundle.encoder)))
    ids = "\n".join(bundle.bank.ids).encode()
    bank = {
        "ids": torch.tensor(list(ids), dtype=torch.uint8),
        "keys": bundle.bank.keys.contiguous(),
        "tokens": bundle.bank.tokens.half().contiguous(),
    }
    yield BANK, save(bank)
    yield QUERIES, save({"test_keys": bundle.test_keys.contiguous()})
    yield SCORES, save(_contiguous(dict(bundle.scores)))
    if bundle.projections:
        yield PROJECTIONS, save(_projection_tensors(bundle.projections))
    if bundle.exact is not None and bundle.mode == JOINT_MODE:  # else it is the model and the bank
        yield EXACT, save(_exact_tensors(bundle.exact, bundle.bank))
    yield pack_records(bundle.records)
    if bundle.thumbnails is not None:
        yield THUMBNAILS, bundle.thumbnails.pack()
    for name, text in (extra or {}).items():
        yield name, text.encode("utf-8")


def seal(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json with the checksums of the files that are there now, and the seal.

    A bundle that has a ledger gets an entry in it: its digest is another one from here on.
    """
    known = {*REQUIRED, *OPTIONAL, PARQUET, CSV}
    paths = [p for p in sorted(folder.iterdir()) if p.name in known]
    paths += sorted(folder.glob(f"{ORACLES}/*.safetensors"))
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    data = replace(manifest, files=files).to_json().encode()
    before, after = manifest_digest(folder), hashlib.sha256(data).hexdigest()
    write_whole(folder / MANIFEST, data)
    book = Ledger.read(folder)
    if len(book) and before != after:
        write_whole(folder / LEDGER, book.with_change(before, after).to_bytes())
    book_digest = sha256(folder / LEDGER) if len(book) else ""
    write_whole(folder / SEAL, seal_text(after, book_digest).encode())


def seal_text(manifest: str, ledger: str) -> str:
    """What seal.json says: nothing else in a bundle guards the manifest's own text and the ledger.
    manifest, ledger: their SHA-256 (hex); an empty one for no ledger."""
    return json.dumps({MANIFEST: manifest, LEDGER: ledger}, indent=1) + "\n"


def write_projections(path: Path, projections: Mapping[str, FittedMap]) -> None:
    """Write a file of maps by space. It appears whole or not at all."""
    write_whole(path, save(_projection_tensors(projections)))


def _projection_tensors(projections: Mapping[str, FittedMap]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for space, fitted in projections.items():
        tensors[space] = torch.from_numpy(np.array(fitted.positions))
        tensors[f"{space}_seed"] = torch.tensor(fitted.seed)
        digest = bytearray(bytes.fromhex(fitted.digest))
        tensors[f"{space}_digest"] = torch.frombuffer(digest, dtype=torch.uint8)
    return tensors


def write_exact(path: Path, exact: ExactMode, bank: MemoryBank) -> None:
    """Write the file of an exact mode. bank: of its bundle, whose ids and keys it shares. It
    appears whole or not at all.

    θ in half precision, tokens in 4 bits and a scale a row: both are rounded so before the first
    row is written, so nothing is lost here. Raises BundleError for tokens or weights that are not.
    """
    write_whole(path, save(_exact_tensors(exact, bank)))


def _exact_tensors(exact: ExactMode, bank: MemoryBank) -> dict[str, Tensor]:
    packed, scales = pack_tokens(exact.tokens)
    state = {f"model.{name}": value.half() for name, value in exact.model.state_dict().items()}
    lost = not torch.equal(unpack_tokens(packed, scales, exact.tokens.shape[1]), exact.tokens)
    if lost or any(
        not torch.equal(state[f"model.{name}"].float(), value)
        for name, value in exact.model.state_dict().items()
    ):
        raise BundleError("an exact mode must be rounded before it is written")
    own = MemoryBank(bank.ids, bank.keys, exact.tokens)
    tensors = {
        **state,
        "codes": packed,
        "scales": scales,
        "digests": row_digests(own),
        **{f"scores.{name}": exact.scores[name].half() for name in EXACT_SCORES},
    }
    return _contiguous(tensors)


def row_digests(bank: MemoryBank) -> Tensor:
    """(N, 32) uint8, the SHA-256 of each entry (`MemoryBank.row_digest`)."""
    digests = b"".join(bytes.fromhex(bank.row_digest(row)) for row in range(len(bank)))
    return torch.frombuffer(bytearray(digests), dtype=torch.uint8).view(-1, 32)


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
