"""File names and ids: an id is a file's path in its folder, percent-encoded; people write paths."""

import os
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, unquote

from munkey_core.files.untrusted import plain_cell

_HERE = re.compile(r"(?:\A|(?<=/))(?:\./+)+|(?<=/)/+|\A/+")


def id_of(name: str) -> str:
    """The id of a file. name: its path inside the folder, with / and in NFC, or any text."""
    try:
        data = os.fsencode(name)
    except UnicodeEncodeError:  # no file can be called that
        data = name.encode("utf-8", "surrogatepass")
    return quote(data, safe="/-_.~")


def file_of(id_: str) -> str:
    """The path that an id is made of; what is no UTF-8 is replaced."""
    return unquote(id_)


def spellings(text: str) -> Iterator[str]:
    """The paths that a text in a table or a field can mean, in NFC, the likeliest first: as it is;
    without the apostrophe that keeps a spreadsheet from computing it; with / for Windows' \\ and
    nothing for ./."""
    found: dict[str, None] = {}
    for form in (text, plain_cell(text)):
        path = unicodedata.normalize("NFC", form)
        found |= {path: None, _HERE.sub("", path.replace("\\", "/")): None}
    yield from found
