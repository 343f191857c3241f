"""Ways to spoil good input: bytes, JSON values, texts. All as hypothesis strategies."""

import copy
import math

from hypothesis import strategies as st

INTERESTING = [b"", b"\0", b"\xff" * 8, b"\xff\xff\xff\x7f", b"\0" * 64, b"../../etc/passwd"]

ODD_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            "\0",
            "<script>alert(1)</script>",
            "![x](http://example.invalid/x.png)",
            '=HYPERLINK("http://example.invalid","x")',
            "+1+1",
            "\u202egnp.exe",
            "a\nb",
            "../../etc/passwd",
            "C:\\windows",
            "\x1b[31mred\x1b[0m",
            "ä" * 300,
            "%00",
            "\ud800",
            "img-00,img-01",
            "owner:",
            "@../nowhere",
        ]
    ),
)

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30, 1e308, -1e-320, 0.5, math.nan, math.inf]),
    ODD_TEXTS.filter(lambda text: "\ud800" not in text),
    st.just([]),
    st.just({}),
    st.lists(st.integers(-2, 99), max_size=3),
    st.just({"a": {"b": [1, {}]}}),
    st.integers(1, 400).map(lambda depth: _nested(depth)),
)


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@st.composite
def spoiled_bytes(draw, good, most_changes=6):
    """Good bytes with pieces changed, left out, repeated or put in; sometimes only noise."""
    data = bytearray(good)
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, most_changes))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 5))
        if kind == 0 and data:
            data[min(place, len(data) - 1)] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            data[place:place] = draw(st.one_of(st.sampled_from(INTERESTING), st.binary(max_size=8)))
        elif kind == 2:
            del data[place : place + draw(st.integers(1, 64))]
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            piece = draw(st.one_of(st.sampled_from(INTERESTING), st.binary(min_size=1, max_size=8)))
            data[place : place + len(piece)] = piece
        else:
            other = draw(st.integers(0, len(data)))
            data[place:place] = data[other : other + draw(st.integers(1, 32))]
    return bytes(data)


def _paths(value, here=()):
    yield here
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, (*here, name))
    elif isinstance(value, list):
        for place, item in enumerate(value[:3]):
            yield from _paths(item, (*here, place))


@st.composite
def spoiled_json(draw, good, most_changes=3):
    """A JSON value with values replaced, names left out, added or changed."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, most_changes))):
        places = [path for path in _paths(value) if path]
        if not places:
            return draw(ODD_VALUES)
        path = draw(st.sampled_from(places))
        parent = value
        for step in path[:-1]:
            parent = parent[step]
        kind = draw(st.integers(0, 4))
        if kind == 0:
            del parent[path[-1]]
        elif kind == 1 and isinstance(parent, dict):
            name = draw(ODD_TEXTS).replace("\ud800", "")
            parent[name] = draw(st.one_of(ODD_VALUES, st.just(copy.deepcopy(parent[path[-1]]))))
        else:
            parent[path[-1]] = draw(ODD_VALUES)
    return value
