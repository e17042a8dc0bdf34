"""One incident: what moved, its evidence and timeline, and the form of its decisions.

What the incident page shows, from an incident's dossier. Pure: words and numbers, no markup.

One incident, and the form of its decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from schemas.alert import Alert, rank
from schemas.decision import Decision
from schemas.evaluation import Comparison, HazardComparison
from schemas.identity import IDENTITY_FIELDS, Model
from schemas.incident import Incident, TimelineEntry
from schemas.reading import Effect
from schemas.sample import Sample
from services.api import wording
from services.api.auth import csrf
from services.api.auth.authorization import needs, who
from services.api.decision_conflicts import incident_version
from services.api.decision_outbox import decision_time
from services.api.http.problems import Problem, call_store
from services.api.pages import charts, forms
from services.api.pages.bars import Bars, HazardChange, bars, common_scale
from services.api.pages.render import Parts, page
from services.api.resources.incidents import HEX_ID
from services.charts import Chart
from services.specs import family_of, signal_of
from services.store.decisions import StaleDecision
from services.store.incidents import IncidentDetails
from services.store.repository import Ledger


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
class SuiteChange:
    """One comparison of two runs, `before` and `after`; `rest` are the parts of it that decided nothing."""

    name: str
    verdict: str
    words: str
    reason: str | None
    ts: datetime
    hazards: tuple[HazardChange, ...]
    rest: tuple[HazardChange, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class IncidentIdentity:
    """One identity: its short name, and every field that is known of its model."""

    identity: str
    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """The page, from top to bottom; `unkept` are the exemplars without text, `detectors` titles."""

    incident: Incident
    verdict: str
    moves: tuple[Move, ...]
    suites: tuple[SuiteChange, ...]
    identities: tuple[IncidentIdentity, ...]
    exemplars: tuple[Sample, ...]
    unkept: tuple[str, ...]
    timeline: tuple[TimelineEntry, ...]
    decided: tuple[Decision, ...]
    buttons: tuple[tuple[str, str, str], ...]
    detectors: tuple[str, ...]


def view_of_incident(dossier: IncidentDetails) -> IncidentView:
    """The page of a dossier; the timeline newest first."""
    incident = dossier.incident
    worst = sorted(dossier.alerts, key=lambda alert: (alert.status != "firing", -rank(alert.severity)))
    return IncidentView(
        incident,
        wording.VERDICTS[incident.verdict],
        moves([alert for alert in worst if family_of(alert.family).kind != "suite"]),
        tuple(_suite(comparison) for comparison in reversed(dossier.comparisons)),
        tuple(_who(identity, dossier.models.get(identity)) for identity in incident.identities),
        tuple(dossier.samples[id] for id in incident.exemplars if id in dossier.samples),
        tuple(id for id in incident.exemplars if id not in dossier.samples),
        tuple(reversed(incident.timeline)),
        dossier.decided,
        _buttons(incident),
        tuple(family_of(name).title for name in incident.families),
    )


def moves(alerts: Sequence[Alert]) -> tuple[Move, ...]:
    """What alerts say moved, their rates on one scale."""
    scale = common_scale([alert.effect for alert in alerts if _has_bars(alert)])
    return tuple(_move(alert, scale) for alert in alerts)


def _has_bars(alert: Alert) -> bool:
    return alert.signal is not None and family_of(alert.family).kind != "event"


def _move(alert: Alert, scale: float) -> Move:
    effect = alert.effect
    event = family_of(alert.family).kind == "event"
    return Move(
        name=_name(alert),
        where=alert.slice,
        direction="" if event else {"up": "rose", "down": "fell", None: ""}[alert.direction],
        bars=bars(effect, scale) if _has_bars(alert) else None,
        size=_size(alert),
        change="one is enough" if event else _change(effect),
        evidence=_evidence(alert),
        fires=alert.status == "firing",
        silenced=alert.silenced,
    )


def _name(alert: Alert) -> str:
    family = family_of(alert.family)
    if family.kind == "event":
        return f"{(alert.signal or 'event').replace('_', ' ')} in an answer"
    if family.kind == "blind":
        return f"not watched: {(alert.signal or 'unknown').replace('_', ' ')}"
    return family.noun if alert.signal is None else signal_of(alert.signal).noun


def _size(alert: Alert) -> str | None:
    effect = alert.effect
    kind = family_of(alert.family).kind
    if kind in ("event", "blind"):
        return f"seen at exchange {alert.event_index:,}" if kind == "event" else alert.reason
    if effect is None or effect.after is None or alert.signal is not None:
        return None
    return f"{wording.level(effect.after, effect.unit)} away from the baseline"


def _change(effect: Effect | None) -> str | None:
    if effect is None or effect.low is None or effect.high is None:
        return None
    return wording.change(effect.low, effect.high, effect.unit)


def _evidence(alert: Alert) -> str:
    found = alert.evidence
    told = [f"{found.n:,} exchanges"] if found.n else []
    if found.log_e is not None and found.threshold is not None:
        told.append(f"log evidence {found.log_e:.1f}, fires at {found.threshold:.1f}")
    return ", ".join(told)


def _suite(comparison: Comparison) -> SuiteChange:
    order = {"regressed": 0, "improved": 1, "inconclusive": 2, "unchanged": 3}
    hazards = sorted(comparison.hazards, key=lambda one: (order[one.verdict], one.hazard, one.measure))
    told = [one for one in hazards if one.hazard == "all" or order[one.verdict] < 2] or hazards
    scale = common_scale(hazards)
    return SuiteChange(
        comparison.suite,
        comparison.overall,
        wording.OUTCOMES[comparison.overall],
        comparison.reason,
        comparison.ts,
        tuple(_hazard(one, scale) for one in told),
        tuple(_hazard(one, scale) for one in hazards if one not in told),
        comparison.before_run,
        comparison.after_run,
    )


def _hazard(one: HazardComparison, scale: float) -> HazardChange:
    change = None if one.low is None or one.high is None else wording.change(one.low, one.high, "pp")
    name = f"{one.hazard}: {one.measure}".replace("_", " ")
    return HazardChange(name, bars(one, scale), change, one.n, one.verdict, one.flipped)


def _who(identity: str, model: Model | None) -> IncidentIdentity:
    known: Mapping[str, str | None] = {} if model is None else {n: getattr(model, n) for n in IDENTITY_FIELDS}
    name = "not known" if model is None else model.served or model.requested
    return IncidentIdentity(identity, name, tuple((k.replace("_", " "), v) for k, v in known.items() if v is not None))


def _buttons(incident: Incident) -> tuple[tuple[str, str, str], ...]:
    """Decisions that would change something: none once it is resolved."""
    if incident.state == "resolved":
        return ()
    left_out = {"acknowledge"} if incident.state == "acknowledged" else set()
    return tuple((kind, *told) for kind, told in wording.DECISIONS.items() if kind not in left_out)


def incidents_heading(n: int) -> str:
    """What the list says at its top, of so many incidents that are not resolved."""
    return f"{n:,} incident{'s' if n > 1 else ''} open" if n else "No incident is open"


ENTRIES: Final = 100
"""How many entries of its timeline a page shows."""
_SOON: Final = timedelta(minutes=2)
_REFRESH_SECONDS: Final = 3


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page and of its form."""
    return _reading(parts), _deciding(parts)


