"""One incident with all that people need to judge it, read in one state of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.alert import Alert
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.identity import Model
from schemas.incident import Incident
from schemas.sample import Sample
from services.store import decisions, incidents, journal, samples, scores

_BEFORE: Final = timedelta(hours=24)
"""An incident tells of evaluations that were so shortly before it."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """An incident and what it refers to.

    Attributes:
        alerts: the newest of each fingerprint, firing or not, in the order of their first crossing.
        comparisons: those that its timeline refers to, in order.
        models: of the route, by identity. samples: of its exemplars, where text was kept.
        decided: what people decided on it that its timeline does not show yet.
    """

    incident: Incident
    alerts: tuple[Alert, ...]
    comparisons: tuple[Comparison, ...]
    models: Mapping[str, Model]
    samples: Mapping[str, Sample]
    decided: tuple[Decision, ...]


def read(connection: Connection, id: str) -> Dossier | None:
    """The dossier of an incident; None when there is no such incident."""
    incident = incidents.get(connection, id)
    if incident is None:
        return None
    told = {entry.ref for entry in incident.timeline}
    facts = journal.facts(connection, incident.route, incident.opened_at - _BEFORE)
    return Dossier(
        incident,
        _alerts(incident, facts),
        tuple(fact for fact in facts if isinstance(fact, Comparison) and fact.id in told),
        scores.identities(connection, incident.route),
        samples.by_id(connection, incident.route, incident.exemplars),
        tuple(one for one in decisions.of_incident(connection, id) if one.id not in told),
    )


def _alerts(incident: Incident, facts: tuple[journal.Fact, ...]) -> tuple[Alert, ...]:
    """Of each fingerprint the newest alert within the incident's life that has something to show."""
    end = incident.resolved_at or incident.updated_at
    found: dict[str, Alert] = {}
    for fact in sorted((f for f in facts if isinstance(f, Alert)), key=lambda alert: (alert.ts, alert.event_index)):
        if fact.fingerprint in incident.fingerprints and incident.opened_at <= fact.ts <= end:
            found[fact.fingerprint] = fact
    return tuple(found.values())
