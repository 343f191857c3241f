"""Forget one image and undo it, in twenty lines over Studio.

Run it with `python tutorials/forget_one_image.py [BUNDLE]`.
"""

import sys

from munkey_core.studio import Studio
from munkey_core.types import Browse

studio = Studio.open(sys.argv[1] if len(sys.argv) > 1 else "fashion")
image = studio.browse(Browse(order="memorised"))[0]
truth = studio.record(image).label
print(f"{image} shows: {studio.classes[truth]}")


def tell(moment: str) -> None:
    prediction = studio.predict([image])
    said = studio.classes[int(prediction.classes[0])]
    nearest = ", ".join(prediction.retrieval.ids[0])
    print(f"{moment}: {said}; true class {prediction.probabilities[0, truth]:.0%}; asked {nearest}")


tell("with its key")
deletion = studio.forget([image])
print(f"key deleted in {deletion.milliseconds:.3f} ms, {deletion.remaining:,} keys left")
tell("without it")
studio.undo()
tell("restored")
