"""Inference: key of the query → K nearest entries → one pass per exemplar → one prediction.

The paper's ensemble averages the passes; similarity weights and the null anchor are ours
(METHOD.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from munkey_core.config import EnsembleConfig
from munkey_core.errors import BadInputError, BundleError
from munkey_core.model.bank import BankView
from munkey_core.model.encoder import Encoded, FrozenEncoder, encode_inputs
from munkey_core.model.search import Retrieval
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.results import FloatArray, ImageArray, IntArray, check_generation


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of each query and the passes they are made of.

    probabilities: (Q, C) float32, rows sum to 1.
    pass_probabilities: (Q, P, C) float32, one row a pass, in the order of `retrieval.ids`; with a
        null anchor its pass comes last. For single-pass aggregation P = 1.
    weights: (Q, P) float32, the share of each pass, rows sum to 1;
        probabilities = Σ_p weights · pass_probabilities.
    exemplar_weights: (Q, K [+ 1 for the anchor]) float32, the share of each retrieved exemplar
        (equal to `weights` for the ensembles).
    """

    probabilities: FloatArray
    pass_probabilities: FloatArray
    weights: FloatArray
    exemplar_weights: FloatArray
    retrieval: Retrieval
    has_anchor: bool

    @property
    def generation(self) -> int:
        return self.retrieval.generation

    @property
    def classes(self) -> IntArray:
        """(Q,) int64 most probable class."""
        most: IntArray = self.probabilities.argmax(axis=1).astype(np.int64)
        return most

    def require(self, generation: int) -> Prediction:
        """Return self, or raise StaleGenerationError if the bank has moved on since."""
        check_generation(self.generation, generation)
        return self


# Sequences in one forward pass: enough to keep two cores busy, small enough for their caches.
_SEQUENCES = 512


def candidate_similarity(similarity: Tensor, anchor: float | None) -> Tensor:
    """(Q, K) cosines → (Q, K [+ 1]): the null anchor takes part last, with similarity s_0.

    Without a single entry left the anchor is all there is, whether it was asked for or not.
    """
    if anchor is None and similarity.shape[1]:
        return similarity
    s_0 = 0.0 if anchor is None else anchor
    return torch.cat([similarity, similarity.new_full((len(similarity), 1), s_0)], dim=1)


def exemplar_weights(similarity: Tensor, config: EnsembleConfig) -> Tensor:
    """Share of each candidate in the prediction; rows sum to 1.

    similarity: (Q, P) cosines of the candidates, the null anchor among them.
    mean: 1/P. similarity and single_pass: softmax(s / τ). rank: ∝ 1 / rank, the nearest first;
    among equals the earlier column has the better rank.
    """
    if config.aggregation == "mean":
        return torch.full_like(similarity, 1 / similarity.shape[1])
    if config.aggregation == "rank":
        order = similarity.argsort(dim=1, descending=True, stable=True)
        rank = order.argsort(dim=1) + 1.0
        return (1 / rank) / (1 / rank).sum(dim=1, keepdim=True)
    return torch.softmax(similarity / config.tau, dim=1)


class Predictor:
    """One image's way: image → key → retrieval → exemplar tokens → prediction.

    Encoder and model are shared and only read; the bank view is the session's own. Raises
    BadInputError for one that is still in training mode: it would answer with dropout.
    """

    def __init__(
        self, encoder: FrozenEncoder, model: ExemplarTransformer, config: EnsembleConfig
    ) -> None:
        if encoder.training or model.training:
            raise BadInputError(
                "a predictor's encoder and model must be in evaluation mode: eval()"
            )
        self.encoder = encoder
        self.model = model
        self.config = config

    def encode(self, images: ImageArray) -> Encoded:
        """Keys and what this model's image pathway reads, of uint8 images (n, H, W[, 3])."""
        return encode_inputs(self.encoder, images, self.model.config.tokens)

    @torch.inference_mode()
    def predict(self, queries: Encoded, view: BankView) -> Prediction:
        """Predict encoded images with the keys that `view` still holds. Raises BundleError for
        answers that are not finite."""
        rows, similarity = view.search(queries.keys, self.config.k)
        candidates = candidate_similarity(similarity, self.config.anchor)
        weights = exemplar_weights(candidates, self.config)
        tokens = self._candidate_tokens(view.bank.tokens[rows], candidates.shape[1])
        exemplar_share = weights
        if self.config.aggregation == "single_pass":
            tokens = (weights[..., None] * tokens).sum(dim=1, keepdim=True)
            weights = torch.ones_like(weights[:, :1])
        passes = self.passes(queries.features, tokens)
        mixed = (weights[..., None] * passes).sum(dim=1)
        if not bool(torch.isfinite(mixed).all()):  # weights may be finite and yet far too large
            raise BundleError("the model's answers are not finite: its weights are damaged")
        ids = view.bank.ids
        return Prediction(
            probabilities=mixed.numpy(),
            pass_probabilities=passes.numpy(),
            weights=weights.numpy(),
            exemplar_weights=exemplar_share.numpy(),
            retrieval=Retrieval(
                tuple(tuple(ids[row] for row in line) for line in rows.tolist()),
                similarity.numpy(),
                view.generation,
            ),
            has_anchor=candidates.shape[1] > similarity.shape[1],
        )

    @torch.inference_mode()
    def image_only(self, features: Tensor) -> FloatArray:
        """(Q, C) probabilities of the image pathway alone: exemplar = ∅ (A_img)."""
        null = self.model.null_memory.expand(len(features), 1, -1)
        probabilities: FloatArray = self.passes(features, null)[:, 0].numpy()
        return probabilities

    @torch.inference_mode()
    def passes(self, features: Tensor, tokens: Tensor, drop_image: bool = False) -> Tensor:
        """Class probabilities (Q, P, C) of each image with each of its exemplar tokens.

        features: (Q, ...) as `encode` gives them; tokens: (Q, P, dim). The P passes of an image
        share its image tokens and run in one batch. drop_image replaces the image by ∅ (A_mem).
        """
        block = max(1, _SEQUENCES // tokens.shape[1])
        return torch.cat(
            [
                self._passes_block(f, t, drop_image)
                for f, t in zip(features.split(block), tokens.split(block), strict=True)
            ]
        )

    def _passes_block(self, features: Tensor, tokens: Tensor, drop_image: bool) -> Tensor:
        q, p, dim = tokens.shape
        image_tokens = self.model.embed_image(features)
        repeated = image_tokens[:, None].expand(-1, p, -1, -1).flatten(0, 1)
        drop = torch.ones(q * p, dtype=torch.bool) if drop_image else None
        logits = self.model(repeated, tokens.reshape(q * p, dim), drop_image=drop)
        return torch.softmax(logits.float(), dim=1).view(q, p, logits.shape[1])

    def _candidate_tokens(self, tokens: Tensor, candidates: int) -> Tensor:
        if candidates == tokens.shape[1]:
            return tokens
        null = self.model.null_memory.expand(len(tokens), 1, -1)
        return torch.cat([tokens, null], dim=1)
