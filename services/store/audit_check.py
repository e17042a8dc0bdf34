"""Whether what people see is what was written: the audit log against the rows that stand there now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from services.store import audit_log, journal, routes
from services.store.audit_log import COVERED, AuditEntry, content_of, holds, key_of_subject, subject_of
from services.store.hash_chain import commitment_of, hash_of
from services.store.journal import JournalRow
from services.store.tables import all_metadata, table

AuditFault = Literal[
    "changed", "removed", "added", "altered", "entry", "act", "cut", "rewritten", "journal", "unreadable"
]
"""`altered`: found changed before it was written again. `entry`: of the log itself. `cut`, `rewritten`: by the head
that is kept outside the database. `journal`: a route's own chain."""
JOURNAL: Final = "journal"


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """Something that is not as it was written: of which table, which row, and what is known of it in words."""

    fault: AuditFault
    thing: str
    key: tuple[str, ...]
    words: str = ""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a check found.

    Attributes:
        entries: in the log, since `begun`; hash: of the last one. rows, journals: that were compared.
        outside: number of the entry that the head outside the database names; None where there is no such head.
    """

    entries: int
    begun: datetime | None
    hash: str
    rows: int
    journals: int
    outside: int | None
    problems: tuple[AuditProblem, ...]


def check(connection: Connection, outside: tuple[int, str] | None) -> AuditReport:
    """Compare the whole log with every row that it covers, with `outside`, and every journal with its own chain.

    Args:
        connection: a transaction that sees one state of the database.
        outside: number and hash of an entry, as kept outside the database.
    """
    all_metadata()
    problems: list[AuditProblem] = []
    last: dict[tuple[str, str], AuditEntry] = {}
    n, previous, named, begun = 0, "", None, None
    for entry in audit_log.entries(connection):
        problems += _faults(entry, n + 1, previous)
        n, previous, begun = entry.seq, entry.hash, begun or entry.ts
        if outside is not None and entry.seq == outside[0]:
            named = entry.hash
        last[entry.thing, entry.subject] = entry
    if not n:
        problems.append(AuditProblem("entry", audit_log.START, ("1",)))
    if outside is not None and named != outside[1]:
        problems.append(AuditProblem("cut" if outside[0] > n else "rewritten", "audit_log", (str(outside[0]),)))
    rows, found = _rows(connection, last)
    journals, broken = _journals(connection)
    problems += [*found, *broken]
    return AuditReport(n, begun, previous, rows, journals, None if outside is None else outside[0], tuple(problems))


def _faults(entry: AuditEntry, seq: int, previous: str) -> Iterator[AuditProblem]:
    meta = (entry.thing, entry.seq, entry.subject, entry.action, entry.ts)
    if entry.seq != seq or entry.hash != hash_of(previous, entry.commitment, meta):
        yield AuditProblem("entry", "audit_log", (str(seq),))
    if entry.action == "altered":
        yield AuditProblem("altered", entry.thing, key_of_subject(entry.subject))
    own = entry.action == "act"
    if own != (entry.payload is not None) or (
        own and (entry.salt is None or entry.commitment != commitment_of(entry.salt, entry.payload or ""))
    ):
        yield AuditProblem("act", entry.thing, key_of_subject(entry.subject))


def _rows(connection: Connection, last: dict[tuple[str, str], AuditEntry]) -> tuple[int, list[AuditProblem]]:
    """How many rows were compared, and those that are not as the log has them."""
    n, found = 0, []
    for thing in COVERED:
        try:
            for row in audit_log.rows_of(connection, thing):
                subject = subject_of(thing, row)
                noted = last.pop((thing, subject), None)
                n += 1
                if noted is None:
                    found.append(AuditProblem("added", thing, key_of_subject(subject)))
                elif noted.action == "removed" or not holds(noted, content_of(thing, row)):
                    found.append(AuditProblem("changed", thing, key_of_subject(subject)))
        except (ValueError, TypeError) as error:  # a value that is none of its column's kind: SQLite takes any
            found.append(AuditProblem("unreadable", thing, (), type(error).__name__))
            last = {key: entry for key, entry in last.items() if key[0] != thing}
    left = (entry for (thing, _), entry in sorted(last.items()) if thing in COVERED and entry.action != "removed")
    return n, found + [AuditProblem("removed", entry.thing, key_of_subject(entry.subject)) for entry in left]


def _journals(connection: Connection) -> tuple[int, list[AuditProblem]]:
    column = table(JournalRow).c.route
    known = sorted({*routes.names(connection), *connection.execute(select(column).distinct()).scalars()})
    found: list[AuditProblem] = []
    for route in known:
        try:
            found += [
                AuditProblem("journal", JOURNAL, (route,), words) for words in journal.verify_chain(connection, route)
            ]
        except (ValueError, TypeError) as error:
            found.append(AuditProblem("unreadable", JOURNAL, (route,), type(error).__name__))
    return len(known), found
