"""Names of people and files: a form to keep them in, one to compare them in, and what looks alike.

The same name is typed in many ways: an accent as one character or two, a blank that doesn't break,
characters that nobody sees. Wherever names are read or asked for, these functions make one of them.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# Joiners and variation selectors shape the letters beside them (Persian, emoji) and have no look of
# their own; the others are never seen: soft hyphens, zero-width blanks, marks of direction.
_SHAPING = "\u200c\u200d\ufe00-\ufe0f\u180b-\u180d\U000e0100-\U000e01ef"
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u180f\u200b\u200e\u200f\u2060-\u2065"
    "\u206a-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_ANY_SHAPING = re.compile(f"[{_SHAPING}]")
# They shape nothing at an end, beside a blank, or beside letters that never join.
_IDLE = re.compile(f"(?<![^\\x00-\\x7f])[{_SHAPING}]+|[\u200c\u200d]+(?![^\\x00-\\x7f])")
# Letters of other scripts, and signs, that a person can't tell from these on a screen.
_LIKE = str.maketrans(
    "авеёкмнорстухіїјѕԁԛԝһӏҁαβεηικμνορτυχγωϲ0i1|ıɩ’‘ʼ`´‐‑–—−",
    "abeekmhopctyxiijsdqwhlcabenlkuvoptuxywcolllll'''''-----",
)


@lru_cache(65_536)
def tidied(text: str) -> str:
    """A name as it is kept: NFC, single blanks, nothing in it that nobody sees."""
    composed = _UNSEEN.sub("", unicodedata.normalize("NFC", text))
    lean = " ".join(_IDLE.sub("", composed).split())
    again = unicodedata.normalize("NFC", lean)
    return again if again == text else tidied(again)


@lru_cache(65_536)
def compared(text: str) -> str:
    """What two spellings of one name have in common: tidied, without joiners."""
    return tidied(_ANY_SHAPING.sub("", text))


def spelled_once(names: Iterable[str]) -> tuple[str, ...]:
    """The names, tidied; those that are the same are spelled as the first of them."""
    first: dict[str, str] = {}
    return tuple(first.setdefault(compared(name), tidied(name)) for name in names)


@lru_cache(65_536)
def look(text: str) -> str:
    """What a person sees of a name at a glance: equal for names that differ in case, in width, or
    in letters that look alike (Latin and Cyrillic A). For warnings only: they may be two people."""
    wide = unicodedata.normalize("NFKC", compared(text)).casefold().translate(_LIKE)
    return unicodedata.normalize("NFC", wide.replace(" ", ""))


def lookalikes(names: Iterable[str], among: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (name, other) that look alike and are not the same name; the others in their order."""
    by_look: dict[str, list[str]] = {}
    for other in among:
        by_look.setdefault(look(other), []).append(other)
    return tuple(
        (name, other)
        for name in names
        for other in by_look.get(look(name), ())
        if compared(other) != compared(name)
    )
