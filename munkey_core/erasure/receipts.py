"""Signing receipts, and checking them against the bundle that they speak of.

A hash chain shows a change by whoever can't recompute all of it. Who can rewrite the whole bundle
can: against that stands a receipt that is kept elsewhere, and a signature by a key that is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.ledger import Ledger, Receipt, keyed_hash, receipt_body, sealed, sha256_text
from munkey_core.bundle.read import read_bundle
from munkey_core.bundle.versions import manifest_digest, unfinished
from munkey_core.erasure.verification import damaged_files
from munkey_core.errors import BadInputError, BundleError


@dataclass(frozen=True)
class ReceiptCheck:
    """What became of checking a receipt against a bundle.

    chain_whole: every entry of the ledger names the one before it, and none was changed.
    in_ledger: the receipt is one of them, to the letter. digest_right: the bundle on disk is the
    version that the ledger's last entry speaks of. rows_present, ids_present: how many of the
    erased rows and ids are in the bundle, None where that can't be said. files_damaged: files that
    are not what the bundle's seal says. signature: "none", "valid", "invalid", or "other" for a
    valid one of another key than the one asked for. unfinished: an erasure was interrupted, and its
    old version may still be there.
    names_can_be_tested: the receipt holds the key of its own hashes (format 1): whoever has it can
    try names on it. problems: what is wrong, in sentences; none if all is well.
    """

    number: int
    count: int
    digest: str
    chain_whole: bool
    in_ledger: bool
    digest_right: bool
    rows_present: int | None
    ids_present: int | None
    files_damaged: int
    signature: str
    unfinished: bool
    names_can_be_tested: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "ok": self.ok}


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NONE, VALID, INVALID, OTHER = "none", "valid", "invalid", "other"
_KEY_LIMIT = 100_000


def make_key(path: Path) -> Path:
    """Write a new private Ed25519 key to `path` (PEM, readable by its owner only) and the public
    one beside it; returns the latter's path. Raises BadInputError if one of them exists."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = path.with_name(path.name + ".pub")
    for one in (path, public_path):
        if one.exists():
            raise BadInputError(f"{one} exists already: a key is never replaced")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    public_path.write_bytes(public)
    return public_path


def read_key(path: Path) -> Ed25519PrivateKey:
    """A private key. Raises BadInputError for anything but an unencrypted Ed25519 key in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(_key_bytes(path), None)
    except (ValueError, TypeError, BadInputError) as error:
        raise BadInputError(f"{path} is no private Ed25519 key in PEM ({error})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInputError(f"{path} must be an Ed25519 key, got {type(key).__name__}")
    return key


def read_public_key(path: Path) -> str:
    """A public key (hex) from its PEM file, or from that of its private key. Raises
    BadInputError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        data = _key_bytes(path)
        key = (
            read_key(path).public_key()
            if b"PRIVATE" in data
            else serialization.load_pem_public_key(data)
        )
    except (ValueError, TypeError) as error:
        raise BadInputError(f"{path} is no public Ed25519 key in PEM ({error})") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInputError(f"{path} must be an Ed25519 key, got {type(key).__name__}")
    return key.public_bytes_raw().hex()


def signed(receipt: Receipt, key: Ed25519PrivateKey | None) -> Receipt:
    """The receipt with its hash and, if there is a key, its signature."""
    if key is None:
        return sealed(receipt)
    receipt = sealed(replace(receipt, signer=key.public_key().public_bytes_raw().hex()))
    return replace(receipt, signature=key.sign(bytes.fromhex(receipt.hash)).hex())


def signature_state(receipt: Receipt, wanted: str = "") -> str:
    """ "none", "valid", "invalid", or "other": valid, but not of the key `wanted` (hex)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not receipt.signer and not receipt.signature:
        return NONE
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(receipt.signer))
        key.verify(bytes.fromhex(receipt.signature), bytes.fromhex(receipt.hash))
    except (InvalidSignature, ValueError):
        return INVALID
    return VALID if wanted in ("", receipt.signer) else OTHER


def ledger_problems(folder: Path, ledger: Ledger, bundle: Bundle) -> list[str]:
    """What is wrong with a bundle's ledger, or with the bundle beside it, in sentences."""
    found = ledger.problems()
    if ledger.entries and ledger.entries[-1].digest_after != bundle.version:
        found.append("the ledger's last entry speaks of another version of the bundle")
    wanted = bundle.manifest.erasures
    if len(ledger.receipts) != wanted:
        found.append(
            f"the manifest knows of {wanted:,} erasures, the ledger of {len(ledger.receipts):,}"
        )
    contents = Contents(bundle, ledger)
    for receipt in ledger.receipts:
        if signature_state(receipt) == INVALID:
            found.append(f"ledger entry {receipt.number}: the signature is not its signer's")
        rows, ids = contents.of(receipt) if ledger.key_of(receipt) else (0, 0)  # told above
        if rows or ids:
            found.append(
                f"ledger entry {receipt.number}: {rows:,} of the erased rows and {ids:,} of the "
                "erased ids are in the bundle"
            )
    return found


