"""Options that several commands take."""

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from munkey_core.errors import BadInputError

PICTURES = "MUNKEY_IMAGES"  # as data.places reads it, which takes a while to import
IDS_HELP = (
    "ids or file names separated by commas, @file.csv (a column id or file), owner:NAME, or a "
    "canonical set: random-1pct, random-5pct, random-10pct, one-class, one-owner, hard-1pct, "
    "near-duplicates"
)
BUNDLE_HELP = "a name, as `munkey bundles` lists them, or a folder"


def existing(named: Path, option: str) -> Path:
    """The absolute path, as $MUNKEY_IMAGES can hold it. Raises BadInputError if nothing is
    there."""
    path = named.expanduser().resolve()
    if not path.exists():
        raise BadInputError(f"{option} must name a folder or an archive, there is no {named}")
    if os.pathsep in str(path):
        raise BadInputError(f"{option} can't name a path with {os.pathsep!r} in it, got {named}")
    return path


def _use_images(named: Path | None) -> Path | None:
    """Let the pictures be known to this process and those it starts."""
    if named is not None:
        os.environ[PICTURES] = str(existing(named, "--images"))
    return named


def _is_port(port: int) -> int:
    if not 1 <= port <= 65535:
        raise BadInputError(f"--port must be between 1 and 65535, got {port}")
    return port


BundleName = Annotated[str, Argument(metavar="BUNDLE", help=BUNDLE_HELP)]
Ids = Annotated[str, Option(metavar="IDS", help=IDS_HELP)]
Mode = Annotated[str, Option(help="joint or exact, of a bundle that has both (default: its own)")]
Device = Annotated[str, Option(help="auto, cpu or cuda")]
Seeds = Annotated[int | None, Option(help="trainings of each kind (default: all known)")]
Port = Annotated[int, Option(callback=_is_port, help="where the server listens")]
Json = Annotated[bool, Option("--json", help="answer with one JSON document")]
Save = Annotated[bool, Option("--save", help="into the bundle")]
# Of commands that read the pixels of a bundle's images, or start what does. When the command runs
# the pictures are known already.
Images = Annotated[
    Path | None,
    Option(
        help=f"folder or archive with the pictures of a bundle without (also ${PICTURES})",
        callback=_use_images,
    ),
]
