"""Compare: every method on one forget set, held against a model retrained without it."""

import streamlit as st

from app.screens.compare.charts import charts
from app.screens.compare.details import details
from app.screens.compare.recipes_tried import recipes_tried
from app.screens.compare.table import table
from app.screens.compare.words import basis, headline, little_to_repair, not_ahead, repairs, speed
from app.session import services
from app.session.services import Session
from app.shared.forget_set import ForgetSet, forget_set
from app.shared.job_words import COMPARE
from app.shared.retrain import measure_again, retrain_panel
from app.shared.sections import section
from app.words.foreign import escaped
from app.words.glossary import term
from munkey_core.audit.audit import AuditReport
from munkey_core.errors import MunkeyError


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    st.title("How close is forgetting to retraining?", anchor=False)
    st.markdown(
        "The goal of every method is the model one would get by **training again without these "
        f"images** ({term('oracle', 'the retrained twin')}, or oracle): the same answers, not "
        "fewer right ones."
    )
    chosen = forget_set(session)
    if chosen is None:
        recipes_tried(session.studio.about.experiments)
        return
    try:
        report = session.studio.audit.report(chosen.ids)
    except MunkeyError as error:
        st.error(f"The stored comparison of this set can't be read: {escaped(str(error))}")
        return
    if report is None:
        _nothing_yet(session, chosen)
        recipes_tried(session.studio.about.experiments)
        return
    _in_words(report)
    if not any(figures.family == "post-hoc" for figures in report.models.values()):
        retrain_panel(session, chosen.ids, COMPARE)
    charts(report)
    _honestly(report)
    section("Every method, every figure")
    table(report)
    details(session, report)
    recipes_tried(session.studio.about.experiments)


def _in_words(report: AuditReport) -> None:
    with st.container(border=True, key="compare-words"):
        st.markdown(headline(report))
        st.markdown(" ".join(filter(None, (repairs(report), little_to_repair(report)))))
        st.caption(" ".join(filter(None, (basis(report), speed(report)))))


def _honestly(report: AuditReport) -> None:
    lines = not_ahead(report)
    if lines:
        section("Where MUNKEY is not ahead")
        st.markdown("\n".join(f"- {line}" for line in lines))


def _nothing_yet(session: Session, chosen: ForgetSet) -> None:
    it = "it" if len(chosen.ids) == 1 else "them"
    st.html(
        '<div class="mk mk-sum">Nothing is known about this set yet.<small>A comparison takes '
        f"models retrained without {it}, and every method once, for each seed. What is found out "
        "is kept: whoever chooses the same images later sees it at once.</small></div>"
    )
    retrain_panel(session, chosen.ids, COMPARE)
    measure_again(session)
