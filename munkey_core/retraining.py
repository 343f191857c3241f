"""Models trained again from a bundle's own images: originals, oracles, the plain transformer.

A bundle carries every image its joint training read (private, calibration, anchors), so a model
can be retrained without a forget set wherever the bundle is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from munkey_core.bank import MemoryBank
from munkey_core.bundle import Bundle
from munkey_core.config import TrainConfig, from_dict
from munkey_core.encoder import Encoded, concatenate
from munkey_core.errors import BundleError
from munkey_core.predictor import Predictor
from munkey_core.training import JointTraining, TrainingData, joint_data
from munkey_core.types import ANCHOR, CALIBRATION, PRIVATE, TEST, Progress


@dataclass(frozen=True)
class TrainedModel:
    """A predictor with the bank it was trained with (calibration entries removed)."""

    predictor: Predictor
    bank: MemoryBank
    seed: int


class Retraining:
    """Trains models on a bundle's images, with its own recipe.

    Encodes the images once. Raises BundleError if the bundle carries none.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        if bundle.thumbnails is None:
            raise BundleError("retraining needs the images, and this bundle carries none")
        self.bundle = bundle
        self.device = device
        self.config: TrainConfig = from_dict(TrainConfig, bundle.manifest.training, "training")
        self.encoded: dict[str, Encoded] = {}
        self.labels = {
            split: torch.tensor([r.label for r in bundle.records_of(split)], dtype=torch.int64)
            for split in (PRIVATE, TEST, ANCHOR, CALIBRATION)
        }

    def encode(self) -> Iterator[Progress]:
        """Encode all splits; needed before the first training."""
        predictor = Predictor(self.bundle.encoder, self.bundle.model, self.bundle.manifest.ensemble)
        splits = list(self.labels)
        for done, split in enumerate(splits):
            yield Progress("encoding", done, len(splits), 0.0)
            ids = [record.id for record in self.bundle.records_of(split)]
            if ids and self.bundle.thumbnails is not None:
                self.encoded[split] = predictor.encode(self.bundle.thumbnails.array(ids))
            else:
                empty = self.encoded[PRIVATE][:0]
                self.encoded[split] = empty
        yield Progress("encoding", len(splits), len(splits), 0.0)

    def shipped(self) -> TrainedModel:
        """The bundle's own model."""
        bundle = self.bundle
        predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        return TrainedModel(predictor, bundle.bank, self.config.seed)

    def train(
        self, seed: int, without: Iterable[str] = (), plain: bool = False
    ) -> Iterator[Progress | TrainedModel]:
        """Yield progress, then the model: MUNKEY, or with `plain` the plain transformer.

        The plain transformer is the same network with the memory slot always empty, trained on
        the same images; the private and the anchor batch weigh the same in its loss.
        """
        ids = [*self.bundle.bank.ids, *(r.id for r in self.bundle.records_of(CALIBRATION))]
        gone = set(without)
        rows = torch.tensor([i for i, id_ in enumerate(ids) if id_ not in gone])
        config = replace(self.config, seed=seed)
        if plain:
            config = replace(config, p_mem=1.0, p_img=0.0, anchor_weight=1.0)
        run = JointTraining(
            self.bundle.manifest.model, config, self._data(rows, config), self.device
        )
        yield from run.run()
        keys = self._entries.keys[rows]
        kept = [ids[i] for i in rows.tolist()]
        private = [i for i, id_ in enumerate(kept) if id_ in self.bundle.bank]
        bank = MemoryBank(
            [kept[i] for i in private], keys[private].clone(), run.tokens[private].clone()
        )
        predictor = Predictor(
            self.bundle.encoder, run.model.cpu().float(), self.bundle.manifest.ensemble
        )
        yield TrainedModel(predictor, bank, seed)

    @property
    def _entries(self) -> Encoded:
        """Every image that gets a token: private, then calibration."""
        return concatenate(self.encoded[PRIVATE], self.encoded[CALIBRATION])

    def _data(self, rows: Tensor, config: TrainConfig) -> TrainingData:
        return joint_data(
            self._entries[rows],
            torch.cat([self.labels[PRIVATE], self.labels[CALIBRATION]])[rows],
            self.encoded[ANCHOR],
            self.labels[ANCHOR],
            len(self.bundle.manifest.classes),
            config,
        )
