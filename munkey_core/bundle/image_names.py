"""The images that texts name: by id, as tables protect it, or by the name of the file on disk."""

import re
from collections.abc import Iterable
from functools import cached_property

from munkey_core.data.naming import file_of, id_of, spellings
from munkey_core.files.names import compared

_MOST_PIECES = 32  # of one file name, which may have blanks and commas in it


class ImageNames:
    """All ids of a bundle, and the names that they may be called by.

    ids: of every split, as a request may name what has no key; the answer then says so.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = dict.fromkeys(ids)

    def find(self, text: str) -> str | None:
        """The id that a text stands for, or None. An id stands for itself; then the file's path as
        `spellings` understands it; then the one file whose name differs only in what nobody sees.
        """
        if text in self._ids:
            return text
        forms = tuple(spellings(text))
        for form in forms:
            for id_ in (form, id_of(form)):
                if id_ in self._ids:
                    return id_
        looks = (compared(name) for form in forms for name in (form, file_of(form)))
        return next(filter(None, map(self._by_name.get, looks)), None)

    def id_for(self, text: str) -> str:
        """The id that a text stands for, or the text as it is if it names no image here."""
        return self.find(text) or text

    def in_text(self, text: str, between: str) -> tuple[str, ...]:
        """Ids that a text lists, line by line; what names no image stays as it is.

        between: a pattern of what stands between two of them. Pieces that name an image only
        together are one name: file names have blanks and commas in them.
        """
        return tuple(name for line in text.splitlines() for name in self._in_line(line, between))

    def _in_line(self, line: str, between: str) -> Iterable[str]:
        pieces = _pieces(line, between)
        first = 0
        while first < len(pieces):
            start, end = pieces[first]
            found, after = self.find(line[start:end]), first + 1
            last = min(len(pieces), first + _MOST_PIECES) if self._long_names else 0
            while found is None and after < last:
                found = self.find(line[start : pieces[after][1]])
                after += 1
            if found is None:
                found, after = line[start:end], first + 1
            yield found
            first = after

    @cached_property
    def _long_names(self) -> bool:
        """Whether any file's name could have what stands between names."""
        return any("%" in id_ for id_ in self._ids)

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """What is compared of a file's name → id; "" where two files have the same."""
        found: dict[str, str] = {}
        for id_ in self._ids:
            name = compared(file_of(id_))
            found[name] = "" if name in found else id_
        return found


def _pieces(line: str, between: str) -> list[tuple[int, int]]:
    """Start and end of what stands between the marks, without blanks around."""
    ends = [(m.start(), m.end()) for m in re.finditer(between, line)]
    starts = [0, *(end for _, end in ends)]
    found = []
    for start, end in zip(starts, [*(begin for begin, _ in ends), len(line)], strict=True):
        piece = line[start:end]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            found.append((left, left + len(piece.strip())))
    return found
