"""The search for exchanges over all routes that somebody sees: by time, in pages that look at so many at most.

An index serves the order of time, that of one route, one conversation or one user. What else is asked for is looked up
row by row, so a page looks at so many exchanges at most, says how far it came, and the next one goes on from there: an
answer takes as long whether thousands fit or none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    literal,
    or_,
    select,
    text,
    true,
    tuple_,
)

from services.store import samples
from services.store.dialect import json_text, octets
from services.store.routes import RouteRow
from services.store.samples import SampleRow
from services.store.scores import (
    SHORT_CONVERSATION,
    ScoreRow,
    StoredExchange,
    exchange_columns,
    exchange_of_row,
    exchange_of_sample,
)
from services.store.tables import ANY_TIME, EVERYTHING, LONGEST_KEY, TimeSpan, key_of, table, visible

SCANNED: Final = 10_000
"""Exchanges that one page looks at, at most, when it is asked for more than an index knows."""
SCANNED_TEXTS: Final = 5_000
"""The same of texts, which are longer than scores."""
SCANNED_FIRST: Final = 500
"""Texts that are looked at before as many as may be."""
_SCORES, _SAMPLES, _ROUTES = table(ScoreRow), table(SampleRow), table(RouteRow)

ExchangePlace = tuple[datetime, str, str]
"""Where an exchange stands in a list: its time, its route, and its number on the route, or its id in one of texts."""


@dataclass(frozen=True, slots=True)
class ExchangeSearch:
    """Which exchanges; None, and empty, is not asked for.

    Attributes:
        globs: what is seen. route: a route, or a glob of routes, among them.
        signal: one that was measured with `value`: `true`, `false`, a category, or `unscored` where it could not be.
        texts: only those whose redacted text is stored; of these also the ones whose scores are no longer kept.
        text: what stands in question or answer as they are kept, in capitals or not (SQLite knows those of a to z).
        oldest_first: the order.
    """

    globs: Sequence[str] = EVERYTHING
    route: str | None = None
    span: TimeSpan = ANY_TIME
    identity: str | None = None
    signal: str | None = None
    value: str = "true"
    flag: str | None = None
    conversation: str | None = None
    user: str | None = None
    texts: bool = False
    text: str | None = None
    oldest_first: bool = False

    @property
    def of_texts(self) -> bool:
        """Whether it goes through what is stored of texts, and not through scores."""
        return self.texts or self.text is not None

    @property
    def scanned(self) -> int:
        """How many exchanges a page looks at, at most."""
        return SCANNED_TEXTS if self.of_texts else SCANNED


@dataclass(frozen=True, slots=True)
class FoundExchanges:
    """A page: what fits, in order; `next` is the place behind it, None when all was looked at.

    `looked_to` is the time up to which a page looked that ended because it had looked at so many; None otherwise.
    """

    exchanges: tuple[StoredExchange, ...]
    next: ExchangePlace | None = None
    looked_to: datetime | None = None


def search(
    connection: Connection,
    wanted: ExchangeSearch,
    after: ExchangePlace | None,
    most: int,
    most_bytes: int | None = None,
) -> FoundExchanges:
    """At most so many exchanges behind that place; of more text than `most_bytes` only the first that hold as much."""
    of = _SAMPLES if wanted.of_texts else _SCORES
    seen = _seen(connection, wanted)
    if not seen:
        return FoundExchanges(())
    if len(seen) == 1:
        wanted = replace(wanted, globs=EVERYTHING, route=seen[0])
    keys = _keys(wanted, of, after)
    rest = bool(_scored(wanted)) or wanted.text is not None or (of is _SAMPLES and bool(_named(wanted, of)))
    found: Sequence[Any] = ()
    # Words that many say are found among a few: PostgreSQL takes every text apart that it looks at.
    for looks in (SCANNED_FIRST, wanted.scanned) if wanted.text is not None else (wanted.scanned,):
        asked = _fitting(connection, keys.limit(looks).subquery("looked"), of, wanted) if rest else keys
        found = connection.execute(asked.limit(most + 1)).all()
        if len(found) > most:
            break
    shown = found[:most] if most_bytes is None else _within(connection, of, found[:most], most_bytes)
    exchanges = _exchanges(connection, of, shown)
    if len(found) > len(shown):
        return FoundExchanges(exchanges, _place(shown[-1]))
    end = connection.execute(keys.offset(wanted.scanned - 1).limit(1)).one_or_none() if rest else None
    return FoundExchanges(exchanges) if end is None else FoundExchanges(exchanges, _place(end), end.ts)


def _seen(connection: Connection, wanted: ExchangeSearch) -> tuple[str, ...]:
    """The routes that it can be about, or two that stand for more: of one alone the index of its time serves."""
    globs = visible(_ROUTES.c.route, wanted.globs)
    within = true() if wanted.route is None else visible(_ROUTES.c.route, (wanted.route,))
    return tuple(connection.execute(select(_ROUTES.c.route).where(globs, within).limit(2)).scalars())


def _third(of: Any) -> ColumnElement[Any]:
    """What tells two exchanges of a route and a time apart."""
    third: ColumnElement[Any] = of.c.event_index if "event_index" in of.c else of.c.id
    return third


def _order(of: Any, wanted: ExchangeSearch) -> list[ColumnElement[Any]]:
    columns = (of.c.ts, of.c.route, _third(of))
    return [one.asc() if wanted.oldest_first else one.desc() for one in columns]


def _keys(wanted: ExchangeSearch, of: Table, after: ExchangePlace | None) -> Select[Any]:
    """Time, route and number of what an index knows, in order, behind that place."""
    key = (of.c.ts, of.c.route, _third(of))
    query = select(*key).where(wanted.span.holds(of.c.ts)).order_by(*_order(of, wanted))
    named = _named(wanted, of) if of is _SCORES else []
    # Texts have one order, and beside a conversation or a user a route must not be what the index is chosen by: it may
    # have a million exchanges.
    route = of.c.route.concat("") if named or of is _SAMPLES else of.c.route
    within = true() if wanted.route is None else visible(route, (wanted.route,))
    query = query.where(*named, visible(route, wanted.globs), within)
    if after is not None:
        number = int(after[2]) if of is _SCORES else after[2]
        place = tuple_(*(literal(one, column.type) for one, column in zip((*after[:2], number), key, strict=True)))
        # The first comparison is part of the second: an index that begins with the route is entered by it.
        query = query.where(of.c.ts >= after[0] if wanted.oldest_first else of.c.ts <= after[0])
        query = query.where(tuple_(*key) > place if wanted.oldest_first else tuple_(*key) < place)
    return query


def _named(wanted: ExchangeSearch, of: Table) -> list[ColumnElement[bool]]:
    held: list[ColumnElement[bool]] = []
    if wanted.conversation is not None:
        same = of.c.conversation == wanted.conversation
        short = of is _SCORES and len(wanted.conversation) <= LONGEST_KEY
        held.append(and_(same, text(SHORT_CONVERSATION)) if short else same)  # words by which the index is known
    if wanted.user is not None:
        held.append(of.c.user == key_of(wanted.user))
    return held


def _scored(wanted: ExchangeSearch) -> list[ColumnElement[bool]]:
    """What is asked of scores that no index knows."""
    held: list[ColumnElement[bool]] = []
    if wanted.identity is not None:
        held.append(_SCORES.c.identity == wanted.identity)
    if wanted.flag is not None:
        held.append(_SCORES.c.flags.contains(f'"{wanted.flag}"', autoescape=True))
    if wanted.signal is not None:
        held.append(_SCORES.c.signals.contains(f'"{wanted.signal}":[{_written(wanted.value)},', autoescape=True))
    return held


def _said(connection: Connection, words: str) -> ColumnElement[bool]:
    """That the words stand in question or answer; the whole is asked first, for it need not be taken apart."""
    whole = _SAMPLES.c.payload.icontains(to_json(words).decode()[1:-1], autoescape=True)
    parts = (json_text(connection, _SAMPLES.c.payload, name) for name in ("prompt", "response"))
    return and_(whole, or_(*(part.icontains(words, autoescape=True) for part in parts)))


def _written(value: str) -> str:
    """A value of a signal as score rows have it."""
    return {"true": "true", "false": "false", "unscored": "null"}.get(value, f'"{value}"')


def _fitting(connection: Connection, looked: Any, of: Table, wanted: ExchangeSearch) -> Select[Any]:
    """Of the keys those whose rows fit."""
    query = select(looked.c.ts, looked.c.route, _third(looked)).order_by(*_order(looked, wanted))
    scored = _scored(wanted)
    if of is _SCORES:
        return query.join(_SCORES, _same(looked, _SCORES, "event_index")).where(*scored)
    if scored:
        query = query.where(exists().where(_same(looked, _SCORES, "id"), *scored))
    said = [] if wanted.text is None else [_said(connection, wanted.text)]
    return query.join(_SAMPLES, _same(looked, _SAMPLES, "id")).where(*_named(wanted, _SAMPLES), *said)


def _same(one: Any, other: Any, name: str) -> ColumnElement[bool]:
    return and_(one.c.route == other.c.route, one.c[name] == other.c[name])


def _within(connection: Connection, of: Table, found: Sequence[Any], most_bytes: int) -> Sequence[Any]:
    """The first of these whose stored texts come to so many bytes, and one at least; no text is fetched."""
    third = "event_index" if of is _SCORES else "id"
    sizes: dict[tuple[str, Any], int] = {}
    for route, numbers in _by_route(found).items():
        query = select(of.c[third], octets(connection, _SAMPLES.c.payload)).where(of.c.route == route)
        if of is _SCORES:
            query = query.select_from(_SCORES.join(_SAMPLES, _same(_SCORES, _SAMPLES, "id")))
        rows = connection.execute(query.where(of.c[third].in_(numbers)))
        sizes |= {(route, number): size for number, size in rows}
    held = list(accumulate(sizes.get((row.route, row[2]), 0) for row in found))
    return found[: max(1, bisect_right(held, most_bytes))]


def _by_route(found: Sequence[Any]) -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = {}
    for row in found:
        made.setdefault(row.route, []).append(row[2])
    return made


def _exchanges(connection: Connection, of: Table, found: Sequence[Any]) -> tuple[StoredExchange, ...]:
    """What is stored of these, in their order; an id that came again stands there once.

    They are read route by route: SQLite takes no index for pairs of a route and a number.
    """
    known: dict[tuple[str, Any], StoredExchange] = {}
    both = select(*exchange_columns()).select_from(_SCORES.join(_SAMPLES, _same(_SCORES, _SAMPLES, "id"), isouter=True))
    third = "event_index" if of is _SCORES else "id"
    for route, numbers in _by_route(found).items():
        rows = connection.execute(both.where(_SCORES.c.route == route, _SCORES.c[third].in_(numbers)))
        known |= {(route, getattr(one, third)): one for one in map(exchange_of_row, rows)}
        missing = [id for id in numbers if (route, id) not in known] if of is _SAMPLES else []
        for sample in samples.by_id(connection, route, missing).values() if missing else ():
            known[route, sample.id] = exchange_of_sample(sample)
    return tuple(known[row.route, row[2]] for row in found if (row.route, row[2]) in known)


def _place(row: Any) -> ExchangePlace:
    return row.ts, row.route, str(row[2])
