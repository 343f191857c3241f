"""Tiny random-weight models, banks and bundles with fixed seeds, for the core's tests."""

import numpy as np
import torch
import torch.nn.functional as F

from munkey_core.bundle.bundle import Bundle
from munkey_core.bundle.manifest import Manifest
from munkey_core.bundle.thumbnails import Thumbnails
from munkey_core.config import EncoderConfig, EnsembleConfig, ModelConfig, TrainConfig
from munkey_core.data import ImageDataset
from munkey_core.model.bank import MemoryBank
from munkey_core.model.encoder import Encoded, FrozenEncoder
from munkey_core.model.predictor import Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.results import ANCHOR, CALIBRATION, PRIVATE, TEST, Record

SIDE = 8
CLASSES = ("ant", "bee", "cat")
ENCODER = EncoderConfig(width=4, grid=2, image_size=SIDE, epochs=1, batch_size=8)
MODEL = ModelConfig(dim=16, layers=1, heads=2)
TRAIN = TrainConfig(epochs=2, batch_size=8, anchor_batch=4)
KEY_DIM = 16  # four times the encoder's width
N_TOKENS = 4


def random_images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE)).astype(np.uint8)


def random_bank(n, seed=0, key_dim=KEY_DIM, dim=MODEL.dim):
    generator = torch.Generator().manual_seed(seed)
    keys = F.normalize(torch.randn(n, key_dim, generator=generator), dim=1)
    tokens = torch.randn(n, dim, generator=generator)
    return MemoryBank([f"img-{i:02d}" for i in range(n)], keys, tokens)


def random_queries(n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    keys = F.normalize(torch.randn(n, KEY_DIM, generator=generator), dim=1)
    return Encoded(keys, torch.randn(n, N_TOKENS, KEY_DIM, generator=generator))


def random_encoder():
    torch.manual_seed(0)
    encoder = FrozenEncoder(ENCODER)
    encoder.fit_statistics(random_images(40, seed=99))
    return encoder.eval().requires_grad_(False)


def random_model():
    torch.manual_seed(1)
    model = ExemplarTransformer(MODEL, KEY_DIM, N_TOKENS, len(CLASSES))
    with torch.no_grad():
        model.head.weight.mul_(4)  # so that predictions differ from each other
        model.null_memory.normal_()
    return model.eval().requires_grad_(False)


def random_predictor(**ensemble):
    return Predictor(random_encoder(), random_model(), EnsembleConfig(**ensemble))


def random_bundle(private=12, test=6, anchor=5, calibration=4, thumbnails=True):
    """A bundle that was never trained: everything in it has the right shape and is random."""
    n = private + test + anchor + calibration
    images = random_images(n)
    encoder, model = random_encoder(), random_model()
    keys = encoder.encode(images).keys
    splits = [PRIVATE] * private + [TEST] * test + [ANCHOR] * anchor + [CALIBRATION] * calibration
    records = tuple(
        Record(f"img-{i:02d}", i % 3, f"owner-{i % 4}" if split == PRIVATE else "", split)
        for i, split in enumerate(splits)
    )
    ids = [record.id for record in records]
    generator = torch.Generator().manual_seed(2)
    # A bundle stores tokens in half precision.
    tokens = torch.randn(private, MODEL.dim, generator=generator).half().float()
    manifest = Manifest(
        name="tiny",
        dataset={
            "name": "tiny",
            "title": "Tiny",
            "licence": "MIT",
            "attribution": "nobody",
            "classes": list(CLASSES),
            "image_size": SIDE,
            "grey": True,
        },
        encoder=ENCODER,
        model=MODEL,
        ensemble=EnsembleConfig(k=3, tau=0.1, anchor=0.3),
        owners_simulated=True,
        near_duplicate=0.95,
        splits={
            "counts": {
                PRIVATE: private,
                TEST: test,
                ANCHOR: anchor,
                CALIBRATION: calibration,
                "validation": 3,
                "encoder": 40,
            }
        },
        training={**TrainConfig().__dict__, **TRAIN.__dict__},
        calibration={},
        provenance={"device": "CPU", "seconds": {"training": 1.0}},
    )
    return Bundle(
        manifest=manifest,
        encoder=encoder,
        model=model,
        bank=MemoryBank(ids[:private], keys[:private].clone(), tokens),
        records=records,
        test_keys=keys[private : private + test].clone(),
        scores={"memorisation": torch.linspace(-1, 1, private)},
        thumbnails=Thumbnails.from_images(ids, images) if thumbnails else None,
    )


def striped_dataset(n=120, seed=0):
    """Images a small network can tell apart: each class has its own bright stripe, plus noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    images = rng.integers(0, 120, (n, SIDE, SIDE))
    for i, label in enumerate(labels):
        images[i, :, 2 * label : 2 * label + 2] += 130
    return ImageDataset(
        name="striped",
        title="Stripes",
        licence="MIT",
        attribution="nobody",
        classes=CLASSES,
        ids=tuple(f"train-{i:03d}" for i in range(n)),
        images=images.astype(np.uint8),
        labels=labels.astype(np.int64),
        is_test=np.zeros(n, dtype=np.bool_),
        owners=None,
        may_ship_images=True,
    )
