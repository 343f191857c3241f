"""Random labels: teach the forget set wrong answers, the retain set its own."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.errors import BadInputError
from munkey_core.unlearning.base import Batch, Grid, LoopMethod, LoopSettings, Objective, Task, Work
from munkey_core.unlearning.batches import Rows, mixed


def other_labels(labels: Tensor, n_classes: int, seed: int) -> Tensor:
    """(n,) int64: for each label one of the other classes, each as likely, fixed by the seed.

    Raises BadInputError for fewer than two classes.
    """
    if n_classes < 2:
        raise BadInputError(f"a random other label needs two classes or more, got {n_classes}")
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randint(1, n_classes, labels.shape, generator=generator)
    return (labels.cpu() + shift) % n_classes


class RandomLabels(LoopMethod[LoopSettings]):
    """L = CE over retain ∪ forget, where each forgotten image has one random other label.

    The labels are drawn once a run, and forget and retain images are mixed in one pass. The
    official code of SalUn's authors, which has this method too, draws them anew in each epoch (for
    CIFAR-10), from all classes, and goes through forget first, then retain.
    """

    key = "random-labels"
    name = "Random labels"
    paper = (
        "Golatkar et al. 2020, Eternal Sunshine of the Spotless Net, arXiv:1911.04933; "
        "Graves et al. 2021, Amnesiac Machine Learning, arXiv:2010.10981"
    )
    Settings = LoopSettings
    grid: ClassVar[Grid] = {"epochs": (1, 2), "learning_rate": (1e-4, 2e-4, 5e-4)}

    def epoch(self, task: Task, epoch: int, generator: torch.Generator) -> list[Rows]:
        return mixed(len(task.retain), len(task.forget), task.batch_size, generator)

    def objective(self, work: Work) -> Objective:
        task = work.task
        wrong = other_labels(task.forget.labels, task.n_classes, task.seed).to(task.device)

        def loss(batch: Batch) -> Tensor:
            labels = torch.cat([batch.retain.labels, wrong[batch.forget_rows]])
            return F.cross_entropy(work.logits(batch.retain.join(batch.forget)), labels)

        return loss
