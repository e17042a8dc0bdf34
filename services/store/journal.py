"""The journal: facts of each route, append-only and hash-chained, and the queries that page through them.

Chained as `services.store.hash_chain` says, with (route, seq, kind, fact, ts) as meta. The number and hash of the last
entry are kept beside the journal, and the audit log notes them. An erased entry has neither payload nor salt, and a
later entry of kind `erasure` says so: without one, a missing payload is tampering.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    String,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlmodel import Field, UniqueConstraint

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.fact import Fact
from services.store import audit_log, routes
from services.store.dialect import json_text
from services.store.engine import StoreError
from services.store.hash_chain import SALT_BYTES, commitment_of, hash_of
from services.store.routes import RouteRow
from services.store.tables import (
    ANY_TIME,
    EVERYTHING,
    Base,
    TimeCursor,
    TimeSpan,
    UtcDateTime,
    older_than,
    table,
    visible,
)


class JournalRow(Base, table=True):
    """One fact in a route's append-only, hash-chained journal. An erased fact has neither payload nor salt."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("route", "kind", "fact"),)
    route: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    fact: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str | None = Field(default=None, sa_type=Text)
    salt: bytes | None = Field(default=None, sa_type=LargeBinary)
    commitment: str
    hash: str


ERASURE: Final = "erasure"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One row of a journal; `payload` and `salt` are None once erased."""

    route: str
    seq: int
    kind: str
    fact: str
    ts: datetime
    payload: str | None
    salt: bytes | None
    commitment: str
    hash: str


def chain_problems(entries: Sequence[JournalEntry], head: tuple[int, str]) -> tuple[str, ...]:
    """What is wrong with a route's chain, in words; empty when it is whole.

    Args:
        entries: the route's entries by `seq`.
        head: number and hash of the last entry as kept beside the journal.
    """
    erased = _erased(entries)
    found: list[str] = []
    previous = ""
    for seq, entry in enumerate(entries, start=1):
        if entry.seq != seq:
            return (*found, f"entry {seq} is missing")
        found += _faults(entry, previous, entry.seq in erased)
        previous = entry.hash
    if (len(entries), previous) != head:
        found.append(f"the journal ends at entry {len(entries)}, its head says {head[0]}, or with another hash")
    return tuple(found)


def _faults(entry: JournalEntry, previous: str, erased: bool) -> Iterable[str]:
    meta = (entry.route, entry.seq, entry.kind, entry.fact, entry.ts)
    if entry.hash != hash_of(previous, entry.commitment, meta):
        yield f"entry {entry.seq} was changed, moved or follows another one than when it was written"
    if entry.payload is None and entry.salt is None:
        if not erased:
            yield f"the payload of entry {entry.seq} is gone and no erasure says so"
    elif entry.payload is None or entry.salt is None or erased:
        yield f"entry {entry.seq} is half erased, or has come back after its erasure"
    elif len(entry.salt) != SALT_BYTES or entry.commitment != commitment_of(entry.salt, entry.payload):
        yield f"the payload of entry {entry.seq} is not the one that was written"


def _erased(entries: Iterable[JournalEntry]) -> frozenset[int]:
    """The numbers of the entries whose content must be gone: facts, and what earlier erasures put in their place."""
    gone: set[int] = set()
    in_place_of: dict[int, int] = {}
    for entry in entries:
        target = erased_seq(entry.kind, entry.fact)
        if target is not None:
            gone.add(in_place_of.get(target, target))
            in_place_of[target] = entry.seq
    return frozenset(gone)


def erased_seq(kind: str, fact: str) -> int | None:
    """The number of the fact that an entry erases, from its `fact` of the form `number/how often`; None for a fact."""
    number = fact.partition("/")[0]
    return int(number) if kind == ERASURE and number.isdecimal() else None


KINDS: Final[dict[str, type[Alert] | type[Change] | type[Run] | type[Comparison] | type[Decision]]] = {
    "alert": Alert,
    "change": Change,
    "run": Run,
    "comparison": Comparison,
    "decision": Decision,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}
_JOURNAL = table(JournalRow)
_IDS_A_QUERY: Final = 500


def append(connection: Connection, route: str, facts: Sequence[Fact]) -> int:
    """Add the facts of the route that its journal does not hold yet; how many those were."""
    known = _known(connection, route, facts)
    new: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        key = (_NAMES[type(fact)], fact.id)
        if key not in known:
            new.setdefault(key, fact)
    _write(connection, route, [(*key, fact.ts, fact.encode().decode()) for key, fact in new.items()])
    return len(new)


def known_ids(connection: Connection, route: str, facts: Sequence[Fact]) -> frozenset[str]:
    """The ids of those facts of the route that its journal holds."""
    known = _known(connection, route, facts)
    return frozenset(fact.id for fact in facts if (_NAMES[type(fact)], fact.id) in known)


def _known(connection: Connection, route: str, facts: Sequence[Fact]) -> set[tuple[str, str]]:
    ids = sorted({fact.id for fact in facts})
    found: set[tuple[str, str]] = set()
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        query = select(_JOURNAL.c.kind, _JOURNAL.c.fact).where(_JOURNAL.c.route == route, _JOURNAL.c.fact.in_(some))
        found.update((row.kind, row.fact) for row in connection.execute(query))
    return found


def _write(connection: Connection, route: str, facts: Iterable[tuple[str, str, datetime, str]]) -> None:
    seq, previous = routes.head(connection, route)
    rows = []
    for kind, fact, ts, payload in facts:
        seq += 1
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = commitment_of(salt, payload)
        previous = hash_of(previous, commitment, (route, seq, kind, fact, ts))
        rows.append(
            {
                "route": route,
                "seq": seq,
                "kind": kind,
                "fact": fact,
                "ts": ts,
                "payload": payload,
                "salt": salt,
                "commitment": commitment,
                "hash": previous,
            }
        )
    if rows:
        connection.execute(insert(_JOURNAL), rows)
        routes.set_head(connection, route, seq, previous)
        audit_log.note(connection, "routes", [(route,)])


def facts(connection: Connection, route: str, since: datetime | None = None) -> tuple[Fact, ...]:
    """The facts of the route in the order of arrival; for an erased one, what its erasure put in its place.

    With `since` only those that are not older.
    """
    read = numbered_facts(connection, route, since).values()
    return tuple(fact for fact in read if since is None or fact.ts >= since)


def numbered_facts(connection: Connection, route: str, since: datetime | None = None) -> dict[int, Fact]:
    """The same with their numbers, in order."""
    found: dict[int, tuple[str, str]] = {}
    ids: dict[int, str] = {}
    for entry in entries(connection, route, since):
        target = erased_seq(entry.kind, entry.fact)
        if target is None:
            ids[entry.seq] = entry.fact
        if target is None and entry.payload is not None:
            found[entry.seq] = (entry.kind, entry.payload)
        elif target in ids and entry.payload:
            kind, _, payload = entry.payload.partition("\n")
            found[target] = (kind, payload)
    return {seq: _fact(kind, ids[seq], payload) for seq, (kind, payload) in sorted(found.items())}


def _fact(kind: str, id: str, payload: str) -> Fact:
    """A fact under the id that its journal knows it by."""
    return Decision.stored(payload, id) if kind == "decision" else KINDS[kind].decode(payload.encode())


def facts_after(connection: Connection, route: str, seq: int, hash_: str) -> tuple[Fact, ...] | None:
    """The facts that came after entry `seq` of this hash; None where that is none, or something was erased since."""
    columns = [_JOURNAL.c[name] for name in ("seq", "kind", "payload", "hash")]
    query = select(*columns).where(_JOURNAL.c.route == route, _JOURNAL.c.seq >= seq).order_by(_JOURNAL.c.seq)
    rows = connection.execute(query).all()
    if seq == 0:
        first: Sequence[Any] = rows
    elif not rows or (rows[0].seq, rows[0].hash) != (seq, hash_):
        return None
    else:
        first = rows[1:]
    if any(row.kind == ERASURE or row.payload is None for row in first):
        return None
    return tuple(KINDS[row.kind].decode(row.payload.encode()) for row in first)


def entries(connection: Connection, route: str, since: datetime | None = None) -> tuple[JournalEntry, ...]:
    """The route's journal as it is stored, in order; with `since` without older facts, but with every erasure."""
    columns = [_JOURNAL.c[name] for name in JournalEntry.__dataclass_fields__]
    query = select(*columns).where(_JOURNAL.c.route == route).order_by(_JOURNAL.c.seq)
    if since is not None:
        query = query.where(or_(_JOURNAL.c.ts >= since, _JOURNAL.c.kind == ERASURE))
    return tuple(JournalEntry(*row) for row in connection.execute(query))


