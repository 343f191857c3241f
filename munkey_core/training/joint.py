"""Joint training of the transformer θ and every exemplar token v_i (METHOD.md §2).

While v_i is present it explains what is peculiar to x_i, so θ gets almost no gradient to memorise
it. Each step in which the image pathway answers alone for a private image teaches θ that image,
where no deletion reaches it: those steps are taken on public images (the anchors, ours).
"""

import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from munkey_core.config import ModelConfig, TrainConfig
from munkey_core.errors import TrainingError
from munkey_core.files.durable import write_whole
from munkey_core.model.encoder import Encoded, augment
from munkey_core.model.search import nearest
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Steps

_TOKEN_SCALE = 0.02
_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class TrainingData:
    """What the transformer is trained on.

    private: features (n, P, c) or pixels (n, 3, H, W) float32; anchor: the same for m public
    images. labels: int64. neighbours: (n, K) int64 rows of each private image's nearest other
    private images, needed only if neighbour_rate > 0.
    """

    private: Tensor
    private_labels: Tensor
    anchor: Tensor
    anchor_labels: Tensor
    n_classes: int
    neighbours: Tensor | None = None
    anchor_neighbours: Tensor | None = None


def joint_data(
    entries: Encoded,
    labels: Tensor,
    anchors: Encoded,
    anchor_labels: Tensor,
    n_classes: int,
    config: TrainConfig,
) -> TrainingData:
    """What joint training reads of encoded images.

    entries: every image that gets a token, private and calibration. anchors: public images, or the
    very entries. Neighbours are found only if `config` asks for them.
    """
    keys = entries.keys
    neighbours = nearest(keys, keys, others=True)[0] if config.neighbour_rate else None
    near_anchors = None
    if config.anchor_neighbour_rate:
        near_anchors, _ = nearest(anchors.keys, keys, others=anchors is entries)
    return TrainingData(
        entries.features,
        labels,
        anchors.features,
        anchor_labels,
        n_classes,
        neighbours,
        near_anchors,
    )


