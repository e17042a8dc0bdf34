"""The audit log: one append-only, hash-chained entry for each thing that people see or did, whenever it is written.

An entry holds no content: a salted commitment to the row as it was written, in the same transaction. Whoever checks
it (`audit_check`) computes the commitment again from the row that stands there now. So an erasure changes the row and
adds an entry, the chain stays whole, and of what was erased nothing is left to guess at. What is no row of a table
(dead letters sent again) stands in the entry itself.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    RowMapping,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlmodel import Field

from schemas.base import canonical, iso
from services.store.dialect import lock
from services.store.hash_chain import SALT_BYTES, commitment_of, hash_of
from services.store.tables import Base, UtcDateTime, all_metadata, table


class AuditRow(Base, table=True):
    """One entry. `subject` is the primary key of the row as a JSON list; `salt` goes when the subject is erased."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "thing", "subject", "seq"),)
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    thing: str
    subject: str
    action: str
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str | None = Field(default=None, sa_type=Text)
    salt: bytes | None = Field(default=None, sa_type=LargeBinary)
    commitment: str
    hash: str


AuditAction = Literal["start", "written", "removed", "altered", "act"]
"""`start`: the log begins. `altered`: a row was found changed by somebody else, before it was written again."""

COVERED: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": ("route", "state", "severity", "opened_event_index", "opened_at", "payload", "false_alarm"),
    "decisions_outbox": ("id", "incident", "payload", "created"),
    "routes": ("journal_seq", "journal_hash"),
    "evaluations": (
        *("route", "cause", "moment", "identity", "suite", "target", "delay", "due"),
        *("state", "reason", "created"),
    ),
    "runs": (
        *("route", "identity", "suite", "suite_sha256", "moment", "cause", "status", "reason", "ts"),
        "payload",
    ),
    "schedules": ("suites", "cron", "timezone", "enabled", "origin", "since", "overlap", "catch_up"),
    "silences": ("route", "since", "until", "actor", "reason", "fingerprint", "incident", "ended_by", "ended_reason"),
    "api_keys": ("name", "role", "routes", "secret_sha256", "created", "expires", "revoked"),
}
"""Table -> its columns that people see; the primary key counts too. A journal counts by its head, which binds it all.

A column that comes later is null in older rows: what is null is no part of the content, so that they still verify.
"""
_LOG: Final = table(AuditRow)
_AT_ONCE: Final = 200
_HEAD: Final = "audit_head"
START: Final = "start"
ERASURES: Final = "erasures"
REPLAYS: Final = "dead_letter_replays"
"""Dead letters that somebody sent again: no table, but an act."""
DELETIONS: Final = "route_deletions"
"""Routes that somebody deleted with all that was stored of them."""
Key = tuple[Any, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry as it is stored."""

    seq: int
    thing: str
    subject: str
    action: str
    ts: datetime
    payload: str | None
    salt: bytes | None
    commitment: str
    hash: str


def note(connection: Connection, thing: str, keys: Iterable[Key]) -> None:
    """Note how the rows with these primary keys are now: written anew, changed, or gone; unchanged ones add nothing."""
    _compare(connection, thing, keys, "written", "removed")


def guard(connection: Connection, thing: str, keys: Iterable[Key]) -> None:
    """Before rows are changed: note those that are not as they were noted last. `note` would take them as they are."""
    _compare(connection, thing, keys, "altered", "altered")


def delete_rows(connection: Connection, some: Table, *where: ColumnElement[bool], most: int | None = None) -> int:
    """Delete rows of any table, at most so many, and note those of a covered one as removed; how many."""
    key = list(some.primary_key)
    chosen = select(*key).where(*where)
    if some.name not in COVERED:
        if most is None:
            return connection.execute(delete(some).where(*where)).rowcount
        chosen = chosen.limit(most)
        return connection.execute(
            delete(some).where(tuple_(*key).in_(chosen) if key[1:] else key[0].in_(chosen))
        ).rowcount
    keys = [tuple(row) for row in connection.execute(chosen if most is None else chosen.limit(most))]
    guard(connection, some.name, keys)
    for part in _parts(keys):
        connection.execute(delete(some).where(tuple_(*key).in_(part)))
    note(connection, some.name, keys)
    return len(keys)


def act(connection: Connection, thing: str, subject: Sequence[Any], content: Mapping[str, Any]) -> None:
    """Note what somebody did that is no row of a table."""
    lock(connection, "audit")
    payload = canonical(dict(content)).decode()
    _append(connection, [(thing, _subject(subject), "act", payload, payload)])


def state_of(connection: Connection, thing: str, key: Key) -> Literal["as written", "changed", "removed"] | None:
    """Whether the row with this primary key is as it was noted last; None if it never was noted."""
    entry = _last(connection, thing, [_subject(key)]).get(_subject(key))
    rows = list(rows_of(connection, thing, [key]))
    if entry is None:
        return None
    if not rows:
        return "removed"
    return "as written" if entry.action != "removed" and holds(entry, content_of(thing, rows[0])) else "changed"


def begin(connection: Connection) -> None:
    """Begin the log of a database that has none: what stands there is taken as it is, and watched from here on."""
    if connection.execute(select(_LOG.c.seq).limit(1)).first() is not None:
        return
    lock(connection, "audit")
    if head(connection)[0]:
        return  # another process was faster
    all_metadata()
    _append(connection, [(START, "[]", "start", None, "")])
    for thing in COVERED:
        query = select(*_table(thing).primary_key)
        for some in _parts(tuple(row) for row in connection.execute(query).all()):
            note(connection, thing, some)


def head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the last entry; (0, "") before the first."""
    query = select(_LOG.c.seq, _LOG.c.hash).order_by(_LOG.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return (0, "") if row is None else (row.seq, row.hash)


def hash_at(connection: Connection, seq: int) -> str | None:
    """The hash of an entry, None where there is no such entry."""
    found: str | None = connection.execute(select(_LOG.c.hash).where(_LOG.c.seq == seq)).scalar_one_or_none()
    return found


def take_new_head(connection: Connection) -> tuple[int, str] | None:
    """The head that this transaction has made, if it has made one; asked for once, after it was committed."""
    found: tuple[int, str] | None = connection.info.pop(_HEAD, None)
    return found


def forget_content(connection: Connection, thing: str, keys: Iterable[Key]) -> None:
    """After an erasure was noted: drop the salts of earlier entries, so that nobody can test a guess at what was."""
    lock(connection, "audit")
    for some in _parts(_subject(key) for key in keys):
        mine = (_LOG.c.thing == thing, _LOG.c.subject.in_(some))
        last = select(func.max(_LOG.c.seq)).where(*mine).group_by(_LOG.c.subject)
        connection.execute(update(_LOG).where(*mine, _LOG.c.seq.not_in(last)).values(salt=None))


def content_of(thing: str, row: RowMapping) -> str:
    """What people see of a row, as canonical JSON."""
    names = (*(column.name for column in _table(thing).primary_key), *COVERED[thing])
    return canonical({name: _plain(row[name]) for name in names if row[name] is not None}).decode()


def subject_of(thing: str, row: RowMapping) -> str:
    """The primary key of a row, as entries write it."""
    return _subject([row[column.name] for column in _table(thing).primary_key])


def key_of_subject(subject: str) -> tuple[str, ...]:
    """The primary key as people read it."""
    try:
        return tuple(str(part) for part in json.loads(subject))
    except (ValueError, TypeError):
        return (subject,)


def rows_of(connection: Connection, thing: str, keys: Sequence[Key] | None = None) -> Iterable[RowMapping]:
    """The rows with these keys, or all."""
    what = _table(thing)
    query = select(*what.primary_key, *(what.c[name] for name in COVERED[thing] if not what.c[name].primary_key))
    if thing == "routes":  # it counts by its journal: one that is still learning has none, and shows nothing
        query = query.where(what.c.journal_seq > 0)
    if keys is not None:
        query = query.where(tuple_(*what.primary_key).in_(keys))
    return connection.execute(query.execution_options(yield_per=_AT_ONCE)).mappings()


def entries(connection: Connection) -> Iterable[AuditEntry]:
    """The whole log, in order."""
    columns = [_LOG.c[name] for name in AuditEntry.__dataclass_fields__]
    query = select(*columns).order_by(_LOG.c.seq).execution_options(yield_per=_AT_ONCE)
    return (AuditEntry(*row) for row in connection.execute(query))


def _compare(connection: Connection, thing: str, keys: Iterable[Key], there: AuditAction, gone: AuditAction) -> None:
    lock(connection, "audit")
    for some in _parts(dict.fromkeys(keys)):
        live = {subject_of(thing, row): content_of(thing, row) for row in rows_of(connection, thing, some)}
        last = _last(connection, thing, [_subject(key) for key in some])
        new: list[tuple[str, str, AuditAction, str | None, str]] = []
        for subject in (_subject(key) for key in some):
            before, content = last.get(subject), live.get(subject)
            if content is None and before is not None and before.action != "removed":
                new.append((thing, subject, gone, None, ""))
            elif content is not None and (before is None or not holds(before, content)):
                new.append((thing, subject, there, None, content))
        _append(connection, new)


def holds(entry: AuditEntry, content: str) -> bool:
    """Whether the entry is of this content."""
    return entry.salt is not None and entry.commitment == commitment_of(entry.salt, content)


def _last(connection: Connection, thing: str, subjects: Sequence[str]) -> dict[str, AuditEntry]:
    newest = select(func.max(_LOG.c.seq)).where(_LOG.c.thing == thing, _LOG.c.subject.in_(subjects))
    columns = [_LOG.c[name] for name in AuditEntry.__dataclass_fields__]
    query = select(*columns).where(_LOG.c.seq.in_(newest.group_by(_LOG.c.subject)))
    return {row.subject: AuditEntry(*row) for row in connection.execute(query)}


def _append(connection: Connection, new: Sequence[tuple[str, str, AuditAction, str | None, str]]) -> None:
    """(thing, subject, action, what stands in the entry itself, what it commits to)."""
    if not new:
        return
    seq, previous = head(connection)
    now, rows = datetime.now(UTC), []
    for thing, subject, action, payload, content in new:
        seq += 1
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = commitment_of(salt, content)
        previous = hash_of(previous, commitment, (thing, seq, subject, action, now))
        entry = AuditEntry(seq, thing, subject, action, now, payload, salt, commitment, previous)
        rows.append({name: getattr(entry, name) for name in AuditEntry.__dataclass_fields__})
    connection.execute(insert(_LOG), rows)
    connection.info[_HEAD] = (seq, previous)


def _parts(all_: Iterable[T]) -> Iterator[list[T]]:
    """What one query can name."""
    rest = list(all_)
    for start in range(0, len(rest), _AT_ONCE):
        yield rest[start : start + _AT_ONCE]


def _table(thing: str) -> Table:
    return Base.metadata.tables[thing]


def _subject(key: Sequence[Any]) -> str:
    return canonical([_plain(part) for part in key]).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return value.hex() if isinstance(value, bytes) else value
