"""Does it forget? On digits, against models that were trained without the forget set."""

import math

import numpy as np
import pytest
import torch

from munkey_core.config import TrainConfig
from munkey_core.files.typed import checked
from munkey_core.model.bank import BankView, MemoryBank
from munkey_core.model.predictor import Predictor
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST
from munkey_core.studio import Studio
from munkey_core.training.joint import JointTraining, TrainingData

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
SEEDS = (1, 2, 3)


class Lab:
    """The digits bundle's images, encoded once, and trainings on them."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.predictor = Predictor(bundle.encoder, bundle.model, bundle.manifest.ensemble)
        self.encoded, self.labels = {}, {}
        for split in (PRIVATE, CALIBRATION, ANCHOR, TEST):
            records = bundle.records_of(split)
            images = bundle.thumbnails.array([record.id for record in records])
            self.encoded[split] = self.predictor.encode(images)
            self.labels[split] = torch.tensor([record.label for record in records])

    def train(self, seed, labels, without=()):
        """(predictor, bank): the bundle's recipe again, without the rows `without`."""
        manifest = self.bundle.manifest
        features = torch.cat([self.encoded[s].features for s in (PRIVATE, CALIBRATION)])
        rows = torch.tensor([i for i in range(len(features)) if i not in set(without)])
        data = TrainingData(
            private=features[rows],
            private_labels=torch.cat([labels, self.labels[CALIBRATION]])[rows],
            anchor=self.encoded[ANCHOR].features,
            anchor_labels=self.labels[ANCHOR],
            n_classes=10,
        )
        settings = {**manifest.training, "seed": seed}
        run = JointTraining(manifest.model, checked(TrainConfig, settings, "training"), data, CPU)
        for _ in run.run():
            pass
        private = rows[rows < len(labels)]
        bank = MemoryBank(
            [self.bundle.bank.ids[i] for i in private.tolist()],
            self.encoded[PRIVATE].keys[private],
            run.tokens[: len(private)],
        )
        return Predictor(self.predictor.encoder, run.model, manifest.ensemble), bank

    def accuracy(self, predictor, view, split, labels, rows):
        """Share of right answers among some rows of a split, in [0, 1]."""
        classes = predictor.predict(self.encoded[split][rows], view).classes
        return float(np.mean(classes == labels[rows].numpy()))


@pytest.fixture(scope="module")
def lab(digits_bundle):
    return Lab(digits_bundle)


def noise(accuracy, n):
    """Three binomial standard deviations of an accuracy measured on n images."""
    return 3 * math.sqrt(max(accuracy * (1 - accuracy), 0.02) / n)


def test_the_shipped_bundle_forgets_a_random_tenth_like_its_oracles(lab):
    bank = lab.bundle.bank
    forget = bank.rows(Studio.open(str(lab.bundle.folder)).memory.select("random-10pct"))
    retain = torch.tensor([i for i in range(len(bank)) if i not in set(forget.tolist())])
    everything = torch.arange(len(lab.labels[TEST]))
    labels = lab.labels[PRIVATE]
    whole = BankView(bank)
    deleted = BankView(bank, [bank.ids[i] for i in forget.tolist()])

    def measure(predictor, view):
        return (
            lab.accuracy(predictor, view, PRIVATE, labels, forget),
            lab.accuracy(predictor, view, PRIVATE, labels, retain),
            lab.accuracy(predictor, view, TEST, lab.labels[TEST], everything),
        )

    before, after = measure(lab.predictor, whole), measure(lab.predictor, deleted)
    oracles = [lab.train(seed, labels, forget.tolist()) for seed in SEEDS]
    retrained = [measure(predictor, BankView(memory)) for predictor, memory in oracles]

    assert before[0] >= 0.99
    assert before[1] >= 0.99
    for now, of_oracles, n in zip(after, zip(*retrained, strict=True), (30, 270, 300), strict=True):
        low, high = min(of_oracles), max(of_oracles)
        assert low - noise(low, n) <= now <= high + noise(high, n)
    assert after[1] >= before[1] - 0.01
    assert abs(after[2] - before[2]) <= noise(before[2], 300)


# -- wrong labels: what only memory can know ---------------------------------------------------


@pytest.fixture(scope="module")
def mislabelled(lab):
    """Every tenth private image has a wrong label: nothing but memorising it can give it back."""
    labels = lab.labels[PRIVATE].clone()
    rows = torch.arange(0, len(labels), 10)
    labels[rows] = (labels[rows] + 1 + rows // 10 % 8) % 10
    return labels, rows


def forget_accuracy(lab, trained, labels, rows):
    """Share of the wrong labels that come back, before and after their keys are deleted."""
    predictor, bank = trained
    ids = [lab.bundle.bank.ids[i] for i in rows.tolist()]
    return tuple(
        lab.accuracy(predictor, BankView(bank, gone), PRIVATE, labels, rows)
        for gone in ((), [id_ for id_ in ids if id_ in bank])
    )


def test_wrong_labels_are_known_before_deletion_and_as_unknown_as_to_an_oracle_after(
    lab, mislabelled
):
    labels, rows = mislabelled
    before, after = forget_accuracy(lab, lab.train(0, labels), labels, rows)
    oracles = [
        forget_accuracy(lab, lab.train(seed, labels, rows.tolist()), labels, rows)[1]
        for seed in SEEDS
    ]
    low, high = min(oracles), max(oracles)
    assert before >= 0.9
    assert before > high + noise(high, len(rows))  # the band below would notice no forgetting
    assert low - noise(low, len(rows)) <= after <= high + noise(high, len(rows))
