"""Writing an image into a memory bank while θ stays as it is: the exact mode (METHOD.md §7; ours).

Nothing but row i depends on image i, so a bank from which row i is deleted is, byte for byte, the
bank that would be there had the image never been written. Three things see to that. A row's loss is
its own alone, and nothing in the writing is drawn at random. Rows are written in batches of one
fixed size, the last one padded, so that every row goes through the same arithmetic whoever is
beside it. And a token is rounded to few bits inside the writing, so the row that was optimised is
the row that is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.config import WriteConfig
from munkey_core.errors import TrainingError
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress

BATCH = 128  # rows, always; no setting: another size is another arithmetic
LEVELS = 7  # a token's numbers are whole multiples, −7 to 7, of its row's scale

_SCALE_BITS = 8  # significant bits of a scale: 7 · scale is then exact in half precision
_SMALLEST = 2.0**-10
_LARGEST = 2.0**10
_BETAS = (0.9, 0.99)
_EPSILON = 1e-8


def write_rows(
    model: ExemplarTransformer, features: Tensor, labels: Tensor, config: WriteConfig
) -> Iterator[Progress | Tensor]:
    """Yield progress, then the exemplar tokens, (n, dim) float32, each a value of half precision.

    model: θ; its weights stay as they are, and take no more gradients. features: (n, ...) float32,
    what its image pathway reads; labels: (n,) int64. Token i is found by Adam on the cross-entropy
    of image i alone; a share p_img of the steps, evenly spread, goes without the image, so that the
    token answers by itself. It starts at θ's own null token, which knows nothing of any private
    image.
    Raises TrainingError if a loss is not finite.
    """
    start = time.perf_counter()
    model.eval().requires_grad_(False)
    written: list[Tensor] = []
    for first in range(0, len(features), BATCH):
        rows = slice(first, first + BATCH)
        written.append(_write_batch(model, features[rows], labels[rows], config))
        done = min(first + BATCH, len(features))
        elapsed = time.perf_counter() - start
        left = elapsed / done * (len(features) - done)
        yield Progress("writing", done, len(features), elapsed, left)
    yield torch.cat(written) if written else torch.empty(0, model.config.dim)


def _write_batch(
    model: ExemplarTransformer, features: Tensor, labels: Tensor, config: WriteConfig
) -> Tensor:
    """Tokens of at most BATCH rows. Padding is images of zeros, of class 0."""
    n = len(features)
    with torch.no_grad():
        images = features.new_zeros(BATCH, *features.shape[1:])
        images[:n] = features
        wanted = labels.new_zeros(BATCH)
        wanted[:n] = labels
        embedded = model.embed_image(images)
        empty = model.null_image.expand_as(embedded)
        token = model.null_memory.detach().expand(BATCH, -1).clone()
        mean, square = torch.zeros_like(token), torch.zeros_like(token)
    for step in range(1, config.steps + 1):
        token.requires_grad_()
        # Straight through: the loss is of the rounded token, its slope moves the unrounded one.
        rounded = token + (round_tokens(token.detach()) - token.detach())
        blind = int(step * config.p_img) > int((step - 1) * config.p_img)
        logits = model(empty if blind else embedded, rounded)
        # A sum, not a mean: what a row's slope is divided by must not depend on how many there are.
        loss = F.cross_entropy(logits, wanted, reduction="sum")
        (slope,) = torch.autograd.grad(loss, token)
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"a loss is not finite in writing step {step}; lower learning_rate "
                f"({config.learning_rate})"
            )
        with torch.no_grad():
            token = token.detach()
            mean = _BETAS[0] * mean + (1 - _BETAS[0]) * slope
            square = _BETAS[1] * square + (1 - _BETAS[1]) * slope * slope
            steady = mean / (1 - _BETAS[0] ** step)
            spread = (square / (1 - _BETAS[1] ** step)).sqrt()
            rate = config.learning_rate * (1 - (step - 1) / config.steps)
            token = token - rate * steady / (spread + _EPSILON)
    return round_tokens(token.detach())[:n]


# -- few bits ----------------------------------------------------------------------------------


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