def verify_chain(connection: Connection, route: str) -> tuple[str, ...]:
    """What is wrong with the route's journal, in words; empty when nothing is."""
    return chain_problems(entries(connection, route), routes.head(connection, route))


def erase(connection: Connection, route: str, seq: int, ts: datetime, replacement: Fact | None = None) -> None:
    """Delete the content of fact `seq` for good, as asked for at `ts`; the chain keeps its place and still verifies.

    `replacement` is the same fact without what had to go (a decision's actor and reason, say), so that what was
    derived from it stays; without one the fact no longer counts. It goes too when the fact is erased again. The
    fact's id stays: it is made of hashed content, and keeps a redelivered fact out.

    Raises:
        StoreError: if there is no such entry, or it is an erasure itself.
    """
    erase_facts(connection, route, {seq: replacement}, ts)


def erase_facts(connection: Connection, route: str, replacements: Mapping[int, Fact | None], ts: datetime) -> None:
    """The same of many facts: number -> what takes its place.

    Raises:
        StoreError: as `erase` does; nothing is erased then.
    """
    of: dict[int, list[int]] = {seq: [] for seq in replacements}
    for entry in entries(connection, route):
        target = erased_seq(entry.kind, entry.fact)
        mine = entry.seq if target is None else target
        if mine in of and (target is not None or entry.kind != ERASURE):
            of[mine].append(entry.seq)
    for seq, found in of.items():
        if not found:
            raise StoreError(f"the journal of {route} has no fact {seq}; list its facts with their numbers first")
    written = []
    for seq, replacement in sorted(replacements.items()):
        where = (_JOURNAL.c.route == route, _JOURNAL.c.seq == of[seq][-1])
        connection.execute(update(_JOURNAL).where(*where).values(payload=None, salt=None))
        payload = f"{_NAMES[type(replacement)]}\n{replacement.encode().decode()}" if replacement else ""
        written.append((ERASURE, f"{seq}/{len(of[seq])}", ts, payload))
    _write(connection, route, written)


