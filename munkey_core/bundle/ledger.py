"""The ledger of a bundle: one entry an erasure, each with the hash of the one before it.

`ledger.sqlite` is a table of numbers, texts, hashes and signatures. It is read into memory and
written as a whole, never opened in place: no journal lies beside it, and the bytes of the file can
be sealed. An entry's text is canonical JSON, and its hash is the SHA-256 of that text.

Beside the entries lies the ledger's secret, the key of every hash in its receipts. It leaves the
ledger in no receipt and no report: who has only those can test no name, whatever list they hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from munkey_core import __version__
from munkey_core.data.naming import id_of, spellings
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.names import compared, tidied
from munkey_core.files.typed import Count, Digest, DigestOrNone, checked

Text = Annotated[str, Meta(max_length=2000)]


@dataclass(frozen=True)
class Purged:
    """One place from which an erasure removed something. place: a file of the bundle, "cache" or
    "old version". what: what it held, in words. count: how many of it."""

    place: Text
    what: Text
    count: Count


@dataclass(frozen=True)
class Remaining:
    """Something that an erasure doesn't reach and that could hold a trace. where: a file of the
    bundle, or a place outside it. why: what it holds and why it is left, in a sentence."""

    where: Text
    why: Text


@dataclass(frozen=True)
class Receipt:
    """What an erasure leaves to whoever asked for it, and in the bundle's ledger.

    number: its place in the ledger, from 1. created: UTC, ISO 8601. count: images erased. ids:
    HMAC-SHA256 (hex) of each id under the ledger's secret, sorted. owner: the same of "owner:NAME"
    if all images had one owner, else empty. rows: per mode the same of each erased row's SHA-256
    (`MemoryBank.row_digest`), sorted: whoever has the image can work out its row. commitment:
    SHA-256 (hex) of the secret's 32 random bytes, which lie in the ledger alone; by it a ledger
    proves that it uses the secret that this receipt was made with. digest_before, digest_after: of
    the bundle (SHA-256 of its manifest). original_kept: whether the erased version was written
    beside the bundle, which is left as it was. previous: hash of the ledger's entry before this
    one, empty for the first. signer: public Ed25519 key (hex) of whoever signed, or empty. hash:
    SHA-256 (hex) of all of that. signature: Ed25519 over the hash's 32 bytes (hex), or empty.

    salt: of a receipt of format 1 the key itself (hex), and then commitment is empty and `rows` are
    bare SHA-256: whoever holds such a receipt can test any name they know. None is made any more.
    """

    number: Count
    created: Text
    tool: Text
    bundle: Text
    modes: tuple[Text, ...]
    count: Count
    ids: tuple[Digest, ...]
    owner: DigestOrNone
    rows: dict[Text, tuple[Digest, ...]]
    digest_before: Digest
    digest_after: Digest
    original_kept: bool
    purged: tuple[Purged, ...]
    remains: tuple[Remaining, ...]
    previous: DigestOrNone
    signer: DigestOrNone
    hash: Digest = ""
    signature: Annotated[str, Meta(pattern=r"\A([0-9a-f]{128})?\Z")] = ""
    commitment: DigestOrNone = ""
    salt: DigestOrNone = ""

    @property
    def names_can_be_tested(self) -> bool:
        """Whether it holds the key of its own hashes, so that any name can be tried on it."""
        return bool(self.salt)


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a bundle's ledger. kind: "erased", or "changed" when figures or maps were saved
    since. what: in words. receipt: of an erasure. hash: SHA-256 (hex) of the entry, which holds
    `previous`, the hash of the one before it."""

    number: Count
    kind: str
    created: Text
    what: str
    digest_before: Digest
    digest_after: Digest
    previous: DigestOrNone
    hash: Digest
    receipt: Receipt | None = None


LEDGER = "ledger.sqlite"
ERASED, CHANGED = "erased", "changed"
RECEIPT_FORMAT = "munkey-receipt-2"
_FIRST_FORMAT = "munkey-receipt-1"  # with its own key in it
_OF_ONE_FORMAT = {RECEIPT_FORMAT: "salt", _FIRST_FORMAT: "commitment"}  # what each has not
_CHANGE_FORMAT = "munkey-change-1"
_TABLE = (
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL, "
    "signature TEXT NOT NULL)"
)
_SECRET_TABLE = "CREATE TABLE secret (key TEXT NOT NULL)"
_SCHEMAS = (
    [("table", "entries", _TABLE)],  # of a ledger whose receipts have their key in themselves
    [("table", "entries", _TABLE), ("table", "secret", _SECRET_TABLE)],
)
_LIMIT = 1 << 30  # bytes of a ledger; an erased image takes about 300
_RECEIPT_LIMIT = 1 << 28
_SECRET = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Row:
    number: int
    body: str
    hash: str
    signature: str


