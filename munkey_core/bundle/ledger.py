"""The ledger of a bundle: one entry an erasure, each with the hash of the one before it.

`ledger.sqlite` is a table of numbers, texts, hashes and signatures. It is read into memory and
written as a whole, never opened in place: no journal lies beside it, and the bytes of the file can
be sealed. An entry's text is canonical JSON, and its hash is the SHA-256 of that text.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from munkey_core import __version__
from munkey_core.errors import BadInputError, BundleError


@dataclass(frozen=True)
class Purged:
    """One place from which an erasure removed something. place: a file of the bundle, "cache" or
    "old version". what: what it held, in words. count: how many of it."""

    place: str
    what: str
    count: int


@dataclass(frozen=True)
class Remaining:
    """Something that an erasure doesn't reach and that could hold a trace. where: a file of the
    bundle, or a place outside it. why: what it holds and why it is left, in a sentence."""

    where: str
    why: str


@dataclass(frozen=True)
class Receipt:
    """What an erasure leaves to whoever asked for it, and in the bundle's ledger.

    number: its place in the ledger, from 1. created: UTC, ISO 8601. count: images erased. salt: 32
    random bytes (hex), the same for all receipts of a ledger. ids: HMAC-SHA256 (hex) of each id
    with the salt as key, sorted: who holds the receipt and an id can tell whether that id is meant,
    nobody can read an id from it except by trying. owner: the same of "owner:NAME" if all images
    had one owner, else empty. rows: per mode the SHA-256 (hex) of each erased row, sorted
    (`MemoryBank.row_digest`). digest_before, digest_after: of the bundle (SHA-256 of its manifest).
    original_kept: whether the erased version was written beside the bundle, which is left as it
    was. previous: hash of the ledger's entry before this one, empty for the first. signer: public
    Ed25519 key (hex) of whoever signed, or empty. hash: SHA-256 (hex) of all of that. signature:
    Ed25519 over the hash's 32 bytes (hex), or empty.
    """

    number: int
    created: str
    tool: str
    bundle: str
    modes: tuple[str, ...]
    count: int
    salt: str
    ids: tuple[str, ...]
    owner: str
    rows: dict[str, tuple[str, ...]]
    digest_before: str
    digest_after: str
    original_kept: bool
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    previous: str
    signer: str
    hash: str = ""
    signature: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a bundle's ledger. kind: "erased", or "changed" when figures or maps were saved
    since. what: in words. receipt: of an erasure. hash: SHA-256 (hex) of the entry, which holds
    `previous`, the hash of the one before it."""

    number: int
    kind: str
    created: str
    what: str
    digest_before: str
    digest_after: str
    previous: str
    hash: str
    receipt: Receipt | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


LEDGER = "ledger.sqlite"
ERASED, CHANGED = "erased", "changed"
RECEIPT_FORMAT = "munkey-receipt-1"
_CHANGE_FORMAT = "munkey-change-1"
_TABLE = (
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL, "
    "signature TEXT NOT NULL)"
)
_LIMIT = 1 << 30  # bytes of a ledger; an erased image takes about 300
_RECEIPT_LIMIT = 1 << 28
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class _Row:
    number: int
    body: str
    hash: str
    signature: str


