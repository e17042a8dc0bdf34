"""The same served model that moves on several routes within hours: one provider event. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.base import hash16
from schemas.change import Change
from schemas.exchange import RESERVED_ROUTE_PREFIX
from schemas.identity import Model
from schemas.incident import Incident
from services.wording import routes as words
from services.wording.nouns import model_name

WITHIN: Final = timedelta(hours=6)
"""Routes whose incidents open so soon after the first one of a model are of its event."""
_AFTER: Final = timedelta(seconds=1)
"""So long after the last route moved its incident is told: what comes with an incident's opening is no news of it."""
_BLAMED: Final = frozenset({"model", "both"})


@dataclass(frozen=True, slots=True)
class ModelMove:
    """An incident of a route by which its model, or the model too, changed."""

    incident: Incident
    model: str


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A model that moved on several routes.

    Attributes:
        incidents: one of each route, in the order of their opening. of: routes that this model answers on.
        still: other models that answer on routes of which none moved in that time.
    """

    id: str
    model: str
    incidents: tuple[Incident, ...]
    of: int
    still: tuple[str, ...]

    @property
    def since(self) -> datetime:
        """When the first route moved."""
        return self.incidents[0].opened_at

    @property
    def until(self) -> datetime:
        """When the last one did."""
        return self.incidents[-1].opened_at

    @property
    def text(self) -> str:
        """`4 of 5 routes on gpt-4-0613 moved since 14:00 UTC; claude routes did not`."""
        return words.provider_event(len(self.incidents), self.of, self.model, self.since, self.still)


def model_moves(incidents: Iterable[Incident], models: Mapping[str, Mapping[str, Model]]) -> tuple[ModelMove, ...]:
    """The incidents that blame a known model; `models` is route -> identity -> what stands behind it."""
    found = []
    for one in incidents:
        named = [models.get(one.route, {}).get(who) for who in one.identities]
        known = next((model for model in named if model is not None), None)
        if known is not None and one.verdict in _BLAMED and not one.route.startswith(RESERVED_ROUTE_PREFIX):
            found.append(ModelMove(one, model_name(known)))
    return tuple(sorted(found, key=lambda move: (move.incident.opened_at, move.incident.id)))


def groups_of(moves: Iterable[ModelMove]) -> tuple[tuple[ModelMove, ...], ...]:
    """Moves of one model on two routes or more, within hours of the first one; of each route its first."""
    by_model: dict[str, list[list[ModelMove]]] = defaultdict(list)
    for move in moves:
        runs = by_model[move.model]
        if not runs or move.incident.opened_at - runs[-1][0].incident.opened_at > WITHIN:
            runs.append([])
        if all(one.incident.route != move.incident.route for one in runs[-1]):
            runs[-1].append(move)
    return tuple(tuple(run) for runs in by_model.values() for run in runs if len(run) > 1)


def provider_events(moves: Iterable[ModelMove], answering: Mapping[str, str]) -> tuple[ProviderEvent, ...]:
    """The provider events among the moves, by the time of their first one.

    `answering` is route -> model that it is held against, of the routes that have a baseline.
    """
    every = tuple(moves)
    events = [_event(group, every, answering) for group in groups_of(every)]
    return tuple(sorted(events, key=lambda event: (event.since, event.id)))


def facts_of(event: ProviderEvent) -> tuple[Change, ...]:
    """What each route's journal is told of an event: the same event gives the same facts, a grown one new ones."""
    ids = [one.id for one in event.incidents]
    return tuple(
        Change(
            id=hash16(["provider", event.id, one.route, ids]),
            kind="provider",
            route=one.route,
            from_identity=one.identities[0],
            to_identity=one.identities[0],
            ts=event.until + _AFTER,
            event_index=one.opened_event_index,
            reason=event.text,
        )
        for one in event.incidents
    )


def _event(group: tuple[ModelMove, ...], every: tuple[ModelMove, ...], answering: Mapping[str, str]) -> ProviderEvent:
    model, moved = group[0].model, {move.incident.route for move in group}
    since, until = group[0].incident.opened_at, group[0].incident.opened_at + WITHIN
    restless = {move.model for move in every if since - WITHIN <= move.incident.opened_at <= until}
    return ProviderEvent(
        id=hash16(["provider", model, group[0].incident.id]),
        model=model,
        incidents=tuple(move.incident for move in group),
        of=len(moved | {route for route, name in answering.items() if name == model}),
        still=tuple(sorted(set(answering.values()) - restless - {model})),
    )
