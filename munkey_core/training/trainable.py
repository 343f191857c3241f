"""What would be refused only once everything is trained, tried before."""

import torch
from torch import Tensor

from munkey_core.bundle.manifest import check_dataset
from munkey_core.data.base import ImageDataset, all_alike
from munkey_core.data.splits import Splits
from munkey_core.errors import DataError, TrainingError

_UNIT_TOLERANCE = 1e-3


def check_trainable(dataset: ImageDataset, splits: Splits, name: str) -> None:
    """Raises DataError for images of which no bundle could be written. name: of the bundle."""
    check_dataset(dataset, name)
    if all_alike(dataset.images, range(len(dataset))):
        raise DataError(
            f"{dataset.title}: all {len(dataset):,} pictures are the same, pixel for pixel: wanted "
            "different ones"
        )
    # Keys are what an image's features differ by from the mean of these.
    public = splits.anchor if len(splits.anchor) else splits.encoder
    if len(public) and all_alike(dataset.images, public.tolist()):
        raise DataError(
            f"{dataset.title}: the {len(public):,} public pictures that keys are compared with are "
            "all the same, pixel for pixel: wanted different ones"
        )


def check_keys(keys: Tensor, part: str) -> None:
    """Raises TrainingError for keys (n, d) that are not of unit length, before anything is trained
    on them: the encoder found nothing in these images that tells them from the mean."""
    lengths = torch.linalg.vector_norm(keys, dim=1)
    odd = int(((lengths - 1).abs() > _UNIT_TOLERANCE).sum() + lengths.isnan().sum())
    if odd:
        raise TrainingError(
            f"the encoder finds nothing in {odd:,} of {len(keys):,} {part} pictures that tells "
            "them from the average one: leave out those that show nothing, such as all-black ones"
        )
