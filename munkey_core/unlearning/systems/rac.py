"""A retrieval-augmented classifier: a trained network and a vote of retrieved labels, added."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munkey_core.errors import TrainingError
from munkey_core.model.encoder import Encoded
from munkey_core.model.search import ExactRetriever, nearest
from munkey_core.progress import Steps
from munkey_core.unlearning.systems.base import System, SystemData, fit_network, label_votes

_NEIGHBOURS = 16
_HIDDEN = 256
_DROPOUT = 0.3
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 5e-2


class RacNetwork(nn.Module):
    """z = MLP(features) + w·σ(a·s_1 + b)·Σ_k softmax_k(s_k / τ)·e_{y_k}.

    s_1: the nearest entry's cosine, which opens or shuts the gate; w, a, b and τ are learned.
    """

    def __init__(self, features: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.base = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(features, _HIDDEN),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_HIDDEN, n_classes),
        )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.05)))
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.gate = nn.Linear(1, 1)

    def forward(self, features: Tensor, similarity: Tensor, labels: Tensor) -> Tensor:
        """Logits (B, C). features: (B, …); similarity, labels: (B, K), the nearest first."""
        attention = torch.softmax(similarity / self.log_temperature.exp(), dim=1)
        votes = label_votes(attention, labels, self.n_classes)
        gate = torch.sigmoid(self.gate(similarity[:, :1]))
        logits: Tensor = self.base(features) + self.weight * gate * votes
        return logits


class Rac(System):
    """RAC-style (ours): the paper's two branches over frozen features, without its text encoder.

    Network and vote are trained together on private images and anchors. An image's own entry is
    never among its neighbours in training: its label would be the answer. Forgetting drops
    entries only: what the network learned from a forgotten image stays in its weights.
    """

    key = "rac"
    name = "RAC-style"
    paper = (
        "after Long et al. 2022, Retrieval Augmented Classification for Long-Tail Visual "
        "Recognition, arXiv:2202.11233"
    )

    network: RacNetwork

    def _train(self, data: SystemData, generator: torch.Generator) -> Steps[None]:
        queries, labels = data.queries()
        rows, similarity = self._training_neighbours(data)
        neighbour_labels = data.labels[rows]
        self.network = RacNetwork(queries.features[0].numel(), self.n_classes).to(self.device)

        def loss(part: Tensor) -> Tensor:
            logits = self.network(
                queries.features[part].to(self.device),
                similarity[part].to(self.device),
                neighbour_labels[part].to(self.device),
            )
            return F.cross_entropy(logits, labels[part].to(self.device))

        yield from fit_network(
            self.name, self.network, len(labels), loss, _LEARNING_RATE, _WEIGHT_DECAY, generator
        )

    def _training_neighbours(self, data: SystemData) -> tuple[Tensor, Tensor]:
        """Rows of entries and cosines, each (n + m, K): of private images without themselves."""
        keys = data.entries.keys
        if len(keys) == 1:
            raise TrainingError(f"{self.name}: two entries or more are needed, got 1")
        rows, _ = nearest(keys, keys, _NEIGHBOURS, others=True)
        similarity = (keys[:, None] * keys[rows]).sum(dim=2)
        if data.anchors is not None and len(data.anchors):
            found = ExactRetriever(keys).search(data.anchors.keys, rows.shape[1])
            rows, similarity = torch.cat([rows, found[0]]), torch.cat([similarity, found[1]])
        return rows, similarity

    def _answer(self, queries: Encoded) -> Tensor:
        rows, similarity = ExactRetriever(self.support.keys).search(
            queries.keys.to(self.device), _NEIGHBOURS
        )
        logits = self.network(
            queries.features.to(self.device), similarity, self.support.labels[rows]
        )
        return torch.softmax(logits, dim=1)
