"""`munkey images`: where the pictures are of a bundle without, and how to get them."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from munkey_core.cli.base import answer, command, session, watch
from munkey_core.cli.options import PICTURES, BundleName, Json, existing
from munkey_core.errors import BadInputError

if TYPE_CHECKING:
    from munkey_core.data.pictures import PictureStatus
    from munkey_core.data.places import PictureSource


@command("munkey images cifar10", "munkey images cifar10 --from cifar-10.tar.gz")
def images(
    bundle: BundleName,
    fetch: Annotated[bool, Option("--download", help="first, to $MUNKEY_DATA")] = False,
    place: Annotated[
        Path | None, Option("--from", help="folder or archive with them; remembered if they fit")
    ] = None,
    as_json: Json = False,
) -> int:
    """Find, fetch and check the pictures a bundle came without."""
    from munkey_core.data.places import download, remember

    studio = session(bundle)
    source, status = studio.pictures.source, studio.pictures.status
    if status.state == "carried":
        if fetch or place:
            raise BadInputError(f"bundle {source.bundle} carries its pictures: it needs no others")
        return _tell(source, status, as_json)
    if fetch and place:
        raise BadInputError("give either --download or --from, not both")
    if fetch:
        print(f"downloading {source.title} …", file=sys.stderr)
        place = download(source)
    if place is not None:
        place = existing(place, "--from")
        os.environ[PICTURES] = str(place)
    status = studio.pictures.find()
    if place is not None and status.ready:
        remember(source, place)
    if status.ready:
        # Encoded now, once, so that no page or training has to wait for it.
        watch(studio.pictures.prepare_features())
    return _tell(source, status, as_json)


def _tell(source: PictureSource, status: PictureStatus, as_json: bool) -> int:
    """Exit code 0 with pictures at hand, 1 without."""
    document = {"bundle": source.bundle, **asdict(status), "ready": status.ready}
    document["advice"] = [] if status.ready else ways(source)
    return answer(as_json, document, _lines(source, status), 0 if status.ready else 1)


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
