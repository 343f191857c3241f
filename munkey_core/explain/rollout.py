"""Attention rollout: how far the answer attends to each image token (Abnar and Zuidema 2020,
"Quantifying Attention Flow in Transformers")."""

import torch
from torch import Tensor

from munkey_core.model.transformer import ExemplarTransformer

# [CLS ; exemplar slot ; image tokens]
CLS = 0
FIRST_IMAGE_TOKEN = 2


def attention_rollout(
    model: ExemplarTransformer, image_tokens: Tensor, exemplars: Tensor
) -> Tensor:
    """(B, T, T) float32, T = 2 + P: share of each input token in each output token.

    image_tokens: (B, P, dim) from `embed_image`; exemplars: (B, dim). The product over the blocks
    of 0.5 A + 0.5 I, A the attention weights averaged over the heads and I the residual
    connection (§3 of the paper). Each factor's rows sum to 1, so the product's do.
    """
    x = model.sequence(image_tokens, exemplars)
    identity = torch.eye(x.shape[1])
    rollout = identity.expand(len(x), -1, -1)
    for block in model.blocks:
        mixing = 0.5 * block.attention(x).mean(dim=1) + 0.5 * identity  # type: ignore[operator]
        rollout = mixing @ rollout
        x = block(x)
    return rollout


def spread(shares: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Shares of a grid of tokens (rows · columns,) → (H, W): each cell's share divided equally
    among its pixels, so that the sum stays. No smoothing: the grid is all that attention knows.
    """
    row = torch.arange(size[0]) * grid[0] // size[0]
    column = torch.arange(size[1]) * grid[1] // size[1]
    cell = row[:, None] * grid[1] + column
    pixels = torch.bincount(cell.flatten(), minlength=len(shares))
    return (shares / pixels)[cell]
