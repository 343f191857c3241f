"""`munkey write`: a bundle gets an exact memory, or the one it has is written again."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munkey_core.cli.base import answer, command, opened, watch
from munkey_core.cli.options import BundleName, Device, Json
from munkey_core.files.in_words import counted
from munkey_core.progress import Steps

if TYPE_CHECKING:
    from munkey_core.bundle.bundle import Bundle

OTHER_MACHINE = (
    "rows are the same bytes on one kind of processor and one version of PyTorch; on another they "
    "can differ in a last bit"
)


@command("munkey write my-bundle")
def write(bundle: BundleName, device: Device = "auto", as_json: Json = False) -> int:
    """Add an exact mode to a bundle; if it has one, write all rows again and compare."""
    from munkey_core.bundle.manifest import EXACT, EXACT_MODE

    folder, whole = opened(bundle)
    if EXACT_MODE in whole.modes:
        return _again(folder, whole, as_json)
    seconds = _add_exact(folder, whole, device)["provenance"]["seconds"]
    _, made = opened(str(folder), EXACT_MODE)
    size = (folder / EXACT).stat().st_size
    ensemble = asdict(made.manifest.ensemble)
    document = {
        "bundle": str(folder),
        "written": len(made.bank),
        "file_bytes": size,
        "ensemble": ensemble,
        "seconds": seconds,
    }
    lines = [
        f"{folder} now has an exact mode: {counted(len(made.bank), 'row')} written, {size:,} bytes",
        f"θ trained on public images only, in {seconds['training']:.0f} s; rows written in "
        f"{seconds['writing']:.0f} s",
        f"K = {ensemble['k']}, tau = {ensemble['tau']}, anchor = {ensemble['anchor']}, chosen "
        "on public images",
    ]
    return answer(as_json, document, lines)


def _add_exact(folder: Path, bundle: Bundle, device_name: str) -> dict[str, Any]:
    """Make the exact mode of a bundle that has none; what its manifest then says of it."""
    from munkey_core.bundle.manifest import RECIPE
    from munkey_core.config import WriteConfig
    from munkey_core.training.exact import Made, encode_splits, make_exact, save_exact
    from munkey_core.training.joint import resolve_device
    from munkey_core.training.provenance import provenance
    from munkey_core.training.recipes import load_recipe

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


def _again(folder: Path, bundle: Bundle, as_json: bool) -> int:
    from munkey_core.bundle.manifest import EXACT_MODE
    from munkey_core.erasure.verification import bytes_differing
    from munkey_core.results import PRIVATE
    from munkey_core.training.exact import labelled, write_again

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
    lines = [
        f"{len(stored):,} rows written again: {document['bytes_differing']:,} of "
        f"{document['bytes']:,} bytes differ, in {rows:,} rows; nothing was saved",
        *([OTHER_MACHINE] if rows else []),
    ]
    return answer(as_json, document, lines, 1 if rows else 0)
