"""Baselines: artefacts, candidates, which one is pinned on each route, and who accepted it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    LargeBinary,
    Select,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field

from schemas.change import Change
from schemas.reading import Reading
from services.store import decisions
from services.store.decisions import DecisionFilter, RecordedDecision
from services.store.dialect import upsert
from services.store.engine import Conflict
from services.store.journal import JournalRow, told
from services.store.readings import learning_of
from services.store.routes import RouteRow
from services.store.tables import EVERYTHING, WRITTEN, Base, TimeCursor, older_than, table, visible


class BaselineRow(Base, table=True):
    """The artefact of a pinned baseline, written once."""

    __tablename__ = "baselines"
    id: str = Field(primary_key=True)
    route: str = Field(index=True)
    blob: bytes = Field(sa_type=LargeBinary)
    written: int = Field(default=0, sa_column_kwargs=WRITTEN)


class CandidateRow(Base, table=True):
    """Rows of one identity that may become a baseline, detect's own, in bytes."""

    __tablename__ = "candidates"
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    rows: bytes = Field(sa_type=LargeBinary)


_BASELINES, _CANDIDATES, _JOURNAL, _ROUTES = (
    table(BaselineRow),
    table(CandidateRow),
    table(JournalRow),
    table(RouteRow),
)
_MOST_ACCEPTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class PinnedBaseline:
    """A baseline that was pinned.

    Attributes:
        change: that it was pinned: when, of whom, and with which rates and budget.
        is_current: whether its route is held against it. decided: who accepted it; None when it was learned first.
        size: of its artefact in bytes, None when it is not stored here.
    """

    change: Change
    is_current: bool
    decided: RecordedDecision | None
    size: int | None


@dataclass(frozen=True, slots=True)
class RouteBaselines:
    """A route: its baseline, and what it is learning."""

    route: str
    baseline: PinnedBaseline | None
    learning: Reading | None


def route_baselines(connection: Connection, names: Sequence[str]) -> tuple[RouteBaselines, ...]:
    """How these routes stand towards a baseline, in their order."""
    if not names:
        return ()
    current = current_pinnings(connection, names)
    baselines = {one.change.route: one for one in pinned_baselines(connection, list(current.values()))}
    learning = learning_of(connection, names)
    return tuple(RouteBaselines(name, baselines.get(name), learning.get(name)) for name in names)


def pinned_baselines(connection: Connection, changes: Sequence[Change]) -> tuple[PinnedBaseline, ...]:
    """The baselines that these changes pinned, and who accepted them."""
    names = sorted({change.route for change in changes})
    if not names:
        return ()
    current = current_pinnings(connection, names)
    accepted = decisions.page(
        connection, DecisionFilter(tuple(names), kinds=("accept_baseline",)), None, _MOST_ACCEPTED
    )
    sizes = artefact_sizes(connection, [change.baseline for change in changes if change.baseline is not None])
    return tuple(
        PinnedBaseline(
            change,
            current[change.route].id == change.id,
            _accepted(change, accepted),
            sizes.get(change.baseline or ""),
        )
        for change in changes
    )


def _accepted(change: Change, accepted: Sequence[RecordedDecision]) -> RecordedDecision | None:
    """The newest acceptance that it can follow; the first baseline of a route follows none."""
    if change.from_identity is None:
        return None
    before = (one for one in accepted if one.decision.route == change.route and one.decision.ts <= change.ts)
    return next(before, None)


def put(connection: Connection, route: str, id: str, blob: bytes) -> None:
    """Write a baseline; the same one again changes nothing. What it is for people stands in its `pinned` change.

    Raises:
        Conflict: if another artefact is stored under this id: baselines never change.
    """
    stored = load(connection, id)
    if stored is None:
        connection.execute(insert(_BASELINES), {"id": id, "route": route, "blob": blob})
    elif stored != blob:
        raise Conflict(f"baseline {id} of {route} is written already, with another artefact")


def rewrite(connection: Connection, id: str, blob: bytes) -> None:
    """Put another artefact under the id of a baseline: after an erasure, learned without what was erased."""
    connection.execute(update(_BASELINES).where(_BASELINES.c.id == id).values(blob=blob))


def discard(connection: Connection, id: str) -> bool:
    """Delete the artefact of a baseline that nothing is held against any more; False if it is not stored."""
    return connection.execute(delete(_BASELINES).where(_BASELINES.c.id == id)).rowcount == 1


def load(connection: Connection, id: str) -> bytes | None:
    """The artefact of a baseline."""
    return connection.execute(select(_BASELINES.c.blob).where(_BASELINES.c.id == id)).scalar_one_or_none()


