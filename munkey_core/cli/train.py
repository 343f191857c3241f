"""`munkey train`: from a person's own images, or a recipe's data, to a bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munkey_core.cli.base import answer, command, watch
from munkey_core.errors import BadInputError, BundleError, TrainingError

if TYPE_CHECKING:
    from munkey_core.jobs.estimate import TrainingOffer

_SHOWN = 20  # skipped files, of thousands perhaps


def add(commands: Any) -> None:
    train = command(
        commands,
        "train",
        _train,
        "train a model on your own images and write its bundle",
        [
            "munkey train --data photos --out my-bundle --dry-run",
            "munkey train --data photos --out my-bundle",
        ],
    )
    train.add_argument(
        "--data",
        required=True,
        help="a folder of images (one sub-folder a class), a .zip of one, a MedMNIST .npz file, "
        "fashion_mnist, cifar10 or digits",
    )
    train.add_argument("--out", required=True, type=Path, help="folder of the new bundle")
    train.add_argument("--config", type=Path, help="recipe file (TOML); default: by the images")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--seed", type=int, metavar="N", help="seed of the joint training")
    train.add_argument("--no-thumbnails", action="store_true", help="leave the images out")
    train.add_argument(
        "--mode",
        choices=("joint", "exact", "both"),
        default="joint",
        help="joint: network and memory are trained together; exact: the network sees public "
        "images only, and each image is written into the memory alone",
    )
    train.add_argument(
        "--references",
        type=int,
        metavar="N",
        help="reference models of each family for the attacks, an even number (default: by the "
        "time that they take; none with --config)",
    )
    train.add_argument(
        "--dry-run", action="store_true", help="tell what it will take here, and stop"
    )


def _train(arguments: argparse.Namespace) -> int:
    from munkey_core.data import load_dataset
    from munkey_core.explain.projection import umap_installed
    from munkey_core.jobs.estimate import make_offer, make_plan
    from munkey_core.jobs.making import make_bundle, may_carry
    from munkey_core.training.build import Build
    from munkey_core.training.joint import resolve_device
    from munkey_core.training.recipes import default_recipe, load_recipe, with_seed

    device = resolve_device(arguments.device)
    _check(arguments)
    recipe = load_recipe(arguments.config) if arguments.config else None
    # The encoder enlarges small images itself; as they are they take less room.
    size = recipe.encoder.image_size if recipe else None
    dataset = load_dataset(arguments.data, image_size=size, enlarge=False)
    _tell_skipped(dataset.skipped)
    recipe = recipe or default_recipe(dataset, arguments.out.name)
    if arguments.seed is not None:
        recipe = with_seed(recipe, arguments.seed)
    as_written = arguments.config is not None and arguments.seed is None
    build = Build(
        dataset=dataset,
        recipe=recipe,
        out=arguments.out,
        device=device,
        thumbnails=not arguments.no_thumbnails and may_carry(dataset),
        recipe_text=arguments.config.read_text("utf-8") if as_written else "",
        maps=umap_installed(),
        mode=arguments.mode,
    )
    if not build.maps:
        print("umap-learn is not installed: the bundle gets no maps", file=sys.stderr)
    references = arguments.references
    if not build.thumbnails or (references is None and arguments.config):
        references = 0  # reference models are trained on the bundle's own images
    if arguments.config is None or arguments.dry_run:
        plan = watch(
            make_plan(
                dataset, recipe, arguments.out, device, maps=build.maps, references=references
            )
        )
        offer = make_offer(dataset, recipe, plan, arguments.data, arguments.out.name)
        references = plan.references
        if arguments.dry_run:
            return answer(arguments, offer.to_dict(), _estimate(offer, references))
        for line in _estimate(offer, references):
            print(line, file=sys.stderr)
        if offer.problem:
            raise TrainingError(offer.problem)
    else:
        print(f"{len(dataset):,} images: {_counts(build.parts())}", file=sys.stderr)
    plain = arguments.config is not None and not references
    watch(build.run() if plain else make_bundle(build, references))
    parts = build.parts()
    return answer(
        arguments,
        {
            "bundle": str(arguments.out),
            "device": str(device),
            "parts": parts,
            "references": references,
            "skipped": [list(entry) for entry in dataset.skipped],
        },
        [
            f"wrote {arguments.out}: {parts['private']:,} images with a key; open it with "
            f"munkey app --bundle {arguments.out}"
        ],
    )


def _check(arguments: argparse.Namespace) -> None:
    """What needs no image to be wrong."""
    references = arguments.references
    if references is not None and (references % 2 or not 0 <= references <= 256):
        raise BadInputError(f"--references must be an even number up to 256, got {references}")
    if references and arguments.no_thumbnails:
        raise BadInputError("--references needs the images in the bundle: no --no-thumbnails")
    if arguments.out.exists() and not arguments.dry_run:
        raise BundleError(f"{arguments.out} exists already; choose another folder or remove it")


def _tell_skipped(skipped: tuple[tuple[str, str], ...]) -> None:
    for name, reason in skipped[:_SHOWN]:
        print(f"skipped {name}: {reason}", file=sys.stderr)
    if len(skipped) > _SHOWN:
        print(
            f"skipped {len(skipped) - _SHOWN:,} more files; --json and the bundle's manifest name "
            "them all",
            file=sys.stderr,
        )


def _estimate(offer: TrainingOffer, references: int) -> Iterator[str]:
    from munkey_core.files.machine import readable_bytes

    colour = "grey" if offer.grey else "colour"
    yield (
        f"{offer.images:,} {colour} images of {offer.image_size} × {offer.image_size} pixels in "
        f"{len(offer.classes):,} classes"
        + (f", of {offer.owners:,} owners" if offer.owners is not None else "")
        + (f"; {len(offer.skipped):,} files skipped" if offer.skipped else "")
    )
    yield "parts: " + _counts({part: n for part, n in offer.parts.items() if n})
    yield f"encoder {offer.encoder}; {references} reference models of each family for the attacks"
    yield (
        f"estimate for this machine: {_duration(offer.seconds)}, "
        f"{readable_bytes(offer.memory_bytes)} of memory, "
        f"{readable_bytes(offer.disk_bytes)} of disk ("
        + ", ".join(f"{stage} {_duration(s)}" for stage, s in offer.stages if s >= 1)
        + ")"
    )
    yield from offer.warnings
    if offer.problem:
        yield f"it can't be trained here: {offer.problem}"


def _counts(parts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in parts.items())


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
