"""Models trained again from a bundle's own images: originals, oracles, references.

A bundle carries every image its joint training read (private, calibration, anchors), so a model
can be retrained without a forget set wherever the bundle is.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from munkey_core.bundle.bundle import Bundle
from munkey_core.config import TrainConfig
from munkey_core.data.seeding import permutation
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.encoder import Encoded, concatenate
from munkey_core.model.predictor import Predictor
from munkey_core.progress import Progress, Steps
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, FloatArray
from munkey_core.training.answers import Outputs, Verdicts, verdicts
from munkey_core.training.joint import JointTraining, joint_data

Family = Literal["munkey", "plain"]
MUNKEY: Family = "munkey"
PLAIN: Family = "plain"

# Reference models are seeded apart from the originals and oracles that they are held against.
REFERENCE_SEEDS = 1000
_HALVES_SEED = 53_000


@dataclass(frozen=True)
class Run:
    """What a training is of; two equal runs give the same model.

    family: MUNKEY, or the plain transformer: the same network with the memory slot always empty,
    trained on the same images, the private and the anchor batch weighing the same in its loss.
    without: private ids left out. seed: of weights, tokens and order.
    reference: k for the k-th reference model of the membership attacks, trained on a random half
    of the private and test images; None for a model of the private images.
    """

    family: Family
    without: tuple[str, ...] = ()
    seed: int = 0
    reference: int | None = None


@dataclass(frozen=True)
class TrainedModel:
    """A predictor with the bank it was trained with (calibration entries removed; empty for the
    plain transformer), and the seconds its training took."""

    predictor: Predictor
    bank: MemoryBank
    seconds: float


def reference_run(family: Family, k: int) -> Run:
    """The run of the k-th reference model of a family."""
    return Run(family, (), REFERENCE_SEEDS + k, k)


def in_reference(k: int, n: int) -> Tensor:
    """(n,) bool: which of n images, private then test, the k-th reference model is trained on.

    References come in pairs: the second of a pair is trained on the other half, so that every
    image is in exactly half of an even number of references.
    """
    order = torch.from_numpy(permutation(n, _HALVES_SEED, k // 2))
    inside = torch.zeros(n, dtype=torch.bool)
    half = n // 2
    inside[order[:half] if k % 2 == 0 else order[half:]] = True
    return inside


class Retraining:
    """Trains models on a bundle's images, with its own recipe.

    Encodes the images once, at the first need. Raises BundleError if the bundle carries none.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        bundle.require_pictures("retraining needs the images")
        self.bundle = bundle
        self.device = device
        self.config: TrainConfig = bundle.manifest.train_config()
        self.encoded: dict[str, Encoded] = {}
        self.ids = {
            split: tuple(record.id for record in bundle.records_of(split))
            for split in (PRIVATE, TEST, ANCHOR, CALIBRATION)
        }
        self.labels = {
            split: torch.tensor([r.label for r in bundle.records_of(split)], dtype=torch.int64)
            for split in self.ids
        }

    def encode(self) -> Steps[None]:
        """Encode all splits, unless that was done before."""
        yield from self.bundle.prepare_features()
        splits = [split for split in self.ids if split not in self.encoded]
        for done, split in enumerate(splits):
            yield Progress("encoding", done, len(splits), 0.0)
            if self.ids[split]:
                self.encoded[split] = self.bundle.encode(self.ids[split])
            else:
                self.encoded[split] = self.encoded[PRIVATE][:0]
        if splits:
            yield Progress("encoding", len(splits), len(splits), 0.0)

    def train(self, run: Run) -> Steps[TrainedModel]:
        """Yield progress; return the model."""
        yield from self.encode()
        # Private and calibration images get a token; a reference's test images do too.
        ids = [*self.ids[PRIVATE], *self.ids[CALIBRATION]]
        entries = concatenate(self.encoded[PRIVATE], self.encoded[CALIBRATION])
        labels = torch.cat([self.labels[PRIVATE], self.labels[CALIBRATION]])
        kept = torch.tensor(
            [i for i, id_ in enumerate(ids) if id_ not in set(run.without)], dtype=torch.int64
        )
        if run.reference is not None:
            n = len(self.ids[PRIVATE])
            ids += self.ids[TEST]
            entries = concatenate(entries, self.encoded[TEST])
            labels = torch.cat([labels, self.labels[TEST]])
            inside = in_reference(run.reference, n + len(self.ids[TEST]))
            calibration = torch.ones(len(self.ids[CALIBRATION]), dtype=torch.bool)
            kept = torch.cat([inside[:n], calibration, inside[n:]]).nonzero()[:, 0]
        config = replace(self.config, seed=run.seed)
        if run.family == PLAIN:
            config = replace(
                config, p_mem=1.0, p_img=0.0, anchor_weight=1.0, anchor_neighbour_rate=0.0
            )
        data = joint_data(
            entries[kept],
            labels[kept],
            self.encoded[ANCHOR],
            self.labels[ANCHOR],
            len(self.bundle.manifest.classes),
            config,
        )
        training = JointTraining(self.bundle.manifest.model, config, data, self.device)
        seconds = yield from training.run()
        calibration_ids = set(self.ids[CALIBRATION])
        places = [i for i, row in enumerate(kept.tolist()) if ids[row] not in calibration_ids]
        if run.family == PLAIN:
            places = []
        rows = kept[places]
        bank = MemoryBank(
            [ids[i] for i in rows.tolist()], entries.keys[rows], training.tokens[places]
        )
        model = training.model.cpu().float()
        # Every model answers with the bundle's encoder, τ, s₀ and K.
        predictor = Predictor(self.bundle.encoder, model, self.bundle.manifest.ensemble)
        return TrainedModel(predictor, bank, seconds)

    def outputs(self, family: Family, trained: TrainedModel) -> Steps[Outputs]:
        """Yield progress; return what a model says about all private and test images."""
        yield from self.encode()
        view = BankView(trained.bank)
        answers: list[FloatArray] = []
        image: list[Verdicts | None] = []
        for done, split in enumerate((PRIVATE, TEST)):
            yield Progress("predicting", done, 2, 0.0)
            queries = self.encoded[split]
            alone = trained.predictor.image_only(queries.features)
            if family == PLAIN:
                answers.append(alone)
                image.append(None)
            else:
                answers.append(trained.predictor.predict(queries, view).probabilities)
                image.append(verdicts(alone, self.labels[split].numpy()))
        return Outputs(answers[0], answers[1], trained.seconds, image[0], image[1])
