"""`munkey images`: where the pictures of a bundle are that came without them, and how to get them.

Also the option `--images PATH`, which commands that need pictures take.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from munkey_core.cli.base import answer, bundle_argument, command, watch
from munkey_core.data.pictures import PictureStatus
from munkey_core.data.places import VARIABLE, PictureSource, download, remember
from munkey_core.errors import BadInputError

# Commands that read the pixels of a bundle's images, or start what does.
_NEED_PICTURES = (
    "app",
    "predict",
    "forget",
    "audit",
    "compare",
    "oracles",
    "retrain",
    "influence",
    "bench",
)


def add(commands: Any) -> None:
    """Add `images`, and --images to the commands that are there already and need pictures."""
    parser = command(
        commands,
        "images",
        _images,
        "find, fetch and check the pictures a bundle came without",
        ["munkey images cifar10", "munkey images cifar10 --from cifar-10.tar.gz"],
    )
    bundle_argument(parser)
    parser.add_argument(
        "--download", action="store_true", help="download the data set to $MUNKEY_DATA first"
    )
    parser.add_argument(
        "--from",
        dest="place",
        type=Path,
        metavar="PATH",
        help="a folder or archive that has them; remembered if they are the bundle's",
    )
    for name in _NEED_PICTURES:
        commands.choices[name].add_argument(
            "--images",
            dest="pictures",  # `predict` calls what it predicts images
            metavar="PATH",
            help=f"folder or archive with the pictures of a bundle without (also ${VARIABLE})",
        )


def use_images(arguments: argparse.Namespace) -> None:
    """Let --images be known to this process and those it starts. Raises BadInputError for a path
    that isn't there."""
    named = getattr(arguments, "pictures", None)
    if named is None:
        return
    os.environ[VARIABLE] = str(_existing(Path(named), "--images"))


def _existing(named: Path, option: str) -> Path:
    """The absolute path, as $MUNKEY_IMAGES can hold it."""
    path = named.expanduser().resolve()
    if not path.exists():
        raise BadInputError(f"{option} must name a folder or an archive, there is no {named}")
    if os.pathsep in str(path):
        raise BadInputError(f"{option} can't name a path with {os.pathsep!r} in it, got {named}")
    return path


def _images(arguments: argparse.Namespace) -> int:
    from munkey_core.studio import Studio

    studio = Studio.open(arguments.bundle)
    source = studio.pictures.source
    if studio.pictures.status.state == "carried":
        if arguments.download or arguments.place:
            raise BadInputError(f"bundle {source.bundle} carries its pictures: it needs no others")
        return _tell(arguments, source, studio.pictures.status)
    if arguments.download and arguments.place:
        raise BadInputError("give either --download or --from, not both")
    named: Path | None = arguments.place
    if arguments.download:
        print(f"downloading {source.title} …", file=sys.stderr)
        named = download(source)
    if named is not None:
        named = _existing(named, "--from")
        os.environ[VARIABLE] = str(named)
    status = studio.pictures.find()
    if named is not None and status.ready:
        remember(source, named)
    if status.ready:
        # Encoded now, once, so that no page or training has to wait for it.
        watch(studio.pictures.prepare_features())
    return _tell(arguments, source, status)


def _tell(arguments: argparse.Namespace, source: PictureSource, status: PictureStatus) -> int:
    """Exit code 0 with pictures at hand, 1 without."""
    document = {"bundle": source.bundle, **asdict(status), "ready": status.ready}
    document["advice"] = [] if status.ready else ways(source)
    answer(arguments, document, _lines(source, status))
    return 0 if status.ready else 1


def _lines(source: PictureSource, status: PictureStatus) -> list[str]:
    if status.state == "carried":
        return [f"bundle {source.bundle} carries its pictures"]
    if not status.ready or status.match is None:
        return [status.problem, *ways(source)]
    lines = [f"pictures found in {status.place}", f"they match: {status.match.words}"]
    if not status.match.same:
        lines.append(
            "they are another copy than the model was made of (as JPEG files are): its figures "
            "were measured on its own, and answers may differ a little"
        )
    if status.lacking:
        lines.append(f"{status.lacking:,} of the bundle's images are not there")
    return lines


def ways(source: PictureSource) -> list[str]:
    """How a person can get the pictures, a line each."""
    name = source.bundle
    found = [f"  munkey images {name} --download      downloads {source.title} with torchvision"]
    shape = {
        "cifar10": "train/<class>/<nnnn>.jpg, torchvision's batches, or a tar archive of those",
        "image_folder": "the folder of images that the model was made of",
        "medmnist": "the .npz file that the model was made of",
    }.get(source.dataset, "the data that the model was made of")
    by_path = f"  munkey images {name} --from PATH     uses {shape}"
    return [*(found if source.downloadable else []), by_path]
