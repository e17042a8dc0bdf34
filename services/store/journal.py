"""The facts of a route: alerts, changes, runs, comparisons, decisions, append-only and hash-chained."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, or_, select, update

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from services.store import routes
from services.store.chain import ERASURE, SALT_BYTES, Entry, commitment_of, erased_seq, hash_of, problems
from services.store.engine import StoreError
from services.store.tables import JournalRow, table

Fact = Alert | Change | Run | Comparison | Decision
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


def held(connection: Connection, route: str, facts: Sequence[Fact]) -> frozenset[str]:
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


def facts(connection: Connection, route: str, since: datetime | None = None) -> tuple[Fact, ...]:
    """The facts of the route in the order of arrival; for an erased one, what its erasure put in its place.

    With `since` only those that are not older.
    """
    found: dict[int, tuple[str, str]] = {}
    for entry in entries(connection, route, since):
        target = erased_seq(entry.kind, entry.fact)
        if target is None and entry.payload is not None:
            found[entry.seq] = (entry.kind, entry.payload)
        elif target is not None and entry.payload:
            kind, _, payload = entry.payload.partition("\n")
            found[target] = (kind, payload)
    read = (KINDS[kind].decode(payload.encode()) for _, (kind, payload) in sorted(found.items()))
    return tuple(fact for fact in read if since is None or fact.ts >= since)


def entries(connection: Connection, route: str, since: datetime | None = None) -> tuple[Entry, ...]:
    """The route's journal as it is stored, in order; with `since` without older facts, but with every erasure."""
    columns = [_JOURNAL.c[name] for name in Entry.__dataclass_fields__]
    query = select(*columns).where(_JOURNAL.c.route == route).order_by(_JOURNAL.c.seq)
    if since is not None:
        query = query.where(or_(_JOURNAL.c.ts >= since, _JOURNAL.c.kind == ERASURE))
    return tuple(Entry(*row) for row in connection.execute(query))


def verify_chain(connection: Connection, route: str) -> tuple[str, ...]:
    """What is wrong with the route's journal, in words; empty when nothing is."""
    return problems(entries(connection, route), routes.head(connection, route))


def erase(connection: Connection, route: str, seq: int, ts: datetime, replacement: Fact | None = None) -> None:
    """Delete the content of fact `seq` for good, as asked for at `ts`; the chain keeps its place and still verifies.

    `replacement` is the same fact without what had to go (a decision's actor and reason, say), so that what was
    derived from it stays; without one the fact no longer counts. It goes too when the fact is erased again. The
    fact's id stays: it is made of hashed content, and keeps a redelivered fact out.

    Raises:
        StoreError: if there is no such entry, or it is an erasure itself.
    """
    found = [entry for entry in entries(connection, route) if seq in (entry.seq, erased_seq(entry.kind, entry.fact))]
    if not any(entry.seq == seq and entry.kind != ERASURE for entry in found):
        raise StoreError(f"the journal of {route} has no fact {seq}; list its facts with their numbers first")
    where = (_JOURNAL.c.route == route, _JOURNAL.c.seq == found[-1].seq)
    connection.execute(update(_JOURNAL).where(*where).values(payload=None, salt=None))
    payload = f"{_NAMES[type(replacement)]}\n{replacement.encode().decode()}" if replacement else ""
    _write(connection, route, [(ERASURE, f"{seq}/{len(found)}", ts, payload)])
