"""Who moved: the model, the users, both, or our ruler. Otherwise it is unknown, and says so.

A shift of the answers names the model only where the questions stayed. Where these are new ones it is not known how
they were answered before: it is the users where the questions are others, nobody while they are too few to tell, and
where as a whole they are like those of before it is the model only as long as nothing says that the users moved.

Evidence from a suite counts both ways, where the suite can see what moved. A run that regressed is an alert of its own.
One that is unchanged takes back what was found before it, when it asks the route's own questions again, or items of
the topics that moved, and a change as large as the one that was found would have shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, get_args

from schemas.alert import Alert
from schemas.evaluation import Comparison
from schemas.incident import Confidence
from schemas.reading import Questions
from schemas.spec import Mover
from services import specs
from services.wording.confidence import confidence_of
from services.wording.incidents import Signs

TOGETHER: Final = timedelta(hours=24)
_POOLED: Final = "all"


class Crossing(NamedTuple):
    """An alert that fired: when, and for what."""

    ts: datetime
    family: str
    fingerprint: str = ""
    signal: str | None = None

    @classmethod
    def of(cls, alert: Alert) -> Crossing:
        """The crossing that this firing alert tells of."""
        return cls(alert.ts, alert.family, alert.fingerprint, alert.signal)


def verdict_of(alerts: Iterable[Alert], crossings: Iterable[Crossing], comparisons: Sequence[Comparison] = ()) -> Signs:
    """The verdict, with what it rests on.

    Args:
        alerts: of an incident, in their order.
        crossings: all at which they fired.
        comparisons: those of runs against the models that answer here, since the incident opened.
    """
    found, crossed = tuple(alerts), tuple(crossings)
    taken = _taken_back(found, crossed, comparisons)
    against = taken[-1][1] if taken else None
    held = tuple(one for one in crossed if one not in {crossing for crossing, _ in taken})
    blame = _explained(_blame(held, found))
    blamed = set(blame.values())
    if "ruler" in blamed:
        return Signs("ruler", found)
    apart = _apart(blame) if {"model", "users"} <= blamed else None
    hours = None if apart is None else apart / timedelta(hours=1)
    if apart is not None and apart <= TOGETHER:
        sure = min((_sureness(found, blame, mover) for mover in ("model", "users")), key=_least)
        return Signs("both", found, hours, confidence=sure)
    if "model" in blamed:
        return Signs("model", found, hours, confidence=_sureness(found, blame, "model"))
    if "users" in blamed:
        return Signs("users", found, against=against, confidence=_sureness(found, blame, "users"))
    return Signs("unknown", found, against=against)


Blame = dict[Crossing, Mover | None]
_BY_QUESTIONS: Final[Mapping[Questions, Mover | None]] = {
    "same": "model",
    "alike": "model",
    "other": "users",
    "few": None,
}
"""Of whom other answers speak, by what was asked."""


def _blame(held: Iterable[Crossing], alerts: Iterable[Alert]) -> Blame:
    """Who moved by each crossing, beside the others; None where it says nothing of who.

    A rate on new questions is no sign that these are other ones: an update on a route whose questions never return
    moves it too.
    """
    asked = {alert.fingerprint: alert.questions for alert in alerts}
    blame: Blame = {}
    for one in held:
        said, mover = asked.get(one.fingerprint), specs.mover_of(one.family, one.signal)
        blame[one] = mover if said is None or mover != "model" else _BY_QUESTIONS[said]
    few = [one.ts for one, mover in blame.items() if mover is None and asked.get(one.fingerprint) == "few"]
    users = [one.ts for one, mover in blame.items() if mover == "users" and not specs.of_new(one.family)]
    for one, mover in blame.items():
        alike = mover == "model" and asked.get(one.fingerprint) == "alike"
        if alike and _near(one, users):  # how these were answered before is not known
            blame[one] = "users"
        elif specs.of_new(one.family) and _near(one, few):
            blame[one] = None
    return blame


def _near(one: Crossing, times: Iterable[datetime]) -> bool:
    return any(abs(one.ts - ts) <= TOGETHER for ts in times)


def _explained(blame: Blame) -> Blame:
    """The crossings without those on new questions, where the model is known to have changed: it answers these too."""
    model = "model" in blame.values()
    return {one: mover for one, mover in blame.items() if not (model and specs.of_new(one.family))}


def _sureness(alerts: tuple[Alert, ...], blame: Blame, mover: Mover) -> Confidence | None:
    """How sure the signs of one mover make us that it was this one."""
    standing = {(one.family, one.fingerprint) for one, blamed in blame.items() if blamed == mover}
    signs = [one for one in alerts if (one.family, one.fingerprint) in standing]
    sure = confidence_of(signs)
    # Of questions that it was never asked before, whether the model changed as well cannot be told.
    doubted = any(specs.of_new(one.family) or one.questions in ("alike", "other") for one in signs)
    return "likely" if doubted and _least(sure) > _least("likely") else sure


def _least(found: Confidence | None) -> int:
    return -1 if found is None else get_args(Confidence).index(found)


def _apart(blame: Blame) -> timedelta:
    """How far the nearest signs of the model and of the users lie apart."""
    users, model = ([one.ts for one, mover in blame.items() if mover == which] for which in ("users", "model"))
    return min(abs(ts - user) for ts in model for user in users)


def _taken_back(
    alerts: tuple[Alert, ...], crossed: tuple[Crossing, ...], comparisons: Sequence[Comparison]
) -> list[tuple[Crossing, Comparison]]:
    """The signs of the model that a later run speaks against, each with that run.

    A rate by itself. A shift of the answers has no size that a suite measures: it goes with the rates, where the
    route's own questions were asked again and every rate of the model is taken back.
    """
    by_name = {alert.fingerprint: alert for alert in alerts}
    of_model = [one for one in crossed if specs.mover_of(one.family, one.signal) == "model"]
    rates = [one for one in of_model if specs.family_of(one.family).kind == "rate"]
    taken = []
    for one in rates:
        alert = by_name.get(one.fingerprint)
        against = None if alert is None else _against(alert, one.ts, comparisons)
        if against is not None:
            taken.append((one, against))
    own = [run for _, run in taken if run.items_of == "route"]
    if rates and len(taken) == len(rates) and own:
        last = max(own, key=lambda run: run.ts)
        shifts = [one for one in of_model if specs.family_of(one.family).kind == "shift" and one.ts <= last.ts]
        taken += [(one, last) for one in shifts]
    return taken


def _against(alert: Alert, since: datetime, comparisons: Sequence[Comparison]) -> Comparison | None:
    """The newest run that could have seen what this alert says, when it is later and found nothing."""
    able = [one for one in comparisons if one.ts >= since and could_see(one, alert)]
    newest = max(able, key=lambda one: one.ts, default=None)
    return newest if newest is not None and newest.overall == "unchanged" else None


def could_see(comparison: Comparison, alert: Alert) -> bool:
    """Whether a comparison would have shown the change that a rate's alert says, in the topics where it says it.

    It asks the same model, the route's own questions or items of every topic that moved, and the least change that
    each of the rows concerned detects is below the one that was found.
    """
    effect = alert.effect
    measures = () if alert.signal is None else specs.signal_of(alert.signal).measures
    if alert.identities and comparison.identity not in alert.identities:
        return False
    if effect is None or effect.unit != "pp" or effect.before is None or effect.after is None:
        return False
    wanted = {_POOLED} if comparison.items_of == "route" else topics_of(alert)
    moved = abs(effect.after - effect.before)
    sharp = {
        row.hazard for row in comparison.hazards if row.measure in measures and row.mde is not None and row.mde < moved
    }
    return bool(wanted) and wanted <= sharp


def topics_of(alert: Alert) -> frozenset[str]:
    """The topics that an alert says moved: its hazard, its slice of a category, or what moved most within it."""
    named = [alert.hazard, _category(alert.slice)]
    named += [one.name if one.kind == "topic" else _category(one.name) for one in alert.movements]
    return frozenset(name for name in named if name)


def _category(slice_: str | None) -> str | None:
    """The value of a slice by a category, such as the hazard that a question is of."""
    name, _, value = (slice_ or "").partition("=")
    return value if value and specs.signal_of(name).category else None
