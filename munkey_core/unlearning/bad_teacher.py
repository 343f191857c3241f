"""Bad teacher: on the forget set learn from a teacher that knows nothing."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from munkey_core.model.transformer import ExemplarTransformer
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
    setting,
)
from munkey_core.unlearning.batches import Rows, mixed
from munkey_core.unlearning.distillation import divergence

# Apart from the seeds of trainings: the seed of the model itself would give its own first weights.
_TEACHER_SEEDS = 71_000


@dataclass(frozen=True)
class BadTeacherSettings(LoopSettings):
    """retain_share: share of the retain set that is used (the paper: 30%).
    temperature: of the divergence."""

    learning_rate: float = 1e-4
    retain_share: float = setting(0.3, 0.001, 1.0)
    temperature: float = setting(1.0, 0.1, 100.0)


def incompetent_teacher(task: Task) -> ExemplarTransformer:
    """A network of the task's kind with random weights, drawn by the seed; read-only."""
    model = task.model
    torch.manual_seed(_TEACHER_SEEDS + task.seed)
    random = ExemplarTransformer(
        model.config, task.forget.features.shape[-1], len(model.position), task.n_classes
    )
    return frozen_copy(random, task.device)


class BadTeacher(LoopMethod[BadTeacherSettings]):
    """L = mean over the batch of KL_T(teacher ‖ student): the incompetent teacher, a random
    network, on forget, and the competent one, the unchanged model, on retain."""

    key = "bad-teacher"
    name = "Bad teacher"
    paper = "Chundawat et al. 2023, Can Bad Teaching Induce Forgetting?, arXiv:2205.08096"
    Settings = BadTeacherSettings
    grid: ClassVar[Grid] = {"learning_rate": (5e-5, 1e-4, 2e-4), "retain_share": (0.3, 1.0)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        n = len(task.retain)
        used = max(1, round(n * self.settings.retain_share))
        # Another part of the retain set in each epoch.
        part = torch.randperm(n, generator=generator)[:used]
        steps = mixed(used, len(task.forget), task.batch_size, generator)
        return [Rows(part[rows.retain], rows.forget) for rows in steps]

    def objective(self, work: Work) -> Objective:
        competent = frozen_copy(work.model, work.task.device)
        incompetent = incompetent_teacher(work.task)

        def loss(batch: Batch) -> Tensor:
            teacher = torch.cat(
                [
                    plain_logits(competent, batch.retain.features),
                    plain_logits(incompetent, batch.forget.features),
                ]
            )
            student = work.logits(batch.retain.join(batch.forget))
            return divergence(student, teacher, self.settings.temperature)

        return loss
