"""Image or memory, who is right: the accuracy of each pathway on four groups of images."""

from math import hypot

import streamlit as st

from app.components.pathway_chart import GROUPS, PATHWAYS, pathway_chart
from app.session.background import Background
from app.session.services import Session
from app.shared.forget_set import choose
from app.shared.sections import draw, section
from app.shared.work import work
from app.words.figures import interval, number
from app.words.glossary import term
from app.words.theme import current_palette
from munkey_core.explain.pathways import PathwayAccuracy, PathwayReport

MEASURED = "pathways"
_STAGES = {
    "test": "Asking about test images",
    "retain": "Asking about images that stay",
    "forget before": "Asking about the images to forget, with their keys",
    "forget after": "Asking about the images to forget, without their keys",
}
Bounds = tuple[float, float]


def pathways(session: Session) -> None:
    """The section of the page: the forget set, the measurement, the chart and its sentence."""
    section("Image or memory: who is right?", "pathways")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        subject = choose(session)
    if subject is None:
        return
    ids, explain = subject.ids, session.studio.explain
    asked = work(
        session, MEASURED, ids, lambda: Background(lambda: explain.pathways(ids), MEASURED)
    )
    if asked.job is None:
        with right:
            st.button(
                "Measure both pathways",
                icon=":material/play_arrow:",
                on_click=asked.start,
                key="measure-pathways",
                help="Asks the model about some thousand images, once with the memory, once "
                "without it, once without the image. Takes about half a minute.",
            )
        st.caption(
            "The answer has two sources: the image itself "
            f"({term('image-pathway', 'image pathway')}) and what the memory holds "
            f"({term('memory-pathway', 'memory pathway')}). Measured alone, each shows what it "
            "knows."
        )
        return
    report = asked.result(_STAGES)
    if report is not None:
        _report(session, report)


def _report(session: Session, report: PathwayReport) -> None:
    about = session.studio.about
    st.html(f'<div class="mk mk-plainly">{sentence(report, about.mode == "exact")}</div>')
    guessing = 100 / len(about.classes)
    figure = pathway_chart(report.figures, current_palette(), guessing)
    draw(figure, "pathway-chart", in_words(report))
    st.caption(
        f"Dot and line: the share of images put into the right class, with its {term('interval')}. "
        f"Hollow: before the deletion. Dotted: guessing.{_sampled(report)}"
    )


def in_words(report: PathwayReport) -> str:
    """What the chart shows, for whoever can't see it."""
    lines = [
        f"{title}: "
        + ", ".join(
            f"{name} {number(report.figures[group][pathway].accuracy)} %"
            for group, name in GROUPS.items()
            if group in report.figures
        )
        for pathway, title in PATHWAYS.items()
    ]
    return f"Images put into the right class. {'; '.join(lines)}."


def _sampled(report: PathwayReport) -> str:
    some = [found["full"] for found in report.figures.values()]
    if all(found.n == found.of for found in some):
        return ""
    most = max(found.n for found in some)
    return f" Of larger groups {most:,} images are drawn at random (seed 0)."


def sentence(report: PathwayReport, exact: bool = False) -> str:
    """What the chart says, as HTML; the leak with its interval where it can be measured. exact: in
    an exact mode, whose network never saw these images."""
    figures = report.figures
    before, after, test = (figures.get(name) for name in ("forget before", "forget after", "test"))
    said = ""
    if before is not None and after is not None:
        said = (
            f"The model is right on {_share(before['full'])} of the images to forget, and on "
            f"{_share(after['full'])} once their keys are gone"
        )
        said += f" (test images: {_share(test['full'])}). " if test is not None else ". "
    if after is not None and test is not None:
        points, bounds = difference(after["image"], test["image"])
        certain = bounds[0] > 0
        said += (
            f"Without any memory it is right on {_share(after['image'])} of them and on "
            f"{_share(test['image'])} of the test images. "
        )
        said += (
            "These images are easier than the average test image, as the network never saw them "
            if certain and exact
            else "The network itself still knows more of them "
            if certain
            else "That is no difference that this measurement can tell from zero "
        )
        said += f"(<b>{number(points, bounds)} points</b>, 95 % interval {interval(bounds)})."
        if certain and not exact:
            said += " Part of it may be that these images are easier; <i>Privacy</i> compares with "
            said += "models that never saw them."
    return said


def _share(found: PathwayAccuracy) -> str:
    return (
        "<b>100 %</b>"
        if found.accuracy == 100
        else f"<b>{number(found.accuracy, found.ci95)} %</b>"
    )


def difference(a: PathwayAccuracy, b: PathwayAccuracy) -> tuple[float, Bounds]:
    """a − b in points, and its 95 % interval from those of both (Newcombe 1998, method 10)."""
    points = a.accuracy - b.accuracy
    below = hypot(a.accuracy - a.ci95[0], b.ci95[1] - b.accuracy)
    above = hypot(a.ci95[1] - a.accuracy, b.accuracy - b.ci95[0])
    return points, (points - below, points + above)
