"""What operating systems put into folders on their own: it belongs to nobody's data."""

from collections.abc import Iterable

_FOLDERS = (
    *("__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems"),
    *("$recycle.bin", "system volume information", "@eadir"),
)
_FILES = (
    *(".ds_store", ".localized", ".directory", ".apdisk", ".volumeicon.icns", "icon\r"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
)


def added_by_system(parts: Iterable[str]) -> bool:
    """Whether a path, given in its parts, is what macOS, Windows or a desktop of Linux adds by
    itself: .DS_Store, ._NAME, __MACOSX and what lies in it, Thumbs.db, desktop.ini, …"""
    return any(
        part.startswith("._") or part.casefold() in _FOLDERS or part.casefold() in _FILES
        for part in parts
    )
