"""Gradient ascent: undo the training on the forget set by climbing its loss."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from munkey_core.unlearning.base import Grid, LoopMethod, LoopSettings, Objective, Task, Work
from munkey_core.unlearning.batches import Rows, forget_only


@dataclass(frozen=True)
class GradientAscentSettings(LoopSettings):
    learning_rate: float = 1e-4


class GradientAscent(LoopMethod[GradientAscentSettings]):
    """L = −CE(forget). Sees no retained image, so too large a step wrecks the whole model."""

    key = "gradient-ascent"
    name = "Gradient ascent"
    paper = "Thudi et al. 2022, Unrolling SGD, arXiv:2109.13398; Graves et al. 2021"
    Settings = GradientAscentSettings
    grid: ClassVar[Grid] = {"epochs": (1, 2), "learning_rate": (2e-5, 5e-5, 1e-4)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        return forget_only(len(task.forget), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        return lambda batch: -F.cross_entropy(work.logits(batch.forget), batch.forget.labels)
