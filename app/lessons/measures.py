"""What a lesson can ask of the live model: one table, so that no answer is ever typed in a file.

Every measure is of the whole memory or of one without some keys, whatever the person has deleted
meanwhile: the truth of a question doesn't depend on who plays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.components.prediction import percent
from app.words.figures import number, signed, took
from munkey_core.audit import verdict
from munkey_core.audit.audit import AFTER, AuditReport
from munkey_core.audit.figures import ModelFigures
from munkey_core.audit.leak import BackboneLeak
from munkey_core.audit.privacy import PrivacyReport
from munkey_core.audit.verdict import INSIDE, OUTSIDE
from munkey_core.errors import BadInputError, MunkeyError
from munkey_core.model.predictor import Prediction
from munkey_core.progress import Steps
from munkey_core.studio import Studio

_STATES = ("before", "after", "retrained", "plain", "plain retrained")
_PARTS = ("test", "retain", "forget")
_MODES = ("joint", "exact")


@dataclass(frozen=True)
class Known:
    """A computed value, and its words in a sentence. value: a class's index for a class, else a
    bool, a number (percent: 0 to 100) or a text."""

    value: bool | int | float | str
    words: str


@dataclass(frozen=True)
class Argument:
    """What a measure wants to know. images: names of images; options: one of these; neither: a
    free text."""

    images: bool = False
    options: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True)
class Scope:
    """What a measure may look at. studio: mode → a session with all keys, "" for the bundle's own
    mode. ids: of the images that have a name in the lesson."""

    studio: Callable[[str], Studio]
    ids: Mapping[str, tuple[str, ...]]
    _privacy: dict[tuple[str, tuple[str, ...]], PrivacyReport] = field(default_factory=dict)

    def privacy(self, mode: str, ids: tuple[str, ...]) -> Steps[PrivacyReport]:
        """Attacks on these images; they are run once, however many values are about them."""
        if (mode, ids) not in self._privacy:
            self._privacy[mode, ids] = yield from self.studio(mode).privacy.run(ids)
        return self._privacy[mode, ids]


@dataclass(frozen=True)
class Asked:
    """One value's arguments, looked up."""

    scope: Scope
    arguments: Mapping[str, str]

    @property
    def studio(self) -> Studio:
        return self.scope.studio(self.arguments.get("mode", ""))

    def ids(self, name: str) -> tuple[str, ...]:
        """All images that an argument names; none if it isn't there."""
        found: dict[str, None] = {}
        for images in self.arguments.get(name, "").split():
            found.update(dict.fromkeys(self.scope.ids[images]))
        return tuple(found)

    @property
    def of(self) -> tuple[str, ...]:
        return self.ids("of")

    @property
    def one(self) -> str:
        """The only image. Raises BadInputError if there are more."""
        ids = self.of
        if len(ids) != 1:
            raise BadInputError(
                f"one image is wanted, but “{self.arguments['of']}” are {len(ids):,}"
            )
        return ids[0]

    @property
    def label(self) -> int:
        """The only image's class."""
        return self.studio.memory.record(self.one).label

    def predict(self, without: bool = True) -> Prediction:
        """of, with the whole memory or without the keys that the lesson says."""
        return self.studio.predict(self.of, self.ids("without") if without else ())

    @property
    def report(self) -> AuditReport:
        """The stored comparison of these images with retrained models."""
        report = self.studio.audit.report(self.of)
        if report is None:
            raise BadInputError("nobody has compared the methods on these images yet")
        return report

    @property
    def repairs(self) -> dict[str, ModelFigures]:
        """The repair methods of that comparison."""
        models = self.report.models.items()
        return {name: figures for name, figures in models if figures.family == "post-hoc"}

    @property
    def figures(self) -> ModelFigures:
        models = self.report.models
        name = self.arguments.get("model", AFTER)
        if name not in models:
            raise BadInputError(f"no model “{name}”; there are {', '.join(models)}")
        return models[name]


@dataclass(frozen=True)
class Measure:
    """gives: "class", "yes-no", "number", "percent" or "text". slow: whether it may take more than
    a moment."""

    gives: str
    arguments: Mapping[str, Argument]
    compute: Callable[[Asked], Known | Steps[Known]]
    slow: bool = False


# -- of single images ------------------------------------------------------------------------------


def _class(asked: Asked, index: int) -> Known:
    return Known(index, asked.studio.about.classes[index])


def _answer(asked: Asked) -> Known:
    _ = asked.one
    return _class(asked, int(asked.predict().classes[0]))


