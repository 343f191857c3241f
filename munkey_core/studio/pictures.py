"""The images of a bundle, and a person's own in its format."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from munkey_core.bundle.manifest import picture_source
from munkey_core.data.images import decode_image, encode_png
from munkey_core.data.pictures import PictureStatus
from munkey_core.data.places import PictureSource
from munkey_core.files import limits
from munkey_core.progress import Steps
from munkey_core.results import ImageArray
from munkey_core.studio.shared import SharedModel

# A border brighter than this, on a data set photographed on black, means "drawn on white".
_BRIGHT_BORDER = 0.5


class BundlePictures:
    """The images themselves: carried by the bundle, or found elsewhere on this machine and then
    used by all sessions."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared

    @property
    def status(self) -> PictureStatus:
        """Whether this bundle's images are at hand, as far as is known; never waits."""
        return self._shared.bundle.picture_status

    @property
    def source(self) -> PictureSource:
        """Which images this bundle was made of."""
        return picture_source(self._shared.about.name, self._shared.bundle.manifest)

    def find(self) -> PictureStatus:
        """Look for the images of a bundle that carries none, and check that they are its own. What
        was tried some seconds ago is not tried again."""
        elsewhere = self._shared.bundle.elsewhere
        return elsewhere.search() if elsewhere is not None else self.status

    def prepare_features(self) -> Steps[None]:
        """Encode every image once, for bundles whose encoder takes minutes for that, and keep the
        result in the cache; yields progress. Raises BundleError without pictures."""
        return self._shared.bundle.prepare_features()

    def png(self, id_: str) -> bytes:
        """An image of the bundle as a PNG file. Raises UnknownIdError, or BundleError if the
        bundle carries no images."""
        self._shared.record(id_)
        return self._shared.bundle.pictures.png(id_)

    def pixels(self, ids: Sequence[str]) -> ImageArray:
        """uint8 (n, H, W) or (n, H, W, 3)."""
        return self._shared.bundle.pictures.array(ids)

    def read(self, source: bytes | Path, invert: bool | None = None) -> ImageArray:
        """Decode a person's own image into this bundle's format: uint8 (1, S, S, 3).

        invert: swap light and dark; None inverts where the data set's images lie on black and
        this one's border is bright. Raises BadInputError for anything that is no image or larger
        than the limits, ReadOnlyError in a demonstration.
        """
        limits.refuse_in_demo("using a picture of your own")
        dataset = self._shared.bundle.manifest.dataset
        pixels = decode_image(source, int(dataset["image_size"]), grey=bool(dataset["grey"]))
        if invert is None:
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            invert = bool(dataset.get("dark_background")) and border.mean() / 255 > _BRIGHT_BORDER
        return (255 - pixels if invert else pixels)[None]

    as_png = staticmethod(encode_png)
