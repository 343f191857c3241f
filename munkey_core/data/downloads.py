"""Where downloaded data lives, and how torchvision is asked for more."""

import contextlib
import http.client
import os
import sys
from collections.abc import Callable
from pathlib import Path

from munkey_core.errors import DataError


def data_home() -> Path:
    """The folder for data sets: `$MUNKEY_DATA`, else `~/.cache/munkey`."""
    named = os.environ.get("MUNKEY_DATA")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "munkey"


def fetch(title: str, download: Callable[[], object], advice: str) -> None:
    """Run a torchvision download.

    Raises DataError with `advice` (what to install or point to) when it fails, as it does offline.
    """
    try:
        # Some torchvision versions print; stdout belongs to the command line's JSON.
        with contextlib.redirect_stdout(sys.stderr):
            download()
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{title}: not found and can't be downloaded ({reason}); {advice}"
        ) from error