class Contents:
    """What is in a bundle, as the receipts of its ledger name it; worked out once for all of
    them."""

    def __init__(self, bundle: Bundle, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ids = [record.id for record in bundle.records]
        self._rows: set[str] = set()
        for mode in bundle.modes:
            bank = bundle.in_mode(mode).bank
            self._rows.update(bank.row_digest(row) for row in range(len(bank)))
        self._hashed = cache(self._under)

    def of(self, receipt: Receipt) -> tuple[int, int]:
        """How many of a receipt's rows, in any mode, and of its ids are in the bundle.

        Raises BadInputError if the ledger's secret isn't the one that the receipt was made with.
        """
        key = self._ledger.key_of(receipt)
        if not key:
            raise BadInputError(OTHER_SECRET)
        ids, hashed = self._hashed(key)
        there = self._rows if receipt.names_can_be_tested else hashed
        rows = sum(one in there for rows in receipt.rows.values() for one in rows)
        return rows, sum(one in ids for one in receipt.ids)

    def _under(self, key: str) -> tuple[set[str], set[str]]:
        """The ids and the rows of the bundle as hashes under a key (hex)."""
        ids = {keyed_hash(key, id_) for id_ in self._ids}
        return ids, {keyed_hash(key, row) for row in self._rows}


def check_receipt(folder: Path, receipt: Receipt, public_key: str = "") -> ReceiptCheck:
    """Check a receipt against the bundle in `folder`. public_key: of the signer that is expected
    (hex). Nothing is raised for what is wrong: it is in the result's `problems`."""
    problems: list[str] = []
    _, damaged = damaged_files(folder)
    problems += [f"{name}: {reason}" for name, reason in damaged.items()]
    ledger, chain = Ledger(), False
    try:
        ledger = Ledger.read(folder)
        broken = ledger.problems()
        chain = not broken and len(ledger) > 0
        problems += broken
        if not len(ledger):
            problems.append("the bundle has no ledger: nothing was ever erased from it")
    except BundleError as error:
        problems.append(str(error))
    known = sha256_text(receipt_body(receipt)) == receipt.hash and receipt in ledger.receipts
    if len(ledger) and not known:
        problems.append("the bundle's ledger has no such receipt")
    digest = manifest_digest(folder)
    right = bool(ledger.entries) and ledger.entries[-1].digest_after == digest
    if len(ledger) and not right:
        problems.append("the bundle is another version than the one its ledger ends with")
    rows = ids = None
    try:
        rows, ids = Contents(read_bundle(folder), ledger).of(receipt)
        found = (rows, "rows"), (ids, "ids")
        problems += [f"{n:,} of the erased {what} are in the bundle" for n, what in found if n]
    except (BundleError, BadInputError) as error:
        problems.append(f"whether the rows are gone can't be said: {error}")
    state = signature_state(receipt, public_key)
    if state == INVALID:
        problems.append("the signature is not that of the signer it names")
    elif state == OTHER:
        problems.append("the receipt was signed by another key than the one given")
    elif state == NONE and public_key:
        problems.append("the receipt is not signed")
    open_end = unfinished(folder)
    if open_end:
        problems.append(UNFINISHED)
    return ReceiptCheck(
        number=receipt.number,
        count=receipt.count,
        digest=digest,
        chain_whole=chain,
        in_ledger=known,
        digest_right=right,
        rows_present=rows,
        ids_present=ids,
        files_damaged=len(damaged),
        signature=state,
        unfinished=open_end,
        names_can_be_tested=receipt.names_can_be_tested,
        problems=tuple(problems),
    )


TESTABLE = (
    "this receipt is of the first kind, which holds the key of its own hashes: whoever has it and "
    "a list of names can find out which of them it is about"
)
OTHER_SECRET = "the receipt was made with another secret than that of the bundle's ledger"
UNFINISHED = (
    "a change of this bundle was interrupted (or is going on): the old version may still be on the "
    "disk; `munkey erase BUNDLE --finish` completes it"
)


def hashed_rows(bundle: Bundle, ids: Sequence[str], key: str) -> dict[str, tuple[str, ...]]:
    """Per mode the digests of some rows under a key (hex), sorted."""
    found = {}
    for mode in bundle.modes:
        bank = bundle.in_mode(mode).bank
        digests = (bank.row_digest(bank.row(id_)) for id_ in ids)
        found[mode] = tuple(sorted(keyed_hash(key, digest) for digest in digests))
    return found


def _key_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _KEY_LIMIT:
            raise BadInputError(f"{path} is too large for a key")
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} can't be read ({error.strerror})") from error
