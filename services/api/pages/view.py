"""What the incident page shows, from an incident's dossier. Pure: words and numbers, no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.alert import Alert, rank
from schemas.decision import Decision
from schemas.evaluation import Comparison, HazardComparison
from schemas.identity import IDENTITY_FIELDS, Model
from schemas.incident import Incident, TimelineEntry
from schemas.reading import Effect, Unit
from schemas.sample import Sample
from services.api.pages import words
from services.store.dossier import Dossier

_FULL: Final = 100.0


@dataclass(frozen=True, slots=True)
class Bars:
    """A value before and after on one scale: lengths and the interval of the one after, in percent of the width."""

    before: float
    after: float
    low: float | None
    high: float | None
    before_text: str
    after_text: str


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that moved."""

    name: str
    where: str | None
    direction: str
    bars: Bars | None
    size: str | None
    change: str | None
    evidence: str
    fires: bool
    silenced: bool


@dataclass(frozen=True, slots=True)
class Hazard:
    """One measure of a suite, before and after."""

    name: str
    bars: Bars | None
    change: str | None
    n: int
    verdict: str
    flipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """One comparison of two runs, `before` and `after`; `rest` are the parts of it that decided nothing."""

    name: str
    verdict: str
    words: str
    reason: str | None
    ts: datetime
    hazards: tuple[Hazard, ...]
    rest: tuple[Hazard, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Who:
    """One identity: its short name, and every field that is known of its model."""

    identity: str
    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class View:
    """The page, from top to bottom; `unkept` are the exemplars without text."""

    incident: Incident
    verdict: str
    moves: tuple[Move, ...]
    suites: tuple[Suite, ...]
    identities: tuple[Who, ...]
    exemplars: tuple[Sample, ...]
    unkept: tuple[str, ...]
    timeline: tuple[TimelineEntry, ...]
    decided: tuple[Decision, ...]
    buttons: tuple[tuple[str, str, str], ...]


def view(dossier: Dossier) -> View:
    """The page of a dossier; the timeline newest first."""
    incident = dossier.incident
    worst = sorted(dossier.alerts, key=lambda alert: (alert.status != "firing", -rank(alert.severity)))
    return View(
        incident,
        words.VERDICTS[incident.verdict],
        moves([alert for alert in worst if alert.family != "evaluation"]),
        tuple(_suite(comparison) for comparison in reversed(dossier.comparisons)),
        tuple(_who(identity, dossier.models.get(identity)) for identity in incident.identities),
        tuple(dossier.samples[id] for id in incident.exemplars if id in dossier.samples),
        tuple(id for id in incident.exemplars if id not in dossier.samples),
        tuple(reversed(incident.timeline)),
        dossier.decided,
        _buttons(incident),
    )


def moves(alerts: Sequence[Alert]) -> tuple[Move, ...]:
    """What alerts say moved, their rates on one scale."""
    scale = scale_of([alert.effect for alert in alerts if _has_bars(alert)])
    return tuple(_move(alert, scale) for alert in alerts)


def _has_bars(alert: Alert) -> bool:
    return alert.signal is not None and alert.family != "events"


def _move(alert: Alert, scale: float) -> Move:
    effect = alert.effect
    return Move(
        name=_name(alert),
        where=alert.slice,
        direction="" if alert.family == "events" else {"up": "rose", "down": "fell", None: ""}[alert.direction],
        bars=bars(effect, scale) if _has_bars(alert) else None,
        size=_size(alert),
        change="one is enough" if alert.family == "events" else _change(effect),
        evidence=_evidence(alert),
        fires=alert.status == "firing",
        silenced=alert.silenced,
    )


def scale_of(shown: Sequence[Effect | HazardComparison | None]) -> float:
    """The rate in percent that fills the width, one for all bars of a table: their greatest, at least 5%."""
    rates = [value for one in shown if one is not None and _unit(one) == "pp" for value in _ends(one)]
    return min(max([*rates, 5.0]) * 1.1, _FULL)


def bars(effect: Effect | HazardComparison | None, scale: float) -> Bars | None:
    """Before and after; rates on the scale of their table, other units on one of their own."""
    if effect is None or effect.before is None or effect.after is None:
        return None
    unit = _unit(effect)
    full = scale if unit == "pp" else max([*_ends(effect), 1e-9]) * 1.1
    low, high = _range(effect)
    return Bars(
        _share(effect.before, full),
        _share(effect.after, full),
        None if low is None else _share(low, full),
        None if high is None else _share(high, full),
        words.level(effect.before, unit),
        words.level(effect.after, unit),
    )


def _share(value: float, full: float) -> float:
    return round(min(max(value / full, 0.0), 1.0) * _FULL, 2)


def _unit(effect: Effect | HazardComparison) -> Unit:
    return effect.unit if isinstance(effect, Effect) else "pp"


def _ends(effect: Effect | HazardComparison) -> tuple[float, ...]:
    return tuple(abs(value) for value in (effect.before, effect.after, *_range(effect)) if value is not None)


def _range(effect: Effect | HazardComparison) -> tuple[float | None, float | None]:
    """Where the value after lies: `low` and `high` bound the change."""
    if effect.before is None or effect.low is None or effect.high is None:
        return (None, None)
    return (effect.before + effect.low, effect.before + effect.high)


def _name(alert: Alert) -> str:
    if alert.family == "events":
        return f"{(alert.signal or 'event').replace('_', ' ')} in an answer"
    if alert.family == "blind":
        return f"not watched: {(alert.signal or 'unknown').replace('_', ' ')}"
    if alert.family == "model_shift":
        return "answers to like prompts"
    if alert.family == "user_shift":
        return "what users ask"
    return f"{(alert.signal or alert.family).replace('_', ' ')} rate"


def _size(alert: Alert) -> str | None:
    effect = alert.effect
    if alert.family in ("events", "blind"):
        return f"seen at exchange {alert.event_index:,}" if alert.family == "events" else alert.reason
    if effect is None or effect.after is None or alert.signal is not None:
        return None
    return f"{words.level(effect.after, effect.unit)} away from the baseline"


def _change(effect: Effect | None) -> str | None:
    if effect is None or effect.low is None or effect.high is None:
        return None
    return words.change(effect.low, effect.high, effect.unit)


def _evidence(alert: Alert) -> str:
    found = alert.evidence
    told = [f"{found.n:,} exchanges"] if found.n else []
    if found.log_e is not None and found.threshold is not None:
        told.append(f"log evidence {found.log_e:.1f}, fires at {found.threshold:.1f}")
    return ", ".join(told)


def _suite(comparison: Comparison) -> Suite:
    order = {"regressed": 0, "improved": 1, "inconclusive": 2, "unchanged": 3}
    hazards = sorted(comparison.hazards, key=lambda one: (order[one.verdict], one.hazard, one.measure))
    told = [one for one in hazards if one.hazard == "all" or order[one.verdict] < 2] or hazards
    scale = scale_of(hazards)
    return Suite(
        comparison.suite,
        comparison.overall,
        words.OUTCOMES[comparison.overall],
        comparison.reason,
        comparison.ts,
        tuple(_hazard(one, scale) for one in told),
        tuple(_hazard(one, scale) for one in hazards if one not in told),
        comparison.before_run,
        comparison.after_run,
    )


def _hazard(one: HazardComparison, scale: float) -> Hazard:
    change = None if one.low is None or one.high is None else words.change(one.low, one.high, "pp")
    name = f"{one.hazard}: {one.measure}".replace("_", " ")
    return Hazard(name, bars(one, scale), change, one.n, one.verdict, one.flipped)


def _who(identity: str, model: Model | None) -> Who:
    known: Mapping[str, str | None] = {} if model is None else {n: getattr(model, n) for n in IDENTITY_FIELDS}
    name = "not known" if model is None else model.served or model.requested
    return Who(identity, name, tuple((k.replace("_", " "), v) for k, v in known.items() if v is not None))


def _buttons(incident: Incident) -> tuple[tuple[str, str, str], ...]:
    """Decisions that would change something: none once it is resolved."""
    if incident.state == "resolved":
        return ()
    left_out = {"acknowledge"} if incident.state == "acknowledged" else set()
    return tuple((kind, *told) for kind, told in words.DECISIONS.items() if kind not in left_out)


def heading(n: int) -> str:
    """What the list says at its top, of so many incidents that are not resolved."""
    return f"{n:,} incident{'s' if n > 1 else ''} open" if n else "No incident is open"
