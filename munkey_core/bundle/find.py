"""Where bundles lie, and which there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BundleInfo:
    """A bundle as a list shows it. bytes: size of its files. problem: why it can't be opened,
    empty if its manifest is sound."""

    name: str
    path: str
    title: str
    dataset: str
    licence: str
    keys: int
    test_images: int
    classes: tuple[str, ...]
    digest: str
    bytes: int
    problem: str = ""
