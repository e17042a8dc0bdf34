"""One incident: what moved, its evidence and timeline, and the form of its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from schemas.alert import Alert, rank
from schemas.decision import Decision, DecisionKind, Silence
from schemas.evaluation import Comparison, HazardComparison
from schemas.identity import IDENTITY_FIELDS, Model
from schemas.incident import Incident, TimelineEntry, covering
from schemas.sample import Sample
from services.api.auth import csrf
from services.api.auth.authorization import needs, who
from services.api.decision_conflicts import incident_version
from services.api.http.paging import is_id
from services.api.http.problems import Problem, query_store
from services.api.pages import forms
from services.api.pages.bars import Bars, HazardChange, bars, common_scale
from services.api.pages.render import PageContext, page
from services.api.resources.route_rates import SignalRate, rates_now
from services.api.time_window import HOURS, WindowQuery
from services.charts import Chart, incident_chart, rates_chart
from services.charts.evidence_chart import evidence_chart, explained
from services.incident.question_words import marking_words
from services.record.provider_watch import event_of
from services.specs import family_of
from services.store import incidents, routes, silences
from services.store.decisions import StaleDecision
from services.store.incidents import IncidentDetails
from services.wording import evaluations, movements, notifications, nouns, numbers
from services.wording import incidents as words
from services.wording.decisions import DECISIONS, OFFERED, OVER


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that was found: `bars` show a detector's evidence, `counted` the baseline's rate and that of now.

    `size` says it without bars; `over` why it is over, None while it goes on.
    """

    name: str
    where: str | None
    direction: str
    bars: Bars | None
    size: str
    since: str
    told: str
    counted: str | None
    over: str | None
    details: str
    silenced: bool = False


@dataclass(frozen=True, slots=True)
class SuiteChange:
    """One comparison of two runs, `before` and `after`; `rest` are the parts of it that decided nothing.

    `preferences` says which answers a judge prefers, `worse_items` of which questions the earlier one.
    """

    name: str
    verdict: str
    words: str
    reason: str | None
    ts: datetime
    hazards: tuple[HazardChange, ...]
    rest: tuple[HazardChange, ...]
    before: str | None
    after: str | None
    preferences: str | None
    worse_items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentIdentity:
    """One identity: its short name, and every field that is known of its model."""

    identity: str
    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ExchangePair:
    """An exchange that shows it, `now`, and beside it the baseline's nearest, `before`: ids, and texts if kept."""

    id: str
    now: Sample | None
    like: str | None
    before: Sample | None


def pairs_of(incident: Incident, kept: Mapping[str, Sample]) -> tuple[ExchangePair, ...]:
    """Before and after of each exemplar; those of which some text was kept first, in their order."""
    like = (*incident.counterparts, *(None,) * len(incident.exemplars))
    made = [
        ExchangePair(id, kept.get(id), other, None if other is None else kept.get(other))
        for id, other in zip(incident.exemplars, like, strict=False)
    ]
    return tuple(sorted(made, key=lambda one: (one.now is None, one.before is None)))


@dataclass(frozen=True, slots=True)
class IncidentView:
    """The page, from top to bottom; `unkept` are the exemplars without any text, `detectors` titles."""

    incident: Incident
    verdict: str
    moves: tuple[Move, ...]
    suites: tuple[SuiteChange, ...]
    identities: tuple[IncidentIdentity, ...]
    pairs: tuple[ExchangePair, ...]
    unkept: tuple[str, ...]
    timeline: tuple[TimelineEntry, ...]
    decided: tuple[Decision, ...]
    buttons: tuple[tuple[str, str, str], ...]
    detectors: tuple[str, ...]
    silences: tuple[Silence, ...] = ()
    cause: str = ""
    new_words: str = ""


