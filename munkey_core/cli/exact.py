"""`munkey write` and `munkey verify`: an exact memory is made, and tried."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from munkey_core.cli.base import IDS_HELP, answer, bundle_argument, command, watch
from munkey_core.errors import BadInputError
from munkey_core.progress import Steps


def add(commands: Any) -> None:
    """Add the commands of this file."""
    write = command(
        commands,
        "write",
        _write,
        "add an exact mode to a bundle; if it has one, write all rows again and compare",
        ["munkey write my-bundle"],
    )
    bundle_argument(write)
    write.add_argument("--device", default="auto", help="of θ's training: auto, cpu or cuda")

    verify = command(
        commands,
        "verify",
        _verify,
        "check a bundle's files and ledger, a receipt, or that its exact mode is exact",
        ["munkey verify fashion", "munkey verify fashion --exact --without random-1pct"],
    )
    bundle_argument(verify)
    verify.add_argument(
        "--exact",
        action="store_true",
        help="delete rows, write all others from scratch, compare every byte; needs --without",
    )
    verify.add_argument(
        "--without", action="append", default=[], metavar="IDS", help=IDS_HELP + "; may be repeated"
    )
    verify.add_argument(
        "--receipt",
        type=Path,
        metavar="FILE",
        help="of an erasure: is it in the ledger, and are its rows gone?",
    )
    verify.add_argument(
        "--public-key", type=Path, metavar="FILE", help="PEM of whoever should have signed it"
    )
    verify.add_argument(
        "--save", action="store_true", help="note the outcome in the bundle, if nothing differs"
    )


def _write(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.manifest import EXACT, EXACT_MODE
    from munkey_core.bundle.read import read_bundle

    folder = find_bundle(arguments.bundle)
    bundle = read_bundle(folder)
    if EXACT_MODE in bundle.modes:
        return _again(arguments, folder)
    table = _add_exact(folder, arguments.device)
    made = read_bundle(folder).in_mode(EXACT_MODE)
    size = (folder / EXACT).stat().st_size
    ensemble = asdict(made.manifest.ensemble)
    seconds = table["provenance"]["seconds"]
    return answer(
        arguments,
        {
            "bundle": str(folder),
            "written": len(made.bank),
            "file_bytes": size,
            "ensemble": ensemble,
            "seconds": seconds,
        },
        [
            f"{folder} now has an exact mode: {len(made.bank):,} rows written, {size:,} bytes",
            f"θ trained on public images only, in {seconds['training']:.0f} s; rows written in "
            f"{seconds['writing']:.0f} s",
            f"K = {ensemble['k']}, tau = {ensemble['tau']}, anchor = {ensemble['anchor']}, chosen "
            "on public images",
        ],
    )


def _add_exact(folder: Path, device_name: str) -> dict[str, Any]:
    """Make the exact mode of a bundle that has none; what its manifest then says of it."""
    import time

    from munkey_core.bundle.manifest import RECIPE
    from munkey_core.bundle.read import read_bundle
    from munkey_core.config import WriteConfig
    from munkey_core.training.exact import Made, encode_splits, make_exact, save_exact
    from munkey_core.training.joint import resolve_device
    from munkey_core.training.provenance import provenance
    from munkey_core.training.recipes import load_recipe

    bundle = read_bundle(folder)
    device = resolve_device(device_name)
    recipe = folder / RECIPE
    settings = load_recipe(recipe).write if recipe.is_file() else WriteConfig()
    start = time.perf_counter()

    def steps() -> Steps[tuple[Made, dict[str, float]]]:
        parts = yield from encode_splits(bundle)
        encoding = time.perf_counter() - start
        made = yield from make_exact(
            bundle.encoder,
            bundle.manifest.model,
            bundle.manifest.train_config(),
            settings,
            parts,
            len(bundle.manifest.classes),
            device,
        )
        return made, {"encoding": encoding, **made.seconds}

    made, seconds = watch(steps())
    table = {**made.table, "provenance": provenance(device, seconds)}
    save_exact(folder, made.mode, table)
    return table


def _again(arguments: argparse.Namespace, folder: Path) -> int:
    from munkey_core.bundle.manifest import EXACT_MODE
    from munkey_core.bundle.read import read_bundle
    from munkey_core.erasure.verification import bytes_differing
    from munkey_core.results import PRIVATE
    from munkey_core.training.exact import labelled, write_again

    bundle = read_bundle(folder)
    bundle.require_pictures("writing needs the images")
    stored = bundle.in_mode(EXACT_MODE).bank.tokens
    tokens = watch(write_again(bundle, labelled(bundle, PRIVATE)))
    rows = int((tokens != stored).any(dim=1).sum())
    document = {
        "bundle": str(folder),
        "written": len(stored),
        "rows_differing": rows,
        "bytes": 2 * stored.numel(),
        "bytes_differing": bytes_differing(tokens, stored),
    }
    answer(
        arguments,
        document,
        [
            f"{len(stored):,} rows written again: {document['bytes_differing']:,} of "
            f"{document['bytes']:,} bytes differ, in {rows:,} rows; nothing was saved",
            *([_OTHER_MACHINE] if rows else []),
        ],
    )
    return 1 if rows else 0


_OTHER_MACHINE = (
    "rows are the same bytes on one kind of processor and one version of PyTorch; on another they "
    "can differ in a last bit"
)


def _verify(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.ledger import Ledger
    from munkey_core.bundle.manifest import EXACT_MODE
    from munkey_core.bundle.read import read_bundle
    from munkey_core.bundle.versions import unfinished
    from munkey_core.erasure.receipts import UNFINISHED, ledger_problems
    from munkey_core.erasure.verification import damaged_files, rows_without_their_digest

    if arguments.exact != bool(arguments.without):
        raise BadInputError("--exact and --without go together: which rows are to be deleted?")
    if arguments.public_key and not arguments.receipt:
        raise BadInputError("--public-key goes with --receipt: whose signature is to be checked?")
    folder = find_bundle(arguments.bundle)
    if arguments.receipt:
        return _verify_receipt(arguments, folder)
    files, problems = damaged_files(folder)
    document: dict[str, Any] = {"bundle": str(folder), "files": files, "damaged": problems}
    if problems:
        lines = [f"{name}: {reason}" for name, reason in problems.items()]
        answer(arguments, document, [*lines, f"{len(problems)} of {files} files are damaged"])
        return 1
    bundle = read_bundle(folder)  # shapes, dtypes, values
    ledger = Ledger.read(folder)
    broken = ledger_problems(folder, ledger, bundle)
    if unfinished(folder):
        broken.append(UNFINISHED)
    document |= {"erasures": len(ledger.receipts), "problems": broken}
    if broken:
        answer(arguments, document, broken)
        return 1
    lines = [f"all {files} files are as the manifest says, and the manifest as the seal says"]
    if len(ledger):
        erased = sum(receipt.count for receipt in ledger.receipts)
        lines.append(
            f"the ledger's chain of {len(ledger)} entries is whole; {erased:,} images were erased "
            "and none of their rows is here"
        )
    if EXACT_MODE in bundle.modes:
        document["rows"] = len(bundle.bank)
        document["rows_without_their_digest"] = rows_without_their_digest(bundle)
        lines.append(
            f"rows of the exact mode with another digest: {document['rows_without_their_digest']} "
            f"of {len(bundle.bank):,}"
        )
    if arguments.exact:
        return _verify_exact(arguments, folder, document, lines)
    answer(arguments, document, lines)
    return 1 if document.get("rows_without_their_digest") else 0


def _verify_receipt(arguments: argparse.Namespace, folder: Path) -> int:
    from munkey_core.bundle.ledger import read_receipt
    from munkey_core.erasure.receipts import check_receipt, read_public_key

    wanted = read_public_key(arguments.public_key) if arguments.public_key else ""
    try:
        receipt = read_receipt(arguments.receipt.read_bytes())
    except OSError as error:
        raise BadInputError(f"{arguments.receipt} can't be read ({error.strerror})") from error
    check = check_receipt(folder, receipt, wanted)
    said = {"none": "not signed", "valid": f"signed by {receipt.signer}"}
    lines = [
        f"receipt {receipt.number} of {receipt.created}: {receipt.count:,} images erased from "
        f"{receipt.bundle}; {said.get(check.signature, 'its signature is NOT what it should be')}",
        *check.problems,
        "the chain is whole, the bundle is the version the ledger ends with, and none of the "
        f"{receipt.count:,} rows is in it"
        if check.ok
        else f"NOT as the receipt says: {len(check.problems)} problems",
    ]
    answer(arguments, {"bundle": str(folder), **check.to_dict()}, lines)
    return 0 if check.ok else 1


def _verify_exact(
    arguments: argparse.Namespace, folder: Path, document: dict[str, Any], lines: list[str]
) -> int:
    from munkey_core.bundle.read import read_bundle
    from munkey_core.erasure.verification import ExactVerification, check_lines
    from munkey_core.training.exact import save_verified

    checks = watch(ExactVerification(read_bundle(folder), arguments.without).run())
    exact = all(check.exact for check in checks) and not document["rows_without_their_digest"]
    if arguments.save and exact:
        save_verified(folder, checks)
    document["exact"] = exact
    document["checks"] = [{**asdict(check), "exact": check.exact} for check in checks]
    lines += [line for check in checks for line in check_lines(check)]
    lines.append(
        "deleted = never written, to the last bit"
        if exact
        else f"NOT exact: see the counts above ({_OTHER_MACHINE})"
    )
    answer(arguments, document, lines)
    return 0 if exact else 1
