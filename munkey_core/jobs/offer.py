"""What training on a person's own images will take here, known before it starts.

Nothing is read from a table of machines: the recipe's own networks encode a few of the images and
make a few training steps, and the rest is multiplied out.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from munkey_core.config import Recipe
from munkey_core.data.base import ImageDataset
from munkey_core.data.splits import Splits, make_splits, owned_outside
from munkey_core.data.twins import twins_across_parts
from munkey_core.files.limits import limits
from munkey_core.files.machine import free_disk, free_memory, readable_bytes
from munkey_core.jobs.time_left import START_SECONDS, STARTING, Stages, guessed_maps
from munkey_core.model.encoder import EncoderTraining, FrozenEncoder
from munkey_core.model.transformer import ExemplarTransformer
from munkey_core.progress import Progress, Steps
from munkey_core.training.joint import JointTraining, TrainingData
from munkey_core.training.recipes import is_photographic
from munkey_core.training.trainable import check_trainable


@dataclass(frozen=True)
class TrainingOffer:
    """What `munkey train` would make of a person's own images, known before it starts.

    source: what was asked for. name: of the bundle to be. title: for people. images: those that
    could be read. classes: name and number of images of each, in the order of the labels.
    image_size: side in pixels that the images are stored and encoded with. grey: whether all of
    them are grey. owners: how many different owners the data names, None if it names none.
    skipped: file and reason of each one left out. parts: images by part, "private" (they get a
    key), "test", "anchor", "calibration", "validation", "encoder" and "unused". encoder: its name.
    seconds: estimate for this machine, from steps timed on it with these images. memory_bytes:
    most that the training holds at once. disk_bytes: what the bundle and the unfinished work take.
    warnings: sentences about what will be poor and why. problem: why it can't be trained here,
    empty if it can. stages: each stage of the training with its share of `seconds`.
    """

    source: str
    name: str
    title: str
    images: int
    classes: tuple[tuple[str, int], ...]
    image_size: int
    grey: bool
    owners: int | None
    skipped: tuple[tuple[str, str], ...]
    parts: dict[str, int]
    encoder: str
    seconds: float
    memory_bytes: int
    disk_bytes: int
    warnings: tuple[str, ...]
    problem: str = ""
    stages: tuple[tuple[str, float], ...] = ()


PLANNING = "planning"
REFERENCES = "references"

_ENCODED = 16  # images that are encoded to time it
_STEPS = 3  # training steps that are timed, after one that warms up
_PASSES = 256
# Reference models take at most as long as so many trainings, where that is more than the limit; but
# there are two of a family, without which the strongest attacks can't be tried at all.
_REFERENCE_TRAININGS = 2.0
_MOST_REFERENCES = 8
# What a process holds before its first image: the interpreter, PyTorch and, for maps, UMAP.
_BASE_BYTES = 700_000_000
_FEW = 5  # images of a class from which on every part can have one
_FEW_TEST = 100  # fewer non-members, and an attack's rate at 1% false alarms has no meaning
_LARGER = 20


@dataclass(frozen=True)
class Plan:
    """stages: of the training, with their seconds. references: of each family, an even number.
    warnings: sentences. problem: why it can't be done here, empty if it can."""

    splits: Splits
    stages: Stages
    references: int
    memory_bytes: int
    disk_bytes: int
    warnings: tuple[str, ...]
    problem: str

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.stages)