def _reading(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}")
    async def incident(request: Request, id: str, older: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
        return await _incident_page(
            request, parts, await _incident_record(request, parts, id), _IncidentForm(older=older)
        )

    return made


def _deciding(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/incidents/{id}/decisions")
    async def decide(request: Request, id: str) -> Response:
        fields = await forms.read_form(request, parts.budget)
        found = (await _incident_record(request, parts, id)).incident
        ts = decision_time(found, parts.decisions.clock())
        try:
            decision = forms.decision_of(fields, found, ts, who(request).name)
            await parts.decisions.decide(decision, fields.get("seen"))
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


async def _incident_record(request: Request, parts: Parts, id: str) -> IncidentDetails:
    found = await call_store(lambda: parts.repository.dossier(id)) if HEX_ID.fullmatch(id) else None
    if found is None or not who(request).sees(found.incident.route):
        raise Problem(404, "there is no such incident; the list shows those that there are")
    return found


async def _chart(parts: Parts, dossier: IncidentDetails) -> Chart | None:
    ledger, incident = Ledger(parts.repository.database), dossier.incident
    clock = await call_store(lambda: ledger.clock(incident.route))
    what = charts.chart_query(incident, dossier.alerts, clock)
    if what is None:
        return None
    window = (what.since, what.until)
    points = await call_store(lambda: ledger.course(incident.route, window, what.step, what.slice, what.signal))
    return charts.page_chart(what, points, incident, dossier.comparisons)


@dataclass(frozen=True, slots=True)
class _IncidentForm:
    """A form that was sent and not done: why, and what it held; `older` is how many newer entries are left out."""

    problem: Problem | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    older: int = 0


async def _incident_page(request: Request, parts: Parts, dossier: IncidentDetails, sent: _IncidentForm) -> Response:
    now, token = parts.decisions.clock(), csrf.token_of(request)
    shown = view_of_incident(dossier)
    told = {
        "view": shown,
        "entries": shown.timeline[sent.older : sent.older + ENTRIES],
        "older": sent.older,
        "most": ENTRIES,
        "chart": await _chart(parts, dossier),
        "token": token,
        "seen": incident_version(dossier.incident, dossier.decided),
        "may_decide": forms.may_decide(who(request)),
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
