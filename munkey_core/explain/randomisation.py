"""Cascading randomisation of a model, and how alike two maps are (Adebayo et al. 2018, "Sanity
Checks for Saliency Maps", §3)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from munkey_core.model.encoder import FrozenEncoder
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.results import FloatArray


@dataclass(frozen=True)
class SanityStage:
    """One step of a model's randomisation, from the head down. randomised: the parts that are
    random from here on. rank_correlation: Spearman's ρ of |values| with the trained model's, in
    [-1, 1]; a map that explains the model loses its likeness. values: (H, W) float32."""

    randomised: str
    rank_correlation: float
    values: FloatArray


@dataclass(frozen=True)
class SanityCheck:
    """Adebayo et al. 2018: does a pixel attribution depend on what the model has learned?
    stages: cascading randomisation, the trained model's own map not among them."""

    method: str
    target: int
    stages: tuple[SanityStage, ...]
    generation: int


# PyTorch's initialisers and Captum draw from generators that the whole process shares.
_drawing = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch's and NumPy's generators on the CPU from `seed` on, put back afterwards, also after
    an error. One thread at a time; whoever draws from them without this is not kept out."""
    with _drawing, torch.random.fork_rng(devices=[]):
        before = np.random.get_state()
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)


@dataclass(frozen=True)
class Part:
    """Some layers of the line, and parameters that belong to no layer."""

    name: str
    modules: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...] = field(default=())


def cascade(encoder: FrozenEncoder, model: ExemplarTransformer) -> list[Part]:
    """The parts that an image's prediction goes through, from the head down. A model of `patches`
    doesn't read the encoder's features, so that there the encoder is not among them."""
    parts = [Part("head", (model.norm, model.head))]
    for number in range(len(model.blocks), 0, -1):
        parts.append(Part(f"block {number}", (model.blocks[number - 1],)))
    parts.append(Part("embedding", (model.embed,), (model.cls, model.position)))
    if model.config.tokens == "features":
        parts.append(Part("encoder", (encoder.backbone,)))
    return parts


@torch.no_grad()
def randomise(part: Part, seed: int) -> None:
    """Fresh weights in place: each layer's own initialiser; a parameter that no layer initialises
    is drawn from a normal distribution of its own mean and scale (ours)."""
    bare = list(part.parameters)
    with seeded(seed):
        for module in (inner for outer in part.modules for inner in outer.modules()):
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
            else:
                bare += module.parameters(recurse=False)
        for parameter in bare:
            parameter.normal_(float(parameter.mean()), float(parameter.std(correction=0)))


def likeness(trained: FloatArray, random: FloatArray) -> float:
    """Spearman's ρ of the absolute values of two maps, in [-1, 1].

    Pixels where both are 0 are left out: where the image has the colour of the baseline some
    methods give 0 whatever the model (ours). 0 if a map is constant over the rest.
    """
    from scipy.stats import rankdata  # slow to import, and nothing else of a session needs it

    first, second = np.abs(trained).ravel(), np.abs(random).ravel()
    there = (first > 0) | (second > 0)
    ranks = rankdata(first[there]), rankdata(second[there])
    if not there.any() or any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
