"""What all post-hoc unlearning methods share: the task, and one loop around a method's own loss.

A method works on a copy of the plain transformer: the exemplar transformer whose memory slot is
always empty (METHOD.md §5). A subclass of `LoopMethod` says which batches an epoch has and what
the loss of a batch is; everything else happens here, once.

Ours, for all methods: AdamW without weight decay, as the model was trained with AdamW and plain
SGD hardly moves it; the learning rate falls linearly to 0; gradients are clipped to norm 1.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from munkey_core.errors import BadInputError, TrainingError
from munkey_core.model.encoder import augment
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Steps
from munkey_core.unlearning.batches import Rows
from munkey_core.unlearning.source import Sourced

S = TypeVar("S")
L = TypeVar("L", bound="LoopSettings")
Grid = Mapping[str, tuple[float, ...]]

_GRADIENT_NORM = 1.0
_CROP_MARGIN = 4  # as in the training of `patches`


@dataclass(frozen=True)
class Labelled:
    """Labelled images. features: (n, P, c) float32 of the frozen encoder, or pixels (n, 3, H, W)
    for `patches`. labels: (n,) int64. Raises BadInputError if their numbers differ."""

    features: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.features) != len(self.labels) or self.labels.ndim != 1:
            raise BadInputError(
                f"as many labels as images are wanted, got labels {tuple(self.labels.shape)} "
                f"for features {tuple(self.features.shape)}"
            )

    def __getitem__(self, rows: Tensor | slice) -> Labelled:
        return Labelled(self.features[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def join(self, other: Labelled) -> Labelled:
        """The images of both, in order."""
        return Labelled(
            torch.cat([self.features, other.features]), torch.cat([self.labels, other.labels])
        )


@dataclass(frozen=True)
class Task:
    """What is to be forgotten, and from which model.

    model: the plain transformer trained on everything; never changed. retain: all else that it
    was trained on (retained private, calibration and public anchor images). forget: the images to
    forget. seed: of the order of batches, dropout and random labels or teachers.
    Raises BadInputError if there is nothing to forget or nothing to retain.
    """

    model: ExemplarTransformer
    retain: Labelled
    forget: Labelled
    device: torch.device
    seed: int
    batch_size: int = 128

    def __post_init__(self) -> None:
        for name, images in (("forget", self.forget), ("retain", self.retain)):
            if not len(images):
                raise BadInputError(f"the {name} set must hold at least one image, got none")
        if self.batch_size < 1:
            raise BadInputError(f"batch_size must be 1 or more, got {self.batch_size}")

    @property
    def n_classes(self) -> int:
        return self.model.head.out_features


@dataclass(frozen=True)
class Batch:
    """One step's images, on the task's device; either part may be empty.

    forget_rows: their rows in the forget set. done: share of all steps already taken, in [0, 1).
    """

    retain: Labelled
    forget: Labelled
    forget_rows: Tensor
    done: float


@dataclass
class Work:
    """One unlearning under way: the task and the copy that is changed.

    mask: parameter name → bool tensor of its shape, where it may change; None: everywhere.
    """

    task: Task
    model: ExemplarTransformer
    mask: dict[str, Tensor] | None = None

    def logits(self, images: Labelled) -> Tensor:
        """(B, C) of the model that is being changed."""
        return plain_logits(self.model, images.features)


Objective = Callable[[Batch], Tensor]


def plain_logits(model: ExemplarTransformer, features: Tensor) -> Tensor:
    """(B, C) logits of the plain transformer: the exemplar slot holds the null token ∅."""
    null = model.null_memory.expand(len(features), -1)
    logits: Tensor = model(model.embed_image(features), null)
    return logits.float()


def frozen_copy(model: ExemplarTransformer, device: torch.device) -> ExemplarTransformer:
    """A copy to be asked only, on `device`: a teacher."""
    return copy.deepcopy(model).to(device).eval().requires_grad_(False)


def require_between(settings: object, **limits: tuple[float, float]) -> None:
    """Raise BadInputError for a setting outside [low, high]."""
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise BadInputError(f"{name} must be between {low:g} and {high:g}, got {value!r}")


def setting(default: float, low: float, high: float) -> Any:
    """A field of `LoopSettings` with its default and its range."""
    return field(default=default, metadata={"between": (low, high)})


@dataclass(frozen=True)
class LoopSettings:
    """epochs: passes over the method's images. learning_rate: at the start; falls to 0. Raises
    BadInputError for one outside its range, a subclass's own too."""

    epochs: int = 1
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        own = {f.name: f.metadata["between"] for f in fields(self) if "between" in f.metadata}
        require_between(self, epochs=(1, 1000), learning_rate=(1e-8, 1.0), **own)


