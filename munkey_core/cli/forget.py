"""`munkey forget`: a deletion that is told and not kept."""

from dataclasses import asdict
from typing import Annotated

from typer import Argument

from munkey_core.cli.base import answer, command, session, watch
from munkey_core.cli.options import IDS_HELP, BundleName, Images, Json
from munkey_core.cli.twins import twin_lines
from munkey_core.files.in_words import counted

_SHOWN = 20  # images, those that changed most


@command("munkey forget fashion train-14265", "munkey forget fashion random-1pct")
def forget(
    bundle: BundleName,
    ids: Annotated[str, Argument(metavar="IDS", help=IDS_HELP)],
    images: Images = None,
    as_json: Json = False,
) -> int:
    """Tell what would change without some keys; writes nothing."""
    studio = session(bundle)
    deletion = studio.forget(studio.memory.select(ids))
    changes = studio.changes(deletion)
    effects = watch(studio.side_effects(deletion))
    near = studio.memory.near_duplicates(deletion.ids)
    twins = studio.memory.twins_outside(deletion.ids)
    flipped = [change for change in changes if change.flipped]
    names = studio.about.classes
    document = {
        "bundle": studio.about.name,
        "n_forget": len(deletion.ids),
        "milliseconds": deletion.milliseconds,
        "keys_left": deletion.remaining,
        "changed": {
            "forget": len(flipped),
            "retain": len(effects.retain),
            "retain_of": effects.retain_checked,
            "test": len(effects.test),
            "test_of": effects.test_checked,
        },
        "near_duplicates_that_stay": [
            {"id": p.id, "other": p.other, "similarity": round(p.similarity, 6)} for p in near
        ],
        "twins_without_a_key": [asdict(twin) for twin in twins],
        "images": [
            {
                "id": change.id,
                "label": names[change.label],
                "before": names[int(change.before.argmax())],
                "after": names[int(change.after.argmax())],
                "truth_before": round(float(change.before[change.label]), 6),
                "truth_after": round(float(change.after[change.label]), 6),
                "neighbours_after": list(change.neighbours_after),
            }
            for change in changes
        ],
        "written": False,
    }
    copies = len({pair.other for pair in near})
    lines = [
        f"{counted(len(deletion.ids), 'key')} deleted in {deletion.milliseconds:.2f} ms, "
        f"{deletion.remaining:,} left; nothing was written",
        f"predictions that changed: {len(flipped)} of {len(changes)} forgotten images, "
        f"{len(effects.retain)} of {effects.retain_checked:,} retain, "
        f"{len(effects.test)} of {effects.test_checked:,} test",
        f"{counted(copies, 'near-duplicate')} of them {'stays' if copies == 1 else 'stay'} in the "
        "memory",
        *twin_lines(twins),
        "exact mode: what is left is what there would be had they never been written"
        if studio.about.mode == "exact"
        else "the shared weights stay as they are: this is not exact unlearning",
    ]
    lines += [
        f"  {c.id} ({names[c.label]}): {names[int(c.before.argmax())]} {c.before[c.label]:.0%}"
        f" -> {names[int(c.after.argmax())]} {c.after[c.label]:.0%} for the true class"
        for c in sorted(changes, key=lambda change: change.shift)[:_SHOWN]
    ]
    return answer(as_json, document, lines)
