"""Writing an image into a memory bank while θ stays as it is: the exact mode (METHOD.md §7; ours).

Nothing but row i depends on image i, so a bank from which row i is deleted is, byte for byte, the
bank that would be there had the image never been written. Three things see to that. A row's loss is
its own alone, and nothing in the writing is drawn at random. Rows are written in batches of one
fixed size, the last one padded, so that every row goes through the same arithmetic whoever is
beside it. And a token is rounded to few bits inside the writing, so the row that was optimised is
the row that is stored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.config import WriteConfig
from munkey_core.errors import TrainingError
from munkey_core.model.tokens import round_tokens
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Steps

BATCH = 128  # rows, always; no setting: another size is another arithmetic

_BETAS = (0.9, 0.99)
_EPSILON = 1e-8


def write_rows(
    model: ExemplarTransformer, features: Tensor, labels: Tensor, config: WriteConfig
) -> Steps[Tensor]:
    """Yield progress; return the exemplar tokens, (n, dim) float32, each a value of half precision.

    model: θ, in evaluation mode; it stays as it is. features: (n, ...) float32, what its image
    pathway reads; labels: (n,) int64. Token i is found by Adam on the cross-entropy
    of image i alone; a share p_img of the steps, evenly spread, goes without the image, so that the
    token answers by itself. It starts at θ's own null token, which knows nothing of any private
    image.
    Raises TrainingError if a loss is not finite.
    """
    pace = Pace("writing", len(features))
    written: list[Tensor] = []
    for first in range(0, len(features), BATCH):
        rows = slice(first, first + BATCH)
        written.append(_write_batch(model, features[rows], labels[rows], config))
        yield pace.at(min(first + BATCH, len(features)))
    return torch.cat(written) if written else torch.empty(0, model.config.dim)


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