def _sure(asked: Asked) -> Known:
    return _percent(float(asked.predict().probabilities[0, asked.label]))


def _top(asked: Asked) -> Known:
    _ = asked.one
    return _percent(float(asked.predict().probabilities[0].max()))


def _share(asked: Asked) -> Known:
    """Of the answer, that some images' keys give."""
    _ = asked.one
    prediction, by = asked.predict(), set(asked.ids("by"))
    ids, weights = prediction.retrieval.ids[0], prediction.exemplar_weights[0]
    return _percent(float(sum(w for id_, w in zip(ids, weights, strict=False) if id_ in by)))


def _answers(asked: Asked) -> Known:
    """Whether some images are among the memories that answer."""
    _ = asked.one
    return _yes_no(not set(asked.ids("by")).isdisjoint(asked.predict().retrieval.ids[0]))


def _turns(asked: Asked) -> Known:
    _ = asked.one
    return _yes_no(asked.predict().classes[0] != asked.predict(without=False).classes[0])


def _owner(asked: Asked) -> Known:
    owner = asked.studio.memory.record(asked.of[0]).owner
    return Known(owner, owner)


def _memorised(asked: Asked) -> Known:
    points = round(100 * asked.studio.memory.score("memorisation", asked.one))
    return Known(points, f"{points:,}")


# -- of many ---------------------------------------------------------------------------------------


def _copies(asked: Asked) -> Known:
    """Near-copies that stay in the memory if the images go."""
    pairs = asked.studio.memory.near_duplicates(asked.of)
    return _number(len({pair.other for pair in pairs} - set(asked.of)))


def _changed(asked: Asked) -> Known:
    turned = asked.predict().classes != asked.predict(without=False).classes
    return _number(int(turned.sum()))


def _right(asked: Asked) -> Known:
    labels = [asked.studio.memory.record(id_).label for id_ in asked.of]
    return _percent(float((asked.predict().classes == labels).mean()))


def _agree(asked: Asked) -> Known:
    """On how many images deletion and retraining give the same answer."""
    retrained = asked.studio.audit.retrained(asked.of)
    if retrained is None:
        raise BadInputError("no model was retrained without these images yet")
    now = asked.studio.predict(asked.of, asked.of).classes.tolist()
    same = [a == int(retrained[id_].argmax()) for id_, a in zip(asked.of, now, strict=True)]
    return _percent(sum(same) / len(same))


def _attack(asked: Asked) -> Steps[Known]:
    """How often in 100 an attacker picks the right one of a pair."""
    attack = asked.arguments.get("attack", "LiRA online")
    state = asked.arguments.get("state", "after")
    report = yield from asked.scope.privacy(asked.arguments.get("mode", ""), asked.of)
    if attack not in report.figures:
        raise BadInputError(f"no attack “{attack}”; there are {', '.join(report.figures)}")
    if state not in report.figures[attack]:
        reason = report.errors[attack].get(state, "no such model is there")
        raise BadInputError(f"the attack can't be computed: {reason}")
    auroc = report.figures[attack][state].auroc
    return Known(auroc, f"{auroc:.0f}")


# -- of stored comparisons -------------------------------------------------------------------------


def _gap(asked: Asked) -> Known:
    gap = asked.figures.avg_gap
    if gap is None:
        raise BadInputError("this model has no retrained twin to be held against")
    return Known(gap, f"{gap:.2f}")


def _inside(asked: Asked) -> Known:
    """Whether a method's gap lies inside its null band, which proves no likeness."""
    place = verdict.place(asked.report, asked.figures)
    if place not in (INSIDE, OUTSIDE):
        raise BadInputError("without models from several seeds nobody knows the null band")
    return _yes_no(place == INSIDE)


def _band(asked: Asked) -> Known:
    band = asked.report.band_of(asked.figures)
    if band is None:
        raise BadInputError("without models from several seeds nobody knows the null band")
    return Known(band.high, f"{band.high:.2f}")


def _inside_count(asked: Asked) -> Known:
    """How many of the repair methods lie inside the null band."""
    places = [verdict.place(asked.report, figures) for figures in asked.repairs.values()]
    return _number(places.count(INSIDE))


def _extreme(asked: Asked, last: bool) -> Known:
    gaps = ((figures.avg_gap, name) for name, figures in asked.repairs.items())
    found = sorted((gap, name) for gap, name in gaps if gap is not None)
    if not found:
        raise BadInputError("no repair method has been run on these images")
    name = found[-1 if last else 0][1]
    return Known(name, name)


