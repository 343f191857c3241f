"""Which images a step sees: the few ways in which unlearning methods go through two sets."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_NONE = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Rows:
    """Rows of one step's images in the retain and in the forget set, int64; either may be empty."""

    retain: Tensor
    forget: Tensor


def retain_only(n: int, batch: int, generator: torch.Generator) -> list[Rows]:
    """One pass over n retained images."""
    return [Rows(rows, _NONE) for rows in _shuffled(n, generator).split(batch)]


def forget_only(n: int, batch: int, generator: torch.Generator) -> list[Rows]:
    """One pass over n images to forget."""
    return [Rows(_NONE, rows) for rows in _shuffled(n, generator).split(batch)]


def paired(n_retain: int, n_forget: int, batch: int, generator: torch.Generator) -> list[Rows]:
    """One pass over the retain set, beside each of its batches one of the forget set, cycled."""
    forget = _endless(n_forget, batch, generator)
    retain = _shuffled(n_retain, generator).split(batch)
    return [Rows(rows, next(forget)) for rows in retain]


def mixed(n_retain: int, n_forget: int, batch: int, generator: torch.Generator) -> list[Rows]:
    """One pass over both sets, shuffled together."""
    order = _shuffled(n_retain + n_forget, generator)
    return [
        Rows(rows[rows < n_retain], rows[rows >= n_retain] - n_retain)
        for rows in order.split(batch)
    ]


def _shuffled(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator)


def _endless(n: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from _shuffled(n, generator).split(batch)
