"""Frozen results: what the library hands to the app, the command line and notebooks.

NumPy only, so that whoever shows a result needs no PyTorch. Positions never appear here: images
are named by id. Every result that depends on the memory bank carries its `generation`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from munkey_core.errors import StaleGenerationError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]

PRIVATE = "private"
TEST = "test"
ANCHOR = "anchor"
CALIBRATION = "calibration"


@dataclass(frozen=True)
class Record:
    """What is known about one image beside the bank; prediction never reads it.

    split: "private" (has a key), "test" (held out), "anchor" (public, labelled) or "calibration"
    (public, had a key while the model was trained).
    owner: simulated unless the manifest says otherwise; empty outside the private split.
    """

    id: str
    label: int
    owner: str
    split: str


def check_generation(result: int, current: int) -> None:
    """Raise StaleGenerationError unless a result belongs to the bank's current state."""
    if result != current:
        raise StaleGenerationError(
            f"this result belongs to generation {result} of the memory, which is now at "
            f"generation {current}: ask again"
        )


@dataclass(frozen=True)
class Browse:
    """What a person asks the gallery for; the conditions that are given all hold at once.

    classes: class indices. owner: an owner's name, in any spelling. contains: part of an id, or of
    the name of the file that it is made of.
    near: show near-duplicates of these ids (and nothing else). paired: only images of which a
    near-duplicate is in memory. hide_forgotten: leave out ids whose key is deleted in this session.
    order: "memorised" (most memorised first), "exposed" (most exposed to a membership attack
    first), "influential" (what changes test images' answers most first, see `Influence.total`),
    "id" or "random".
    sample: at most so many, drawn by `seed`; None for all.
    """

    classes: tuple[int, ...] = ()
    owner: str = ""
    contains: str = ""
    near: tuple[str, ...] | None = None
    paired: bool = False
    hide_forgotten: bool = False
    order: str = "memorised"
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class NearDuplicate:
    """Two private images whose keys are closer than the bundle's threshold. similarity: cosine."""

    id: str
    other: str
    similarity: float
