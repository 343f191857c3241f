"""kNN on keys: nothing is trained on what can be forgotten, so deletion is exact."""

import torch
from torch import Tensor

from munkey_core.model.encoder import Encoded
from munkey_core.model.search import ExactRetriever, nearest
from munkey_core.progress import Pace, Steps
from munkey_core.unlearning.systems.base import System, SystemData, label_votes

_NEIGHBOURS = (4, 8, 16, 32, 64, 128)
_TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2)
# Share of the vote that is spread over all classes, so that ln p is finite.
_SMOOTHING = 1e-3


class Knn(System):
    """p(c|x) ∝ Σ_k softmax(s_k / τ)·1[y_k = c] + ε/C over the K nearest keys by cosine s.

    K and τ have the lowest loss when each public anchor is answered by the other anchors (16 and
    0.05 without anchors): no private image has a say in them, so the system after deletion is,
    byte for byte, the one that never had the entries.
    """

    key = "knn"
    name = "kNN"
    paper = "Cover and Hart 1967, Nearest neighbor pattern classification"
    exact = True

    neighbours = 16
    temperature = 0.05

    def _train(self, data: SystemData, generator: torch.Generator) -> Steps[None]:
        pace = Pace("fitting", 1)
        anchors, labels = data.anchors, data.anchor_labels
        if anchors is not None and labels is not None and len(anchors) > 1:
            self.neighbours, self.temperature = _choose(
                anchors.keys.to(self.device), labels.to(self.device), self.n_classes
            )
        yield pace.at(1)

    def _answer(self, queries: Encoded) -> Tensor:
        retriever = ExactRetriever(self.support.keys)
        rows, similarity = retriever.search(queries.keys.to(self.device), self.neighbours)
        labels = self.support.labels[rows]
        return vote(similarity, labels, self.temperature, self.n_classes)


def vote(similarity: Tensor, labels: Tensor, temperature: float, n_classes: int) -> Tensor:
    """(Q, C) probabilities from K neighbours' cosines and labels, each (Q, K)."""
    weights = torch.softmax(similarity / temperature, dim=1)
    votes = label_votes(weights, labels, n_classes)
    return (votes + _SMOOTHING / n_classes) / (1 + _SMOOTHING)


def _choose(keys: Tensor, labels: Tensor, n_classes: int) -> tuple[int, float]:
    """K and τ with the least mean −ln p of the true class, each image answered by the others."""
    rows, similarity = nearest(keys, keys, max(_NEIGHBOURS), others=True)
    neighbour_labels = labels[rows]
    losses = {}
    for k in _NEIGHBOURS:
        for temperature in _TEMPERATURES:
            p = vote(similarity[:, :k], neighbour_labels[:, :k], temperature, n_classes)
            truth = p.gather(1, labels[:, None])
            losses[k, temperature] = float(-truth.log().mean())
    return min(losses, key=losses.__getitem__)
