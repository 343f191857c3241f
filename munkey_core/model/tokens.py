"""Tokens as an exact bundle stores them: 4 bits a number and a scale a row, without loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 7  # a token's numbers are whole multiples, −7 to 7, of its row's scale
_SCALE_BITS = 8  # significant bits of a scale: 7 · scale is then exact in half precision
_SMALLEST = 2.0**-10
_LARGEST = 2.0**10


def round_tokens(tokens: Tensor) -> Tensor:
    """The nearest tokens that a file keeps exactly: (n, dim) float32 → the same shape.

    Each row has a scale of 8 significant bits, a seventh of its largest |value|; each value becomes
    a whole multiple of it. All of them are values of half precision, and rounding twice is rounding
    once.
    """
    codes, scales = _codes(tokens)
    return codes * scales[:, None]


def pack_tokens(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Rounded tokens → (n, ⌈dim / 2⌉) uint8, two values a byte, and (n,) float16 scales."""
    codes, scales = _codes(tokens)
    nibbles = (codes + LEVELS).to(torch.uint8)
    if nibbles.shape[1] % 2:
        nibbles = F.pad(nibbles, (0, 1))
    return nibbles[:, ::2] * 16 + nibbles[:, 1::2], scales.half()


def unpack_tokens(packed: Tensor, scales: Tensor, dim: int) -> Tensor:
    """What `pack_tokens` was given: (n, dim) float32, bit for bit."""
    nibbles = torch.stack([packed // 16, packed % 16], dim=2).flatten(1)[:, :dim]
    codes = nibbles.float() - LEVELS
    return codes * scales.float()[:, None]


def _codes(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from −7 to 7, (n, dim) float32, and scales, (n,) float32."""
    largest = tokens.abs().amax(dim=1).clamp(_SMALLEST * LEVELS, _LARGEST * LEVELS)
    fraction, exponent = torch.frexp(largest / LEVELS)
    steps = (fraction * 2**_SCALE_BITS).round()
    scales = torch.ldexp(steps, exponent - _SCALE_BITS)
    codes = (tokens / scales[:, None]).round().clamp(-LEVELS, LEVELS)
    return codes + 0.0, scales  # no -0.0: equal values are equal bytes
