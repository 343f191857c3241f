"""Erasing images from a bundle on disk."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from munkey_core.bundle.forget_sets import forget_set, parse_id_csv
from munkey_core.bundle.ledger import (
    Ledger,
    LedgerEntry,
    Receipt,
    read_receipt,
    receipt_text,
)
from munkey_core.erasure.erasure import erase
from munkey_core.erasure.filed_reports import file_report, filed_report
from munkey_core.erasure.measure_again import Missing
from munkey_core.erasure.plan import ErasurePlan, make_plan
from munkey_core.erasure.receipts import ReceiptCheck, check_receipt, read_public_key
from munkey_core.erasure.request_page import file_names, request_report
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files import limits
from munkey_core.files.in_words import counted
from munkey_core.progress import Steps
from munkey_core.studio.shared import SharedModel


class Erasure:
    """Erasing images from the bundle on disk, for good and for everybody, and the receipts that say
    so. What this session has forgotten counts as there."""

    read_receipt = staticmethod(read_receipt)
    receipt_text = staticmethod(receipt_text)
    report = staticmethod(request_report)
    file_report = staticmethod(file_report)
    filed_report = staticmethod(filed_report)
    file_names = staticmethod(file_names)

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared

    @property
    def stale(self) -> bool:
        """Whether the bundle on disk is another version by now than this session's. The session
        goes on with the version it has; `Studio.open` reads the new one."""
        return self._shared.bundle.changed

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What erasures took along from this session's version and nobody has measured again."""
        return self._shared.missing

    def named_ids(self, spec: str) -> tuple[str, ...]:
        """Ids that a request names, in the command line's syntax, whether this bundle knows them or
        not. Raises BadInputError if the request can't be read or names nothing, and says so of an
        owner whose images were erased."""
        try:
            return forget_set(spec, self._shared.bundle)
        except BadInputError as error:
            owner = spec.strip().removeprefix("owner:")
            ledger = Ledger.read(self._folder) if owner != spec.strip() else Ledger()
            for receipt in ledger.receipts:
                if ledger.names(receipt, f"owner:{owner}"):
                    raise BadInputError(
                        f"the images of owner {owner!r} are erased already: receipt "
                        f"{receipt.number} of {receipt.created}, {counted(receipt.count, 'image')}"
                    ) from error
            raise

    def ids_in_csv(self, data: bytes, name: str) -> tuple[str, ...]:
        """Ids of an uploaded CSV file of ids or file names, each once; what names no image here is
        as it stands there. name: what to call the file. Raises BadInputError."""
        return tuple(dict.fromkeys(map(self._shared.names.id_for, parse_id_csv(data, name))))

    def ids_in_text(self, text: str) -> tuple[str, ...]:
        """Ids of a text that lists ids or file names, each once: one a line, or with blanks, commas
        or semicolons between them. What names no image here is as it stands there."""
        return tuple(dict.fromkeys(self._shared.names.in_text(text, r"[\s,;]+")))

    def plan(self, ids: Iterable[str]) -> ErasurePlan:
        """What `erase` would do; writes nothing. ids: any texts; those that can't be erased are in
        the plan, with its `problem`.

        Raises BundleError for a bundle that is not on disk or a ledger that can't be read.
        """
        plan = make_plan(self._shared.whole, ids, Ledger.read(self._folder))
        erased = set(plan.ids)
        pairs = self._shared.near_duplicates(plan.ids)
        return replace(plan, near_duplicates=tuple(p for p in pairs if p.other not in erased))

    def erase(
        self, ids: Iterable[str], *, out: Path | None = None, key: Path | None = None
    ) -> Steps[Receipt]:
        """Yield progress; return the receipt: the images are gone from the bundle on disk, for good
        and for everybody. All of them or none; ids that are erased already are passed over.

        out: a new folder for the version without them; the bundle is then left as it is. key: file
        of a private Ed25519 key in PEM that signs the receipt. This session keeps the version it
        has (it is `stale`). Go through it to the end: it holds a lock.

        Raises what `erasure.erase` raises; BundleChangedError if this session is stale already,
        ReadOnlyError in a demonstration.
        """
        limits.refuse_in_demo("erasing images")
        return erase(self._folder, tuple(ids), out, key, self._shared.bundle.version)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """All that was erased from the bundle on disk, oldest first. Raises BundleError."""
        return Ledger.read(self._folder).entries

    def receipt_numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Of ids that were erased from the bundle on disk, the number of the receipt that says so.
        Raises BundleError."""
        return Ledger.read(self._folder).numbers(ids)

    def check(self, receipt: Receipt, public_key: Path | None = None) -> ReceiptCheck:
        """Hold a receipt against the bundle on disk. public_key: PEM file of the signer that is
        expected. Raises BadInputError for a file that is no key."""
        wanted = "" if public_key is None else read_public_key(public_key)
        return check_receipt(self._folder, receipt, wanted)

    @property
    def _folder(self) -> Path:
        folder = self._shared.bundle.folder
        if folder is None:
            raise BundleError("this bundle is only in memory: there is nothing to erase on disk")
        return folder
