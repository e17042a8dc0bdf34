"""One exchange: what was asked and answered where that is kept, what was measured of it, and its incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from schemas.identity import Model
from schemas.incident import Incident
from schemas.score import Scorer
from services.api.auth.authorization import needs, who
from services.api.http.parameters import PageText
from services.api.http.problems import Problem, query_store
from services.api.pages.render import PageContext, page
from services.monitor.policy import KeepText
from services.store import incidents, routes, samples, scores
from services.store.scores import StoredExchange
from services.store.tables import key_of
from services.wording import exchanges as words
from services.wording import nouns, numbers

_MOST_INCIDENTS = 20
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One exchange with what stands around it: who answered, what measured it, incidents that name it or were open."""

    one: StoredExchange
    model: Model | None
    scorer: Scorer | None
    naming: tuple[Incident, ...]
    open_then: tuple[Incident, ...]


@dataclass(frozen=True, slots=True)
class MeasuredSignal:
    """One signal of an exchange, in words: its value, how likely, by which version, and of which parts."""

    name: str
    value: str
    tone: str
    probability: str
    version: str
    parts: str


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """The page, from top to bottom; `no_text` says why there is none."""

    one: StoredExchange
    name: str
    model: str
    found: str
    flags: str
    no_text: str
    why_kept: str
    signals: tuple[MeasuredSignal, ...]
    naming: tuple[Incident, ...]
    open_then: tuple[Incident, ...]
    conversation: str | None
    user: str | None
    measured_by: str
    json: str


def read(connection: Connection, route: str, id: str) -> ExchangeRecord | None:
    """What is stored of an exchange."""
    one = scores.exchange(connection, route, id)
    if one is None:
        return None
    made = {} if one.scorer is None else scores.scorers(connection, [one.scorer])
    naming = incidents.naming(connection, route, id, _MOST_INCIDENTS)
    named = {incident.id for incident in naming}
    then = incidents.open_within(connection, route, one.ts, one.ts + _MOMENT, _MOST_INCIDENTS)
    return ExchangeRecord(
        one,
        routes.identities(connection, route).get(one.identity),
        made.get(one.scorer or ""),
        naming,
        tuple(incident for incident in then if incident.id not in named),
    )


def view_of_exchange(record: ExchangeRecord, keep: KeepText) -> ExchangeView:
    """The page of an exchange on a route of which the monitor file says what text it keeps."""
    one, versions = record.one, {} if record.scorer is None else record.scorer.signals
    signals = _measured(one, versions)
    engine = None if record.scorer is None else f"{record.scorer.engine}, {record.scorer.precision}"
    return ExchangeView(
        one,
        numbers.sentence_case(numbers.exchange_name(one.ts)),
        nouns.model_name(record.model),
        ", ".join(signal.name.lower() for signal in signals if signal.tone == "found"),
        nouns.flags(one.flags),
        words.no_text(one.kept, keep, samples.KEPT_DAYS, samples.RING, samples.RING_HOURS),
        "" if one.sample is None else words.why_kept(one.sample.signals),
        signals,
        record.naming,
        record.open_then,
        None if one.conversation is None else words.conversation_link(one.route, one.conversation),
        None if one.user is None else words.list_link(route=one.route, user=key_of(one.user)),
        engine or "",
        f"/v1{words.link(one.route, one.id)}",
    )


def _measured(one: StoredExchange, versions: Mapping[str, str]) -> tuple[MeasuredSignal, ...]:
    """What was found first, then what could not be measured, then the rest, each by its title."""
    made = [
        MeasuredSignal(
            nouns.signal_title(name),
            words.value(signal.value),
            "found" if signal.value is True else "unknown" if signal.value is None else "",
            "" if signal.probability is None else numbers.percent(signal.probability),
            versions.get(name, ""),
            words.parts(signal.parts),
        )
        for name, signal in (one.signals or {}).items()
    ]
    order = {"found": 0, "unknown": 1, "": 2}
    return tuple(sorted(made, key=lambda one: (order[one.tone], one.name)))


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/exchanges/{id:path}")
    async def one_exchange(request: Request, id: str, route: PageText = "") -> Response:
        known = "\0" not in id and who(request).sees(route)
        record = await query_store(parts.database, read, route, id) if known else None
        if record is None:
            raise Problem(404, words.UNKNOWN_EXCHANGE)
        view = view_of_exchange(record, parts.policy(route).keep_text)
        return page(request, "exchange.html", {"view": view, "now": parts.decisions.clock()})

    return (made,)
