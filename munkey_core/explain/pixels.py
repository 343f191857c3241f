"""How much each pixel speaks for a class: pixels → frozen encoder → image tokens → prediction.

In all of it the **retrieval is held fixed**: the exemplars that answer the unchanged image, the
null anchor and their shares stay what they are while pixels vary. A map therefore says what the
image pathway reads in the picture given these memories, and nothing about which memories another
picture would have called up; that is what `exemplars.py` is for.

What is explained is the **log-odds of the class in the mixed prediction**, ln(p / (1 − p)), in
nats, and not its probability (ours):
- Most images are answered with p > 0.99. There a probability is flat: its gradients vanish, its
  maps fade to nothing exactly where the model is surest, and along the way from the baseline all
  of its change happens in one narrow step that a quadrature with few points misses. Log-odds keep
  growing with the evidence, so integrated gradients converge and maps keep their contrast.
- A single pass's logit has no meaning by itself (adding a constant to all classes changes
  nothing), and a weighted mean of logits is not what the model answers with. The log-odds of the
  mixture are a function of the very number that is shown on the screen, and 0 means one half.
- Before and after a deletion they are in one unit, so both maps fit one colour scale.

Captum computes the gradient methods and occlusion; attention rollout is ours. Nothing here
touches the shared modules: they are functions of the pixels, without hooks, and their parameters
take no gradients. Captum takes seconds to import, so it is imported at the first need.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from munkey_core.errors import BadInputError
from munkey_core.explain.randomisation import (
    SanityCheck,
    SanityStage,
    cascade,
    likeness,
    randomise,
    seeded,
)
from munkey_core.explain.rollout import CLS, FIRST_IMAGE_TOKEN, attention_rollout, spread
from munkey_core.model.bank import BankView
from munkey_core.model.encoder import FrozenEncoder, to_float
from munkey_core.model.predictor import Prediction, Predictor
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Pace, Steps
from munkey_core.results import FloatArray, ImageArray


@dataclass(frozen=True)
class PixelAttribution:
    """How much each pixel speaks for one class, through the encoder and the image pathway, with
    the retrieval (which exemplars answer, and their shares) held fixed.

    method: a name of METHODS. target: class index. values: (H, W) float32, summed
    over colour channels, in units of `output`; positive = speaks for `target`. signed: False for
    methods that know no sign (all values ≥ 0). output, baseline_output: what is explained, of the
    image and of the method's baseline; None without a baseline. output_unit: what it is in words.
    delta: convergence error, sum(values) − (output − baseline_output), None for methods that
    promise no such sum. settings: steps, seed and such.
    """

    method: str
    target: int
    values: FloatArray
    signed: bool
    output: float
    baseline_output: float | None
    output_unit: str
    delta: float | None
    settings: dict[str, float]
    generation: int

    @property
    def relative_delta(self) -> float | None:
        """|delta| as a share of |output − baseline_output|; None if there is no such sum, or the
        difference is zero."""
        if self.delta is None or self.baseline_output is None:
            return None
        difference = abs(self.output - self.baseline_output)
        return abs(self.delta) / difference if difference > 0 else None


LOG_ODDS = "log-odds of the class, ln(p / (1 − p)), in nats"
ATTENTION = "share of the answer's attention that reaches the picture, 0 to 1"

SEED = 0
TOLERANCE = 0.05
STEPS = 8  # of integrated gradients, in each segment of the way
MAX_STEPS = 256
SAMPLES = 128
NOISE = 0.2

# Near the empty picture the output changes fastest, so that the first segments are shorter there.
_FIRST_CUTS = [(0.0, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2), (1 / 2, 1.0)]

# Images in one forward pass: at most so many, fewer if they are large, to bound the memory.
_BATCH = 64
_BATCH_PIXELS = 2**18


@dataclass(frozen=True)
class FixedRetrieval:
    """The line from pixels to the answer, with what answers held fixed.

    tokens: (P, dim) exemplar tokens of the passes; weights: (P,) their shares, summing to 1.
    """

    encoder: FrozenEncoder
    model: ExemplarTransformer
    tokens: Tensor
    weights: Tensor

    def log_odds(self, images: Tensor, target: int) -> Tensor:
        """(B,) log-odds of class `target`, differentiable in the pixels.

        images: (B, 3, H, W) or grey (B, 1, H, W), float32 in [0, 1].
        """
        passes = len(self.tokens)
        image_tokens = self.image_tokens(images)
        logits = self.model(
            image_tokens.repeat_interleave(passes, dim=0), self.tokens.repeat(len(images), 1)
        )
        # In logarithms throughout: 1 − p of a sure answer is nothing in single precision.
        log_p = torch.log_softmax(logits.float(), dim=1).view(len(images), passes, -1)
        mixed = torch.logsumexp(log_p + self.weights.log()[:, None], dim=1)
        others = torch.arange(mixed.shape[1]) != target
        return mixed[:, target] - torch.logsumexp(mixed[:, others], dim=1)

    def image_tokens(self, images: Tensor) -> Tensor:
        """(B, P, dim), of the encoder's features or of the pixels, as the model was made."""
        colour = images.expand(-1, 3, -1, -1)
        if self.model.config.tokens == "features":
            return self.model.embed_image(self.encoder(colour).features)
        return self.model.embed_image(colour)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of image tokens of an image of `size`."""
        if self.model.config.tokens == "features":
            return self.encoder.config.grid, self.encoder.config.grid
        patch = self.model.config.patch_size
        return size[0] // patch, size[1] // patch


@dataclass(frozen=True)
class _Map:
    """What a method finds. values: (channels, H, W)."""

    values: Tensor
    output: float
    baseline_output: float | None
    settings: dict[str, float]


def attribute(
    predictor: Predictor, view: BankView, image: ImageArray, method: str, target: int | None
) -> PixelAttribution:
    """How much each pixel of one image speaks for a class, the retrieval held fixed.

    image: uint8 (1, H, W) or (1, H, W, 3). method: a name of METHODS. target: class index; None =
    the predicted class. The same call gives the same values. Raises BadInputError for an unknown
    method, a class that isn't there or anything that is no such image.

    ig: integrated gradients (Sundararajan et al. 2017) along the straight way from the baseline.
        The way is cut into segments, each integrated by Captum (Gauss-Legendre, 8 steps); because
        a segment's values must sum to the change of the output over it, its own error is known,
        and the worst segments are cut in two until all errors together are below 5% of the whole
        change, or 256 gradients are spent (the cutting is ours). `settings["steps"]` says how many
        it took. Where the image's output is close to the baseline's, 5% of the change is next to
        nothing and may not be reached: read `delta` itself then, in nats.
    saliency: |gradient| (Simonyan et al. 2014), in nats for a change from black to white.
    gradientshap: expected gradients (Lundberg and Lee 2017, as Captum has it) at 128 random
        stages between a random baseline and the image. The baselines are the empty picture with
        faint static: each pixel uniform up to 0.2 from it (ours; there are no training images to
        draw from). baseline_output is the mean over those drawn, delta Captum's, the mean over
        the samples: a sampling error, mostly larger than that of ig.
    occlusion: drop of the output when a window of 1/7 of the side is covered with the baseline
        (Zeiler and Fergus 2014), moved by half a window; a pixel's value is the mean over the
        windows that cover it.
    rollout: attention rollout (Abnar and Zuidema 2020) from CLS to the image tokens, averaged over
        the passes by their shares. It sums to `output`; the rest went to the exemplar slot and to
        CLS itself. It doesn't depend on the class.

    Baseline: a black picture, or a white one for an image on white ground (median of its border
    above one half): the ground itself should count as nothing. A pixel of the baseline's own
    colour gets no value from ig, whatever it means to the model.
    """
    with _gradients():
        return _answer(_question(predictor, view, image, method, target))


def sanity_check(
    predictor: Predictor, view: BankView, image: ImageArray, method: str, target: int | None
) -> Steps[SanityCheck]:
    """Yield progress a stage; return the map's likeness under cascading randomisation.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", §3: on a copy of model and encoder
    fresh seeded weights replace the head, then the last block too, … the first block, the
    embedding of the image tokens, and last the encoder (none for `patches`, which don't pass
    it). What answers stays fixed, tokens included, and so does the class. A map that explains the
    model loses its likeness: Spearman's ρ of |values| with the trained model's map, see
    `randomisation.likeness`.
    Arguments and errors are those of `attribute`, and raised before the first stage.
    """
    with _gradients():
        question = _question(predictor, view, image, method, target)
        trained = _answer(question).values
    question = replace(question, line=copy.deepcopy(question.line))
    parts = cascade(question.line.encoder, question.line.model)
    pace = Pace("sanity check", len(parts))
    stages: list[SanityStage] = []
    for seed, part in enumerate(parts):
        randomise(part, seed)
        # Never around the yield: the mode would leak into the caller.
        with _gradients():
            values = _answer(question).values
        name = f"{parts[0].name} to {part.name}" if stages else part.name
        stages.append(SanityStage(name, likeness(trained, values), values))
        yield pace.at(len(stages))
    return SanityCheck(method, question.target, tuple(stages), question.generation)


# -- the methods ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Segment:
    """A part of the way from the baseline (0) to the image (1). values: (channels, H, W) integral
    over it. error: how far their sum is from the change of the output over the segment."""

    start: float
    end: float
    values: Tensor
    error: float


def _integrated_gradients(line: FixedRetrieval, image: Tensor, target: int) -> _Map:
    baseline = _baseline(image)
    output, baseline_output = line.log_odds(torch.cat([image, baseline]), target).tolist()
    tolerance = TOLERANCE * abs(output - baseline_output)
    segments: list[_Segment] = []
    cuts, steps = _FIRST_CUTS, 0
    while cuts:
        segments += _integrate(line, image, baseline, target, cuts)
        steps += STEPS * len(cuts)
        worst = _worst(segments, tolerance, (MAX_STEPS - steps) // (2 * STEPS))
        segments = [segment for segment in segments if segment not in worst]
        cuts = [half for segment in worst for half in _halves(segment)]
    values = torch.stack([segment.values for segment in segments]).sum(dim=0)
    settings = {"steps": float(steps), "baseline": float(baseline[0, 0, 0, 0])}
    return _Map(values, output, baseline_output, settings)


def _integrate(
    line: FixedRetrieval,
    image: Tensor,
    baseline: Tensor,
    target: int,
    cuts: list[tuple[float, float]],
) -> list[_Segment]:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(line.log_odds)
    found = []
    at_once = max(1, _batch(image) // STEPS)
    for first in range(0, len(cuts), at_once):
        part = cuts[first : first + at_once]
        starts, ends = torch.tensor(part).T[:, :, None, None, None]
        low, high = torch.lerp(baseline, image, starts), torch.lerp(baseline, image, ends)
        values = method.attribute(
            high,
            low,
            additional_forward_args=target,
            n_steps=STEPS,
            method="gausslegendre",
            internal_batch_size=_batch(image),
        )
        with torch.no_grad():
            change = line.log_odds(high, target) - line.log_odds(low, target)
        errors = (values.sum(dim=(1, 2, 3)) - change).abs().tolist()
        found += [_Segment(*cut, *rest) for cut, *rest in zip(part, values, errors, strict=True)]
    return found


def _worst(segments: list[_Segment], tolerance: float, most: int) -> list[_Segment]:
    """The segments to be cut in two, at most so many; none if the errors are within tolerance."""
    error = sum(segment.error for segment in segments)
    worst: list[_Segment] = []
    if error < tolerance:
        return worst
    for segment in sorted(segments, key=lambda segment: -segment.error)[:most]:
        worst.append(segment)
        error -= segment.error
        if error < tolerance / 2:  # the other half is for what the new segments will be wrong by
            break
    return worst


def _halves(segment: _Segment) -> list[tuple[float, float]]:
    middle = (segment.start + segment.end) / 2
    return [(segment.start, middle), (middle, segment.end)]


def _saliency(line: FixedRetrieval, image: Tensor, target: int) -> _Map:
    from captum.attr import Saliency

    with torch.no_grad():
        output = float(line.log_odds(image, target))
    # Captum would ask for the gradient itself, but with a warning.
    values = Saliency(line.log_odds).attribute(
        image.clone().requires_grad_(), additional_forward_args=target
    )
    return _Map(values[0], output, None, {})


def _gradient_shap(line: FixedRetrieval, image: Tensor, target: int) -> _Map:
    from captum.attr import GradientShap

    ground = _baseline(image)
    method = GradientShap(line.log_odds)
    parts, errors = [], []
    with seeded(SEED):
        static = NOISE * torch.rand(SAMPLES, *image.shape[1:])
        baselines = (ground - static).abs()  # towards the inside of [0, 1] from either end
        for n in _shares(SAMPLES, _batch(image)):
            values, deltas = method.attribute(
                image,
                baselines,
                n_samples=n,
                additional_forward_args=target,
                return_convergence_delta=True,
            )
            parts.append(values[0] * n)
            errors.append(deltas)
    values = torch.stack(parts).sum(dim=0) / SAMPLES
    with torch.no_grad():
        output = float(line.log_odds(image, target))
    # Captum's delta is the mean over the samples; this is the mean of the baselines it drew.
    baseline_output = output - float(values.sum()) + float(torch.cat(errors).mean())
    settings = {
        "samples": float(SAMPLES),
        "noise": NOISE,
        "seed": float(SEED),
        "baseline": float(ground[0, 0, 0, 0]),
    }
    return _Map(values, output, baseline_output, settings)


def _shares(total: int, most: int) -> list[int]:
    """total as a sum of numbers of at most `most`."""
    return [min(most, total - done) for done in range(0, total, most)]


def _occlusion(line: FixedRetrieval, image: Tensor, target: int) -> _Map:
    from captum.attr import Occlusion

    baseline = _baseline(image)
    channels, *size = image.shape[1:]
    window = [min(side, max(2, round(side / 7))) for side in size]
    stride = [max(1, side // 2) for side in window]
    with torch.no_grad():
        output, baseline_output = line.log_odds(torch.cat([image, baseline]), target).tolist()
        values = Occlusion(line.log_odds).attribute(
            image,
            sliding_window_shapes=(channels, *window),
            strides=(channels, *stride),
            baselines=baseline,
            additional_forward_args=target,
            perturbations_per_eval=_batch(image),
        )
    settings = {
        "window": float(window[0]),
        "stride": float(stride[0]),
        "baseline": float(baseline[0, 0, 0, 0]),
    }
    # Captum gives each channel of the window the whole drop.
    return _Map(values[0] / channels, output, baseline_output, settings)


def _rollout(line: FixedRetrieval, image: Tensor, target: int) -> _Map:
    with torch.no_grad():
        tokens = line.image_tokens(image).expand(len(line.tokens), -1, -1)
        rollout = attention_rollout(line.model, tokens, line.tokens)
        shares = line.weights @ rollout[:, CLS, FIRST_IMAGE_TOKEN:]
        size = (image.shape[2], image.shape[3])
        values = spread(shares, line.grid(size), size)
    return _Map(values[None], float(shares.sum()), None, {})


@dataclass(frozen=True)
class _Method:
    """complete: whether the values promise to sum to output − baseline output."""

    sentence: str
    find: Callable[[FixedRetrieval, Tensor, int], _Map]
    unit: str = LOG_ODDS
    signed: bool = True
    complete: bool = False


_METHODS = {
    "ig": _Method(
        "Adds up what each pixel contributes while the picture fades in from an empty one; the "
        "contributions sum to the whole change of the answer (integrated gradients).",
        _integrated_gradients,
        complete=True,
    ),
    "saliency": _Method(
        "How strongly the answer reacts to a small change of each pixel, whatever the direction "
        "(saliency).",
        _saliency,
        signed=False,
    ),
    "gradientshap": _Method(
        "Like integrated gradients, but averaged over random stages of the fading in and over "
        "many empty pictures with faint static (gradient SHAP).",
        _gradient_shap,
        complete=True,
    ),
    "occlusion": _Method(
        "Covers the picture patch by patch and notes how far the answer falls (occlusion).",
        _occlusion,
    ),
    "rollout": _Method(
        "How much of the model's attention reaches each part of the picture; the same for every "
        "class (attention rollout).",
        _rollout,
        unit=ATTENTION,
        signed=False,
    ),
}

METHODS: dict[str, str] = {name: method.sentence for name, method in _METHODS.items()}
"""Names of the methods → one plain sentence each on what it does."""


# -- question and answer -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Question:
    """One image to be explained. pixels: (1, 1 or 3, H, W) float32 in [0, 1]."""

    line: FixedRetrieval
    pixels: Tensor
    method: str
    target: int
    generation: int


def _question(
    predictor: Predictor, view: BankView, image: ImageArray, method: str, target: int | None
) -> _Question:
    """Check what was asked, and find out what answers the unchanged image."""
    if method not in METHODS:
        raise BadInputError(f"the method must be one of {', '.join(METHODS)}, got {method!r}")
    classes = predictor.model.head.out_features
    if target is not None and not 0 <= target < classes:
        raise BadInputError(f"target must be a class index from 0 to {classes - 1}, got {target}")
    pixels = _pixels(predictor.model, image)
    prediction = predictor.predict(predictor.encode(image), view)
    if target is None:
        target = int(prediction.classes[0])
    line = _hold_retrieval(predictor, view, prediction)
    return _Question(line, pixels, method, target, prediction.generation)


def _answer(question: _Question) -> PixelAttribution:
    method = _METHODS[question.method]
    found = method.find(question.line, question.pixels, question.target)
    values = found.values.detach().sum(dim=0)
    delta = None
    if method.complete and found.baseline_output is not None:
        delta = float(values.sum()) - (found.output - found.baseline_output)
    return PixelAttribution(
        method=question.method,
        target=question.target,
        values=values.numpy(),
        signed=method.signed,
        output=found.output,
        baseline_output=found.baseline_output,
        output_unit=method.unit,
        delta=delta,
        settings=found.settings,
        generation=question.generation,
    )


@contextmanager
def _gradients() -> Iterator[None]:
    """Gradients on, whatever the caller's mode; the mode belongs to this thread alone."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _hold_retrieval(predictor: Predictor, view: BankView, prediction: Prediction) -> FixedRetrieval:
    """The line with the exemplars, the anchor and the shares of the prediction of one image."""
    tokens = view.bank.tokens[view.bank.rows(prediction.retrieval.ids[0])]
    if prediction.has_anchor:
        tokens = torch.cat([tokens, predictor.model.null_memory.detach()[None]])
    weights = torch.from_numpy(prediction.exemplar_weights[0].copy())
    if predictor.config.aggregation == "single_pass":
        tokens, weights = (weights @ tokens)[None], torch.ones(1)
    return FixedRetrieval(predictor.encoder, predictor.model, tokens, weights)