def view_of_incident(
    dossier: IncidentDetails, rates: Sequence[SignalRate] = (), silences: Sequence[Silence] = ()
) -> IncidentView:
    """The page of an incident, with the route's rates and silences of now; the timeline newest first."""
    incident = dossier.incident
    worst = sorted(dossier.alerts, key=lambda alert: (alert.status != "firing", -rank(alert.severity)))
    held, pairs = covering(silences, incident), pairs_of(incident, dossier.samples)
    return IncidentView(
        incident,
        words.verdict(incident),
        moves([alert for alert in worst if family_of(alert.family).kind != "suite"], rates, silences),
        tuple(_suite(comparison) for comparison in reversed(dossier.comparisons)),
        tuple(_who(identity, dossier.models.get(identity)) for identity in incident.identities),
        tuple(one for one in pairs if one.now is not None or one.before is not None),
        tuple(one.id for one in pairs if one.now is None and one.before is None),
        tuple(reversed(incident.timeline)),
        dossier.decided,
        _buttons(incident, held),
        tuple(family_of(name).title for name in incident.families),
        held,
        notifications.cause(incident.timeline),
        movements.new_words(marking_words(*dossier.asked)),
    )


def moves(
    alerts: Sequence[Alert], rates: Sequence[SignalRate] = (), silences: Sequence[Silence] = ()
) -> tuple[Move, ...]:
    """What alerts say moved, their rates on one scale, beside the route's rates of now."""
    now = {(one.signal, one.slice): one for one in rates if one.identity is None}
    scale = common_scale([alert.effect for alert in alerts if _has_bars(alert)])
    return tuple(
        replace(
            _move(alert, scale, now.get((alert.signal or "", alert.slice))),
            silenced=any(one.covers(alert.fingerprint) for one in silences),
        )
        for alert in alerts
    )


def _has_bars(alert: Alert) -> bool:
    return alert.signal is not None and family_of(alert.family).kind not in ("event", "ceiling")


def _move(alert: Alert, scale: float, now: SignalRate | None) -> Move:
    return Move(
        name=nouns.heading(alert),
        where=alert.slice,
        direction=words.direction(alert),
        bars=bars(alert.effect, scale) if _has_bars(alert) else None,
        size=words.size(alert),
        since="" if alert.change_point is None else f"since {movements.since(alert.change_point, alert.ts)}",
        told=movements.told(alert.movements, alert.signal),
        counted=_counted(now) if _has_bars(alert) else None,
        over=None if alert.status == "firing" else alert.reason or OVER,
        details=words.details(alert),
    )


def _counted(now: SignalRate | None) -> str | None:
    """The baseline's rate and that of the last hours, as the route's page and `/safety` tell them."""
    return None if now is None or now.rate is None else words.counted(now.baseline, now.rate, HOURS)


def _suite(comparison: Comparison) -> SuiteChange:
    order = {"regressed": 0, "improved": 1, "inconclusive": 2, "unchanged": 3}
    hazards = sorted(comparison.hazards, key=lambda one: (order[one.verdict], one.hazard, one.measure))
    told = [one for one in hazards if one.hazard == "all" or order[one.verdict] < 2] or hazards
    scale = common_scale(hazards)
    return SuiteChange(
        comparison.suite,
        comparison.overall,
        evaluations.outcome(comparison),
        comparison.reason,
        comparison.ts,
        tuple(_hazard(one, scale) for one in told),
        tuple(_hazard(one, scale) for one in hazards if one not in told),
        comparison.before_run,
        comparison.after_run,
        None if comparison.preferences is None else evaluations.preferences(comparison.preferences),
        () if comparison.preferences is None else comparison.preferences.worse_items,
    )


def _hazard(one: HazardComparison, scale: float) -> HazardChange:
    name, change = nouns.measure_of(one.hazard, one.measure), numbers.change(one.low, one.high, "pp")
    return HazardChange(numbers.sentence_case(name), bars(one, scale), change, one.n, one.verdict, one.flipped)


def _who(identity: str, model: Model | None) -> IncidentIdentity:
    known: Mapping[str, str | None] = {} if model is None else {n: getattr(model, n) for n in IDENTITY_FIELDS}
    name = numbers.sentence_case(nouns.model_name(model)) if model is None else nouns.model_name(model)
    return IncidentIdentity(identity, name, tuple((nouns.plain(k), v) for k, v in known.items() if v is not None))