class Ledger:
    """The entries of one ledger, immutable. Made by `read` or `from_bytes`; `Ledger()` is empty.

    secret: 32 random bytes (hex), the key of the hashes in its receipts; empty as long as it has no
    receipt but such as have their key in themselves.
    """

    def __init__(self, rows: Sequence[_Row] = (), secret: str = "") -> None:
        self._rows = tuple(rows)
        self.secret = secret
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
            if schema not in _SCHEMAS:
                raise BundleError(
                    f"{LEDGER} must hold a table of entries, one with its secret, nothing else"
                )
            found = connection.execute(
                "SELECT number, body, hash, signature FROM entries ORDER BY number"
            ).fetchall()
            keys = connection.execute("SELECT key FROM secret").fetchall() if schema[1:] else []
        except (sqlite3.Error, OverflowError, UnicodeDecodeError, MemoryError) as error:
            raise BundleError(f"{LEDGER} is not a readable ledger ({error})") from error
        finally:
            connection.close()
        rows = []
        for row in found:
            if not isinstance(row[0], int) or not all(isinstance(text, str) for text in row[1:]):
                raise BundleError(f"{LEDGER}: an entry must be a number and three texts")
            rows.append(_Row(*row))
        if len(keys) != len(schema) - 1 or not all(_SECRET.fullmatch(str(key)) for (key,) in keys):
            raise BundleError(f"{LEDGER} must hold one secret of 32 bytes in hex")
        return cls(rows, keys[0][0] if keys else "")

    def to_bytes(self) -> bytes:
        """The file: the same entries are the same bytes."""
        connection = sqlite3.connect(":memory:")
        try:
            connection.execute(_TABLE)
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                [(row.number, row.body, row.hash, row.signature) for row in self._rows],
            )
            if self.secret:
                connection.execute(_SECRET_TABLE)
                connection.execute("INSERT INTO secret VALUES (?)", (self.secret,))
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

    def with_secret(self) -> Ledger:
        """This ledger, with a new random secret if it has none."""
        return self if self.secret else Ledger(self._rows, secrets.token_hex(32))

    def key_of(self, receipt: Receipt) -> str:
        """The key (hex) of a receipt's hashes, or empty if this ledger's secret isn't it: then
        nothing can be said about what the receipt names."""
        known = self.secret and committed(self.secret) == receipt.commitment
        return receipt.salt or (self.secret if known else "")

    def names(self, receipt: Receipt, text: str) -> bool | None:
        """Whether a receipt is about this id or file, or wholly about this owner ("owner:NAME", in
        any spelling); None where this ledger's secret isn't the receipt's."""
        key = self.key_of(receipt)
        said = {keyed_hash(key, form) for form in _forms(text)} if key else set()
        return not said.isdisjoint((*receipt.ids, receipt.owner)) if key else None

    @property
    def last(self) -> str:
        """Hash of the last entry; empty if there is none."""
        return self._rows[-1].hash if self._rows else ""

    def with_receipt(self, receipt: Receipt) -> Ledger:
        """A ledger with one more entry: a sealed receipt that names the last one."""
        row = _Row(receipt.number, receipt_body(receipt), receipt.hash, receipt.signature)
        return Ledger([*self._rows, row], self.secret)

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
        return Ledger([*self._rows, _Row(len(self) + 1, text, sha256_text(text), "")], self.secret)

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
            if entry.receipt is not None and not self.key_of(entry.receipt):
                found.append(f"{where} was made with another secret than the ledger's")
            previous, digest = row.hash, entry.digest_after
        return found

    def numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Erased id → number of the newest receipt that says so; ids that none names are left
        out."""
        known: dict[str, dict[str, int]] = {}
        for receipt in self.receipts:
            if key := self.key_of(receipt):
                of_key = known.setdefault(key, {})
                of_key.update(dict.fromkeys(receipt.ids, receipt.number))
        found: dict[str, int] = {}
        for id_ in ids if known else ():
            for key, numbers in known.items():
                number = numbers.get(keyed_hash(key, id_))
                if number is not None:
                    found[id_] = number
        return found


# -- receipts ------------------------------------------------------------------------------------

TOOL = f"munkey {__version__}"


def now() -> str:
    """UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keyed_hash(key: str, text: str) -> str:
    """HMAC-SHA256 (hex) of a text. key: hex."""
    return hmac.new(
        bytes.fromhex(key), text.encode(errors="surrogatepass"), hashlib.sha256
    ).hexdigest()


