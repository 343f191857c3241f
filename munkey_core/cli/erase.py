"""`munkey erase` and `munkey key`: images leave a bundle for good, with a signed receipt."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from munkey_core.bundle.ledger import Receipt
from munkey_core.cli.base import IDS_HELP, answer, bundle_argument, command, watch
from munkey_core.erasure.plan import ErasurePlan
from munkey_core.errors import BadInputError

_SHOWN = 20


def add(commands: Any) -> None:
    """Add the commands of this file."""
    erase = command(
        commands,
        "erase",
        _erase,
        "remove images from a bundle for good, with a receipt; without --yes: what would go",
    )
    bundle_argument(erase)
    erase.add_argument("ids", metavar="IDS", nargs="?", help=IDS_HELP)
    erase.add_argument("--yes", action="store_true", help="really do it: there is no undo")
    erase.add_argument(
        "--out", type=Path, metavar="DIR", help="write the erased version there; leave the bundle"
    )
    erase.add_argument(
        "--key", type=Path, metavar="FILE", help="private Ed25519 key (PEM) that signs the receipt"
    )
    erase.add_argument(
        "--receipt", type=Path, metavar="FILE", help="write the receipt there (JSON)"
    )
    erase.add_argument(
        "--finish", action="store_true", help="only finish what an interrupted run left to do"
    )

    key = command(commands, "key", _key, "make a key pair that signs receipts")
    key.add_argument("file", type=Path, help="the private key; the public one is FILE.pub")


def _erase(arguments: argparse.Namespace) -> int:
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.versions import Finished, finish
    from munkey_core.erasure.erasure import erase
    from munkey_core.studio import Studio

    folder = find_bundle(arguments.bundle)
    if arguments.finish:
        if arguments.ids or arguments.yes or arguments.out:
            raise BadInputError("--finish takes no ids: it only finishes an interrupted run")
        done = finish(folder).anything
        line = "finished: nothing of an old version is left" if done else "nothing to finish"
        return answer(arguments, {"bundle": str(folder), "finished": done}, [line])
    if not arguments.ids:
        raise BadInputError("name the images to erase: " + IDS_HELP)
    if arguments.receipt and arguments.receipt.exists():
        raise BadInputError(f"{arguments.receipt} exists already: a receipt is never replaced")
    interrupted = finish(folder) if arguments.yes else Finished()
    studio = Studio.open(str(folder))
    ids = studio.erasure.named_ids(arguments.ids)
    if interrupted.erased and _is_a_set(arguments.ids.strip(), ids):
        # After an erasure a set's name means other images: the same command would erase more.
        raise BadInputError(
            f"an interrupted erasure was finished (receipt {len(studio.erasure.ledger())}); "
            f"{arguments.ids.strip()} now means other images: run it again if they should go too"
        )
    plan = studio.erasure.plan(ids)
    if not arguments.yes:
        lines = [*plan_lines(plan), "nothing was erased: --yes does it, and there is no undo"]
        answer(arguments, {**plan.to_dict(), "erased": False}, lines)
        return 2 if plan.problem else 0
    receipt = watch(erase(folder, ids, arguments.out, arguments.key))
    if arguments.receipt:
        with arguments.receipt.open("x", encoding="utf-8") as file:
            file.write(studio.erasure.receipt_text(receipt))
    place = str(arguments.out or folder)
    document = {"bundle": place, "erased": True, "receipt": receipt.to_dict()}
    return answer(arguments, document, receipt_lines(receipt, place))


def _is_a_set(spec: str, ids: tuple[str, ...]) -> bool:
    """Whether ids were named by a set such as random-10pct, not one by one or by owner or file."""
    named = tuple(dict.fromkeys(part.strip() for part in spec.split(",") if part.strip()))
    return not spec.startswith(("@", "owner:")) and ids != named


def plan_lines(plan: ErasurePlan) -> list[str]:
    """A plan for a terminal."""
    lines = [
        f"bundle {plan.bundle}: {len(plan.ids):,} of {plan.keys_before:,} images would be erased, "
        f"{plan.keys_after:,} stay",
        *(f"  owner {owner}: {n:,}" for owner, n in list(plan.owners.items())[:_SHOWN]),
    ]
    if plan.gone:
        lines.append(f"erased already: {_some(plan.gone)}")
    if plan.near_duplicates:
        others = tuple(dict.fromkeys(pair.other for pair in plan.near_duplicates))
        lines.append(f"{len(others):,} near-duplicates of them stay: {_some(others)}")
    lines += [f"  {one.place}: {one.count:,}, {one.what}" for one in plan.purged]
    lines += ["what remains:", *(f"  {one.where}: {one.why}" for one in plan.remains)]
    return [*lines, f"NOT possible: {plan.problem}"] if plan.problem else lines


def receipt_lines(receipt: Receipt, place: str) -> list[str]:
    """A receipt for a terminal."""
    return [
        f"{receipt.count:,} images erased, receipt {receipt.number} of {receipt.created}"
        + (f", signed by {receipt.signer}" if receipt.signer else ""),
        *(f"  {one.place}: {one.count:,}, {one.what}" for one in receipt.purged),
        "what remains:",
        *(f"  {one.where}: {one.why}" for one in receipt.remains),
        f"{place} is now version {receipt.digest_after}, before {receipt.digest_before}",
        f"receipt's hash {receipt.hash}",
    ]


def _some(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _key(arguments: argparse.Namespace) -> int:
    from munkey_core.erasure.receipts import make_key, read_public_key

    public = make_key(arguments.file)
    return answer(
        arguments,
        {
            "private": str(arguments.file),
            "public": str(public),
            "signer": read_public_key(public),
        },
        [
            f"{arguments.file}: keep it where the bundle is not, and let nobody read it",
            f"{public}: give it to whoever checks receipts; signer {read_public_key(public)}",
        ],
    )
