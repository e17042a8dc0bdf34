"""What happened to whom: sentences of alerts, headlines of incidents, who changed and why we think so. Pure.

No sentence here holds a statistic; those are in `details`, which pages fold and messages leave out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.alert import Alert, Severity, rank
from schemas.evaluation import OWN_TRAFFIC, Comparison
from schemas.incident import Confidence, Incident, IncidentState, Verdict
from services import specs
from services.wording import audit, ceilings, movements, nouns, numbers
from services.wording.confidence import confidence_of_families

_VERBS: Final = {"up": "rose", "down": "fell", None: "moved"}
_MOVED: Final = frozenset({"shift", "rate", "ceiling", "level", "anomaly"})
_SURE: Final = frozenset({"very sure", "certain"})

VERDICTS: Final[Mapping[Verdict, str]] = {
    "model": "The model changed",
    "users": "The questions changed, not the model",
    "both": "The model and the questions changed",
    "ruler": "Our own measurement changed, not the model",
    "unknown": "Nobody can tell yet what changed",
}
_DOUBTED: Final[Mapping[Verdict, tuple[str, str]]] = {
    "model": ("The model may have changed", "The model probably changed"),
    "users": ("The questions may have changed, not the model", "The questions probably changed, not the model"),
}
"""What is said of a verdict that is only suspected, or likely."""
_APART: Final = 24.0
ON_NEW: Final = " on questions that were not asked before"
NOT_JUDGED: Final = " Of such questions nobody can say whether the model would have answered them otherwise before."
ON_OTHER: Final = " on other questions than before"
OTHER_ASKED: Final = "is asked other questions, and answers differently"
OTHER_SIGN: Final = "other questions are asked, and answered differently"
UNCHANGED: Final = ", and the questions did not change"
AS_A_WHOLE: Final = ", and as a whole the questions are like those of before"
TOO_FEW: Final = "The questions are new ones, and too few so far to tell whether they changed or the model did."
SOMETHING: Final = "something changed"

SEVERITIES: Final[Mapping[Severity, str]] = {
    "info": "something is different; nothing is known about safety",
    "warning": "a safety rate moved or is above its ceiling, an attack is under way, or something is not monitored",
    "error": "a safety suite got worse, a safety rate moved far, or records were changed afterwards",
    "critical": "something leaked, or harmful requests are answered",
}
STATES: Final[Mapping[IncidentState, str]] = {
    "open": "open: nobody has looked at it yet",
    "acknowledged": "acknowledged: somebody looks at it",
    "snoozed": "snoozed",
    "resolved": "resolved",
}


@dataclass(frozen=True, slots=True)
class Signs:
    """What a verdict rests on.

    Attributes:
        verdict: who changed. alerts: all that fired, in their order.
        apart: hours between the nearest signs of the model and of the users, where there are both.
        against: the run that took back what spoke of the model. confidence: how sure its own signs make us of it.
    """

    verdict: Verdict
    alerts: tuple[Alert, ...]
    apart: float | None = None
    against: Comparison | None = None
    confidence: Confidence | None = None


def sentence(alert: Alert, others: Iterable[Alert] = ()) -> str:
    """What an alert says, as a sentence without its stop: what happened to whom.

    That the questions did not change is said of a rate, unless one of the `others` says that they did.
    """
    spec = specs.family_of(alert.family)
    asked = any(specs.mover_of(one.family, one.signal) == "users" for one in others)
    of_model = specs.mover_of(alert.family, alert.signal) == "model"
    new = alert.questions in ("other", "few")
    same = spec.kind == "rate" and alert.signal is not None and of_model and not asked and not new
    told = same and not numbers.asks_otherwise(alert.effect)
    asked_now = AS_A_WHOLE if alert.questions == "alike" else UNCHANGED
    return _sentence(alert) + (asked_now if told else "")


def _sentence(alert: Alert) -> str:
    where, spec = nouns.place(alert.route, alert.slice), specs.family_of(alert.family)
    if spec.kind == "event":
        return f"{nouns.seen(alert.signal)} was seen in an answer of {where}"
    if spec.kind == "blind":
        return f"{where} is not monitored: {alert.reason or 'the reason is not known'}"
    if spec.kind in ("audit", "suite"):
        return _suite(alert) if spec.kind == "suite" else alert.reason or audit.BROKEN
    if spec.kind in ("shift", "anomaly"):
        does = OTHER_ASKED if alert.questions == "other" else spec.does
        return f"{where} {does or f'moved: {spec.noun}'}"
    if alert.signal is None:
        return f"{spec.noun} on {where}"
    return _level(alert, where) if spec.kind == "level" else _rate(alert, where)


def _rate(alert: Alert, where: str) -> str:
    """`the refusal rate of support-bot/prod fell from 18.1% to 0.0%`, or how it stands to its ceiling."""
    above = specs.family_of(alert.family).kind == "ceiling"
    move = f"{_VERBS[alert.direction]}{numbers.moved(alert.effect)}{_on_new(alert)}"
    told = ceilings.above(alert.effect, alert.floor) if above else move
    return f"the {nouns.signal_noun(alert.signal or '')} of {where} {told}"


def _on_new(alert: Alert) -> str:
    """Where a rate moved, if it is one of new questions only, or of other ones than before."""
    if specs.of_new(alert.family):
        return ON_NEW
    return ON_OTHER if alert.questions == "other" else ""


def _level(alert: Alert, where: str) -> str:
    """`answers of support-bot/prod are 38% shorter`."""
    spec, effect = specs.signal_of(alert.signal or ""), alert.effect
    told = spec.risen if alert.direction == "up" else spec.fallen
    if effect is None or effect.after is None or effect.unit != "ratio":
        return f"the {nouns.level_noun(alert.signal or '')} of {where} {_VERBS[alert.direction]}{numbers.moved(effect)}"
    amount = numbers.by_how_much(effect.after)
    if not told:
        return f"the {nouns.level_noun(alert.signal or '')} of {where} {_VERBS[alert.direction]} by {amount}"
    return told.format(where, amount)


def details(alert: Alert) -> str:
    """The statistics behind an alert: `distance 7.4 sd, interval 4.8 to 10.1, 311 exchanges, evidence 12.3 of 12.1`."""
    spec, found = specs.family_of(alert.family), alert.evidence
    told = [*_size(alert), *movements.details_of_alert(alert)]
    if found.n:
        told.append(numbers.count(found.n, "item" if spec.kind == "suite" else "exchange"))
    if found.log_e is not None and found.threshold is not None:
        told.append(f"evidence {found.log_e:.1f} of {found.threshold:.1f}")
    if spec.kind == "audit":
        told.append(f"found at entry {alert.event_index:,} of the audit log")
    elif spec.kind != "suite":
        told.append(f"found at exchange {alert.event_index:,}")
    told.append(f"detector {alert.family}")
    if alert.identities:
        told.append(f"model {', '.join(alert.identities)}")
    return ", ".join(told)


def direction(alert: Alert) -> str:
    """Which way a rate moved, after its name; nothing of what has no way."""
    return _VERBS[alert.direction] if specs.family_of(alert.family).kind in ("rate", "level") else ""


def size(alert: Alert) -> str:
    """What is said of an alert where no bars show it."""
    kind = specs.family_of(alert.family).kind
    if kind == "event":
        return "seen in an answer: one is enough"
    if kind in ("blind", "audit"):
        return alert.reason or "the reason is not known"
    if kind == "ceiling":
        return ceilings.above(alert.effect, alert.floor)
    return "different from what was learned" if kind in ("shift", "level", "anomaly") else numbers.UNKNOWN


def counted(baseline: float | None, now: float, hours: int) -> str:
    """A rate as it is counted: the baseline's, and that of the last hours.

    >>> counted(0.157, 0.0, 24)
    '15.7% in the baseline, 0.0% in the last 24 hours'
    """
    before = "" if baseline is None else f"{numbers.percent(baseline)} in the baseline, "
    return f"{before}{numbers.percent(now)} in the last {numbers.count(hours, 'hour')}"


def headline(alerts: Collection[Alert]) -> str:
    """The worst of an incident's alerts in one sentence; the first one where several are as bad."""
    return _sentence(max(alerts, key=lambda alert: rank(alert.severity)))


