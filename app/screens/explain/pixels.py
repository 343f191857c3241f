"""Which pixels speak for a class, before and after deletion, and whether the method can tell."""

import time
from functools import partial

import numpy as np
import streamlit as st

from app.components.heatmap import Heatmap, colour_bar, common_scale, figure, heatmaps
from app.screens.explain.subject import Seen
from app.session import properties, state
from app.session.background import Background
from app.session.services import Session
from app.shared.sections import section
from app.shared.work import Work, work
from app.words.figures import number, times
from app.words.foreign import escaped
from app.words.glossary import plain, term
from app.words.theme import current_palette
from munkey_core.explain.pixels import PixelAttribution
from munkey_core.explain.randomisation import SanityCheck
from munkey_core.progress import Progress, Steps

Found = tuple[PixelAttribution, ...]

PIXELS, SANITY = "pixels", "sanity"
_LARGE, _SMALL = 252, 112  # sides of the pictures, in CSS pixels
_STAGES = {"before": "Looking with the whole memory", "after": "Looking after the deletion"}
_SANITY_STAGES = {"sanity check": "Destroying what the model has learned, part by part"}
# Where a rank correlation counts as "hardly any" or "much" likeness (ours: rules of thumb).
_UNLIKE, _ALIKE = 0.3, 0.6
_CLEARLY = 1.2  # One sum of magnitudes is worth a sentence when it is so many times the other.
_CANCELLED = 0.1  # Less than this of what the pixels move is left: a share of it says little.
_NOTHING = 0.01  # of the scale: a change that no eye can tell from none


def begin(session: Session, image: Seen, target: int) -> None:
    """Start to work on the maps, so that the rest of the page can be drawn meanwhile."""
    _asked(session, image, target).begun()


def pixels(session: Session, image: Seen, target: int) -> None:
    """The section of the page; :func:`begin` comes before it."""
    method = _method(session)
    section("Which pixels", "pixels")
    _controls(session)
    st.caption(f"{session.studio.explain.pixel_methods[method]} {term('retrieval-held-fixed')}.")
    found = _asked(session, image, target).result(_STAGES)
    if found is None:
        return
    for one in found:
        if one.generation != session.studio.memory.generation:
            st.warning("The memory has changed since: look again.")
            return
    _draw(image, found)
    # The check is about the session's memory.
    now = found[-1 if session.studio.memory.forgotten else 0]
    _sanity(session, image, method, target, now)


def _asked(session: Session, image: Seen, target: int) -> Work[Background[Found]]:
    method = _method(session)
    run = partial(_maps, session, image, method, target)
    return work(session, PIXELS, (image.name, method, target), lambda: Background(run, PIXELS))


def _method(session: Session) -> str:
    chosen: str = state.get("method")
    methods = session.studio.explain.pixel_methods
    return chosen if chosen in methods else next(iter(methods))


def _controls(session: Session) -> None:
    if state.hidden("settings"):
        return
    known = session.studio.explain.pixel_methods
    methods = {name: words for name, words in properties.PIXEL_METHODS.items() if name in known}
    with st.container(horizontal=True, gap="medium", key="explain-method"):
        st.segmented_control("Method", width="content", **state.choice("method", methods))
        st.slider("Opacity of the colours (%)", 0, 100, width=230, **state.widget("opacity"))


def _maps(session: Session, image: Seen, method: str, target: int) -> Steps[Found]:
    """Yield progress; return the attribution of each state of the memory."""
    begun, found = time.perf_counter(), []
    for i, when in enumerate(image.states):
        yield Progress(when.kind, i, len(image.states), time.perf_counter() - begun)
        explain = session.studio.explain
        found.append(explain.pixels(image.subject, method, target, when.without))
    return tuple(found)


# -- the pictures --------------------------------------------------------------------------------


def _draw(image: Seen, found: Found) -> None:
    palette, signed = current_palette(), found[0].signed
    scale = common_scale([one.values for one in found])
    maps = [
        Heatmap(when.title, one.values, when.kind, under(one))
        for when, one in zip(image.states, found, strict=True)
    ]
    if signed and len(found) > 1:
        change = found[1].values - found[0].values
        same = not np.abs(change).max() > _NOTHING * scale
        words = "no pixel changes" if same else "magenta: speaks more for it after than before"
        maps.append(Heatmap("Difference: after − before", change, "", words))
    if len(found) > 1:
        st.markdown(strength(found[0], found[1]))
    size = state.scaled(_LARGE)
    opacity = state.get("opacity")
    st.html(heatmaps(image.picture, maps, scale, signed, opacity, palette, size))
    st.html(colour_bar(scale, signed, palette))
    st.caption(facts(found))