def told() -> ColumnElement[str]:
    """The payload of a fact as it counts: of an erased one what its erasure put in its place, NULL where that is none.

    Whoever reads facts by a query of their own reads this one.
    """
    later = _JOURNAL.alias()
    of = (later.c.route == _JOURNAL.c.route, later.c.kind == ERASURE, later.c.payload.is_not(None))
    this = later.c.fact.startswith(sql_cast(_JOURNAL.c.seq, String) + "/")
    replaced = select(func.max(later.c.payload)).where(*of, this).correlate(_JOURNAL).scalar_subquery()
    # It stands behind the name of its kind and the end of a line.
    content = func.nullif(func.substr(replaced, func.length(_JOURNAL.c.kind) + 2), "")
    payload: ColumnElement[str] = func.coalesce(_JOURNAL.c.payload, content)
    return payload


ANNOUNCED: Final = "announced"
_ROUTES = table(RouteRow)


def changes(
    connection: Connection,
    globs: Sequence[str],
    kinds: Collection[str] | None,
    after: TimeCursor | None,
    most: int,
    span: TimeSpan = ANY_TIME,
) -> tuple[Change | Decision, ...]:
    """At most so many changes of these kinds within `span`, newest first, after the one with this time and id.

    A change that was announced is the decision that says so. What was erased whole is left out.
    """
    kind = json_text(connection, told(), "kind")
    change, announced = _JOURNAL.c.kind == "change", and_(_JOURNAL.c.kind == "decision", kind == "announce")
    if kinds is not None:
        change = and_(change, kind.in_(sorted(kinds)))
    wanted = or_(change, announced) if kinds is None or ANNOUNCED in kinds else change
    wanted = and_(wanted, span.holds(_JOURNAL.c.ts))
    found = _facts_page(connection, globs, ("change", "decision"), wanted, after, most)
    return tuple(fact for fact in found if isinstance(fact, Change | Decision))


