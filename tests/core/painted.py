"""Folders of pictures painted from a seed: classes that can be told apart, as photographs can."""

import numpy as np
from PIL import Image


def picture(label, number, size=(92, 112), colour=False, seed=0):
    """One picture of a class: the class's own waves, each picture with its own light and shift."""
    kind = np.random.default_rng([seed, label])
    own = np.random.default_rng([seed, label, number])
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    x = x / width + own.normal(0, 0.02)
    y = y / height + own.normal(0, 0.02)
    layers = []
    for _ in range(3 if colour else 1):
        waves = sum(
            kind.normal() * np.cos(2 * np.pi * (kind.uniform(0, 3) * x + kind.uniform(0, 3) * y))
            for _ in range(4)
        )
        waves = waves + 0.3 * own.normal(size=(height, width)) + own.normal(0, 0.2)
        layers.append(128 + 45 * waves)
    values = np.stack(layers, axis=-1).clip(0, 255).astype(np.uint8)
    return Image.fromarray(values if colour else values[..., 0])


def paint_folder(folder, counts, size=(92, 112), colour=False, suffix="png", seed=0):
    """An ImageFolder with `counts[i]` pictures of class i; returns the folder."""
    for label, count in enumerate(counts):
        place = folder / f"kind-{label:02d}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            one = picture(label, number, size, colour, seed)
            one.save(place / f"{number:03d}.{suffix}")
    return folder


def break_files(folder):
    """Five files that are no pictures among those that are; returns their names."""
    place = folder / "kind-00"
    whole = next(iter(sorted(place.iterdir()))).read_bytes()
    (place / "truncated.jpg").write_bytes(whole[: len(whole) // 3])
    (place / "empty.jpg").write_bytes(b"")
    (place / "text.jpg").write_text("this is a letter, not a picture")
    (place / "sound.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    (place / "folder.jpg").mkdir()
    (place / "folder.jpg" / "page.html").write_text("<html></html>")
    return {f"kind-00/{name}" for name in ("truncated.jpg", "empty.jpg", "text.jpg", "sound.wav")}