def strength(before: PixelAttribution, after: PixelAttribution) -> str:
    """How much the pixels matter in all, after and before, in a sentence."""
    first, last = (float(np.abs(one.values).sum()) for one in (before, after))
    if min(first, last) <= 0 or max(first, last) < _CLEARLY * min(first, last):
        return "The pixels matter **about as much** after the deletion as before."
    if last > first:
        return (
            f"After the deletion the pixels matter **{times(last / first)} times as much** as "
            "before: as long as the memory answers, the model needs to look less."
        )
    return (
        f"Before the deletion the pixels matter **{times(first / last)} times as much** as after."
    )


def under(found: PixelAttribution) -> str:
    """What is explained in one state, as a figure."""
    said = f"output {figure(found.output)}"
    if found.baseline_output is not None:
        said += f"; of an empty picture {figure(found.baseline_output)}"
    return said


def facts(found: Found) -> str:
    """Unit, scale and convergence of what is drawn, as Markdown."""
    lines = [
        f"**Unit:** {escaped(found[0].output_unit)}. **Scale:** the same for every picture "
        "here; the strongest 1 % of the pixels all have the colour of its end."
    ]
    errors = [convergence(one) for one in found]
    if None in errors:
        lines.append("This method does not promise that the pixels add up to anything.")
    elif len(errors) == 1:
        lines.append(f"**{term('convergence-error')}:** {errors[0]}.")
    else:
        lines.append(f"**{term('convergence-error')}:** before, {errors[0]}; after, {errors[1]}.")
    return " ".join(lines)


def convergence(found: PixelAttribution) -> str | None:
    """The convergence error in words; None without a promise that the pixels add up."""
    if found.delta is None:
        return None
    error, moved = abs(found.delta), float(np.abs(found.values).sum())
    said = f"the pixels' sum is off by {figure(error) if error >= 0.001 else 'less than 0.001'}"
    share = found.relative_delta
    if share is not None and error >= share * _CANCELLED * moved:
        return f"{said} ({_percent(share)} of the difference from an empty picture)"
    return f"{said} ({_percent(error / moved if moved else 0.0)} of what the pixels move in all)"


def _percent(share: float) -> str:
    return "<0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


# -- the sanity check ----------------------------------------------------------------------------


def _sanity(session: Session, image: Seen, method: str, target: int, now: PixelAttribution) -> None:
    explain, key = session.studio.explain, (image.name, method, target)
    asked = work(
        session,
        SANITY,
        key,
        lambda: Background(lambda: explain.sanity_check(image.subject, method, target), SANITY),
    )
    if asked.job is None:
        st.button(
            "Check this method (sanity check)",
            icon=":material/science:",
            on_click=asked.start,
            key="sanity",
            help=f"{plain('sanity-check')} Takes some seconds.",
        )
        return
    with st.container(border=True, key="sanity-check"):
        section("Does this method look at what the model has learned?", "sanity")
        found = asked.result(_SANITY_STAGES)
        if found is not None:
            _stages(image, found, now)


def _stages(image: Seen, found: SanityCheck, now: PixelAttribution) -> None:
    st.html(f'<div class="mk mk-plainly">{verdict(found)}</div>')
    palette, opacity = current_palette(), state.get("opacity")
    pictures = [Heatmap("As trained", now.values, "", "likeness 1")]
    for stage in found.stages:
        likeness = f"likeness {number(stage.rank_correlation)}"
        pictures.append(Heatmap(f"Random: {stage.randomised}", stage.values, "", likeness))
    # Random weights give other magnitudes, so each map has a scale of its own here.
    signed, size = now.signed, state.scaled(_SMALL)
    maps = (
        heatmaps(image.picture, [one], common_scale([one.values]), signed, opacity, palette, size)
        for one in pictures
    )
    st.html(f'<div class="mk-check">{"".join(maps)}</div>')
    st.caption(
        f"Likeness: 1 the same order, 0 none in common. Below {_UNLIKE} we call it small, above "
        f"{_ALIKE} large; the bounds are ours. Adebayo et al. 2018, cascading randomisation."
    )


def verdict(found: SanityCheck) -> str:
    """What the check says of the method on this image, and no more than that."""
    last = found.stages[-1].rank_correlation
    value = f"likeness <b>{number(last)}</b>"
    if abs(last) < _UNLIKE:
        return (
            f"With all weights random, little of the map is left ({value}): on this image the "
            "method depends on what the model has learned. That does not prove the map right; it "
            "only rules out that it shows the picture alone."
        )
    if abs(last) <= _ALIKE:
        return (
            f"With all weights random, the map still resembles the first one in part ({value}): "
            "some of what it shows comes from the picture, not from what the model has learned. "
            "Read it with care."
        )
    return (
        f"With all weights random, the map looks much the same ({value}): on this image the "
        "method shows the picture more than the model. Don't take it for an explanation."
    )
