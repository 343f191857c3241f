"""NegGrad+: climb the forget set's loss while descending that of the retain set."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.unlearning.base import (
    Batch,
    Grid,
    LoopMethod,
    LoopSettings,
    Objective,
    Task,
    Work,
    setting,
)
from munkey_core.unlearning.batches import Rows, paired


@dataclass(frozen=True)
class NegGradPlusSettings(LoopSettings):
    """alpha: weight α of the retain set."""

    learning_rate: float = 5e-4
    alpha: float = setting(0.95, 0.0, 1.0)


class NegGradPlus(LoopMethod[NegGradPlusSettings]):
    """L = α·CE(retain) − (1 − α)·CE(forget).

    An epoch is a pass over the retain set; the forget set is gone through as often as that takes.
    """

    key = "neg-grad-plus"
    name = "NegGrad+"
    paper = "Kurmanji et al. 2023, Towards Unbounded Machine Unlearning, arXiv:2302.09880"
    Settings = NegGradPlusSettings
    grid: ClassVar[Grid] = {"alpha": (0.9, 0.95, 0.98), "learning_rate": (2e-4, 5e-4)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        return paired(len(task.retain), len(task.forget), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        alpha = self.settings.alpha

        def loss(batch: Batch) -> Tensor:
            # One pass for both: each image's logits depend on that image alone.
            logits = work.logits(batch.retain.join(batch.forget))
            n = len(batch.retain)
            retain = F.cross_entropy(logits[:n], batch.retain.labels)
            forget = F.cross_entropy(logits[n:], batch.forget.labels)
            return alpha * retain - (1 - alpha) * forget

        return loss
