"""The table of post-hoc methods: a new one is one file and one row here."""

from collections.abc import Mapping
from typing import Any

from munkey_core.errors import BadInputError
from munkey_core.files.typed import checked
from munkey_core.unlearning.bad_teacher import BadTeacher
from munkey_core.unlearning.base import Method
from munkey_core.unlearning.fine_tuning import FineTuning
from munkey_core.unlearning.gradient_ascent import GradientAscent
from munkey_core.unlearning.l1_sparse import L1Sparse
from munkey_core.unlearning.neg_grad_plus import NegGradPlus
from munkey_core.unlearning.random_labels import RandomLabels
from munkey_core.unlearning.salun import SalUn
from munkey_core.unlearning.scrub import Scrub
from munkey_core.unlearning.ssd import Ssd

METHODS: dict[str, type[Method[Any]]] = {
    method.key: method
    for method in (
        FineTuning,
        GradientAscent,
        NegGradPlus,
        RandomLabels,
        SalUn,
        Scrub,
        BadTeacher,
        L1Sparse,
        Ssd,
    )
}


def make(key: str, settings: Mapping[str, Any] | None = None) -> Method[Any]:
    """The method of a key with some of its settings named, the others at their defaults.

    Raises BadInputError for a key or a setting that isn't known, or a value out of range.
    """
    if key not in METHODS:
        raise BadInputError(f"no unlearning method {key!r}; known: {', '.join(METHODS)}")
    method = METHODS[key]
    return method(checked(method.Settings, dict(settings or {}), key))
