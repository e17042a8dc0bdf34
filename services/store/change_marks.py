"""What tells that something of a route changed, cheap enough to be asked every second."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Select, func, select

from services.store.dead_letters import DeadCountRow
from services.store.decisions import DecisionRow
from services.store.deliveries import OutboxRow
from services.store.evaluation_queue import EvaluationRow
from services.store.parks import ParkedRouteRow
from services.store.routes import RouteRow
from services.store.tables import table

_ROUTES, _EVALUATIONS, _OUTBOX, _DEAD = table(RouteRow), table(EvaluationRow), table(OutboxRow), table(DeadCountRow)
_DECISIONS = table(DecisionRow)
_PARKS = table(ParkedRouteRow)
_UNFINISHED = ("pending", "running", "ran")


def read(connection: Connection) -> dict[str, str]:
    """Route -> a text that is another one once its exchanges, facts, decisions, runs or notifications are others.

    What is of no route, the dead letters, is under the empty name.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for place, query in enumerate(_queries()):
        for route, *rest in connection.execute(query):
            found[route].append(repr((place, *rest)))
    dead = connection.execute(select(func.sum(_DEAD.c.n))).scalar()
    return {**{route: "|".join(parts) for route, parts in found.items()}, "": str(dead)}


def _queries() -> list[Select[Any]]:
    runs, notifications, decided = _EVALUATIONS.c, _OUTBOX.c, _DECISIONS.c
    return [
        select(_ROUTES.c.route, _ROUTES.c.clock, _ROUTES.c.journal_seq),
        select(runs.route, runs.state, func.count())
        .where(runs.state.in_(_UNFINISHED))
        .group_by(runs.route, runs.state)
        .order_by(runs.route, runs.state),
        select(_PARKS.c.route, func.count(), func.sum(_PARKS.c.n)).group_by(_PARKS.c.route),
        select(notifications.route, func.count()).where(notifications.state == "pending").group_by(notifications.route),
        select(decided.route, func.count(), func.max(decided.seq))
        .where(decided.published.is_(None))
        .group_by(decided.route),
    ]