def _baseline(image: Tensor) -> Tensor:
    """A flat picture of the ground's colour: black, or white for an image on white ground."""
    rows, columns = image[..., [0, -1], :], image[..., [0, -1]]
    border = torch.cat([rows.flatten(), columns.flatten()])
    return torch.full_like(image, float(border.median() > 0.5))


def _batch(image: Tensor) -> int:
    return max(1, min(_BATCH, _BATCH_PIXELS // image[0, 0].numel()))


def _pixels(model: ExemplarTransformer, image: ImageArray) -> Tensor:
    """(1, 1 or 3, H, W) float32 in [0, 1]; equal colour channels are one grey channel."""
    colour = image.ndim == 4 and image.shape[3] == 3
    one = (image.ndim == 3 or colour) and len(image) == 1 and image.size > 0
    if image.dtype != np.uint8 or not one:
        raise BadInputError(
            "wanted one uint8 image of shape (1, H, W) or (1, H, W, 3), "
            f"got {image.dtype} of shape {image.shape}"
        )
    _check_patches(model, image.shape[1], image.shape[2])
    pixels = to_float(image)
    grey = bool((pixels == pixels[:, :1]).all())
    return pixels[:, :1].clone() if grey else pixels


def _check_patches(model: ExemplarTransformer, height: int, width: int) -> None:
    """A model of `patches` has a position for each of them; an encoder resizes its images."""
    side, wanted = model.config.patch_size, len(model.position)
    if model.config.tokens == "patches" and (height // side) * (width // side) != wanted:
        raise BadInputError(
            f"this model reads images of {wanted} patches of {side} × {side} pixels, "
            f"got one of {height} × {width} pixels"
        )
