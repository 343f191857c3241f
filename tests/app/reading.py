"""What a page says, as its reader has it."""

from __future__ import annotations

import re

_TERM = re.compile(r'\[([^\]]*)\]\(#term-[a-z0-9-]+\)|<a href="#term-[a-z0-9-]+">([^<]*)</a>')


def as_read(text: str) -> str:
    """Without the links that explain terms: their words stay.

    >>> as_read("its [key](#term-key)")
    'its key'
    """
    return _TERM.sub(lambda found: found[1] or found[2] or "", text)
