"""`munkey train`: from a person's own images, or a recipe's data, to a bundle."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from munkey_core.cli.base import answer, command, duration, watch
from munkey_core.cli.options import Device, Json
from munkey_core.errors import BadInputError, BundleError, TrainingError
from munkey_core.files.in_words import counted

if TYPE_CHECKING:
    from munkey_core.jobs.offer import TrainingOffer

_SHOWN = 20  # skipped files or classes, of thousands perhaps


@command(
    "munkey train --data photos --out my-bundle --dry-run",
    "munkey train --data photos --out my-bundle",
)
def train(
    data: Annotated[
        str,
        Option(
            help="a folder of images (one sub-folder a class), a .zip of one, a MedMNIST .npz "
            "file, fashion_mnist, cifar10 or digits"
        ),
    ],
    out: Annotated[Path, Option(help="folder of the new bundle")],
    config: Annotated[Path | None, Option(help="recipe (TOML); default: by the images")] = None,
    device: Device = "auto",
    seed: Annotated[int | None, Option(help="seed of the joint training")] = None,
    no_thumbnails: Annotated[bool, Option("--no-thumbnails", help="leave the images out")] = False,
    mode: Annotated[
        Literal["joint", "exact", "both"],
        Option(
            help="joint: network and memory are trained together; exact: the network sees public "
            "images only, and each image is written into the memory alone"
        ),
    ] = "joint",
    references: Annotated[
        int | None,
        Option(
            help="reference models of each family for the attacks, an even number (default: by "
            "the time that they take; none with --config)"
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="tell what it will take, and stop")] = False,
    as_json: Json = False,
) -> int:
    """Train a model on your own images and write its bundle."""
    from munkey_core.data import load_dataset
    from munkey_core.data.splits import make_splits
    from munkey_core.explain.projection import umap_installed
    from munkey_core.jobs.making import make_bundle, may_carry
    from munkey_core.jobs.offer import make_offer, make_plan, twin_warnings
    from munkey_core.training.build import Build
    from munkey_core.training.joint import resolve_device
    from munkey_core.training.recipes import default_recipe, load_recipe, with_seed

    chosen = resolve_device(device)
    if references is not None and (references % 2 or not 0 <= references <= 256):
        raise BadInputError(f"--references must be an even number up to 256, got {references}")
    if references and no_thumbnails:
        raise BadInputError("--references needs the images in the bundle: no --no-thumbnails")
    if out.exists() and not dry_run:
        raise BundleError(f"{out} exists already; choose another folder or remove it")
    recipe = load_recipe(config) if config else None
    # The encoder enlarges small images itself; as they are they take less room.
    size = recipe.encoder.image_size if recipe else None
    dataset = load_dataset(data, image_size=size, enlarge=False)
    _tell_skipped(dataset.skipped)
    recipe = recipe or default_recipe(dataset, out.name)
    if seed is not None:
        recipe = with_seed(recipe, seed)
    build = Build(
        dataset=dataset,
        recipe=recipe,
        out=out,
        device=chosen,
        thumbnails=not no_thumbnails and may_carry(dataset),
        recipe_text=config.read_text("utf-8") if config and seed is None else "",
        maps=umap_installed(),
        mode=mode,
    )
    if not build.maps:
        print("umap-learn is not installed: the bundle gets no maps", file=sys.stderr)
    if not build.thumbnails or (references is None and config):
        references = 0  # reference models are trained on the bundle's own images
    if config is None or dry_run:
        plan = watch(
            make_plan(dataset, recipe, out, chosen, maps=build.maps, references=references)
        )
        offer = make_offer(dataset, recipe, plan, data, out.name)
        references = plan.references
        if dry_run:
            return answer(as_json, asdict(offer), _estimate(offer, references))
        for line in _estimate(offer, references):
            print(line, file=sys.stderr)
        if offer.problem:
            raise TrainingError(offer.problem)
    else:
        print(f"{counted(len(dataset), 'image')}: {_counts(build.parts())}", file=sys.stderr)
        splits = make_splits(dataset, recipe.split)
        for line in (*dataset.remarks, *twin_warnings(dataset, splits)):
            print(line, file=sys.stderr)
    plain = config is not None and not references
    watch(build.run() if plain else make_bundle(build, references or 0))
    parts = build.parts()
    return answer(
        as_json,
        {
            "bundle": str(out),
            "device": str(chosen),
            "parts": parts,
            "references": references,
            "skipped": [list(entry) for entry in dataset.skipped],
        },
        [
            f"wrote {out}: {counted(parts['private'], 'image')} with a key; open it with "
            f"munkey app --bundle {out}"
        ],
    )


def _tell_skipped(skipped: tuple[tuple[str, str], ...]) -> None:
    for name, reason in skipped[:_SHOWN]:
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if len(skipped) > _SHOWN:
        print(
            f"skipped {counted(len(skipped) - _SHOWN, 'more file')}; --json names them all",
            file=sys.stderr,
        )


def _estimate(offer: TrainingOffer, references: int) -> Iterator[str]:
    from munkey_core.files.machine import readable_bytes

    colour = "grey" if offer.grey else "colour"
    yield (
        f"{counted(offer.images, f'{colour} image')} of {offer.image_size} × {offer.image_size} "
        f"pixels in {counted(len(offer.classes), 'class', 'classes')}"
        + (f", of {counted(offer.owners, 'owner')}" if offer.owners is not None else "")
        + (f"; {counted(len(offer.skipped), 'file')} skipped" if offer.skipped else "")
    )
    yield "classes: " + _classes(offer.classes)
    yield "parts: " + _counts({part: n for part, n in offer.parts.items() if n})
    yield f"encoder {offer.encoder}; {references} reference models of each family for the attacks"
    yield (
        f"estimate for this machine: {duration(offer.seconds)}, "
        f"{readable_bytes(offer.memory_bytes)} of memory, "
        f"{readable_bytes(offer.disk_bytes)} of disk ("
        + ", ".join(f"{stage} {duration(s)}" for stage, s in offer.stages if s >= 1)
        + ")"
    )
    yield from offer.warnings
    if offer.problem:
        yield f"it can't be trained here: {offer.problem}"


def _classes(classes: Sequence[tuple[str, int]]) -> str:
    told = ", ".join(f"{name} ({count:,})" for name, count in classes[:_SHOWN])
    more = len(classes) - _SHOWN
    return told + (f" and {more:,} more" if more > 0 else "")


def _counts(parts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in parts.items())
