"""By-design systems: classifiers that answer from entries, and forget by losing entries."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from munkey_core.errors import BadInputError, TrainingError, UnknownIdError
from munkey_core.model.encoder import Encoded, concatenate
from munkey_core.progress import Pace, Steps
from munkey_core.results import FloatArray
from munkey_core.unlearning.source import Sourced

# Queries answered at once.
_BLOCK = 1024
_EPOCHS = 12
_BATCH = 128


@dataclass(frozen=True)
class SystemData:
    """What a system is fitted on.

    entries: n private images, each of which becomes an entry; labels: (n,) int64. anchors: m public
    images that never are entries, with their labels; without them (None) there are none.
    Raises BadInputError for no entry, or labels that are not as many as the images.
    """

    entries: Encoded
    labels: Tensor
    anchors: Encoded | None = None
    anchor_labels: Tensor | None = None

    def __post_init__(self) -> None:
        if not len(self.entries):
            raise BadInputError("a system needs at least one entry, got none")
        n_anchors = 0 if self.anchors is None else len(self.anchors)
        n_labels = 0 if self.anchor_labels is None else len(self.anchor_labels)
        if len(self.entries) != len(self.labels) or n_anchors != n_labels:
            raise BadInputError(
                f"as many labels as images are wanted, got {len(self.labels)} for "
                f"{len(self.entries)} entries and {n_labels} for {n_anchors} anchors"
            )

    def queries(self) -> tuple[Encoded, Tensor]:
        """Entries, then anchors, with their labels: all that may be trained on."""
        if self.anchors is None or self.anchor_labels is None:
            return self.entries, self.labels
        both = concatenate(self.entries, self.anchors)
        return both, torch.cat([self.labels, self.anchor_labels])


@dataclass(frozen=True)
class Support:
    """The entries that answer. rows: (s,) int64, their rows when the system was fitted. keys:
    (s, d) float32. labels: (s,) int64."""

    rows: Tensor
    keys: Tensor
    labels: Tensor

    def __getitem__(self, keep: Tensor) -> Support:
        return Support(self.rows[keep], self.keys[keep], self.labels[keep])

    def __len__(self) -> int:
        return len(self.rows)


class System(Sourced, ABC):
    """A classifier with a support of entries, which forgets by dropping entries.

    key: its name on the command line. name: as tables show it. paper: where it comes from.
    Weights, where a system has any, are never changed by `forget`.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    paper: ClassVar[str]
    # Whether the system without an entry is byte for byte the one that never had it.
    exact: ClassVar[bool] = False

    support: Support
    device: torch.device
    n_classes: int

    def fit(self, data: SystemData, n_classes: int, device: torch.device, seed: int) -> Steps[None]:
        """Train on entries and anchors, and make every entry answer; yields progress.

        The same data and seed give the same system on the CPU.
        """
        self.device = device
        self.n_classes = n_classes
        self._answer_from(
            Support(
                torch.arange(len(data.labels)).to(device),
                data.entries.keys.to(device),
                data.labels.to(device),
            )
        )
        torch.manual_seed(seed)
        yield from self._train(data, torch.Generator().manual_seed(seed))

    def forget(self, rows: Tensor) -> None:
        """Drop entries by their rows in the data of `fit`; what is left is a copy without them.

        All or nothing: raises UnknownIdError for a row that isn't there or no longer is,
        BadInputError for none or one named twice.
        """
        if not len(rows):
            raise BadInputError("name at least one row to forget")
        if len(rows.unique()) != len(rows):
            raise BadInputError("each row may be named once only")
        rows = rows.to(self.device)
        gone = torch.isin(self.support.rows, rows)
        if int(gone.sum()) != len(rows):
            unknown = rows[~torch.isin(rows, self.support.rows)]
            raise UnknownIdError(f"no entry in row {int(unknown[0])} of this {self.name}")
        self._answer_from(self.support[~gone])

    @torch.no_grad()
    def probabilities(self, queries: Encoded) -> FloatArray:
        """(n, C) float32 class probabilities. Raises BadInputError if no entry is left."""
        if not len(self.support):
            raise BadInputError(f"{self.name}: every entry is forgotten, nothing is left to answer")
        parts = [
            self._answer(queries[first : first + _BLOCK])
            for first in range(0, len(queries), _BLOCK)
        ]
        answer = torch.cat(parts) if parts else torch.empty(0, self.n_classes)
        probabilities: FloatArray = answer.float().cpu().numpy()
        return probabilities

    @abstractmethod
    def _train(self, data: SystemData, generator: torch.Generator) -> Steps[None]:
        """Fit whatever is fitted; the last progress has done = total."""

    @abstractmethod
    def _answer(self, queries: Encoded) -> Tensor:
        """(n, C) probabilities of a block of queries from `self.support`."""

    def _answer_from(self, support: Support) -> None:
        """Make `support` all that answers; a system that derives something from it does so here."""
        self.support = support


def fit_network(
    name: str,
    network: nn.Module,
    n: int,
    loss: Callable[[Tensor], Tensor],
    learning_rate: float,
    weight_decay: float,
    generator: torch.Generator,
) -> Steps[None]:
    """Train a system's network with AdamW and a cosine schedule; it is read-only afterwards.

    loss: mean loss of the queries in these rows, (B,) int64 of n. Raises TrainingError, naming the
    system, for a loss that is not finite.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    steps = _EPOCHS * math.ceil(n / _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    pace = Pace("fitting", _EPOCHS)
    network.train()
    for epoch in range(_EPOCHS):
        total = 0.0
        for rows in torch.randperm(n, generator=generator).split(_BATCH):
            value = loss(rows)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            schedule.step()
            total += float(value.detach()) * len(rows)
        if not math.isfinite(total):
            raise TrainingError(f"{name}: the loss is {total} in epoch {epoch + 1}")
        yield pace.at(epoch + 1, loss=total / n)
    network.eval().requires_grad_(False)


def label_votes(weights: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """(Q, C): for each query the sum of its neighbours' weights by label.

    weights: (Q, K); labels: (Q, K) int64.
    """
    votes = weights.new_zeros(len(weights), n_classes)
    return votes.scatter_add(1, labels, weights)