def make_plan(
    dataset: ImageDataset,
    recipe: Recipe,
    out: Path,
    device: torch.device,
    *,
    maps: bool,
    references: int | None,
) -> Steps[Plan]:
    """Yield progress; return the plan. Takes seconds; draws the splits and runs the networks.

    maps: whether UMAPs are fitted. references: how many reference models of each family are
    trained; None chooses by the time that they take.
    Raises BadInputError for too few images, DataError if a pretrained encoder can't be had, or for
    images of which no bundle could be written.
    """
    start = time.perf_counter()
    splits = make_splits(dataset, recipe.split)
    check_trainable(dataset, splits, out.name)
    random_state = torch.get_rng_state()
    encoder = FrozenEncoder(recipe.encoder).to(device)
    rates: dict[str, float] = {}
    measures = {
        "image": lambda: _seconds_an_image(encoder, dataset),
        "encoder step": lambda: _seconds_an_encoder_step(dataset, recipe, device),
        "step": lambda: _seconds_a_step(dataset, recipe, encoder, len(splits.private), device),
        "pass": lambda: _seconds_a_pass(dataset, recipe, encoder),
    }
    for done, (name, measure) in enumerate(measures.items()):
        yield Progress(PLANNING, done, len(measures), time.perf_counter() - start)
        rates[name] = measure()
    torch.set_rng_state(random_state)
    elapsed = time.perf_counter() - start
    yield Progress(PLANNING, len(measures), len(measures), elapsed)

    stages, chosen = _stages(recipe, splits, rates, maps, references)
    memory, disk = _memory(dataset, recipe, splits, encoder), _disk(dataset, recipe, splits)
    return Plan(
        splits=splits,
        stages=((STARTING, START_SECONDS), (PLANNING, elapsed), *stages),
        references=chosen,
        memory_bytes=memory,
        disk_bytes=disk,
        warnings=_warnings(dataset, splits),
        problem=_problem(memory, disk, out),
    )


def make_offer(
    dataset: ImageDataset, recipe: Recipe, plan: Plan, source: str, name: str
) -> TrainingOffer:
    """The plan in the words and numbers that a person is shown."""
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    parts = part_sizes(plan.splits)
    owners = {owner for owner in dataset.owners or () if owner}
    return TrainingOffer(
        source=source,
        name=name,
        title=dataset.title,
        images=len(dataset),
        classes=tuple(zip(dataset.classes, counts, strict=True)),
        image_size=int(dataset.images.shape[1]),
        grey=dataset.images.ndim == 3,
        owners=None if dataset.owners is None else len(owners),
        skipped=dataset.skipped,
        parts={**parts, "unused": len(dataset) - sum(parts.values())},
        encoder=recipe.encoder.name,
        seconds=plan.seconds,
        memory_bytes=plan.memory_bytes,
        disk_bytes=plan.disk_bytes,
        warnings=plan.warnings,
        problem=plan.problem,
        stages=plan.stages,
    )


def part_sizes(splits: Splits) -> dict[str, int]:
    """How many images go where."""
    names = ("private", "test", "anchor", "calibration", "validation", "encoder")
    return {name: len(getattr(splits, name)) for name in names}


# -- time --------------------------------------------------------------------------------------


def _seconds_an_image(encoder: FrozenEncoder, dataset: ImageDataset) -> float:
    images = dataset.images[:_ENCODED]
    encoder.encode(images[:2])  # the first call also sets the library up
    return _timed(lambda: encoder.encode(images)) / len(images)


