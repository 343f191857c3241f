"""SalUn: random labels, but only the weights that matter most for the forget set may change."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.unlearning.base import Grid, LoopSettings, Objective, Work, plain_logits, setting
from munkey_core.unlearning.random_labels import RandomLabels


@dataclass(frozen=True)
class SalUnSettings(LoopSettings):
    """saliency: share of all weights that may change (the paper's default: a half)."""

    saliency: float = setting(0.5, 1e-4, 1.0)


def saliency_mask(work: Work, share: float) -> dict[str, Tensor]:
    """Parameter name → bool: |∂CE(forget)/∂θ| among the `share` largest of all, and not 0.

    The gradient is that of the mean loss of the whole forget set, without dropout.
    """
    task, model = work.task, work.model
    model.eval()
    for images, labels in zip(
        task.forget.features.split(task.batch_size),
        task.forget.labels.split(task.batch_size),
        strict=True,
    ):
        logits = plain_logits(model, images.to(task.device))
        loss = F.cross_entropy(logits, labels.to(task.device), reduction="sum")
        (loss / len(task.forget)).backward()
    size = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.abs()
        for name, weight in model.named_parameters()
    }
    model.zero_grad(set_to_none=True)
    everything = torch.cat([value.flatten() for value in size.values()])
    count = max(1, round(share * len(everything)))
    threshold = everything.kthvalue(len(everything) - count + 1).values
    return {name: (value >= threshold) & (value > 0) for name, value in size.items()}


class SalUn(RandomLabels):
    """Random labels with θ ← θ_o + m ⊙ Δ, where m = 1[|∇θ CE(forget; θ_o)| ≥ γ].

    Labels and passes are those of `RandomLabels`, which says how the official code differs.
    """

    key = "salun"
    name = "SalUn"
    paper = "Fan et al. 2024, SalUn: Gradient-based Weight Saliency, arXiv:2310.12508"
    Settings = SalUnSettings
    grid: ClassVar[Grid] = {"saliency": (0.2, 0.5), "learning_rate": (1e-4, 2e-4, 5e-4)}
    settings: SalUnSettings

    def objective(self, work: Work) -> Objective:
        work.mask = saliency_mask(work, self.settings.saliency)
        return super().objective(work)
