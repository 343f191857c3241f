"""SPM: a semi-parametric classifier that compares a query with the class means of its support."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munkey_core.model.encoder import Encoded
from munkey_core.progress import Steps
from munkey_core.unlearning.systems.base import Support, System, SystemData, fit_network

_EXPERTS = 4
_WIDTH = 64  # h
_GATE_HIDDEN = 64
_SUPPORT = 1024
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2


class SpmNetwork(nn.Module):
    """p(c|x) = Σ_e g_e·softmax_c((W_q^e q)·(W_s^e k_c)/√h), g = softmax(gate([q, mean support])).

    q and the support samples are keys times √d, so that their components are of order 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = math.sqrt(dim)
        self.query = nn.Parameter(torch.randn(_EXPERTS, dim, _WIDTH) / math.sqrt(dim))
        self.support = nn.Parameter(torch.randn(_EXPERTS, dim, _WIDTH) / math.sqrt(dim))
        self.gate = nn.Sequential(
            nn.Linear(2 * dim, _GATE_HIDDEN), nn.GELU(), nn.Linear(_GATE_HIDDEN, _EXPERTS)
        )

    def forward(self, keys: Tensor, means: Tensor, present: Tensor, mean: Tensor) -> Tensor:
        """ln p, (B, C), −inf for a class without support.

        keys: (B, d). means: (C, d) class means of the support's keys; present: (C,) bool, whether
        a class has support. mean: (d,) of the whole support.
        """
        q, k = keys * self.scale, means * self.scale
        projected = torch.einsum("bd,edh->ebh", q, self.query)
        classes = torch.einsum("cd,edh->ech", k, self.support)
        logits = projected @ classes.transpose(1, 2) / math.sqrt(_WIDTH)
        each = F.log_softmax(logits.masked_fill(~present, -torch.inf), dim=2)
        context = (mean * self.scale).expand(len(q), -1)
        gate = F.log_softmax(self.gate(torch.cat([q, context], dim=1)), dim=1)
        # logsumexp of −inf alone has no gradient; such classes are put back afterwards.
        mixed: Tensor = torch.logsumexp(each.masked_fill(~present, 0.0) + gate.T[:, :, None], dim=0)
        return mixed.masked_fill(~present, -torch.inf)


def class_means(keys: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """(C, d) mean key of each class, 0 for one that has none, and (C,) bool whether it has."""
    counts = torch.bincount(labels, minlength=n_classes)
    sums = keys.new_zeros(n_classes, keys.shape[1]).index_add(0, labels, keys)
    return sums / counts.clamp_min(1)[:, None], counts > 0


class Spm(System):
    """SPM's classifier on the frozen encoder's keys (the paper trains its encoder too).

    Each training step draws a support of up to 1,024 entries; its queries are private images and
    anchors, without those whose class the support lacks. It answers with all entries. Forgetting
    drops samples and computes the class means anew; the projections stay, and with them what they
    learned from a forgotten image. A class without support has probability 0.
    """

    key = "spm"
    name = "SPM"
    paper = "Zheng et al. 2026, Designing to Forget, arXiv:2603.22870"

    network: SpmNetwork
    means: Tensor
    present: Tensor
    mean: Tensor

    def _train(self, data: SystemData, generator: torch.Generator) -> Steps[None]:
        queries, labels = data.queries()
        self.network = SpmNetwork(queries.keys.shape[1]).to(self.device)

        def loss(part: Tensor) -> Tensor:
            drawn = torch.randperm(len(data.labels), generator=generator)[:_SUPPORT]
            return self._loss(queries.keys[part], labels[part], drawn)

        yield from fit_network(
            self.name, self.network, len(labels), loss, _LEARNING_RATE, _WEIGHT_DECAY, generator
        )

    def _loss(self, keys: Tensor, labels: Tensor, drawn: Tensor) -> Tensor:
        """Mean −ln p of the true class over the queries whose class is in the drawn support."""
        rows = drawn.to(self.device)
        entries = self.support.keys[rows]
        means, present = class_means(entries, self.support.labels[rows], self.n_classes)
        labels = labels.to(self.device)
        answerable = present[labels]
        log_p = self.network(keys.to(self.device), means, present, entries.mean(dim=0))
        truth = log_p.gather(1, labels[:, None])[:, 0]
        loss: Tensor = -truth[answerable].sum() / answerable.sum().clamp_min(1)
        return loss

    def _answer_from(self, support: Support) -> None:
        super()._answer_from(support)
        self.means, self.present = class_means(support.keys, support.labels, self.n_classes)
        self.mean = support.keys.sum(dim=0) / max(1, len(support))

    def _answer(self, queries: Encoded) -> Tensor:
        log_p: Tensor = self.network(
            queries.keys.to(self.device), self.means, self.present, self.mean
        )
        return log_p.exp()