def title(incident: Incident) -> str:
    """The headline as a sentence begins; a route keeps its spelling."""
    told = incident.headline or SOMETHING
    return told if told.startswith(incident.route) else numbers.sentence_case(told)


def headline_in_full(incident: Incident, now: datetime | None = None) -> str:
    """What happened to whom, since when, and how sure we are, for places that are plain text.

    `support-bot/prod answers similar questions differently since 19:46 UTC (very sure)`
    """
    since = f" since {_since(incident, now)}" if lasts(incident) else ""
    return f"{title(incident)}{since}{sureness(incident)}"


def _since(incident: Incident, now: datetime | None) -> str:
    """Since when it is so, where that is known; else since when it was found."""
    point = incident.change_point
    return numbers.clock(incident.opened_at, now) if point is None else f"about {numbers.clock(point.ts, now)}"


def since_in_full(incident: Incident) -> str:
    """Since when it is so, between when that lies, and when it was found; for people in any zone."""
    found = numbers.moment(incident.opened_at)
    point = incident.change_point
    return found if point is None else f"{movements.since(point)}, found {found}"


def lasts(incident: Incident) -> bool:
    """Whether what happened goes on since the incident opened; a leak or a suite's run is of one moment."""
    return all(specs.family_of(family).kind in _MOVED for family in incident.families)


