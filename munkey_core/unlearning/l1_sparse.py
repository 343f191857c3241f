"""ℓ1-sparse: fine-tuning that prunes, as sparse models forget more easily."""

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
from munkey_core.unlearning.batches import Rows, retain_only


@dataclass(frozen=True)
class L1SparseSettings(LoopSettings):
    """gamma: weight γ of the ℓ1 norm at the start."""

    learning_rate: float = 1e-3
    gamma: float = setting(3e-5, 0.0, 1.0)


class L1Sparse(LoopMethod[L1SparseSettings]):
    """L = CE(retain) + γ_t·‖θ‖₁ with γ_t = γ·(1 − t/T): linearly decaying, the paper's choice.

    The norm is that of all weights.
    """

    key = "l1-sparse"
    name = "ℓ1-sparse"
    paper = "Jia et al. 2023, Model Sparsity Can Simplify Machine Unlearning, arXiv:2304.04934"
    Settings = L1SparseSettings
    grid: ClassVar[Grid] = {"gamma": (1e-5, 3e-5, 1e-4), "learning_rate": (5e-4, 1e-3)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        return retain_only(len(task.retain), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        weights = list(work.model.parameters())

        def loss(batch: Batch) -> Tensor:
            norm = torch.stack([weight.abs().sum() for weight in weights]).sum()
            gamma = self.settings.gamma * (1 - batch.done)
            return F.cross_entropy(work.logits(batch.retain), batch.retain.labels) + gamma * norm

        return loss