def owner_hash(key: str, owner: str) -> str:
    """Of an owner's name, as names are compared; never equal to an id's."""
    return keyed_hash(key, f"owner:{compared(owner)}")


def _forms(text: str) -> Iterator[str]:
    """What a name may stand as in a receipt: early ones hold owners as they were typed."""
    yield text
    owner = text.removeprefix("owner:")
    if owner != text:
        yield from (f"owner:{form}" for form in (tidied(owner), compared(owner)))
    else:
        yield from map(id_of, spellings(text))


def committed(secret: str) -> str:
    """What a receipt says of the secret of its ledger: SHA-256 (hex) of its bytes. secret: hex."""
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()


def sealed(receipt: Receipt) -> Receipt:
    """The receipt with its hash."""
    return replace(receipt, hash=sha256_text(receipt_body(receipt)), signature="")


def receipt_body(receipt: Receipt) -> str:
    """The text that a receipt's hash is of."""
    values = receipt_values(receipt)
    del values["hash"], values["signature"]
    return canonical(values)


def receipt_values(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain values, with its format and without what that hasn't."""
    form = _FIRST_FORMAT if receipt.names_can_be_tested else RECEIPT_FORMAT
    values = {"format": form, **asdict(receipt)}
    del values[_OF_ONE_FORMAT[form]]
    return values


def receipt_text(receipt: Receipt) -> str:
    """A receipt as a JSON file; `read_receipt` gives an equal one back."""
    return json.dumps(receipt_values(receipt), indent=1) + "\n"


def read_receipt(data: bytes | str) -> Receipt:
    """A receipt from its file. Raises BadInputError for anything else, and for one that was
    changed since: its hash would be another."""
    if len(data) > _RECEIPT_LIMIT:
        raise BadInputError(f"a receipt has at most {_RECEIPT_LIMIT:,} bytes, got {len(data):,}")
    try:
        values = dict(json.loads(data.decode("utf-8") if isinstance(data, bytes) else data))
        receipt = _receipt(values)
    except (ValueError, TypeError, RecursionError, BadInputError) as error:
        raise BadInputError(
            f"this is no receipt of an erasure: wanted the JSON file that `munkey erase` wrote "
            f"({str(error)[:200]})"
        ) from error
    if sha256_text(receipt_body(receipt)) != receipt.hash:
        raise BadInputError("this receipt was changed: its hash is not that of what it says")
    return receipt


def _receipt(values: dict[str, Any]) -> Receipt:
    """Raises ValueError or BadInputError for values that are no receipt of a known format."""
    missing = _OF_ONE_FORMAT.get(form := values.pop("format", None))
    if missing is None:
        raise ValueError(f"format must be {RECEIPT_FORMAT} or {_FIRST_FORMAT}, got {form!r}")
    receipt = checked(Receipt, values, "receipt")
    if getattr(receipt, missing) or not (receipt.salt or receipt.commitment):
        raise ValueError(f"{form} has no {missing}, but the other one of salt and commitment")
    return receipt


def _entry(row: _Row) -> LedgerEntry:
    try:
        values = {**json.loads(row.body), "hash": row.hash}
        if values.get("format") in _OF_ONE_FORMAT:
            return _erased(_receipt({**values, "signature": row.signature}))
        form = values.pop("format", None)
        if form != _CHANGE_FORMAT or row.signature:  # only receipts are signed
            raise ValueError("of an unknown format, or signed")
        words = {"kind": CHANGED, "what": "figures or maps saved; the same rows", "receipt": None}
        return checked(LedgerEntry, {**values, **words}, "change", others=(LedgerEntry,))
    except (ValueError, TypeError, RecursionError, BadInputError) as error:
        raise BundleError(
            f"{LEDGER}: entry {row.number} is no entry of a ledger ({str(error)[:200]})"
        ) from error


def _erased(receipt: Receipt) -> LedgerEntry:
    return LedgerEntry(
        number=receipt.number,
        kind=ERASED,
        created=receipt.created,
        what=f"{receipt.count:,} image{'' if receipt.count == 1 else 's'} erased",
        digest_before=receipt.digest_before,
        digest_after=receipt.digest_after,
        previous=receipt.previous,
        hash=receipt.hash,
        receipt=receipt,
    )


def canonical(values: Mapping[str, Any]) -> str:
    """JSON with one spelling only."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_text(text: str) -> str:
    """SHA-256 (hex) of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
