"""Where a job in the background stands, in words."""

from app.words.foreign import escaped
from app.words.phrases import count, duration
from munkey_core.jobs.queue import JobStatus

# Kinds of jobs about a model that is there.
RETRAIN = "retrain"
COMPARE = "compare"
PROJECT = "project"
MEASURE = "measure"
# Of a model that is yet to be.
TRAIN = "train"
_STAGES = {
    "starting": "Starting",
    "reading": "Reading the images",
    "planning": "Timing a few steps",
    "encoder": "Training the encoder",
    "encoding": "Encoding all images",
    "training": "Training",
    "finishing": "Measuring what it knows by heart",
    "influence": "Measuring what each image does for others",
    "references": "Training models to attack it with",
    "predicting": "Asking the retrained model",
    "neighbours of keys": "Finding each key's neighbours",
    "preparing map of keys": "Preparing the map of keys",
    "map of keys": "Laying out the map of keys",
    "neighbours of tokens": "Finding each token's neighbours",
    "preparing map of tokens": "Preparing the map of tokens",
    "map of tokens": "Laying out the map of tokens",
}


def stage_words(stage: str) -> str:
    """What a stage of a job does (plain text, foreign if nobody has given it a name)."""
    return _STAGES.get(stage, stage)


def where(status: JobStatus) -> str:
    """Stage and time left of a job, or what it waits for, as Markdown."""
    if status.state == "queued":
        return f"Waiting for {count(status.ahead, 'other job')} to end"
    progress = status.progress
    if progress is None:
        return "Starting"
    stage = stage_words(progress.stage)
    text = escaped(stage[:1].upper() + stage[1:])
    if progress.remaining_seconds is None:
        return f"{text}, for {duration(progress.elapsed_seconds)} so far"
    return f"{text}, about {duration(progress.remaining_seconds)} left"
