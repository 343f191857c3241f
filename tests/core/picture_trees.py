"""Tiny data in the layouts that pictures come in, and a bundle that was made of them without any
picture inside."""

import dataclasses
import io

import numpy as np
import tiny
from PIL import Image

from munkey_core.bundle.write import write_bundle
from munkey_core.data import cifar10

SIDE = 32
PRIVATE = 12  # of `tiny.random_bundle`; its other images are test images, anchors and calibration


def photographs(n, seed=0):
    """uint8 (n, 32, 32, 3): blocks of colour, which survive JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((1, 4, 4, 1), np.uint8))


def encoded_file(image, format="PNG"):
    out = io.BytesIO()
    Image.fromarray(image).save(out, format, **({"quality": 80} if format == "JPEG" else {}))
    return out.getvalue()


def cifar_names(n):
    """(id, path) of n images in CIFAR-10's layout, classes and parts mixed."""
    names = []
    for i in range(n):
        part, kind = ("train", "test")[i % 5 == 4], cifar10.CLASSES[i % 10]
        names.append((f"{part}-{kind}-{i:04d}", f"{part}/{kind}/{i:04d}.jpg"))
    return names


def write_tree(folder, names, images, format="PNG"):
    """One file an image; the content may be PNG whatever the name says."""
    for (_, path), image in zip(names, images, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encoded_file(image, format))
    return folder


def bundle_of(ids, images, dataset="cifar10", title="CIFAR-10", grey=False):
    """A random model whose keys are those of these images; it carries none of them."""
    whole = tiny.random_bundle(thumbnails=False)
    assert len(whole.records) == len(ids)
    keys = whole.encoder.encode(images).keys
    manifest = dataclasses.replace(
        whole.manifest,
        dataset={
            **whole.manifest.dataset,
            "name": dataset,
            "title": title,
            "image_size": images.shape[1],
            "grey": grey,
        },
    )
    records = tuple(
        dataclasses.replace(record, id=id_) for record, id_ in zip(whole.records, ids, strict=True)
    )
    n_test = len(whole.test_keys)
    bank = type(whole.bank)(ids[:PRIVATE], keys[:PRIVATE].clone(), whole.bank.tokens)
    return dataclasses.replace(
        whole,
        manifest=manifest,
        records=records,
        bank=bank,
        test_keys=keys[PRIVATE : PRIVATE + n_test].clone(),
    )


def cifar_bundle(folder, n=27):
    """Writes the bundle `folder`; returns the (id, path) and the images it was made of."""
    names, images = cifar_names(n), photographs(n)
    write_bundle(bundle_of([id_ for id_, _ in names], images), folder)
    return names, images
