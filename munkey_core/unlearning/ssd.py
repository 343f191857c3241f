"""SSD: dampen the weights that matter more for the forget set than for all the data."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Steps
from munkey_core.unlearning.base import Grid, Labelled, Method, Work, plain_logits, require_between

# Images whose gradients are held at once, each as large as the model.
_CHUNK = 64


@dataclass(frozen=True)
class SsdSettings:
    """alpha: a weight is selected where I_forget > α·I_all. dampening: λ, how much is kept.
    sample: of the retain set at most so many images enter I_all, drawn by the seed."""

    alpha: float = 1.5
    dampening: float = 0.5
    sample: int = 4000

    def __post_init__(self) -> None:
        require_between(self, alpha=(0.01, 1e6), dampening=(0.0, 1e6), sample=(1, 10**9))


Importance = dict[str, Tensor]


class Ssd(Method[SsdSettings]):
    """θ_i ← β_i·θ_i with β_i = min(λ·I_all,i / I_forget,i, 1) wherever I_forget,i > α·I_all,i.

    I: diagonal of the empirical Fisher information, the mean over images of (∂ ln p(y|x)/∂θ_i)²
    for their labels y, without dropout; I_all over forget and retain set together.
    Nothing is trained.
    """

    key = "ssd"
    name = "SSD"
    paper = "Foster et al. 2024, Selective Synaptic Dampening, arXiv:2308.07707"
    Settings = SsdSettings
    grid: ClassVar[Grid] = {"alpha": (1.2, 1.5, 2.0), "dampening": (0.3, 1.0)}

    def edit(self, work: Work) -> Steps[None]:
        task, model = work.task, work.model.eval()
        generator = torch.Generator().manual_seed(task.seed)
        rows = torch.randperm(len(task.retain), generator=generator)[: self.settings.sample]
        retain = task.retain[rows.sort().values]
        pace = Pace("importance", -(-len(task.forget) // _CHUNK) + -(-len(retain) // _CHUNK))
        sums: list[Importance] = []
        done = 0
        for part in (task.forget, retain):
            summed = {name: torch.zeros_like(w) for name, w in model.named_parameters()}
            for first in range(0, len(part), _CHUNK):
                squared = squared_gradients(model, part[first : first + _CHUNK], task.device)
                for name, value in squared.items():
                    summed[name] += value
                done += 1
                yield pace.at(done)
            sums.append(summed)
        forget = {name: value / len(task.forget) for name, value in sums[0].items()}
        # A sample of the retain set stands for all of it: both sets keep their true shares.
        n = len(task.forget) + len(task.retain)
        weight = len(task.retain) / len(retain)
        everything = {name: (sums[0][name] + weight * sums[1][name]) / n for name in forget}
        dampen(model, forget, everything, self.settings)


def squared_gradients(
    model: ExemplarTransformer, images: Labelled, device: torch.device
) -> Importance:
    """Parameter name → sum over images of (∂ ln p(y|x)/∂θ)², of the parameter's shape."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}

    def loss(weights: Importance, features: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(_Plain(model), weights, (features[None],))
        return F.cross_entropy(logits, label[None])

    weights = {f"model.{name}": weight for name, weight in weights.items()}
    # The fused attention kernels know no `vmap`; PyTorch would run them image by image.
    with sdpa_kernel(SDPBackend.MATH):
        each = vmap(grad(loss), in_dims=(None, 0, 0))(
            weights, images.features.to(device), images.labels.to(device)
        )
    return {name.removeprefix("model."): value.square().sum(dim=0) for name, value in each.items()}


def dampen(
    model: ExemplarTransformer, forget: Importance, everything: Importance, settings: SsdSettings
) -> None:
    """Scale the selected weights of `model` in place. forget, everything: mean importances."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            selected = forget[name] > settings.alpha * everything[name]
            # A selected weight has I_forget > 0; where 0/0 gives nan, nothing is selected.
            ratio = settings.dampening * everything[name] / forget[name]
            weight.copy_(torch.where(selected, ratio.clamp_max(1.0) * weight, weight))


class _Plain(torch.nn.Module):
    """The plain transformer as one module, which `functional_call` needs."""

    def __init__(self, model: ExemplarTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        return plain_logits(self.model, features)