def comparisons(
    connection: Connection, globs: Sequence[str], after: TimeCursor | None, most: int
) -> tuple[Comparison, ...]:
    """At most so many comparisons, newest first, that follow the one with this time and id."""
    found = _facts_page(connection, globs, ("comparison",), true(), after, most)
    return tuple(fact for fact in found if isinstance(fact, Comparison))


def comparison(connection: Connection, id: str) -> Comparison | None:
    """One comparison."""
    one = _JOURNAL.c
    query = select(told()).where(_of_routes(EVERYTHING), one.kind == "comparison", one.fact == id)
    payload = connection.execute(query).scalars().first()
    return None if payload is None else Comparison.decode(payload.encode())


def comparisons_by_run(
    connection: Connection, globs: Sequence[str], ended: Collection[datetime]
) -> dict[str, Comparison]:
    """Id of a later run -> its comparison, of runs that ended at these times: a comparison bears that time."""
    one = _JOURNAL.c
    query = select(told()).where(_of_routes(globs), one.kind == "comparison", one.ts.in_(sorted(ended)))
    found = (Comparison.decode(text.encode()) for text in connection.execute(query).scalars() if text is not None)
    return {fact.after_run: fact for fact in found if fact.after_run is not None}


def _facts_page(
    connection: Connection,
    globs: Sequence[str],
    kinds: Collection[str],
    wanted: ColumnElement[bool],
    after: TimeCursor | None,
    most: int,
) -> list[Any]:
    one = _JOURNAL.c
    payload = told()
    query = select(one.kind, one.fact, payload).where(
        _of_routes(globs), one.kind.in_(kinds), wanted, payload.is_not(None), older_than(after, one.ts, one.fact)
    )
    rows = connection.execute(query.order_by(one.ts.desc(), one.fact.desc()).limit(most)).all()
    return [_fact(kind, id, text) for kind, id, text in rows]


def _of_routes(globs: Sequence[str]) -> ColumnElement[bool]:
    """Of these routes, each by its name, so that the index by route and kind is used."""
    return _JOURNAL.c.route.in_(select(_ROUTES.c.route).where(visible(_ROUTES.c.route, globs)))


MOST_WITHIN: Final = 100
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


def facts_within(
    connection: Connection,
    route: str,
    kinds: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    most: int = MOST_WITHIN,
) -> tuple[Fact, ...]:
    """Facts of these kinds in [since, until), in order; of an erased one what was put in its place."""
    since, until = since or _EARLIEST, until or _LATEST
    one, payload = _JOURNAL.c, told()
    query = select(one.kind, one.fact, payload).where(one.route == route, one.kind.in_(kinds), payload.is_not(None))
    within = query.where(one.ts >= since, one.ts < until).order_by(one.seq.desc()).limit(most)
    found = [_fact(kind, id, text) for kind, id, text in connection.execute(within)]
    return tuple(sorted(found, key=lambda fact: fact.ts))
