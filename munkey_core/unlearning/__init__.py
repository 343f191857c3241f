"""Unlearning methods to compare with, one a file.

METHODS: nine post-hoc methods on the plain transformer. SYSTEMS: classifiers that forget by
dropping entries. Both map a command-line key to a class.
"""

from munkey_core.unlearning.base import Labelled, Method, Task, plain_logits
from munkey_core.unlearning.methods import METHODS, make
from munkey_core.unlearning.systems.base import System, SystemData
from munkey_core.unlearning.systems.knn import Knn
from munkey_core.unlearning.systems.rac import Rac
from munkey_core.unlearning.systems.spm import Spm
from munkey_core.unlearning.tuning import Trial, Tuning, tune

SYSTEMS: dict[str, type[System]] = {system.key: system for system in (Knn, Rac, Spm)}

__all__ = [
    "METHODS",
    "SYSTEMS",
    "Labelled",
    "Method",
    "System",
    "SystemData",
    "Task",
    "Trial",
    "Tuning",
    "make",
    "plain_logits",
    "tune",
]
