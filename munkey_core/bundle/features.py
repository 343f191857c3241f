"""What a slow encoder made of a bundle's images, kept in the cache: one file a split.

A pretrained encoder takes minutes for the images of a whole bundle on a CPU, and every retraining
reads them all. Like the images themselves this is data of the people in them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from munkey_core.files.durable import OWNER_ONLY, write_whole
from munkey_core.files.limits import demo
from munkey_core.model.encoder import Encoded, FrozenEncoder
from munkey_core.progress import Pace, Steps

_BLOCK = 512


class KeptFeatures:
    """Encoded images of one bundle by id; several sessions share one.

    folder: of the cache, named by encoder and images; it need not be there. ids: those of each
    split, in bundle order. Files are read when they are first asked for, by mapping them into
    memory; one that is damaged or doesn't fit counts as none.
    """

    def __init__(
        self, folder: Path, ids: Mapping[str, Sequence[str]], encoder: FrozenEncoder
    ) -> None:
        self.folder = folder
        self._ids = {split: tuple(members) for split, members in ids.items() if members}
        self._shapes = ((encoder.key_dim,), (encoder.n_tokens, encoder.channels))
        self._read: dict[str, Encoded] = {}
        self._place = {
            id_: (split, row)
            for split, members in self._ids.items()
            for row, id_ in enumerate(members)
        }

    def of(self, ids: Sequence[str]) -> Encoded | None:
        """Images by id, in that order; None if one of them isn't kept, or there are none."""
        if not ids or any(id_ not in self._place for id_ in ids):
            return None
        places = [self._place[id_] for id_ in ids]
        splits: dict[str, Encoded] = {}
        for split in {split for split, _ in places}:
            part = self._split(split)
            if part is None:
                return None
            splits[split] = part
        if len(splits) == 1:
            return next(iter(splits.values()))[torch.tensor([row for _, row in places])]
        return Encoded(
            torch.stack([splits[split].keys[row] for split, row in places]),
            torch.stack([splits[split].features[row] for split, row in places]),
        )

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """Ids of each split that is not kept."""
        return {split: ids for split, ids in self._ids.items() if self._split(split) is None}

    def prepare(self, encode: Callable[[Sequence[str]], Encoded]) -> Steps[None]:
        """Keep all that is missing, made by `encode`; yields progress, nothing if there is nothing
        to do. A split is kept whole or not at all."""
        todo = self.missing
        pace, done = Pace("encoding", sum(map(len, todo.values()))), 0
        for split, ids in todo.items():
            parts = []
            for first in range(0, len(ids), _BLOCK):
                parts.append(encode(ids[first : first + _BLOCK]))
                done += len(parts[-1])
                yield pace.at(done)
            self._keep(split, parts)

    def keep(self, encoded: Mapping[str, Encoded]) -> None:
        """Keep whole splits that somebody has encoded already, in bundle order."""
        for split, images in encoded.items():
            if len(images):
                self._keep(split, [images])

    def _keep(self, split: str, parts: Sequence[Encoded]) -> None:
        if demo():  # no visitor of a demonstration makes a file
            return
        keys = torch.cat([part.keys for part in parts])
        features = torch.cat([part.features for part in parts])
        data = save({"keys": keys.contiguous(), "features": features.contiguous()})
        write_whole(self._path(split), data, OWNER_ONLY)

    def _path(self, split: str) -> Path:
        return self.folder / f"{split}.safetensors"

    def _split(self, split: str) -> Encoded | None:
        if split in self._read:
            return self._read[split]
        try:
            stored = load_file(self._path(split)) if self._path(split).is_file() else {}
        except (SafetensorError, OSError):
            return None
        n = len(self._ids[split])
        wanted = dict(zip(("keys", "features"), ((n, *s) for s in self._shapes), strict=True))
        if {name: tuple(tensor.shape) for name, tensor in stored.items()} != wanted:
            return None
        self._read[split] = Encoded(stored["keys"], stored["features"])
        return self._read[split]
