"""From a lesson's image rules to ids of the bundle at hand."""

import random

from app.lessons.lesson import Images, Lesson, LessonError
from munkey_core.errors import BadInputError, UnknownIdError
from munkey_core.results import Browse
from munkey_core.studio import Studio


def find_images(lesson: Lesson, studio: Studio, seed: int) -> dict[str, tuple[str, ...]]:
    """Name → ids, in the order of the file. studio: a session with all keys. seed: of rules that
    draw at random. Raises LessonError where the bundle has no such image."""
    found: dict[str, tuple[str, ...]] = {}
    for images in lesson.images.values():
        try:
            ids = _find(images, studio, seed, found)
        except (BadInputError, UnknownIdError) as error:
            raise LessonError(lesson.file, images.line, str(error)) from None
        if not ids:
            said = f"images “{images.name}”: no image of {studio.about.name} fits"
            raise LessonError(lesson.file, images.line, said)
        found[images.name] = ids
    return found


def _find(
    images: Images, studio: Studio, seed: int, found: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    if images.rule == "ids":
        ids = tuple(dict.fromkeys(images.of.split()))
        for id_ in ids:
            if not studio.memory.can_ask(id_):
                raise UnknownIdError(f"no training or test image has the id “{id_}”")
        return ids
    if images.rule == "near":
        near = (pair.other for pair in studio.memory.near_duplicates(found[images.of]))
        return tuple(dict.fromkeys(near))
    if images.rule == "set":
        sets = studio.memory.canonical_sets()
        if images.of not in sets:
            raise BadInputError(f"no forget set “{images.of}”; there are {', '.join(sets)}")
        return sets[images.of]
    if images.rule == "test":
        classes, memory = _classes(images.label, studio), studio.memory
        fits = [i for i in memory.test_ids() if not classes or memory.record(i).label in classes]
        return tuple(random.Random(seed).sample(fits, min(images.count, len(fits))))
    if images.rule == "owner" and images.of not in studio.memory.owners:
        raise BadInputError(f"nobody called “{images.of}” owns an image")
    return _browse(images, studio, seed)


def _browse(images: Images, studio: Studio, seed: int) -> tuple[str, ...]:
    classes = _classes(images.label, studio)
    if images.rule == "owner":
        return studio.browse(Browse(classes=classes, owner=images.of))
    if images.rule == "random":
        return studio.browse(
            Browse(classes=classes, order="random", sample=images.count, seed=seed)
        )
    ranked = studio.browse(Browse(classes=classes, order=images.of))
    return ranked[images.skip : images.skip + images.count]


def _classes(label: str, studio: Studio) -> tuple[int, ...]:
    if not label:
        return ()
    names = studio.about.classes
    if label not in names:
        raise BadInputError(f"no class “{label}”; there are {', '.join(names)}")
    return (names.index(label),)
