"""What the command line says of identical pictures that have no key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from munkey_core.bundle.twins import Twin

_SHOWN = 20


def twin_lines(twins: Sequence[Twin]) -> list[str]:
    """Lines on twins of images that are forgotten or erased; none if there are none."""
    tested = [twin for twin in twins if twin.split == "test"]
    public = [twin for twin in twins if twin.split != "test"]
    lines = []
    if public:
        images = len({twin.id for twin in public})
        lines.append(
            f"{images:,} of these images {_have(images)} an identical twin among the public images "
            f"that the network was trained on, which can't be forgotten: {_named(public)}"
        )
    if tested:
        images = len({twin.id for twin in tested})
        lines.append(
            f"{images:,} of these images {_have(images)} an identical twin among the test images, "
            f"which stays: {_named(tested)}"
        )
    return lines


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _named(twins: Sequence[Twin]) -> str:
    names = [f"{twin.id} = {twin.other or 'one that is not in the bundle'}" for twin in twins]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
