"""The life of one incident: which alerts belong to it; it opens, absorbs, rises, calms, closes.

Alert asks as well: a decision on an incident must reach its alerts alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.alert import Alert, Severity, rank
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.fact import Fact
from schemas.incident import EntryKind, Incident, TimelineEntry, incident_id
from services.incident.state import FLAPS_WITHIN, Case, Flap, entry
from services.incident.verdict import Crossing, verdict_of
from services.specs import family_of
from services.wording import changed_again as again_words
from services.wording import decisions, timeline
from services.wording.confidence import confidence_of
from services.wording.incidents import headline, verdict_reason

REOPENS_WITHIN: Final = timedelta(hours=24)
INFO_LASTS: Final = timedelta(hours=24)
LASTS: Final = timedelta(days=again_words.LASTING_DAYS)


def id_of(alert: Alert) -> str:
    """The id of the incident that this alert would open."""
    identity = alert.identities[0] if alert.identities else None
    return incident_id(alert.route, alert.fingerprint, identity, alert.event_index)


def reopens(alert: Alert, id: str, fingerprints: Collection[str], resolved_at: datetime) -> bool:
    """Whether a firing alert opens incident `id` again: it is of one of its fingerprints within 24 h, or its opener."""
    recent = alert.ts - resolved_at <= REOPENS_WITHIN
    return id == id_of(alert) or (recent and alert.fingerprint in fingerprints)


def lapses_at(severity: Severity, last_fired: datetime) -> datetime | None:
    """When an open incident resolves itself: one of severity info, 24 h after its newest firing alert."""
    return last_fired + INFO_LASTS if severity == "info" else None


MAX_EXEMPLARS: Final = 10


def opened(alert: Alert, context: tuple[TimelineEntry, ...]) -> Case:
    """A new incident of its first alert; `context` is what was known of the route shortly before."""
    crossings = (Crossing.of(alert),)
    signs = verdict_of((alert,), crossings)
    reason = verdict_reason(signs)
    words = timeline.opened(alert, signs.verdict, reason)
    first = entry(alert.ts, "opened", words.text, words.details, ref=alert.id)
    incident = Incident(
        id=id_of(alert),
        route=alert.route,
        state="open",
        opened_event_index=alert.event_index,
        opened_at=alert.ts,
        updated_at=alert.ts,
        verdict=signs.verdict,
        verdict_reason=reason,
        verdict_confidence=signs.confidence,
        severity=alert.severity,
        headline=headline((alert,)),
        confidence=confidence_of((alert,)),
        families=(alert.family,),
        signals=() if alert.signal is None else (alert.signal,),
        identities=alert.identities,
        fingerprints=(alert.fingerprint,),
        exemplars=alert.exemplars[:MAX_EXEMPLARS],
        counterparts=alert.counterparts[:MAX_EXEMPLARS],
        change_point=alert.change_point,
        movements=alert.movements,
        timeline=(*context, first),
    )
    name = alert.fingerprint
    case = Case(incident, {name: alert}, (name,), crossings, alert.ts, standing={name: alert.ts})
    return _changed(case, alert)


def absorbed(case: Case, alert: Alert) -> Case:
    """The incident after another firing alert of its route: reopened, risen, its verdict revised where it must be."""
    if alert.again is not None and alert.fingerprint in case.firing:
        return _changed(replace(case, last_fired=alert.ts), alert)
    before = case
    case = _returned(case, alert)
    if alert.fingerprint not in before.firing and case.flaps_with(alert):
        update = {} if case.is_open else {"state": "open", "resolved_at": None}
        case = _flapped(case, alert, "alert_fired" if case.is_open else "reopened", **update)
        return _judged(_risen(_joined(case, alert), alert, again=False), alert)
    if not case.is_open:
        words = timeline.reopened(alert)
        again = entry(alert.ts, "reopened", words.text, words.details, ref=alert.id)
        case = edited(case, again, state="open", resolved_at=None)
    if alert.fingerprint not in before.firing:
        words = timeline.fired(alert, case.alerts.values())
        case = edited(case, entry(alert.ts, "alert_fired", words.text, words.details, ref=alert.id))
        case = replace(case, crossings=(*case.crossings, Crossing.of(alert)))
    case = _changed(_joined(case, alert), alert)
    return _judged(_risen(case, alert, again=alert.fingerprint in before.firing), alert)


def _changed(case: Case, alert: Alert) -> Case:
    """The incident with the word that behaviour changed again, where the alert carries it."""
    if alert.again is None:
        return case
    words = again_words.changed_again(alert)
    exemplars = _union(case.incident.exemplars, alert.exemplars)[:MAX_EXEMPLARS]
    pairs = (*case.incident.counterparts, *(None,) * len(exemplars))[: len(exemplars)]
    shown = {"exemplars": exemplars, "counterparts": pairs if any(pairs) else ()}
    return edited(case, entry(alert.ts, "changed_again", words.text, words.details, ref=alert.id), **shown)


def calmed(case: Case, alert: Alert) -> Case:
    """The incident after an alert of it resolved; with the last one it resolves itself."""
    flap = case.flaps.get(alert.fingerprint, Flap(0, alert.ts))
    case = replace(case, flaps={**case.flaps, alert.fingerprint: replace(flap, over=alert.ts)})
    case = _standing(case, (name for name in case.standing if name != alert.fingerprint))
    if case.flaps_with(alert):
        firing = tuple(name for name in case.firing if name != alert.fingerprint)
        closes = case.is_open and not firing
        update = {"state": "resolved", "resolved_at": alert.ts, "snoozed_until": None} if closes else {}
        return replace(_flapped(case, alert, "resolved" if closes else "alert_resolved", **update), firing=firing)
    words = timeline.over(alert)
    case = edited(case, entry(alert.ts, "alert_resolved", words.text, words.details, ref=alert.id))
    firing = tuple(name for name in case.firing if name != alert.fingerprint)
    case = replace(case, firing=firing)
    if firing or not case.is_open:
        return case
    return closed(case, entry(alert.ts, "resolved", decisions.all_over(alert.reason)))


def _returned(case: Case, alert: Alert) -> Case:
    """The incident with one more quick return of an alert that fires again; one that comes later begins anew."""
    if alert.fingerprint in case.firing:
        return case
    known = case.flaps.get(alert.fingerprint, Flap(0, alert.ts))
    quick = known.over is not None and alert.ts - known.over <= FLAPS_WITHIN
    flap = replace(known, returns=known.returns + 1) if quick else Flap(0, alert.ts)
    return replace(case, flaps={**case.flaps, alert.fingerprint: flap})


def _flapped(case: Case, alert: Alert, kind: EntryKind, **update: Any) -> Case:
    """The incident with the one line of a flapping alert at the end, in place of the one before."""
    flap = case.flaps[alert.fingerprint]
    words = timeline.flapping(alert, flap.returns, flap.since)
    line = entry(alert.ts, kind, words.text, words.details, ref=alert.id)
    kept = tuple(one for one in case.incident.timeline if one is not flap.line)
    case = replace(case, incident=case.incident.model_copy(update={"timeline": kept}))
    return replace(edited(case, line, **update), flaps={**case.flaps, alert.fingerprint: replace(flap, line=line)})


def closed(case: Case, last: TimelineEntry, *, by_itself: bool = False) -> Case:
    """The incident, resolved, with the entry that says why; what stands although it closes `by_itself` is not over."""
    case = case if by_itself else _standing(case, ())
    return replace(
        edited(case, last, state="resolved", resolved_at=last.ts, snoozed_until=None),
        firing=(),
    )


def lasts_at(case: Case) -> datetime | None:
    """When it is due to be said that what moved has been so for a week; None where nothing did, or it was said."""
    since = [ts for name, ts in case.standing.items() if _may_last(case.alerts[name])]
    return min(since) + LASTS if since and not case.lasted else None


def lasted(case: Case, at: datetime) -> Case:
    """The incident with that word, which is said once until all of it is over."""
    moved = {name: ts for name, ts in case.standing.items() if _may_last(case.alerts[name])}
    since = min(moved.values())
    alerts = sorted((case.alerts[name] for name in moved), key=lambda one: -rank(one.severity))
    words = again_words.lasting(alerts, since, at)
    return replace(edited(case, entry(at, "lasting", words.text, words.details)), lasted=True)


def _may_last(alert: Alert) -> bool:
    """Whether it says that something is otherwise than the baseline, which can become the new normal."""
    family = family_of(alert.family)
    return family.of_baseline and family.kind in ("shift", "rate", "level")


def _standing(case: Case, names: Iterable[str]) -> Case:
    """The incident of whose alerts these alone still fire."""
    standing = {name: case.standing[name] for name in names}
    return replace(case, standing=standing, lasted=case.lasted and bool(standing))


def edited(case: Case, added: TimelineEntry, **update: Any) -> Case:
    """The incident with one more timeline entry and the fields of `update`."""
    timeline = (*case.incident.timeline, added)
    changed = {"updated_at": added.ts, "timeline": timeline, **update}
    return replace(case, incident=case.incident.model_copy(update=changed))


def _joined(case: Case, alert: Alert) -> Case:
    """The alert's facts, added to the incident's, in the order in which they came."""
    incident = case.incident
    alerts = {**case.alerts, alert.fingerprint: alert}
    signals = () if alert.signal is None else (alert.signal,)
    update = {
        "headline": headline(alerts.values()),
        "confidence": confidence_of(alerts.values()),
        "families": _union(incident.families, (alert.family,)),
        "signals": _union(incident.signals, signals),
        "identities": _union(incident.identities, alert.identities),
        "fingerprints": _union(incident.fingerprints, (alert.fingerprint,)),
        **_evidence_of(incident, alert, alerts.values()),
    }
    return replace(
        case,
        incident=incident.model_copy(update=update),
        alerts=alerts,
        firing=_union(case.firing, (alert.fingerprint,)),
        standing={alert.fingerprint: alert.ts, **case.standing},
        last_fired=alert.ts,
    )


def _evidence_of(incident: Incident, alert: Alert, alerts: Collection[Alert]) -> dict[str, Any]:
    """The exchanges that show it, each beside its counterpart; since when, as an alert says it best; what moved."""
    known = dict(zip(incident.exemplars, incident.counterparts, strict=False))
    like = dict(zip(alert.exemplars, alert.counterparts, strict=False))
    exemplars = _union(incident.exemplars, alert.exemplars)[:MAX_EXEMPLARS]
    pairs = tuple(known.get(id) or like.get(id) for id in exemplars)
    gravest = sorted(alerts, key=lambda one: -rank(one.severity))
    dated = [one.change_point for one in alerts if one.change_point is not None]
    return {
        "exemplars": exemplars,
        "counterparts": pairs if any(pairs) else (),
        "change_point": min(dated, key=lambda one: (one.high - one.low, one.event_index), default=None),
        "movements": next((one.movements for one in gravest if one.movements), ()),
    }


def caused(case: Case, context: Iterable[Fact], alert: Alert) -> Case:
    """The incident with what was changed within the time in which it, or a further change, seems to have begun.

    Told once of each.
    """
    points = (case.incident.change_point, None if alert.again is None else alert.again.change_point)
    told = {one.ref for one in case.incident.timeline if one.kind == "cause"}
    for fact in context:
        point = next((one for one in points if one is not None and one.ts_low <= fact.ts <= one.ts_high), None)
        if point is not None and _may_cause(fact) and fact.id not in told:
            assert isinstance(fact, Change | Decision)
            words = timeline.cause(fact, point)
            case = edited(case, entry(alert.ts, "cause", words.text, words.details, ref=fact.id))
    return case


def _may_cause(fact: Fact) -> bool:
    """Whether it says that something was changed; that a change is suspected is no cause of what shows it."""
    if isinstance(fact, Decision):
        return fact.kind == "announce"
    return isinstance(fact, Change) and fact.kind not in ("suspected", "share")


def _risen(case: Case, alert: Alert, again: bool) -> Case:
    """Severity only rises; a rise reopens an acknowledged incident and ends a snoozed one."""
    before = case.incident.severity
    if rank(alert.severity) <= rank(before):
        return case
    words = timeline.escalated(alert, before, again)
    risen = entry(alert.ts, "escalated", words.text, words.details, ref=alert.id)
    case = edited(case, risen, severity=alert.severity)
    if case.incident.state == "acknowledged":
        return edited(case, entry(alert.ts, "reopened", decisions.GOT_WORSE, ref=alert.id), state="open")
    if case.incident.state == "snoozed":
        return woken(case, alert.ts, decisions.GOT_WORSE, ref=alert.id)
    return case


def woken(case: Case, ts: datetime, text: str, ref: str | None = None) -> Case:
    """A snoozed incident, open again."""
    return edited(case, entry(ts, "woken", text, ref=ref), state="open", snoozed_until=None)


def compared(case: Case, comparison: Comparison) -> Case:
    """The incident after two runs were held against each other: the newer one may speak for or against its verdict."""
    return _revised(replace(case, comparisons=(*case.comparisons, comparison)), comparison.ts, comparison.id)


def _judged(case: Case, alert: Alert) -> Case:
    return _revised(case, alert.ts, alert.id)


def _revised(case: Case, ts: datetime, ref: str) -> Case:
    """The verdict as everything known says; another one is told."""
    before = case.incident.verdict
    signs = verdict_of(case.alerts.values(), case.crossings, case.comparisons)
    reason = verdict_reason(signs)
    update = {"verdict": signs.verdict, "verdict_reason": reason, "verdict_confidence": signs.confidence}
    if signs.verdict == before:
        return replace(case, incident=case.incident.model_copy(update=update))
    words = timeline.revised(signs, before, reason, case.incident.families)
    return edited(case, entry(ts, "verdict_revised", words.text, words.details, ref=ref), **update)


def _union(kept: tuple[str, ...], added: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*kept, *added)))
