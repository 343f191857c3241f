"""The project's errors. Each message is one line that says what was wanted and what came."""

_MOST = 2_000  # characters


class MunkeyError(Exception):
    """Anything a person can put right: the command line prints it and exits 2, the app shows it.

    Its text is one line of printable characters, whatever names of files, ids or libraries' own
    messages went into it: a terminal or a log shows it as it is.
    """

    def __str__(self) -> str:
        line = "".join(c if c.isprintable() else " " for c in super().__str__()[: _MOST + 1])
        return line if len(line) <= _MOST else line[:_MOST] + "…"


class BadInputError(MunkeyError):
    """An argument, file, image or setting is not what was asked for."""


class UnknownIdError(BadInputError):
    """An id names no image of the bundle, or one whose key is already gone."""


class DataError(MunkeyError):
    """A data source is missing, damaged, or has nothing usable in it."""


class BundleError(MunkeyError):
    """A bundle is missing, damaged, of another format version, or not what its manifest says."""


class BundleChangedError(BundleError):
    """The bundle on disk is another version than the one in memory: rows may have been erased."""

    def __init__(self, name: str) -> None:
        super().__init__(f"bundle {name} has changed on disk since it was opened: reload it")


class StaleGenerationError(MunkeyError):
    """A result belongs to an older state of the memory bank than the one it is used with."""


class TrainingError(MunkeyError):
    """A training run can't start, go on or be resumed."""


class AttackError(MunkeyError):
    """A membership attack, or a figure of it, can't be computed: never shown as a guess of 50%."""


class ProjectionError(MunkeyError):
    """A map of the memory has not been made yet, or belongs to another memory."""


class ReadOnlyError(MunkeyError):
    """Something was asked for that a read-only demonstration doesn't do."""
