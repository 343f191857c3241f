"""What stands behind a comparison: seeds, hyper-parameters, the leak, what the oracles are."""

from typing import Any

import streamlit as st

from app.screens.compare.words import title
from app.session.services import Session
from app.shared.attacks import leak_sentences
from app.words.glossary import plain, term
from app.words.phrases import count
from munkey_core.audit.audit import AuditReport

_TERMS = {
    "test_accuracy": "TA (%)",
    "retain_accuracy": "RA (%)",
    "forget_accuracy": "FA (%)",
    "mia_auc": "MIA AUROC (%)",
    "avg_gap": "Avg Gap (points)",
}
_EXACT = (
    f"**This is the exact mode.** {plain('exact')} So *MUNKEY retrained* was not trained: without "
    "these images it is, byte for byte, MUNKEY with their keys deleted."
)
_ORACLES = (
    "**Retrained twins (oracles).** *MUNKEY retrained* and *Plain retrained* were trained from "
    "scratch without these images: same recipe, same seed. The plain transformer is the same "
    "network without a memory; it is what post-hoc methods repair. kNN, RAC-style and SPM are each "
    "held against themselves, fitted without these images. **All models also learned from the "
    "labels of the same public anchors**, which nobody asks to forget.\n\n"
    f"**{term('avg-gap')}** = mean of |TA − TA\\*|, |RA − RA\\*|, |FA − FA\\*| and |MIA − MIA\\*|, "
    f"where \\* is the twin of the same seed. **{term('null-band')}** = the same between twins of "
    "different seeds.\n\n"
    "**Deleting keys is not exact unlearning.** The shared weights were trained while the images "
    "were in the memory, and no deletion changes them. Methods marked *exact by construction* "
    "learn nothing from an image but its own entry."
)


def details(session: Session, report: AuditReport) -> None:
    with st.expander("How this was measured: seeds, settings, what remains", key="compare-details"):
        st.markdown(_ORACLES)
        if session.studio.about.mode == "exact":
            st.markdown(_EXACT)
        if report.leak is not None:
            st.markdown("**Where the trace lies**")
            st.markdown(leak_sentences(report.leak, session.studio.about.mode == "exact"))
        st.markdown("**Every seed**")
        st.dataframe(seed_rows(report), hide_index=True, key="compare-seeds")
        if len(report.seeds) == 1:
            st.caption("One seed: a spread over seeds is not known.")
        _settings(session, report)


def seed_rows(report: AuditReport) -> list[dict[str, Any]]:
    """A row a method and seed, and the standard deviation where there are several."""
    rows: list[dict[str, Any]] = []
    for name, figures in report.models.items():
        for seed, found in zip(report.seeds, figures.per_seed, strict=False):
            rows.append({"Method": title(name), "Seed": str(seed)} | _shown(found))
        if len(report.seeds) > 1:
            rows.append({"Method": title(name), "Seed": "± sd"} | _shown(figures.spread))
    return rows


def settings_rows(report: AuditReport) -> list[dict[str, str]]:
    """Hyper-parameters of the methods that have any."""
    return [
        {
            "Method": title(name),
            "Settings": ", ".join(f"{key} = {value:g}" for key, value in figures.settings.items()),
        }
        for name, figures in report.models.items()
        if figures.settings
    ]


def _settings(session: Session, report: AuditReport) -> None:
    rows = settings_rows(report)
    if not rows:
        return
    st.markdown("**Hyper-parameters of the post-hoc methods**")
    st.caption(_chosen(session))
    st.dataframe(rows, hide_index=True, key="compare-settings")


def _chosen(session: Session) -> str:
    tuning = (session.studio.about.metrics or {}).get("tuning") or {}
    methods = tuning.get("methods")
    if not isinstance(methods, dict) or not methods:
        return (
            "Chosen by `munkey compare --tune` on a validation forget set that is not reported on; "
            "a method that nobody has tuned has its defaults."
        )
    trials = sum(len(method.get("search", ())) for method in methods.values())
    return (
        f"Chosen by `munkey compare --tune` on a validation forget set of "
        f"{count(int(tuning['n_forget']), 'image')} that share none with the reported ones of "
        f"10% at random: {count(trials, 'trial')}, the smallest Avg Gap wins."
    )


def _shown(found: dict[str, float]) -> dict[str, float | None]:
    values = ((label, found.get(term)) for term, label in _TERMS.items())
    return {label: None if value is None else round(value, 2) for label, value in values}
