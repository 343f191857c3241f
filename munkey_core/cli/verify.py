"""`munkey verify`: a bundle's files, a receipt, or the exactness of its exact mode, tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from munkey_core.cli.base import answer, command, opened, watch
from munkey_core.cli.options import IDS_HELP, BundleName, Json
from munkey_core.cli.write import OTHER_MACHINE
from munkey_core.errors import BadInputError
from munkey_core.files.in_words import counted
from munkey_core.files.untrusted import shown

if TYPE_CHECKING:
    from munkey_core.bundle.bundle import Bundle


@command("munkey verify fashion", "munkey verify fashion --exact --without random-1pct")
def verify(
    bundle: BundleName,
    exact: Annotated[
        bool, Option("--exact", help="delete rows, write the others anew, compare; needs --without")
    ] = False,
    without: Annotated[
        list[str] | None, Option(metavar="IDS", help=IDS_HELP + "; may be repeated")
    ] = None,
    receipt: Annotated[
        Path | None, Option(help="of an erasure: is it in the ledger, and are its rows gone?")
    ] = None,
    public_key: Annotated[Path | None, Option(help="PEM of whoever should have signed it")] = None,
    about: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="is the receipt about this id, or owner:NAME? may be repeated"),
    ] = None,
    save: Annotated[bool, Option("--save", help="note it in the bundle, if none differs")] = False,
    as_json: Json = False,
) -> int:
    """Check a bundle's files and ledger, a receipt, or that its exact mode is exact."""
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.ledger import Ledger
    from munkey_core.bundle.manifest import EXACT_MODE
    from munkey_core.bundle.versions import unfinished
    from munkey_core.erasure.receipts import UNFINISHED, ledger_problems
    from munkey_core.erasure.verification import (
        added_files,
        damaged_files,
        rows_without_their_digest,
    )

    if exact != bool(without):
        raise BadInputError("--exact and --without go together: which rows are to be deleted?")
    if public_key and not receipt:
        raise BadInputError("--public-key goes with --receipt: whose signature is to be checked?")
    if about and not receipt:
        raise BadInputError("--about goes with --receipt: which receipt is asked about it?")
    folder = find_bundle(bundle)
    if receipt:
        return _receipt(folder, receipt, public_key, about or (), as_json)
    files, problems = damaged_files(folder)
    document: dict[str, Any] = {"bundle": str(folder), "files": files, "damaged": problems}
    if problems:
        lines = [f"{name}: {reason}" for name, reason in problems.items()]
        lines.append(f"{len(problems)} of {files} files are damaged")
        return answer(as_json, document, lines, 1)
    _, whole = opened(str(folder))  # shapes, dtypes, values
    ledger = Ledger.read(folder)
    broken = ledger_problems(folder, ledger, whole)
    if unfinished(folder):
        broken.append(UNFINISHED)
    document |= {"erasures": len(ledger.receipts), "problems": broken}
    if broken:
        return answer(as_json, document, broken, 1)
    lines = [f"all {files} files are as the manifest says, and the manifest as the seal says"]
    if added := added_files(folder):
        document["beside"] = list(added)
        names = ", ".join(shown(name) for name in added)
        lines.append(f"put beside the bundle by the system, not part of it: {names}")
    if len(ledger):
        erased = sum(receipt.count for receipt in ledger.receipts)
        lines.append(
            f"the ledger's chain of {counted(len(ledger), 'entry', 'entries')} is whole; of "
            f"{counted(erased, 'erased image')} no row is here"
        )
    if EXACT_MODE in whole.modes:
        document["rows"] = len(whole.bank)
        document["rows_without_their_digest"] = rows_without_their_digest(whole)
        lines.append(
            f"rows of the exact mode with another digest: {document['rows_without_their_digest']} "
            f"of {len(whole.bank):,}"
        )
    well = not document.get("rows_without_their_digest")
    if without:
        well = _exact(folder, whole, without, save, document, lines)
    return answer(as_json, document, lines, 0 if well else 1)


_TOLD = {True: "yes", False: "no", None: "can't be said: the ledger's secret is another"}


def _receipt(
    folder: Path, file: Path, public_key: Path | None, about: Iterable[str], as_json: bool
) -> int:
    from munkey_core.bundle.ledger import Ledger, read_receipt
    from munkey_core.erasure.receipts import TESTABLE, check_receipt, read_public_key

    wanted = read_public_key(public_key) if public_key else ""
    try:
        receipt = read_receipt(file.read_bytes())
    except OSError as error:
        raise BadInputError(f"{file} can't be read ({error.strerror})") from error
    check = check_receipt(folder, receipt, wanted)
    said = {"none": "not signed", "valid": f"signed by {receipt.signer}"}
    lines = [
        f"receipt {receipt.number} of {receipt.created}: {counted(receipt.count, 'image')} erased "
        f"from {receipt.bundle}; "
        + said.get(check.signature, "its signature is NOT what it should be"),
        *([f"note: {TESTABLE}"] if receipt.names_can_be_tested else []),
        *check.problems,
        "the chain is whole, the bundle is the version the ledger ends with, and none of the "
        f"{receipt.count:,} rows is in it"
        if check.ok
        else f"NOT as the receipt says: {len(check.problems)} problems",
    ]
    document = {"bundle": str(folder), **check.to_dict()}
    if about:
        ledger = Ledger.read(folder)
        document["about"] = {name: ledger.names(receipt, name) for name in about}
        lines += [f"about {name}: {_TOLD[said]}" for name, said in document["about"].items()]
    return answer(as_json, document, lines, 0 if check.ok else 1)


def _exact(
    folder: Path,
    bundle: Bundle,
    without: list[str],
    save: bool,
    document: dict[str, Any],
    lines: list[str],
) -> bool:
    """Whether deleted is the same as never written; said in the document and the lines."""
    from munkey_core.erasure.verification import ExactVerification, check_lines
    from munkey_core.training.exact import save_verified

    checks = watch(ExactVerification(bundle, without).run())
    exact = all(check.exact for check in checks) and not document["rows_without_their_digest"]
    if save and exact:
        save_verified(folder, checks)
    document["exact"] = exact
    document["checks"] = [{**asdict(check), "exact": check.exact} for check in checks]
    lines += [line for check in checks for line in check_lines(check)]
    lines.append(
        "deleted = never written, to the last bit"
        if exact
        else f"NOT exact: see the counts above ({OTHER_MACHINE})"
    )
    return exact