def confidence(incident: Incident) -> Confidence | None:
    """How sure we are that it happened; of a record without that word, what its families say."""
    return incident.confidence or confidence_of_families(incident.families)


def sureness(incident: Incident) -> str:
    """The confidence, in parentheses after a space; nothing where there is none."""
    found = confidence(incident)
    return "" if found is None else f" ({found})"


def verdict(incident: Incident) -> str:
    """Who changed, as sure as the signs of it make us: `The model changed`, `The model may have changed`."""
    return verdict_of(incident.verdict, incident.families, incident.verdict_confidence)


def verdict_of(found: Verdict, families: Iterable[str], sure: Confidence | None = None) -> str:
    """The same, by how sure we are of it; where that is not known by the families of the alerts that fired."""
    sure = sure or confidence_of_families(one for one in families if specs.family_of(one).blames is not None)
    if found not in _DOUBTED or sure in _SURE:
        return VERDICTS[found]
    return _DOUBTED[found][sure == "likely"]


def verdict_in_full(incident: Incident) -> str:
    """Who changed, and the signs of it: `The model changed. Three independent signs: ...`."""
    return f"{verdict(incident)}. {incident.verdict_reason}"


def verdict_reason(found: Signs) -> str:
    """What a verdict rests on, in a sentence."""
    if found.against is not None:
        return _taken_back(found, found.against)
    if found.verdict == "unknown" and any(alert.questions == "few" for alert in found.alerts):
        return TOO_FEW
    if found.verdict == "unknown":
        return _nothing([specs.family_of(alert.family).kind for alert in found.alerts])
    if found.verdict == "ruler":
        return "Our own scorers changed, so what they say before and after cannot be compared."
    signs = signs_of(found.alerts)
    one = "One sign" if len(signs) == 1 else f"{numbers.sentence_case(numbers.in_words(len(signs)))} independent signs"
    new = any(specs.of_new(one.family) or one.questions in ("other", "alike") for one in found.alerts)
    doubt = NOT_JUDGED if found.verdict == "users" and new else ""
    return f"{one}: {'; '.join(signs)}{_time_apart(found.apart)}.{doubt}"