def _seconds_an_encoder_step(dataset: ImageDataset, recipe: Recipe, device: torch.device) -> float:
    """Of the encoder's own training; 0 for one that comes trained."""
    if recipe.encoder.name != "conv":
        return 0.0
    n = min(len(dataset), 2 * recipe.encoder.batch_size)
    config = replace(recipe.encoder, epochs=2)
    labels = torch.from_numpy(dataset.labels[:n])
    training = EncoderTraining(config, dataset.images[:n], labels, len(dataset.classes), device)
    *_, first, last = training.run()
    return (last.elapsed_seconds - first.elapsed_seconds) / max(1, n // config.batch_size)


def _seconds_a_step(
    dataset: ImageDataset,
    recipe: Recipe,
    encoder: FrozenEncoder,
    private: int,
    device: torch.device,
) -> float:
    """Of the joint training, with features drawn at random: their values cost nothing."""
    n = min(private, (_STEPS + 1) * recipe.train.batch_size)
    generator = torch.Generator().manual_seed(0)
    if recipe.model.tokens == "features":
        features = torch.randn(n, encoder.n_tokens, encoder.channels, generator=generator)
    else:
        features = torch.rand(n, 3, *dataset.images.shape[1:3], generator=generator)
    labels = torch.arange(n) % len(dataset.classes)
    neighbours = torch.arange(n)[:, None] if recipe.train.neighbour_rate else None
    data = TrainingData(features, labels, features, labels, len(dataset.classes), neighbours)
    config = replace(recipe.train, epochs=1 + (n <= recipe.train.batch_size))
    steps = list(JointTraining(recipe.model, config, data, device).run())
    if len(steps) == 1:
        return steps[0].elapsed_seconds
    return (steps[-1].elapsed_seconds - steps[0].elapsed_seconds) / (len(steps) - 1)


@torch.inference_mode()
def _seconds_a_pass(dataset: ImageDataset, recipe: Recipe, encoder: FrozenEncoder) -> float:
    """Of one image with one exemplar through the trained transformer, on the CPU."""
    if recipe.model.tokens != "features":
        return 0.0
    model = ExemplarTransformer(
        recipe.model, encoder.channels, encoder.n_tokens, len(dataset.classes)
    ).eval()
    features = torch.zeros(_PASSES, encoder.n_tokens, encoder.channels)
    tokens = torch.zeros(_PASSES, recipe.model.dim)
    return _timed(lambda: model(model.embed_image(features), tokens)) / _PASSES


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _stages(
    recipe: Recipe, splits: Splits, rates: dict[str, float], maps: bool, references: int | None
) -> tuple[Stages, int]:
    """The stages of the build and its reference models, by the names that they report."""
    n = {name: len(getattr(splits, name)) for name in part_sizes(splits)}
    tokens = n["private"] + n["calibration"]
    read = tokens + n["anchor"] + n["validation"] + n["test"]
    train, encoder = recipe.train, recipe.encoder
    encoder_steps = encoder.epochs * max(1, n["encoder"] // encoder.batch_size)
    training = rates["step"] * train.epochs * -(-tokens // train.batch_size)
    # Each image is asked about its K + 1 nearest and the anchor, for each of K = 4 and 8.
    passes = rates["pass"] * 10 * (n["private"] + n["test"] + n["calibration"] + n["validation"])
    stages = [
        ("encoder", rates["encoder step"] * encoder_steps + rates["image"] * n["anchor"]),
        ("encoding", rates["image"] * read),
        ("training", training),
        ("finishing", passes / 2 + 1.0),
        ("influence", passes / 2),
    ]
    if maps:
        stages += guessed_maps(n["private"])
    # A reference model is trained on half of the private and test images.
    one = training * (n["private"] + n["test"]) / 2 / max(1, tokens) + passes / 5
    chosen = _affordable(one, training) if references is None else references
    if chosen:
        # What a slow encoder made is kept; the small one encodes again.
        again = rates["image"] * (read - n["validation"]) if _conv(recipe) else 0.0
        stages.append((REFERENCES, 2 * chosen * one + again + training + passes))
    return tuple(stages), chosen


def _affordable(one: float, training: float) -> int:
    """Reference models of each family, an even number from 2 to 8. one: seconds of one."""
    budget = max(limits().reference_seconds, _REFERENCE_TRAININGS * training)
    pairs = int(budget / (4 * one)) if one > 0 else _MOST_REFERENCES
    return min(_MOST_REFERENCES, max(2, 2 * pairs))


# -- memory and disk ---------------------------------------------------------------------------


def _memory(dataset: ImageDataset, recipe: Recipe, splits: Splits, encoder: FrozenEncoder) -> int:
    """Most that the training holds at once, on the careful side."""
    read = sum(part_sizes(splits).values()) - len(splits.encoder)
    features = read * (encoder.n_tokens * encoder.channels + encoder.key_dim) * 4
    side = recipe.encoder.image_size
    # The widest maps of a batch of 256 that is encoded: what goes into a layer and what comes out.
    encoding = 256 * side**2 * 4 * (6 + 2 * (recipe.encoder.width if _conv(recipe) else 24))
    training = 0
    if _conv(recipe):
        kept = 40 * recipe.encoder.width  # numbers a pixel that the backward pass needs
        pixels = len(splits.encoder) * dataset.images[0].size * 12
        training = recipe.encoder.batch_size * side**2 * kept + pixels
    # The splits' images are copied for thumbnails; features are copied for the joint training.
    copies = 2 * dataset.images.nbytes + 3 * features
    return _BASE_BYTES + copies + max(encoding, training)


def _disk(dataset: ImageDataset, recipe: Recipe, splits: Splits) -> int:
    """The bundle with its images, the unfinished work, and the cache of reference models."""
    tokens = (len(splits.private) + len(splits.calibration)) * recipe.model.dim * 4
    weights = 40_000_000
    return int(dataset.images.nbytes) + 4 * tokens + weights


def _conv(recipe: Recipe) -> bool:
    return recipe.encoder.name == "conv"


def _problem(memory: int, disk: int, out: Path) -> str:
    free = free_memory()
    if free is not None and memory > free:
        return (
            f"the training needs about {readable_bytes(memory)} of memory and "
            f"{readable_bytes(free)} are free: use fewer images, or a recipe with a smaller "
            "image_size"
        )
    room = free_disk(out)
    if disk > room:
        return (
            f"the bundle and the work on it need about {readable_bytes(disk)} of disk and "
            f"{readable_bytes(room)} are free where {out.name} will lie"
        )
    return ""


# -- what will be poor, and why ----------------------------------------------------------------


def _warnings(dataset: ImageDataset, splits: Splits) -> tuple[str, ...]:
    return (
        *dataset.remarks,
        *_small_classes(dataset, splits),
        *_uneven(dataset),
        *_few_test_images(splits),
        *_owners(dataset, splits),
        *twin_warnings(dataset, splits),
        *_unlike_photographs(dataset),
    )


def _small_classes(dataset: ImageDataset, splits: Splits) -> Iterator[str]:
    for part, lack in (
        ("private", "with a key: nothing of it can be forgotten"),
        ("test", "to test with: nobody measures how well it is known"),
        ("anchor", "as public anchor: without its memories the model hardly knows it"),
    ):
        there = set(dataset.labels[getattr(splits, part)].tolist())
        missing = [name for label, name in enumerate(dataset.classes) if label not in there]
        if missing:
            yield f"{_named(missing)} no image {lack}."
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    few = [n for n, count in zip(dataset.classes, counts, strict=True) if 0 < count < _FEW]
    if few:
        yield f"{_named(few)} fewer than {_FEW} images: expect poor answers there."


def _named(classes: list[str]) -> str:
    shown = ", ".join(repr(name) for name in classes[:5])
    if len(classes) > 5:
        return f"{shown} and {len(classes) - 5:,} more classes have"
    return f"{'Class' if len(classes) == 1 else 'Classes'} {shown} " + (
        "has" if len(classes) == 1 else "have"
    )


def _uneven(dataset: ImageDataset) -> Iterator[str]:
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    largest, middle = int(counts.argmax()), float(np.median(counts))
    if counts[largest] > _LARGER * max(1.0, middle):
        yield (
            f"Class {dataset.classes[largest]!r} has {counts[largest]:,} images, the middle one "
            f"{middle:,.0f}: accuracy says mostly how well the large one is known."
        )


def _few_test_images(splits: Splits) -> Iterator[str]:
    if len(splits.test) < _FEW_TEST:
        yield (
            f"Only {len(splits.test)} test images: intervals will be wide, and the attacks' rate "
            "at 1% false alarms can't be told from so few."
        )


def _owners(dataset: ImageDataset, splits: Splits) -> Iterator[str]:
    outside = owned_outside(dataset, splits)
    if outside is not None and outside.public_images:
        yield (
            f"{outside.public_images:,} images of {outside.public_owners:,} owners are public, "
            f"where forgetting doesn't reach; {outside.divided_owners:,} of these owners have "
            "private images as well."
        )


def twin_warnings(dataset: ImageDataset, splits: Splits) -> Iterator[str]:
    """One sentence for each kind of identical images in two parts."""
    twins = twins_across_parts(dataset, splits)
    such = f" (such as {twins.example[0]} and {twins.example[1]})" if twins.example else ""
    for count, what, where, so in (
        (
            *(twins.public, "private", "in a public part"),
            "the model learns that one for good, and forgetting doesn't reach it",
        ),
        (
            *(twins.tested, "private", "among the test images"),
            "that one is not unknown, and attacks seem to find less than they do",
        ),
        (
            *(twins.learned, "test", "in a public part"),
            "the model has seen it, and accuracy seems better than it is",
        ),
    ):
        if count:
            yield f"{count:,} of the {what} images have an identical twin {where}{such}: {so}."
            such = ""


def _unlike_photographs(dataset: ImageDataset) -> Iterator[str]:
    if not is_photographic(dataset) and len(dataset) < 1000:
        yield (
            "The encoder is trained on a part of these images, and there are few: more would help "
            "more than with photographs."
        )