def put_candidates(connection: Connection, route: str, key: str, rows: bytes) -> None:
    """Write candidate rows, in place of those under the same key."""
    upsert(connection, _CANDIDATES, [{"route": route, "key": key, "rows": rows}])


def candidates(connection: Connection, route: str) -> dict[str, bytes]:
    """Key -> candidate rows of the route."""
    query = select(_CANDIDATES.c.key, _CANDIDATES.c.rows).where(_CANDIDATES.c.route == route)
    return {row.key: row.rows for row in sorted(connection.execute(query), key=lambda row: str(row.key))}


def drop_candidates(connection: Connection, route: str) -> None:
    """Delete the candidate rows of the route."""
    connection.execute(delete(_CANDIDATES).where(_CANDIDATES.c.route == route))


def current_pinnings(connection: Connection, routes: Sequence[str]) -> dict[str, Change]:
    """Route -> the baseline that was pinned last, of those that have one."""
    query = _pinning_query().where(_JOURNAL.c.route.in_(routes)).order_by(_JOURNAL.c.ts, _JOURNAL.c.seq)
    return {change.route: change for change in _decoded_pinnings(connection, query)}


def pinned_identities(connection: Connection, route: str) -> frozenset[str]:
    """Of whom baselines of the route were learned: everybody who was once its normal."""
    found = _decoded_pinnings(connection, _pinning_query().where(_JOURNAL.c.route == route))
    return frozenset(one.to_identity for one in found if one.to_identity is not None)


def page(
    connection: Connection, globs: Sequence[str], after: TimeCursor | None, most: int
) -> tuple[PinnedBaseline, ...]:
    """At most so many baselines, pinned last first, that follow this time and id."""
    return pinned_baselines(connection, pinnings(connection, globs, after, most))


def get(connection: Connection, id: str) -> PinnedBaseline | None:
    """One baseline."""
    change = pinning_of(connection, id)
    return None if change is None else pinned_baselines(connection, [change])[0]


def page_of_routes(
    connection: Connection, globs: Sequence[str], after: str, most: int, within: Sequence[str] = EVERYTHING
) -> tuple[RouteBaselines, ...]:
    """At most so many routes by name, of those that fit a glob of either, that follow the one of this name."""
    route = _ROUTES.c.route
    query = select(route).where(visible(route, globs), visible(route, within), route > after)
    return route_baselines(connection, connection.execute(query.order_by(route).limit(most)).scalars().all())


def pinnings(connection: Connection, globs: Sequence[str], after: TimeCursor | None, most: int) -> tuple[Change, ...]:
    """At most so many pinnings of the globs' routes, newest first, that follow the one with this time and id."""
    ts, fact = _JOURNAL.c.ts, _JOURNAL.c.fact
    query = _pinning_query().where(visible(_JOURNAL.c.route, globs), older_than(after, ts, fact))
    query = query.order_by(ts.desc(), fact.desc()).limit(most)
    return _decoded_pinnings(connection, query)


def pinning_of(connection: Connection, id: str) -> Change | None:
    """The pinning of one baseline, by the baseline's id."""
    route = select(_BASELINES.c.route).where(_BASELINES.c.id == id)
    name = connection.execute(route).scalar_one_or_none()
    query = _pinning_query().where(told().contains(f'"baseline":"{id}"', autoescape=True))
    if name is not None:
        query = query.where(_JOURNAL.c.route == name)
    return next((change for change in _decoded_pinnings(connection, query) if change.baseline == id), None)


def artefact_sizes(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """Baseline id -> bytes of its artefact, of those that are stored; the artefacts themselves are not read."""
    query = select(_BASELINES.c.id, func.length(_BASELINES.c.blob)).where(_BASELINES.c.id.in_(sorted(ids)))
    return {id: int(size) for id, size in connection.execute(query)}


def counted_rates(pinned: Change | None) -> dict[str, float]:
    """Signal -> share of the baseline's own exchanges for which it was true: what is called its baseline everywhere.

    A detector's evidence says another figure, what it expected of the prompts that came. Slices have no counted rate.
    """
    return {} if pinned is None or pinned.pinning is None else dict(pinned.pinning.rates)


def _pinning_query() -> Select[Any]:
    says_pinned = told().contains('"kind":"pinned"', autoescape=True)
    return select(told()).where(_JOURNAL.c.kind == "change", says_pinned)


def _decoded_pinnings(connection: Connection, query: Select[Any]) -> tuple[Change, ...]:
    found = (Change.decode(payload.encode()) for payload in connection.execute(query).scalars())
    return tuple(change for change in found if change.kind == "pinned")
