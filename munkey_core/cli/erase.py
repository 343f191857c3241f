"""`munkey erase`: images leave a bundle for good, with a receipt; `measure-again`, `key`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from munkey_core.cli.base import answer, command, session, watch
from munkey_core.cli.options import IDS_HELP, BundleName, Device, Images, Json
from munkey_core.cli.twins import twin_lines
from munkey_core.errors import BadInputError, BundleError
from munkey_core.files.in_words import counted
from munkey_core.files.untrusted import shown

if TYPE_CHECKING:
    from munkey_core.bundle.ledger import Receipt
    from munkey_core.erasure.plan import ErasurePlan

_SHOWN = 20


@command("munkey erase my-bundle owner:customer-0001", "munkey erase my-bundle IDS --yes")
def erase(
    bundle: BundleName,
    ids: Annotated[str | None, Argument(metavar="IDS", help=IDS_HELP)] = None,
    yes: Annotated[bool, Option("--yes", help="really do it: there is no undo")] = False,
    out: Annotated[Path | None, Option(help="write the erased version there instead")] = None,
    key: Annotated[Path | None, Option(help="private Ed25519 key (PEM): signs the receipt")] = None,
    receipt: Annotated[Path | None, Option(help="write the receipt there (JSON)")] = None,
    finish: Annotated[bool, Option("--finish", help="only finish an interrupted run")] = False,
    as_json: Json = False,
) -> int:
    """Remove images from a bundle for good, with a receipt; without --yes: what would go."""
    from munkey_core.bundle import versions
    from munkey_core.bundle.find import find_bundle
    from munkey_core.bundle.forget_sets import names_a_set
    from munkey_core.bundle.ledger import receipt_values
    from munkey_core.bundle.read import read_bundle
    from munkey_core.erasure import erasure
    from munkey_core.erasure.measure_again import missing

    folder = find_bundle(bundle)
    if finish:
        if ids or yes or out:
            raise BadInputError("--finish takes no ids: it only finishes an interrupted run")
        done = versions.finish(folder).anything
        line = "finished: nothing of an old version is left" if done else "nothing to finish"
        return answer(as_json, {"bundle": str(folder), "finished": done}, [line])
    if not ids:
        raise BadInputError("name the images to erase: " + IDS_HELP)
    if receipt:
        _try_place(receipt, (folder, out or folder))
    interrupted = versions.finish(folder) if yes else versions.Finished()
    studio = session(str(folder))
    named = studio.erasure.named_ids(ids)
    if interrupted.erased and names_a_set(ids):
        # After an erasure a set's name means other images: the same command would erase more.
        raise BadInputError(
            f"an interrupted erasure was finished (receipt {len(studio.erasure.ledger())}); "
            f"{ids.strip()} now means other images: run it again if they should go too"
        )
    plan = studio.erasure.plan(named)
    if not yes:
        lines = [*plan_lines(plan), "nothing was erased: --yes does it, and there is no undo"]
        code = 2 if plan.problem else 0
        return answer(as_json, {**asdict(plan), "erased": False}, lines, code)
    made = watch(erasure.erase(folder, named, out, key))
    place = str(out or folder)
    lost = missing(read_bundle(Path(place)))
    document = {
        "bundle": place,
        "erased": True,
        "receipt": receipt_values(made),
        "missing": [one.kind for one in lost],
    }
    if receipt:
        try:
            with receipt.open("x", encoding="utf-8") as file:
                file.write(studio.erasure.receipt_text(made))
        except OSError as error:  # the disk was full, or somebody was quicker
            raise BundleError(
                f"the images are erased, but {receipt} could not be written ({error.strerror}): "
                "the same command with another --receipt writes it"
            ) from error
    lines = receipt_lines(made, place)
    if lost:
        what = ", ".join(one.what for one in lost)
        lines.append(
            f"`munkey measure-again {shlex.quote(place)}` makes again what went too: {what}"
        )
    return answer(as_json, document, lines)


def _try_place(receipt: Path, bundles: Iterable[Path]) -> None:
    """Raises BadInputError if no receipt can be written there, while nothing is erased yet."""
    if receipt.exists():
        raise BadInputError(f"{receipt} exists already: a receipt is never replaced")
    if any(receipt.resolve().is_relative_to(bundle.resolve()) for bundle in bundles):
        raise BadInputError(f"{receipt} lies inside the bundle: keep the receipt elsewhere")
    try:
        receipt.open("x").close()
        receipt.unlink()
    except OSError as error:
        raise BadInputError(
            f"the receipt can't be written to {receipt} ({error.strerror}); nothing was erased"
        ) from error


def plan_lines(plan: ErasurePlan) -> list[str]:
    """A plan for a terminal."""
    lines = [
        f"bundle {plan.bundle}: {len(plan.ids):,} of {counted(plan.keys_before, 'image')} would be "
        f"erased, {plan.keys_after:,} stay",
        *(f"  owner {owner}: {n:,}" for owner, n in list(plan.owners.items())[:_SHOWN]),
        *(
            f"CAREFUL: {shown(other)} looks like owner {shown(owner)} and is another name: their "
            "images stay"
            for owner, other in plan.alike[:_SHOWN]
        ),
    ]
    if plan.gone:
        lines.append(f"erased already: {_some(plan.gone)}")
    if plan.near_duplicates:
        others = tuple(dict.fromkeys(pair.other for pair in plan.near_duplicates))
        stay = "stays" if len(others) == 1 else "stay"
        lines.append(f"{counted(len(others), 'near-duplicate')} of them {stay}: {_some(others)}")
    lines += twin_lines(plan.twins)
    lines += [f"  {one.place}: {one.count:,}, {one.what}" for one in plan.purged]
    lines += ["what remains:", *(f"  {one.where}: {one.why}" for one in plan.remains)]
    if plan.again:
        lines += ["what goes beside the images, and how to have it again:"]
        lines += [f"  {sentence}" for sentence in plan.again]
    return [*lines, f"NOT possible: {plan.problem}"] if plan.problem else lines


def receipt_lines(receipt: Receipt, place: str) -> list[str]:
    """A receipt for a terminal."""
    return [
        f"{counted(receipt.count, 'image')} erased, receipt {receipt.number} of {receipt.created}"
        + (f", signed by {receipt.signer}" if receipt.signer else ""),
        *(f"  {one.place}: {one.count:,}, {one.what}" for one in receipt.purged),
        "what remains:",
        *(f"  {one.where}: {one.why}" for one in receipt.remains),
        f"{place} is now version {receipt.digest_after}, before {receipt.digest_before}",
        f"receipt's hash {receipt.hash}",
    ]


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


@command("munkey measure-again my-bundle")
def measure_again(
    bundle: BundleName, device: Device = "auto", images: Images = None, as_json: Json = False
) -> int:
    """Measure again, on what is left, what erasing took along."""
    from munkey_core.bundle.find import find_bundle
    from munkey_core.erasure import measure_again

    folder = find_bundle(bundle)
    made = watch(measure_again.measure_again(folder, device))
    lines = [f"measured again: {one.what}" for one in made]
    document = {"bundle": str(folder), "measured": [one.kind for one in made]}
    return answer(as_json, document, lines or ["nothing is missing: nothing was to be measured"])


@command("munkey key K.pem")
def key(
    file: Annotated[Path, Argument(help="the private key; the public one is FILE.pub")],
    as_json: Json = False,
) -> int:
    """Make a key pair that signs receipts."""
    from munkey_core.erasure.receipts import make_key, read_public_key

    public = make_key(file)
    signer = read_public_key(public)
    return answer(
        as_json,
        {"private": str(file), "public": str(public), "signer": signer},
        [
            f"{file}: keep it where the bundle is not, and let nobody read it",
            f"{public}: give it to whoever checks receipts; signer {signer}",
        ],
    )