def resolve_device(name: str) -> torch.device:
    """`auto` → CUDA where it is there, else CPU. Raises TrainingError for CUDA without a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise TrainingError(f"device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device cuda was asked for, but PyTorch sees no GPU here; use auto")
    return torch.device(name)


class JointTraining:
    """One training run. `run` yields progress; afterwards `model`, which from then on only answers,
    and `tokens` hold the result.

    With p_mem = 1 it trains the plain transformer: the memory slot is always empty and the
    tokens stay as they were drawn.

    Every random draw of an epoch comes from (seed, epoch), so a run resumed from its checkpoint
    repeats the draws of one that was never interrupted. On the CPU it ends in the same bits; on
    CUDA only up to the order in which its kernels add.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        config: TrainConfig,
        data: TrainingData,
        device: torch.device,
        checkpoint: Path | None = None,
    ) -> None:
        if config.neighbour_rate > 0 and data.neighbours is None:
            raise TrainingError("neighbour_rate > 0 needs the private images' neighbours")
        if config.anchor_neighbour_rate > 0 and data.anchor_neighbours is None:
            raise TrainingError("anchor_neighbour_rate > 0 needs the anchors' neighbours")
        self.config = config
        self.device = device
        self._data = data
        self._checkpoint = checkpoint
        self._augment = model_config.tokens == "patches"
        n_tokens = _count_tokens(model_config, data.private)
        torch.manual_seed(config.seed)
        self.model = ExemplarTransformer(
            model_config, data.private.shape[-1], n_tokens, data.n_classes
        ).to(device)
        tokens = torch.randn(len(data.private), model_config.dim) * _TOKEN_SCALE
        self._tokens = tokens.to(device).requires_grad_()
        self.steps_per_epoch = math.ceil(len(data.private) / config.batch_size)
        self._optimiser = torch.optim.AdamW(
            [
                {"params": self.model.parameters(), "lr": config.learning_rate},
                {"params": [self._tokens], "lr": config.token_learning_rate, "weight_decay": 0.0},
            ],
            weight_decay=config.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._rate)

    @property
    def tokens(self) -> Tensor:
        """(n, dim) float32 exemplar tokens, on the CPU, rounded to half precision.

        A bundle stores them in half precision; rounded here, a token is the same before and after.
        """
        return self._tokens.detach().half().float().cpu()

    def run(self) -> Steps[float]:
        """Train to the end, going on from the checkpoint if there is one of this very run; return
        the seconds that this took."""
        first, elapsed = self._resume(), 0.0
        done = first * self.steps_per_epoch
        pace = Pace("training", self.config.epochs * self.steps_per_epoch, before=done)
        self.model.train()
        for epoch in range(first, self.config.epochs):
            for loss in self._epoch(epoch):
                done += 1
                step = pace.at(done, loss=loss)
                elapsed = step.elapsed_seconds
                yield step
            self._save(epoch + 1)
        self.model.eval().requires_grad_(False)
        return elapsed

    def _epoch(self, epoch: int) -> Iterator[float]:
        seed = self.config.seed * 100_003 + epoch
        torch.manual_seed(seed)  # dropout draws from the global generator
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._data.private), generator=generator)
        on_gpu = self.device.type == "cuda"
        anchors = _endless(len(self._data.anchor), self.config.anchor_batch, generator)
        for rows in order.split(self.config.batch_size):
            anchor_rows = next(anchors) if self.config.anchor_batch else None
            with torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu):
                loss = self._loss(rows, anchor_rows, generator)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
            self._optimiser.step()
            self._schedule.step()
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss is {value} in epoch {epoch + 1}; lower learning_rate "
                    f"({self.config.learning_rate}) or token_learning_rate"
                )
            yield value

    def _loss(self, rows: Tensor, anchor_rows: Tensor | None, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of the private batch + anchor_weight · that of the anchors.

        Both go through the network in one batch.
        """
        data, config = self._data, self.config
        slot = self._slot_rows(rows, generator)
        images, labels = data.private[rows], data.private_labels[rows]
        drop_image = torch.rand(len(rows), generator=generator) < config.p_img
        # Both pathways empty would ask for the label out of nothing: the image then stays.
        drop_memory = torch.rand(len(rows), generator=generator) < config.p_mem
        drop_image &= ~drop_memory
        weights = torch.full((len(rows),), 1 / len(rows))
        exemplars = self._tokens[slot.to(self.device)]
        if anchor_rows is not None and len(anchor_rows):
            m = len(anchor_rows)
            images = torch.cat([images, data.anchor[anchor_rows]])
            labels = torch.cat([labels, data.anchor_labels[anchor_rows]])
            near, empty = self._anchor_slots(anchor_rows, generator)
            drop_image = torch.cat([drop_image, torch.zeros(m, dtype=torch.bool)])
            drop_memory = torch.cat([drop_memory, empty])
            weights = torch.cat([weights, torch.full((m,), config.anchor_weight / m)])
            exemplars = torch.cat([exemplars, near])
        if self._augment:
            images = augment(images, generator, margin=4)
        logits = self.model(
            self.model.embed_image(images.to(self.device)),
            exemplars,
            drop_image.to(self.device),
            drop_memory.to(self.device),
        )
        losses = F.cross_entropy(logits.float(), labels.to(self.device), reduction="none")
        return (losses * weights.to(self.device)).sum()

    def _anchor_slots(
        self, anchor_rows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """(m, dim) what the anchors' exemplar slots hold, and (m,) bool: which are empty."""
        m, near = len(anchor_rows), self._data.anchor_neighbours
        if near is None or self.config.anchor_neighbour_rate == 0:
            return self._tokens.new_zeros(m, self._tokens.shape[1]), torch.ones(m, dtype=torch.bool)
        which = torch.randint(near.shape[1], (m,), generator=generator)
        empty = torch.rand(m, generator=generator) >= self.config.anchor_neighbour_rate
        return self._tokens[near[anchor_rows, which].to(self.device)], empty

    def _slot_rows(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Whose token the exemplar slot holds: the image's own, or with probability r another's."""
        neighbours = self._data.neighbours
        if neighbours is None or self.config.neighbour_rate == 0:
            return rows
        swap = torch.rand(len(rows), generator=generator) < self.config.neighbour_rate
        which = torch.randint(neighbours.shape[1], (len(rows),), generator=generator)
        return torch.where(swap, neighbours[rows, which], rows)

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine down to 1% of the learning rate."""
        total = self.config.epochs * self.steps_per_epoch
        warm = max(1, int(total * self.config.warmup))
        if step < warm:
            return (step + 1) / warm
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """Settings and data of this run; a checkpoint of another one is refused."""
        return {
            "model": asdict(self.model.config),
            "train": asdict(self.config),
            "n": len(self._data.private),
            "data": _data_digest(self._data),
        }

    def _save(self, epochs_done: int) -> None:
        if self._checkpoint is None:
            return
        state = {
            "identity": self._identity,
            "epochs_done": epochs_done,
            "model": self.model.state_dict(),
            "tokens": self._tokens.detach(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        data = io.BytesIO()
        torch.save(state, data)
        write_whole(self._checkpoint, data.getbuffer())

    def _resume(self) -> int:
        if self._checkpoint is None or not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        if state["identity"] != self._identity:
            raise TrainingError(
                f"the checkpoint {self._checkpoint} belongs to a run with other settings or data; "
                "remove it, or choose another --out"
            )
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            self._tokens.copy_(state["tokens"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        return int(state["epochs_done"])


def _data_digest(data: TrainingData) -> str:
    """SHA-256 (hex) of everything that is trained on, in order."""
    digest = hashlib.sha256()
    for tensor in (data.private, data.private_labels, data.anchor, data.anchor_labels):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_patches(config: ModelConfig, height: int, width: int) -> None:
    """Raise TrainingError unless patches tile an image of so many pixels."""
    if height % config.patch_size or width % config.patch_size:
        raise TrainingError(
            f"patch_size must divide the image's {height} × {width} pixels, got {config.patch_size}"
        )


def _count_tokens(config: ModelConfig, private: Tensor) -> int:
    if config.tokens == "features":
        return private.shape[1]
    height, width = private.shape[-2:]
    check_patches(config, height, width)
    return (height // config.patch_size) * (width // config.patch_size)


def _endless(n: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of shuffled rows, again and again; nothing if there are no rows."""
    while True:
        if n == 0 or batch == 0:
            yield torch.empty(0, dtype=torch.int64)
            continue
        order = torch.randperm(n, generator=generator)
        whole = n // batch * batch or n
        yield from order[:whole].split(batch)