class Ledger:
    """The entries of one ledger, immutable. Made by `read` or `from_bytes`; `Ledger()` is empty."""

    def __init__(self, rows: Sequence[_Row] = ()) -> None:
        self._rows = tuple(rows)
        self.entries = tuple(_entry(row) for row in self._rows)

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """The ledger of the bundle in `folder`; empty if it has none. Raises BundleError."""
        path = folder / LEDGER
        if not path.exists() and not path.is_symlink():
            return cls()
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LIMIT:
                raise BundleError(f"{LEDGER} must be a plain file of at most {_LIMIT:,} bytes")
            return cls.from_bytes(path.read_bytes())
        except OSError as error:
            raise BundleError(f"{LEDGER} can't be read ({error})") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Ledger:
        """Raises BundleError for anything that is no ledger. The chain is not checked here, see
        `problems`."""
        connection = sqlite3.connect(":memory:")
        try:
            connection.deserialize(data)
            connection.execute("PRAGMA trusted_schema = OFF")
            schema = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
            if schema != [("table", "entries", _TABLE)]:
                raise BundleError(f"{LEDGER} must hold one table of entries and nothing else")
            found = connection.execute(
                "SELECT number, body, hash, signature FROM entries ORDER BY number"
            ).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeDecodeError, MemoryError) as error:
            raise BundleError(f"{LEDGER} is not a readable ledger ({error})") from error
        finally:
            connection.close()
        rows = []
        for row in found:
            if not isinstance(row[0], int) or not all(isinstance(text, str) for text in row[1:]):
                raise BundleError(f"{LEDGER}: an entry must be a number and three texts")
            rows.append(_Row(*row))
        return cls(rows)

    def to_bytes(self) -> bytes:
        """The file: the same entries are the same bytes."""
        connection = sqlite3.connect(":memory:")
        try:
            connection.execute(_TABLE)
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                [(row.number, row.body, row.hash, row.signature) for row in self._rows],
            )
            connection.commit()
            return connection.serialize()
        finally:
            connection.close()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """Of all erasures, oldest first."""
        return tuple(entry.receipt for entry in self.entries if entry.receipt is not None)

    def next_salt(self) -> str:
        """The key of the next receipt's keyed hashes (hex): that of all receipts so far, or a new
        random one for the first."""
        receipts = self.receipts
        return receipts[-1].salt if receipts else secrets.token_hex(32)

    @property
    def last(self) -> str:
        """Hash of the last entry; empty if there is none."""
        return self._rows[-1].hash if self._rows else ""

    def with_receipt(self, receipt: Receipt) -> Ledger:
        """A ledger with one more entry: a sealed receipt that names the last one."""
        row = _Row(receipt.number, receipt_body(receipt), receipt.hash, receipt.signature)
        return Ledger([*self._rows, row])

    def with_change(self, before: str, after: str) -> Ledger:
        """A ledger that knows that the bundle was sealed anew, with the same rows."""
        body = {
            "format": _CHANGE_FORMAT,
            "number": len(self) + 1,
            "created": now(),
            "tool": TOOL,
            "digest_before": before,
            "digest_after": after,
            "previous": self.last,
        }
        text = canonical(body)
        return Ledger([*self._rows, _Row(len(self) + 1, text, sha256_text(text), "")])

    def problems(self) -> list[str]:
        """What is wrong with the chain, in sentences; none if it is whole."""
        found, previous, digest = [], "", ""
        for place, (row, entry) in enumerate(zip(self._rows, self.entries, strict=True), start=1):
            where = f"ledger entry {place}"
            if row.number != place or entry.number != place:
                found.append(f"{where} says that it is number {entry.number}")
            if sha256_text(row.body) != row.hash:
                found.append(f"{where} is not what its hash says: it was changed")
            if entry.previous != previous:
                found.append(f"{where} does not follow the one before it")
            if digest and entry.digest_before != digest:
                found.append(f"{where} begins with another version than the one before it left")
            previous, digest = row.hash, entry.digest_after
        return found

    def gone(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Those of `ids` that some receipt says were erased."""
        return tuple(self.numbers(ids))

    def numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Erased id → number of the newest receipt that says so; ids that none names are left
        out."""
        known: dict[str, dict[str, int]] = {}
        for receipt in self.receipts:
            of_salt = known.setdefault(receipt.salt, {})
            of_salt.update(dict.fromkeys(receipt.ids, receipt.number))
        found: dict[str, int] = {}
        for id_ in ids if known else ():
            for salt, numbers in known.items():
                number = numbers.get(keyed_hash(salt, id_))
                if number is not None:
                    found[id_] = number
        return found


# -- receipts ------------------------------------------------------------------------------------

TOOL = f"munkey {__version__}"


def now() -> str:
    """UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keyed_hash(salt: str, text: str) -> str:
    """HMAC-SHA256 (hex) of a text. salt: hex."""
    return hmac.new(
        bytes.fromhex(salt), text.encode(errors="surrogatepass"), hashlib.sha256
    ).hexdigest()


def owner_hash(salt: str, owner: str) -> str:
    """Of an owner's name; never equal to an id's."""
    return keyed_hash(salt, f"owner:{owner}")


def sealed(receipt: Receipt) -> Receipt:
    """The receipt with its hash."""
    return replace(receipt, hash=sha256_text(receipt_body(receipt)), signature="")


def receipt_body(receipt: Receipt) -> str:
    """The text that a receipt's hash is of."""
    values = asdict(receipt)
    del values["hash"], values["signature"]
    return canonical({"format": RECEIPT_FORMAT, **values})


def receipt_text(receipt: Receipt) -> str:
    """A receipt as a JSON file; `read_receipt` gives an equal one back."""
    return json.dumps({"format": RECEIPT_FORMAT, **receipt.to_dict()}, indent=1) + "\n"


def read_receipt(data: bytes | str) -> Receipt:
    """A receipt from its file. Raises BadInputError for anything else, and for one that was
    changed since: its hash would be another."""
    if len(data) > _RECEIPT_LIMIT:
        raise BadInputError(f"a receipt has at most {_RECEIPT_LIMIT:,} bytes, got {len(data):,}")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        receipt = _receipt(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(
            f"this is no receipt of an erasure: wanted the JSON file that `munkey erase` wrote "
            f"({type(error).__name__}: {str(error)[:200]})"
        ) from error
    if sha256_text(receipt_body(receipt)) != receipt.hash:
        raise BadInputError("this receipt was changed: its hash is not that of what it says")
    return receipt


def _entry(row: _Row) -> LedgerEntry:
    try:
        values = json.loads(row.body)
        if values["format"] == RECEIPT_FORMAT:
            receipt = _receipt({**values, "hash": row.hash, "signature": row.signature})
            count = receipt.count
            kind, what = ERASED, f"{count:,} image{'' if count == 1 else 's'} erased"
        elif values["format"] == _CHANGE_FORMAT:
            if row.signature:
                raise ValueError("only receipts are signed")
            receipt, kind, what = None, CHANGED, "figures or maps saved; the same rows"
        else:
            raise ValueError("an unknown format")
        return LedgerEntry(
            number=_whole(values["number"]),
            kind=kind,
            created=_text(values["created"]),
            what=what,
            digest_before=_digest(values["digest_before"]),
            digest_after=_digest(values["digest_after"]),
            previous=_digest(values["previous"], empty=True),
            hash=_digest(row.hash),
            receipt=receipt,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{LEDGER}: entry {row.number} is no entry of a ledger "
            f"({type(error).__name__}: {str(error)[:200]})"
        ) from error


def _receipt(values: Mapping[str, Any]) -> Receipt:
    """Raises ValueError, LookupError or TypeError for anything but a receipt's values."""
    if values["format"] != RECEIPT_FORMAT:
        raise ValueError(f"format must be {RECEIPT_FORMAT}")
    unknown = set(values) - {"format", *Receipt.__dataclass_fields__}
    if unknown:
        raise ValueError(f"a receipt has no {min(unknown)!r}")
    if not isinstance(values["original_kept"], bool):
        raise ValueError("original_kept must be true or false")
    return Receipt(
        number=_whole(values["number"]),
        created=_text(values["created"]),
        tool=_text(values["tool"]),
        bundle=_text(values["bundle"]),
        modes=tuple(_text(mode) for mode in _list(values["modes"])),
        count=_whole(values["count"]),
        salt=_digest(values["salt"]),
        ids=tuple(_digest(one) for one in _list(values["ids"])),
        owner=_digest(values["owner"], empty=True),
        rows={
            _text(mode): tuple(_digest(one) for one in _list(rows))
            for mode, rows in values["rows"].items()
        },
        digest_before=_digest(values["digest_before"]),
        digest_after=_digest(values["digest_after"]),
        original_kept=values["original_kept"],
        purged=tuple(
            Purged(_text(one["place"]), _text(one["what"]), _whole(one["count"]))
            for one in _list(values["purged"])
        ),
        remains=tuple(
            Remaining(_text(one["where"]), _text(one["why"])) for one in _list(values["remains"])
        ),
        previous=_digest(values["previous"], empty=True),
        signer=_digest(values["signer"], empty=True),
        hash=_digest(values["hash"]),
        signature=_digest(values["signature"], empty=True, length=128),
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"wanted a list, got {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 2000:
        raise ValueError("wanted a text of at most 2,000 characters")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ValueError("wanted a whole number, 0 or more")
    return value


def _digest(value: Any, empty: bool = False, length: int = 64) -> str:
    text = _text(value)
    if (text or not empty) and (len(text) != length or not _HEX.issuperset(text)):
        raise ValueError(f"wanted {length} hexadecimal digits")
    return text


def canonical(values: Mapping[str, Any]) -> str:
    """JSON with one spelling only."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_text(text: str) -> str:
    """SHA-256 (hex) of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
