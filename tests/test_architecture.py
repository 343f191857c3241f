"""The picture in tutorials/ARCHITECTURE.md is what the code is: every room, and all its arrows."""

import re

import pytest
from test_layers import APP, APP_STARTS, ROOMS, ROOT, graph, modules, room_of

PAGE = ROOT / "tutorials" / "ARCHITECTURE.md"
# The version, and the package that holds no code, are no rooms.
TOPS = {"munkey_core": ROOMS[1:], "app": APP[1:]}


def drawn():
    """Package → room → the rooms behind its arrow, in the order of the page."""
    [picture] = re.findall(r"^```\n(munkey_core\n.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    found, top = {}, ""
    for line in picture.splitlines():
        if not line.startswith(" "):
            top = line
            found[top] = {}
        else:
            room, arrows = re.fullmatch(r"  (\w+) .*→(.*)", line).groups()
            found[top][room] = arrows.split()
    return found


def built(top):
    """Room → the rooms that it imports, in their order."""
    rooms = TOPS[top]
    found = {room: set() for room in rooms}
    files = [file for file in modules(top) if file[0] not in APP_STARTS]
    for module, imported in graph(files).items():
        own = room_of(module, rooms)
        for other in imported:
            if own in found:
                found[own] |= {room_of(other, rooms)} & set(rooms) - {own}
    return {room: [one for one in rooms if one in found[room]] for room in rooms}


@pytest.mark.parametrize("top", TOPS)
def test_the_picture_is_what_the_code_is(top):
    assert drawn()[top] == built(top)


@pytest.mark.parametrize("top", TOPS)
def test_the_picture_keeps_the_order(top):
    assert list(drawn()[top]) == TOPS[top]
