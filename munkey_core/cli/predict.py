"""`munkey predict`: what images show, and who answers for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from munkey_core.cli.base import answer, command, session
from munkey_core.cli.options import IDS_HELP, BundleName, Images, Json
from munkey_core.errors import BadInputError

if TYPE_CHECKING:
    from munkey_core.studio import Studio


@command(
    "munkey predict fashion test-00007",
    "munkey predict fashion photo.png --without owner:customer-0001",
)
def predict(
    bundle: BundleName,
    asked: Annotated[list[str], Argument(metavar="IMAGE", help="an id or an image file")],
    without: Annotated[
        str | None, Option(metavar="IDS", help="with these deleted: " + IDS_HELP)
    ] = None,
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Tell what images show, with all keys or without some."""
    studio = session(bundle)
    if without:
        studio.forget(studio.memory.select(without))
    found = [_predict_one(studio, image) for image in asked]
    return answer(
        as_json,
        {"bundle": studio.about.name, "generation": studio.memory.generation, "images": found},
        [
            f"{r['image']}: {r['class']} ({r['probabilities'][r['class']]:.1%}); "
            f"answered by {', '.join(n['id'] for n in r['neighbours'])}"
            for r in found
        ],
    )


def _predict_one(studio: Studio, image: str) -> dict[str, Any]:
    from munkey_core.files.untrusted import shown

    about, id_ = studio.about, studio.memory.image_id(image)
    is_file = id_ != image and _is_file(image)  # a file that is here is meant before one of old
    known = studio.memory.can_ask(id_) and not is_file
    if not known and not _is_file(image):
        raise BadInputError(f"{shown(image)} is neither an id of bundle {about.name} nor a file")
    if known:
        prediction = studio.predict([id_])
    else:
        prediction = studio.predict_images(studio.pictures.read(Path(image)))
    probabilities = prediction.probabilities[0]
    result = {
        "image": image,
        "class": about.classes[int(prediction.classes[0])],
        "probabilities": {
            name: round(float(p), 6) for name, p in zip(about.classes, probabilities, strict=True)
        },
        "neighbours": [
            {"id": id_, "similarity": round(float(s), 6), "weight": round(float(w), 6)}
            for id_, s, w in zip(
                prediction.retrieval.ids[0],
                prediction.retrieval.similarity[0],
                prediction.exemplar_weights[0],
                strict=False,  # the weights' last column is the null anchor's
            )
        ],
    }
    if known:
        result["label"] = about.classes[studio.memory.record(id_).label]
    return result


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null byte in it
        return False
