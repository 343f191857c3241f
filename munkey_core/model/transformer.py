"""The exemplar transformer f_θ over [CLS ; exemplar slot ; image tokens] (METHOD.md §2, paper)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munkey_core.config import ModelConfig


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, then a two-layer perceptron."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, hidden = config.dim, int(config.dim * config.mlp_ratio)
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, dim) → (B, T, dim)."""
        q, k, v = self._queries_keys_values(x)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + self.dropout(self.out(mixed))
        out: Tensor = x + self.dropout(self.mlp(self.norm_mlp(x)))
        return out

    def attention(self, x: Tensor) -> Tensor:
        """Attention weights (B, heads, T, T) that `forward` uses for x; rows sum to 1."""
        q, k, _ = self._queries_keys_values(x)
        return torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1)

    def _queries_keys_values(self, x: Tensor) -> Tensor:
        """(3, B, heads, T, dim / heads)."""
        b, t, dim = x.shape
        qkv: Tensor = self.qkv(self.norm_attention(x))
        return qkv.view(b, t, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)


class FeatureTokens(nn.Module):
    """Image tokens of kind `features`: the frozen encoder's feature map, projected."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, dim)

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, P, channels) → (B, P, dim)."""
        projected: Tensor = self.project(features)
        return projected


class PatchTokens(nn.Module):
    """Image tokens of kind `patches`: a trainable patch embedding of raw pixels.

    Two convolutions look at a patch and its surroundings before it becomes one token.
    """

    def __init__(self, patch_size: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(3, dim // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(dim // 2, dim, patch_size, stride=patch_size),
        )

    def forward(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) float32 in [0, 1] → (B, (H/p)·(W/p), dim)."""
        tokens: Tensor = self.embed(images * 2 - 1).flatten(2).transpose(1, 2)
        return tokens


class ExemplarTransformer(nn.Module):
    """Class logits from image tokens and one exemplar token.

    channels: channels of a feature token (ignored for `patches`). n_tokens: image tokens P.
    A dropped pathway is replaced by a learned null token ∅, one for each pathway.
    """

    def __init__(self, config: ModelConfig, channels: int, n_tokens: int, n_classes: int) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.embed: nn.Module = (
            FeatureTokens(channels, dim)
            if config.tokens == "features"
            else PatchTokens(config.patch_size, dim)
        )
        self.cls = nn.Parameter(torch.randn(dim) * 0.02)
        self.null_memory = nn.Parameter(torch.randn(dim) * 0.02)
        self.null_image = nn.Parameter(torch.randn(dim) * 0.02)
        self.position = nn.Parameter(torch.randn(n_tokens, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_classes)

    def embed_image(self, image: Tensor) -> Tensor:
        """Image tokens (B, P, dim) of features (B, P, c) or pixels (B, 3, H, W).

        In training a share `token_dropout` of the tokens is replaced by ∅.
        """
        tokens: Tensor = self.embed(image)
        if self.training and self.config.token_dropout > 0:
            drop = torch.rand(tokens.shape[:2], device=tokens.device) < self.config.token_dropout
            tokens = torch.where(drop[..., None], self.null_image.to(tokens.dtype), tokens)
        return tokens

    def forward(
        self,
        image_tokens: Tensor,
        exemplar: Tensor,
        drop_image: Tensor | None = None,
        drop_memory: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, C).

        image_tokens: (B, P, dim) from `embed_image`. exemplar: (B, dim).
        drop_image, drop_memory: (B,) bool, where the pathway is replaced by ∅.
        """
        if drop_image is not None:
            image_tokens = torch.where(
                drop_image[:, None, None], self.null_image.to(image_tokens.dtype), image_tokens
            )
        if drop_memory is not None:
            exemplar = torch.where(
                drop_memory[:, None], self.null_memory.to(exemplar.dtype), exemplar
            )
        x = self.sequence(image_tokens, exemplar)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits

    def sequence(self, image_tokens: Tensor, exemplar: Tensor) -> Tensor:
        """What the first block reads: (B, 2 + P, dim), [CLS ; exemplar slot ; image tokens]."""
        return torch.cat(
            [
                self.cls.expand(len(image_tokens), 1, -1).to(image_tokens.dtype),
                exemplar[:, None].to(image_tokens.dtype),
                image_tokens + self.position.to(image_tokens.dtype),
            ],
            dim=1,
        )
