"""SCRUB: a student that disobeys its teacher on the forget set and obeys it elsewhere."""

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
    frozen_copy,
    plain_logits,
    require_between,
    setting,
)
from munkey_core.unlearning.batches import Rows, forget_only, retain_only
from munkey_core.unlearning.distillation import divergence


@dataclass(frozen=True)
class ScrubSettings(LoopSettings):
    """max_epochs: the first so many epochs have max steps. alpha, gamma: weights of the
    divergence and of the cross-entropy on the retain set. temperature: of the divergence."""

    epochs: int = 2
    learning_rate: float = 5e-4
    max_epochs: int = 1
    alpha: float = setting(0.5, 0.0, 100.0)
    gamma: float = setting(1.0, 0.0, 100.0)
    temperature: float = setting(4.0, 0.1, 100.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_between(self, max_epochs=(0, self.epochs))


class Scrub(LoopMethod[ScrubSettings]):
    """Max steps over the forget set, then min steps over the retain set, in each epoch.

    max: L = −KL_T(teacher ‖ student) on forget, in the first `max_epochs` epochs only.
    min: L = α·KL_T(teacher ‖ student) + γ·CE on retain. The teacher is the unchanged model.

    The last epoch's model is the result: unlike SCRUB+R of the paper and its official code it
    doesn't rewind to an earlier checkpoint.
    """

    key = "scrub"
    name = "SCRUB"
    paper = "Kurmanji et al. 2023, Towards Unbounded Machine Unlearning, arXiv:2302.09880"
    Settings = ScrubSettings
    grid: ClassVar[Grid] = {"learning_rate": (2e-4, 5e-4, 1e-3), "max_epochs": (1, 2)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        steps = []
        if epoch < self.settings.max_epochs:
            steps += forget_only(len(task.forget), task.batch_size, generator)
        return steps + retain_only(len(task.retain), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        teacher = frozen_copy(work.model, work.task.device)
        settings = self.settings

        def loss(batch: Batch) -> Tensor:
            is_max = len(batch.forget) > 0
            images = batch.forget if is_max else batch.retain
            student = work.logits(images)
            apart = divergence(
                student, plain_logits(teacher, images.features), settings.temperature
            )
            if is_max:
                return -apart
            return settings.alpha * apart + settings.gamma * F.cross_entropy(student, images.labels)

        return loss
