"""Privacy: can an attacker tell who was in the training data, before and after deletion?"""

import streamlit as st

from app.components.attack_charts import histograms, roc
from app.components.gallery import gallery
from app.components.pager import kept, pager, part
from app.screens.privacy.trace import trace_panel
from app.session import properties, services, state, state_keys
from app.session.background import Background
from app.session.services import BASKET, FORGOTTEN, Session
from app.shared import attacks as words
from app.shared.forget_set import ForgetSet, choose
from app.shared.job_words import RETRAIN
from app.shared.retrain import retrain_panel
from app.shared.sections import draw, section
from app.shared.without_pictures import cannot_be_known
from app.shared.work import work
from app.words.figures import signed
from app.words.foreign import escaped
from app.words.glossary import plain, term
from app.words.theme import current_palette
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.erasure.words import FEW
from munkey_core.results import Browse

_ATTACKS = "attacks"
_EXPOSED = 20


def show() -> None:
    """Draw the page of the current session."""
    session = services.current()
    st.title("Can an attacker tell who was in the training data?", anchor=False)
    st.markdown(
        "The attacker sees what a model says about an image and guesses whether the model was "
        f"trained on it ({term('membership-inference', 'membership inference')}). Images are "
        "forgotten when they look to the attacker like images that the model never saw."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        subject = choose(session)
    if subject is None:
        if session.studio.privacy.exposure is not None:
            _exposed(session)
        return
    st.session_state[state_keys.SUBJECT] = subject.name
    # A model retrained meanwhile is news: the attacks are then run on it, too.
    key = subject.ids, session.studio.jobs.done(RETRAIN, subject.ids)
    studio = session.studio
    asked = work(
        session,
        _ATTACKS,
        key,
        lambda: Background(lambda: studio.privacy.run(subject.ids), _ATTACKS),
    )
    if cannot_be_known(session, asked.begun()):
        return
    report = asked.result(words.STAGES)
    if report is not None:
        with right:
            attack = _attack(session, report)
        _report(session, subject, report, attack)
        trace_panel(session, subject)
    _exposed(session)


# -- the report ----------------------------------------------------------------------------------


def _report(session: Session, subject: ForgetSet, report: PrivacyReport, attack: str) -> None:
    if not {"before", "after"} <= report.figures[attack].keys():
        _impossible(report, attack)
        return
    st.html(words.sentence(report, attack, _who(subject)))
    st.html(words.stats(report, attack))
    verdict = words.verdict(report, attack)
    st.markdown(f"{verdict} *{attack}:* {words.about(attack)}".strip())
    _missing(session, subject, report)
    left, right = st.columns(2, gap="medium")
    with left:
        _histogram(report, attack)
    with right:
        _roc(report, attack)
    band = words.band(report, attack)
    if band:
        st.markdown(band)
    _table(report, attack)
    _leak(session, report)


def _who(subject: ForgetSet) -> str:
    """Whose privacy is in question, in a sentence."""
    n = len(subject.ids)
    kind = {FORGOTTEN: "deleted ", BASKET: "picked "}.get(subject.name, "")
    return f"one of the {n:,} {kind}images" if n > 1 else f"the {kind}image"


def _attack(session: Session, report: PrivacyReport) -> str:
    """The control; the default is the strongest of the attacks that could be computed."""
    chosen: str = state.get("attack") or words.default_attack(report)
    if state.hidden("settings"):
        return chosen
    st.selectbox("Attack", session.studio.privacy.attacks, **state.widget("attack", shown=chosen))
    return chosen


def _impossible(report: PrivacyReport, attack: str) -> None:
    why = next(iter(report.errors[attack].values()), "it gave no score")
    st.error(
        f"**{attack}** could not be computed: {escaped(why)}. Choose another attack above; a "
        "figure that can't be had is never shown as 50."
    )
    _table(report, attack)


def _missing(session: Session, subject: ForgetSet, report: PrivacyReport) -> None:
    if "retrained" not in report.missing:
        return
    with st.container(border=True, key="privacy-missing"):
        st.markdown(
            f"**No {term('oracle', 'retrained model')} yet.** Only a model that was never trained "
            "on exactly these images shows what an attacker would see had they never been there. "
            "The ready-made sets above may come with one."
        )
        retrain_panel(session, subject.ids)


def _histogram(report: PrivacyReport, attack: str) -> None:
    section("What the attacker goes by", "histogram")
    figure = histograms(
        report.histograms[attack],
        words.MUNKEY_STATES,
        words.axis(attack) + " → member",
        report.n_forget,
        current_palette(),
    )
    draw(figure, "attack-histogram", words.histograms_in_words(report.histograms[attack]))
    few = report.n_forget < FEW
    marks = "Each vertical line: one of the images" if few else "Filled: the images"
    st.caption(
        f"{marks} in question; violet outline: test images that the model never saw. Forgotten "
        "images should lie as the violet ones do. The end bins hold what lies beyond."
    )


def _roc(report: PrivacyReport, attack: str) -> None:
    section(f"How many it finds, for how many {term('fpr', 'false alarms')}", "roc")
    figure = roc(report.figures[attack], words.STATES, current_palette())
    draw(figure, "attack-roc", words.roc_in_words(report.figures[attack]))
    st.caption(
        "Both axes are logarithmic; the dotted line is guessing. The left end matters most. Grey: "
        f"the {term('plain-transformer', 'plain transformer')}."
    )


def _table(report: PrivacyReport, attack: str) -> None:
    section("All attacks")
    if not state.hidden("settings"):
        st.segmented_control(
            "Figure", label_visibility="collapsed", **state.choice("figure", properties.FIGURES)
        )
    figure = state.get("figure")
    st.html(words.table(report, attack, figure))
    st.caption(f"{plain(figure)} In small: the {term('interval')}.")
    for line in words.failures(report, figure):
        st.caption(f":material/error: Not computed: {line}")
    works = words.do_they_work(report)
    if works:
        st.caption(works)
    st.caption(words.references(report))


def _leak(session: Session, report: PrivacyReport) -> None:
    section("Where the trace lies")
    if report.leak is not None:
        st.markdown(words.leak_sentences(report.leak, session.studio.about.mode == "exact"))
    else:
        st.caption(f"Not measured: {escaped(report.leak_error)}.")


# -- the most exposed images ---------------------------------------------------------------------


def _exposed(session: Session) -> None:
    found = session.studio.privacy.exposure
    section("Most exposed images")
    if found is None:
        st.caption("They show up here once the model has been asked about every image.")
        return
    order = session.browse(Browse(order="exposed"))
    pick = "" if state.hidden("pick") else " Click to pick."
    if found.k:
        how = f"by {found.attack} with K = {found.k} reference models"
    else:
        how = (
            f"by the {found.attack}: how sure the model is of them. That is a rough guide; with "
            "reference models the ranking is by LiRA"
        )
    st.caption(
        f"All training images, those that give themselves away most first, in the model before "
        f"any deletion ({how}).{pick}"
    )
    name = state_keys.RESULT_PAGE + "exposed"
    shown, page, total = part(order, _EXPOSED, st.session_state.get(name, 1))
    gallery(
        [session.tile(id_, f"score {signed(found.scores[id_])}") for id_ in shown],
        selected=state.get("basket"),
        key=state_keys.EXPOSED,
        size=state.scaled(84),
        selectable=not state.hidden("pick"),
        label="Most exposed images",
    )
    pager(page, total, f"Page {page:,} of {total:,}", kept(name), "exposed-pager")
