"""Where results that took minutes are kept between runs, outside any bundle."""

import os
import tempfile
from functools import lru_cache
from pathlib import Path

from munkey_core.errors import BadInputError


def cache_folder() -> Path:
    """$MUNKEY_CACHE, else `munkey` in the user's cache folder, else one in the temporary folder.

    Made if it isn't there. Raises BadInputError if $MUNKEY_CACHE can't be written to; the other
    places are tried in turn.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return _first_writable(os.environ.get("MUNKEY_CACHE", ""), home)


@lru_cache  # asked again and again while a page is drawn; trying writes to the disk
def _first_writable(named: str, home: str) -> Path:
    if named:
        return _writable(Path(named))
    user = Path(home)
    try:
        return _writable(user / "munkey")
    except BadInputError:
        return _writable(Path(tempfile.gettempdir()) / f"munkey-{os.getuid()}")


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInputError(
            f"$MUNKEY_CACHE must name a folder that can be written to, {folder} can't ({error})"
        ) from error
    return folder
