"""A job: what is to be done, and the command of `munkey` that does it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from munkey_core.bundle.bundle import Bundle
from munkey_core.errors import BadInputError, BundleError
from munkey_core.explain.map import maps_of
from munkey_core.explain.projection import SEED
from munkey_core.training.retraining import MUNKEY
from munkey_core.training.runs import runs_folder

Kind = Literal["retrain", "compare", "project", "measure", "train"]


RETRAIN: Kind = "retrain"
COMPARE: Kind = "compare"
PROJECT: Kind = "project"
MEASURE: Kind = "measure"
TRAIN: Kind = "train"
KINDS: tuple[Kind, ...] = (RETRAIN, COMPARE, PROJECT, MEASURE)  # about a bundle that is there


@dataclass(frozen=True)
class Job:
    """What is to be done; equal jobs are one, whoever asks.

    folder: of the bundle. results: the folder of the cache that its result will lie in, named by
    what the result depends on; where the bundle is made, for a job that makes it. ids: sorted; none
    for a job that is about the whole memory. source: of the images that a bundle is made of; a
    bundle's folder alone says which job makes it. mode: of the bundle, "joint" or "exact".
    """

    kind: Kind
    folder: Path
    results: Path
    ids: tuple[str, ...]
    seed: int
    source: str = field(default="", compare=False)
    mode: str = ""


def training_job(source: str, folder: Path) -> Job:
    """The job that makes the bundle `folder` of a person's own images."""
    return Job(TRAIN, folder, making_folder(folder), (), 0, source)


def making_folder(folder: Path) -> Path:
    """Where a bundle is made before it appears as a whole: beside its place, found by no list."""
    return folder.with_name(folder.name + ".making")


def make_job(kind: str, bundle: Bundle, ids: Sequence[str]) -> Job:
    """Raises BundleError if this bundle doesn't have what the job needs, BadInputError for another
    kind or a set that it can't be done with, UnknownIdError."""
    if kind not in KINDS:
        raise BadInputError(f"a job must be one of {', '.join(KINDS)}, got {kind!r}")
    if bundle.folder is None:
        raise BundleError(f"a {kind} job needs a bundle on disk, and this one is only in memory")
    folder = bundle.folder.resolve()
    if kind in (PROJECT, MEASURE) and ids:
        raise BadInputError(f"a {kind} job is about the whole memory, got {len(ids):,} ids")
    if kind == MEASURE:
        bundle.require_pictures("measuring again needs the images")
        return Job(kind, folder, runs_folder(bundle), (), 0)
    if kind == PROJECT:
        return Job(kind, folder, maps_of(bundle.bank).folder(), (), SEED, mode=bundle.mode)
    seed = bundle.manifest.training["seed"]
    left_out = _left_out(bundle, ids)
    return Job(kind, folder, runs_folder(bundle), left_out, seed, mode=bundle.mode)


def _left_out(bundle: Bundle, ids: Sequence[str]) -> tuple[str, ...]:
    """Checked ids for a job that retrains without them."""
    bundle.require_pictures("retraining needs the images")
    bundle.bank.rows(ids)
    wanted = tuple(sorted(set(ids)))
    if not 0 < len(wanted) < len(bundle.bank):
        raise BadInputError(
            "retraining needs at least one image to leave out and one to keep, got "
            f"{len(wanted):,} of {len(bundle.bank):,} to leave out"
        )
    return wanted


def job_command(job: Job, ids: Path) -> list[str]:
    """The command that does a job. ids: a CSV file of its ids."""
    munkey = [sys.executable, "-P", "-m", "munkey_core.cli"]
    if job.kind == TRAIN:
        return [*munkey, "train", "--data", job.source, "--out", str(job.folder), "--json"]
    if job.kind == PROJECT:
        named = ["--seed", str(job.seed), "--mode", job.mode, "--json"]
        return [*munkey, "project", str(job.folder), *named]
    if job.kind == MEASURE:
        return [*munkey, "measure-again", str(job.folder), "--json"]
    if job.kind == COMPARE:
        named = ["--forget", f"@{ids}", "--mode", job.mode, "--json"]
        return [*munkey, "compare", str(job.folder), *named]
    which = ["--family", MUNKEY, "--seed", str(job.seed)]
    return [*munkey, "retrain", str(job.folder), "--without", f"@{ids}", *which, "--json"]
