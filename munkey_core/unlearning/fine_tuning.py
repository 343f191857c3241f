"""Fine-tuning: train on what is retained and hope that the rest fades."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from munkey_core.unlearning.base import Grid, LoopMethod, LoopSettings, Objective, Task, Work
from munkey_core.unlearning.batches import Rows, retain_only


@dataclass(frozen=True)
class FineTuningSettings(LoopSettings):
    learning_rate: float = 1e-3


class FineTuning(LoopMethod[FineTuningSettings]):
    """L = CE(retain). Relies on catastrophic forgetting of what is no longer seen."""

    key = "fine-tuning"
    name = "Fine-tuning"
    paper = "Warnecke et al. 2023, Machine Unlearning of Features and Labels, arXiv:2108.11577"
    Settings = FineTuningSettings
    grid: ClassVar[Grid] = {"epochs": (1, 2), "learning_rate": (5e-4, 1e-3, 2e-3)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        return retain_only(len(task.retain), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        return lambda batch: F.cross_entropy(work.logits(batch.retain), batch.retain.labels)