def _time(asked: Asked) -> Known:
    seconds = asked.figures.unlearn_seconds
    if seconds is None:
        raise BadInputError("nobody measured how long this took")
    return Known(seconds, took(seconds))


def _accuracy(asked: Asked) -> Known:
    part = f"{asked.arguments.get('on', 'test')}_accuracy"
    value = float(getattr(asked.figures, part))
    return Known(value, f"{number(value, asked.figures.ci95.get(part))} %")


def _leak(asked: Asked) -> Known:
    leak = _found_leak(asked)
    bounds = leak.excess_ci95
    part = asked.arguments.get("part", "points")
    if part == "points":
        value = leak.excess_points
    elif bounds is None:
        raise BadInputError("this trace has no interval")
    else:
        value = bounds[part == "high"]
    return Known(value, signed(value, 2))


def _leak_is_zero(asked: Asked) -> Known:
    """Whether the trace in the shared weights can't be told from none."""
    leak = _found_leak(asked)
    low, high = leak.excess_ci95 or (leak.excess_points, leak.excess_points)
    return _yes_no(low <= 0 <= high)


def _found_leak(asked: Asked) -> BackboneLeak:
    leak = asked.report.leak
    if leak is None or leak.backbone is None:
        raise BadInputError("the trace in the shared weights was not measured on these images")
    return leak.backbone


# -- words -----------------------------------------------------------------------------------------


def _percent(fraction: float) -> Known:
    return Known(100 * fraction, percent(fraction))


def _number(value: int) -> Known:
    return Known(value, f"{value:,}")


def _yes_no(value: bool) -> Known:
    return Known(bool(value), "yes" if value else "no")


_IMAGES = Argument(images=True, needed=True)
_SOME = Argument(images=True)
_OF = {"of": _IMAGES}
_MODE = {"mode": Argument(options=_MODES)}
_STATE = {**_OF, "without": _SOME, **_MODE}
_STORED = {**_OF, **_MODE, "model": Argument()}

MEASURES: dict[str, Measure] = {
    "answer": Measure("class", _STATE, _answer),
    "true-class": Measure("class", _OF, lambda asked: _class(asked, asked.label)),
    "sure": Measure("percent", _STATE, _sure),
    "top": Measure("percent", _STATE, _top),
    "share": Measure("percent", {**_STATE, "by": _IMAGES}, _share),
    "answers": Measure("yes-no", {**_STATE, "by": _IMAGES}, _answers),
    "turns": Measure("yes-no", {**_STATE, "without": _IMAGES}, _turns),
    "id": Measure("text", _OF, lambda asked: Known(asked.one, asked.one)),
    "owner": Measure("text", _OF, _owner),
    "memorised": Measure("number", {**_OF, **_MODE}, _memorised),
    "count": Measure("number", _OF, lambda asked: _number(len(asked.of))),
    "copies": Measure("number", _OF, _copies),
    "changed": Measure("number", {**_STATE, "without": _IMAGES}, _changed),
    "right": Measure("percent", _STATE, _right),
    "agree": Measure("percent", {**_OF, **_MODE}, _agree, slow=True),
    "attack": Measure(
        "number",
        {**_OF, **_MODE, "attack": Argument(), "state": Argument(options=_STATES)},
        _attack,
        slow=True,
    ),
    "gap": Measure("number", _STORED, _gap),
    "inside": Measure("yes-no", _STORED, _inside),
    "band": Measure("number", _STORED, _band),
    "inside-count": Measure("number", {**_OF, **_MODE}, _inside_count),
    "repairs": Measure("number", {**_OF, **_MODE}, lambda asked: _number(len(asked.repairs))),
    "best-repair": Measure("text", {**_OF, **_MODE}, lambda asked: _extreme(asked, False)),
    "worst-repair": Measure("text", {**_OF, **_MODE}, lambda asked: _extreme(asked, True)),
    "time": Measure("text", _STORED, _time),
    "accuracy": Measure("percent", {**_STORED, "on": Argument(options=_PARTS)}, _accuracy),
    "leak": Measure(
        "number", {**_OF, **_MODE, "part": Argument(options=("points", "low", "high"))}, _leak
    ),
    "leak-is-zero": Measure("yes-no", {**_OF, **_MODE}, _leak_is_zero),
}


def compute(what: str, asked: Asked) -> Steps[Known]:
    """Yield progress; return the value. Raises MunkeyError if it can't be had."""
    found = MEASURES[what].compute(asked)
    return found if isinstance(found, Known) else (yield from found)


def why_not(error: MunkeyError) -> str:
    """Why a value can't be had, as one sentence's end."""
    return str(error).rstrip(".")