def _buttons(incident: Incident, silences: Sequence[Silence]) -> tuple[tuple[str, str, str], ...]:
    """What would do something: a comment alone once it is resolved; a silence is ended where there is one."""
    left_out = {"acknowledge"} if incident.state == "acknowledged" else set()
    kinds: tuple[DecisionKind, ...] = (*OFFERED, *(("end_silence",) if silences else ()), "comment")
    if incident.state == "resolved":
        kinds = ("comment",)
    offered = ((kind, DECISIONS[kind]) for kind in kinds if kind not in left_out)
    return tuple((kind, told.label, told.follows) for kind, told in offered)


def incidents_heading(n: int) -> str:
    """What the list says at its top, of so many incidents that are not resolved."""
    return f"{n:,} incident{'s' if n > 1 else ''} open" if n else "No incident is open"


ENTRIES: Final = 100
"""How many entries of its timeline a page shows."""
_SOON: Final = timedelta(minutes=2)
_REFRESH_SECONDS: Final = 3


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the page and of its form."""
    return _reading(parts), _deciding(parts)


def _reading(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}")
    async def incident(request: Request, id: str, older: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
        return await _incident_page(
            request, parts, await _incident_record(request, parts, id), _IncidentForm(older=older)
        )

    return made


def _deciding(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/incidents/{id}/decisions")
    async def decide(request: Request, id: str) -> Response:
        fields = await forms.read_form(request, parts.budget)
        found = (await _incident_record(request, parts, id)).incident
        try:
            decision = forms.decision_of(fields, found, parts.decisions.clock(), who(request).name)
            seen = None if decision.kind == "comment" else fields.get("seen")  # it is right whatever happened since
            await parts.decisions.decide(decision, seen)
        except Problem as problem:
            return await _incident_page(
                request, parts, await _incident_record(request, parts, id), _IncidentForm(problem, fields)
            )
        except StaleDecision as error:
            refused = Problem(409, str(error))
            return await _incident_page(
                request, parts, await _incident_record(request, parts, id), _IncidentForm(refused, fields)
            )
        return RedirectResponse(f"/incidents/{found.id}", 303)

    return made


async def _incident_record(request: Request, parts: PageContext, id: str) -> IncidentDetails:
    found = await query_store(parts.database, incidents.details, id) if is_id(id) else None
    if found is None or not who(request).sees(found.incident.route):
        raise Problem(404, "there is no such incident; the list shows those that there are")
    return found


def _chart(connection: Connection, incident: Incident) -> Chart | None:
    found = incident_chart.read(connection, incident, routes.clock(connection, incident.route))
    return None if found is None else rates_chart(found.rates)


@dataclass(frozen=True, slots=True)
class _IncidentForm:
    """A form that was sent and not done: why, and what it held; `older` is how many newer entries are left out."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    older: int = 0


async def _incident_page(
    request: Request, parts: PageContext, dossier: IncidentDetails, sent: _IncidentForm
) -> Response:
    now, token = parts.decisions.clock(), csrf.token_of(request)
    route = dossier.incident.route
    ceilings = parts.policy(route).objectives
    rates = await query_store(parts.database, rates_now, route, WindowQuery(), ceilings)
    held = await query_store(parts.database, silences.of_route, route, now)
    shown = view_of_incident(dossier, rates.rates, held)
    told_why, lines = await query_store(parts.database, explained, dossier)
    told = {
        "view": shown,
        "entries": shown.timeline[sent.older : sent.older + ENTRIES],
        "older": sent.older,
        "most": ENTRIES,
        "chart": await query_store(parts.database, _chart, dossier.incident),
        "explained": told_why,
        "provider": await query_store(parts.database, event_of, dossier.incident),
        "sees": who(request).sees,
        "evidence": evidence_chart(lines, dossier.incident.opened_at),
        "token": token,
        "seen": incident_version(dossier.incident, dossier.decided),
        "may_decide": who(request).may("operator"),
        "hours": forms.HOURS,
        "now": now,
        "fields": {name: sent.fields.get(name, "") for name in ("actor", "reason")},
        "problem": sent.problem,
    }
    # What was decided a moment ago shows once it went its way; the page looks again by itself until then.
    soon = sent.problem is None and any(abs(now - decision.ts) < _SOON for decision in dossier.decided)
    status = 200 if sent.problem is None else sent.problem.status
    made = page(request, "incident.html", told, status, {"refresh": str(_REFRESH_SECONDS)} if soon else {})
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made