def _taken_back(found: Signs, run: Comparison) -> str:
    """Why a verdict names the model no more: who was asked what again, and what is left of the signs."""
    what = "the route's own questions" if run.items_of == "route" else "questions of the topics that moved"
    told = (
        f"The safety suite {run.suite} asked the model {what} again and found no change; "
        "one as large as that of the alerts would have shown."
    )
    users = [one for one in found.alerts if specs.mover_of(one.family, one.signal) == "users"]
    if not users:
        return f"{told} So it does not seem to be the model, and nothing says that it is the users."
    return f"{told} What is left: {'; '.join(signs_of(users))}."


def signs_of(alerts: Iterable[Alert]) -> tuple[str, ...]:
    """What shows that something changed, a sign for each family of alerts; the rates of one family are one sign."""
    by_family: dict[str, list[str]] = {}
    for alert in alerts:
        if specs.family_of(alert.family).blames is not None:
            by_family.setdefault(alert.family, []).append(_sign(alert))
    return tuple(numbers.listed(list(dict.fromkeys(signs))) for signs in by_family.values())


def state(incident: Incident) -> str:
    """How people stand to the incident, with the end of a snooze."""
    if incident.snoozed_until is not None:
        return f"snoozed until {numbers.moment(incident.snoozed_until)}"
    return STATES[incident.state]


def one_line(incident: Incident) -> str:
    """An incident in one line of a notification: severity, what happened, how sure, who changed."""
    return f"[{incident.severity}] {headline_in_full(incident)}. {verdict(incident)}; {incident.state}"


def _suite(alert: Alert) -> str:
    suite = nouns.suite_of(alert)
    told = f"the safety suite {suite} got worse on {alert.route}"
    if suite == OWN_TRAFFIC:
        told = f"what users themselves asked is answered otherwise on {alert.route}"
    effect, n = alert.effect, alert.evidence.n
    if effect is None or effect.before is None or effect.after is None or not n:
        return told
    hazard, _, measure = effect.name.rpartition(" ")
    before, after = (round(rate * n / 100) for rate in (effect.before, effect.after))
    return f"{told}: {nouns.measure_of(hazard, measure)} {after} of {n} (before: {before})"


def _size(alert: Alert) -> Iterable[str]:
    effect, kind = alert.effect, specs.family_of(alert.family).kind
    if effect is None or kind in ("event", "blind", "audit"):
        return
    if kind == "ceiling":
        yield ceilings.bounds(effect)
        return
    if alert.signal is None and effect.unit == "sd" and effect.after is not None:
        yield f"distance {numbers.level(effect.after, effect.unit)}"
    if effect.low is not None and effect.high is not None:
        name = "interval" if effect.unit == "sd" else "change"
        yield f"{name} {numbers.change(effect.low, effect.high, effect.unit)}"


def _sign(alert: Alert) -> str:
    spec = specs.family_of(alert.family)
    if spec.kind == "rate" and alert.signal is not None:
        return f"the {nouns.signal_noun(alert.signal)} {_VERBS[alert.direction]}{_on_new(alert)}"
    if spec.kind == "shift" and alert.questions == "other":
        return OTHER_SIGN
    return spec.sign or spec.noun


def _time_apart(hours: float | None) -> str:
    if hours is None:
        return ""
    if hours <= _APART:
        return f" (within {numbers.hours_long(hours)} of each other)"
    return f" (but the questions changed {numbers.hours_long(hours)} apart from the answers)"


def _nothing(kinds: Collection[str]) -> str:
    if set(kinds) == {"event"}:
        return "A leak alone does not say who changed."
    if set(kinds) == {"ceiling"}:
        return ceilings.UNNAMED
    if set(kinds) == {"audit"}:
        return "It is about Keelwatch's own records, and says nothing of the model."
    if set(kinds) == {"blind"}:
        return "Nothing can be said of what is not monitored."
    return "What was found does not say who changed."