class Method(Sourced, ABC, Generic[S]):
    """A post-hoc unlearning method.

    key: its name on the command line. name: the paper's term. paper: where it comes from.
    Settings: its hyper-parameters. grid: setting → values, the search space of `tuning`.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    paper: ClassVar[str]
    Settings: ClassVar[type[Any]]
    grid: ClassVar[Grid]

    def __init__(self, settings: S | None = None) -> None:
        self.settings: S = self.Settings() if settings is None else settings

    def unlearn(self, task: Task) -> Steps[ExemplarTransformer]:
        """Yield progress; return the changed copy: on the CPU, in evaluation mode, read-only.

        The same task and settings give the same bytes on the CPU. Raises TrainingError if the
        loss or a weight stops being finite.
        """
        torch.manual_seed(task.seed)  # dropout draws from the global generator
        model = copy.deepcopy(task.model).to(task.device).requires_grad_(True)
        yield from self.edit(Work(task, model))
        model.zero_grad(set_to_none=True)
        if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
            raise TrainingError(f"{self.name}: a weight is no longer finite; lower its settings")
        return model.cpu().eval().requires_grad_(False)

    @abstractmethod
    def edit(self, work: Work) -> Steps[None]:
        """Change `work.model` in place; the last progress has done = total."""


class LoopMethod(Method[L]):
    """A method that takes gradient steps; `work.model` is in training mode while it does."""

    @abstractmethod
    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        """The batches of one epoch, drawn from `generator`."""

    @abstractmethod
    def objective(self, work: Work) -> Objective:
        """The loss of a batch, which is minimised. Called once, before the first step, with the
        model still unchanged: teachers, random labels and masks are made here."""

    def edit(self, work: Work) -> Steps[None]:
        task, model, settings = work.task, work.model, self.settings
        generator = torch.Generator().manual_seed(task.seed)
        steps = [
            rows for epoch in range(settings.epochs) for rows in self.epoch(task, epoch, generator)
        ]
        objective = self.objective(work)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=0.0
        )
        pace = Pace("unlearning", len(steps))
        model.train()
        for step, rows in enumerate(steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - step / len(steps))
            loss = objective(_take(task, rows, step / len(steps), generator))
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(
                    f"{self.name}: the loss is {value} in step {step + 1} of {len(steps)}; lower "
                    f"learning_rate ({settings.learning_rate:g})"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            _apply_mask(work)
            torch.nn.utils.clip_grad_norm_(model.parameters(), _GRADIENT_NORM)
            optimiser.step()
            yield pace.at(step + 1, loss=value)


def _take(task: Task, rows: Rows, done: float, generator: torch.Generator) -> Batch:
    retain, forget = task.retain[rows.retain], task.forget[rows.forget]
    if task.model.config.tokens == "patches":
        retain, forget = _augmented(retain, generator), _augmented(forget, generator)
    return Batch(_moved(retain, task.device), _moved(forget, task.device), rows.forget, done)


def _augmented(images: Labelled, generator: torch.Generator) -> Labelled:
    return Labelled(augment(images.features, generator, margin=_CROP_MARGIN), images.labels)


def _moved(images: Labelled, device: torch.device) -> Labelled:
    return Labelled(images.features.to(device), images.labels.to(device))


def _apply_mask(work: Work) -> None:
    """Without gradient, and as nothing decays, AdamW leaves a weight its bytes."""
    if work.mask is None:
        return
    for name, weight in work.model.named_parameters():
        if weight.grad is not None:
            weight.grad.mul_(work.mask[name])
