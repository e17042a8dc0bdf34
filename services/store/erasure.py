"""What is stored of a person, a conversation or one exchange, deleted wherever the store holds it.

Detect's rows and artefacts are not known here (`services/detect/refit.py`), and incidents are derived again by record.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, or_, select, update
from sqlmodel import Field

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.fact import Fact
from services.store import audit_log, decisions, journal, routes, secret_keys
from services.store.codec import PAIRS
from services.store.dialect import upsert
from services.store.samples import SampleRow
from services.store.scores import ScoreRow
from services.store.tables import Base, UtcDateTime, all_metadata, key_of, table


class ErasureRow(Base, table=True):
    """That a subject was erased: so that what is still under way to the database is not written any more.

    `digest` is of the subject's name under a key of this database; both go after a week, when the topics have nothing
    of that time any more.
    """

    __tablename__ = "erasures"
    digest: str = Field(primary_key=True)
    erased_at: datetime = Field(sa_type=cast(Any, UtcDateTime))


SubjectKind = Literal["user", "conversation", "id"]
ERASED: Final = "(erased)"
REMEMBERED: Final = timedelta(days=8)
KEY: Final = "erasure"
_ERASURES, _SAMPLES, _SCORES = table(ErasureRow), table(SampleRow), table(ScoreRow)
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "run_answers": ("payload",),
    "runs": ("payload",),
    "decisions_outbox": ("payload",),
    "outbox": ("payload",),
}
"""Table -> columns of JSON that people's words may stand in."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data goes: all exchanges of a user or a conversation, or one exchange. `names` are its spellings."""

    kind: SubjectKind
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """One exchange of the subject as score rows have it."""

    route: str
    id: str
    identity: str
    event_index: int


@dataclass(slots=True)
class Erased:
    """What an erasure found, and did.

    Attributes:
        ids: route -> ids of the subject's exchanges. places: those of which a score row stood there.
        rows: table -> rows that were deleted or changed. derived: routes whose incidents are to be derived again.
    """

    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    places: list[StoredPlace] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    derived: set[str] = field(default_factory=set)


def find(connection: Connection, subject: Subject) -> Erased:
    """The exchanges of the subject that are stored."""
    found = Erased()
    names = ("route", "id", "identity", "event_index")
    for row in connection.execute(select(*(_SCORES.c[name] for name in names)).where(_of(_SCORES, subject))):
        found.places.append(StoredPlace(*row))
        found.ids[row.route].add(row.id)
    for row in connection.execute(select(_SAMPLES.c.route, _SAMPLES.c.id).where(_of(_SAMPLES, subject))):
        found.ids[row.route].add(row.id)
    return found


def erase(connection: Connection, subject: Subject, found: Erased, now: datetime) -> None:
    """Delete it, and what names it; the transaction has locked the routes of `found`."""
    for what in (_SAMPLES, _SCORES):
        _count(found, what.name, connection.execute(delete(what).where(_of(what, subject))).rowcount)
        for route, ids in found.ids.items():
            for some in _parts(sorted(ids)):
                gone = delete(what).where(what.c.route == route, what.c.id.in_(some))
                _count(found, what.name, connection.execute(gone).rowcount)
    all_metadata()
    for route in sorted(found.ids):
        _erase_readings(connection, route, found.ids[route], found)
    _erase_facts(connection, subject, now, found)
    for thing, columns in _TEXTS.items():
        _erase_texts(connection, thing, columns, subject.names, found)
    decisions.rename_unpublished(connection)
    _erase_states(connection, subject.names, found)
    _remember(connection, subject, now)


def _of(what: Table, subject: Subject) -> ColumnElement[bool]:
    names = [key_of(name) for name in subject.names] if subject.kind == "user" else list(subject.names)
    return what.c[subject.kind].in_(names)


def _erase_readings(connection: Connection, route: str, names: set[str], found: Erased) -> None:
    readings = Base.metadata.tables["readings"]
    query = select(readings.c.id, readings.c.payload).where(readings.c.route == route)
    changed = [
        (row.id, new)
        for row in connection.execute(query).all()
        if (new := without(row.payload, names, said=False)) is not None
    ]
    for id, payload in changed:
        connection.execute(update(readings).where(readings.c.id == id).values(payload=payload))
    _count(found, "readings", len(changed))


def _erase_facts(connection: Connection, subject: Subject, now: datetime, found: Erased) -> None:
    """Alerts without the exchanges that they name, decisions without the words that name the subject."""
    for route in sorted(routes.names(connection)):
        ids = found.ids.get(route, set())
        told = journal.numbered_facts(connection, route)
        new = {
            seq: other for seq, fact in told.items() if (other := _fact_without(fact, ids, subject.names)) is not None
        }
        if new:
            found.derived.add(route)
            journal.erase_facts(connection, route, new, now)
            audit_log.forget_content(connection, "routes", [(route,)])
            _count(found, "journal", len(new))


def _fact_without(fact: Fact, ids: set[str], names: Sequence[str]) -> Fact | None:
    """The fact without these names; None where it has none of them."""
    if isinstance(fact, Alert) and ids.intersection((*fact.exemplars, *filter(None, fact.counterparts))):
        return fact.model_copy(update=_pairs_without(fact, ids))
    if isinstance(fact, Change) and fact.pinning is not None and ids.intersection(fact.pinning.examples):
        left = tuple(id for id in fact.pinning.examples if id not in ids)
        return fact.model_copy(update={"pinning": fact.pinning.model_copy(update={"examples": left})})
    if isinstance(fact, Decision):
        told = {name: _said(getattr(fact, name), names) for name in ("reason", "actor")}
        if any(told[name] != getattr(fact, name) for name in told):
            return fact.model_copy(update=told)
    return None


def _pairs_without(alert: Alert, ids: set[str]) -> dict[str, tuple[str | None, ...]]:
    """Its exemplars without these, each with its counterpart where that is none of these."""
    like = (*alert.counterparts, *(None,) * (len(alert.exemplars) - len(alert.counterparts)))
    left = [
        (one, None if other in ids else other)
        for one, other in zip(alert.exemplars, like, strict=False)
        if one not in ids
    ]
    return {
        "exemplars": tuple(one for one, _ in left),
        "counterparts": tuple(other for _, other in left) if alert.counterparts else (),
    }


def _erase_texts(
    connection: Connection, thing: str, columns: Sequence[str], names: Sequence[str], found: Erased
) -> None:
    what = Base.metadata.tables[thing]
    for column in columns:
        holds = or_(*(what.c[column].contains(form, autoescape=True) for name in names for form in _in_json(name)))
        for row in connection.execute(select(*what.primary_key, what.c[column]).where(holds)).all():
            *key, text = row
            new = without(text, names)
            if new is None:
                continue
            if thing in audit_log.COVERED:
                audit_log.guard(connection, thing, [tuple(key)])
            this = and_(*(one == value for one, value in zip(what.primary_key, key, strict=True)))
            connection.execute(update(what).where(this).values({column: new}))
            if thing in audit_log.COVERED:
                audit_log.note(connection, thing, [tuple(key)])
                audit_log.forget_content(connection, thing, [tuple(key)])
            _count(found, thing, 1)


def rewrite_run(connection: Connection, run: str, payload: str) -> None:
    """Put what is left of a run in its place; nobody can test a guess at what was there."""
    what = Base.metadata.tables["runs"]
    audit_log.guard(connection, "runs", [(run,)])
    connection.execute(update(what).where(what.c.id == run).values(payload=payload))
    audit_log.note(connection, "runs", [(run,)])
    audit_log.forget_content(connection, "runs", [(run,)])


def _in_json(name: str) -> set[str]:
    """How a name can stand in JSON text: as it is, or in ASCII."""
    return {json.dumps(name, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}


def _erase_states(connection: Connection, names: Sequence[str], found: Erased) -> None:
    """Running states name the last exchanges of a stream, and why people muted one.

    Ids are of a route: those of another one may be the same. Also those that name nobody yet get a new version: whoever
    holds one, with what is not saved of it, loads it anew and takes that in again, as it is now.
    """
    states = Base.metadata.tables["states"]
    for row in connection.execute(select(states).with_for_update()).mappings().all():
        ids = found.ids.get(row["route"], set())
        try:
            tree = msgspec.msgpack.decode(row["blob"])
        except msgspec.DecodeError:  # damaged: it holds up nothing, unless it names what is to go
            if any(id.encode() in row["blob"] for id in ids):
                raise
            continue
        new = _Names(ids, names).erased(tree)
        this = (states.c.step == row["step"], states.c.route == row["route"])
        blob = row["blob"] if new == tree else msgspec.msgpack.encode(new)
        connection.execute(update(states).where(*this).values(version=row["version"] + 1, blob=blob))
        _count(found, "states", int(new != tree))


def without(text: str, names: Collection[str], *, said: bool = True) -> str | None:
    """JSON text without these names, None where it has none of them.

    A name is replaced where it is all of a value that holds names; with `said` also where it stands in what a person
    or a model said.
    """
    tree = json.loads(text)
    new = _Names(names, names if said else ()).erased(tree)
    return None if new == tree else json.dumps(new, ensure_ascii=False, separators=(",", ":"))


NAMED: Final = frozenset(
    {
        *("user", "conversation", "exemplars", "counterparts", "examples"),  # of records
        *("exemplar", "ids", "shown", "ones", "zeros", "walks"),  # of states
    }
)
"""Keys whose values name exchanges, or whom they are of.

People and exchanges are called as their publishers like: what is written as one of them elsewhere is a version, a
severity or a status, and has to stay.
"""


@dataclass(frozen=True, slots=True)
class _Names:
    """What is to go of a tree: values that are one of `ids`, and `words` that stand in what was said."""

    ids: Collection[str]
    words: Collection[str] = ()

    def erased(self, tree: Any, key: str = "") -> Any:
        """The tree without them. Keys are of records, never of people: they stay."""
        if isinstance(tree, str):
            if key in _WORDS:
                return _said(tree, self.words)
            return ERASED if key in NAMED and tree in self.ids else tree
        if isinstance(tree, dict):
            return {name: self.erased(value, str(name)) for name, value in tree.items()}
        if isinstance(tree, list):
            return [self.erased(value, key) for value in tree]
        if isinstance(tree, msgspec.msgpack.Ext) and tree.code == PAIRS:
            return self._pairs(tree, key)
        return self._record(tree) if isinstance(tree, bytes) and tree.startswith(b"{") else tree

    def _pairs(self, stored: msgspec.msgpack.Ext, key: str) -> msgspec.msgpack.Ext:
        """A mapping inside a stored state whose keys are no text."""
        pairs = msgspec.msgpack.decode(stored.data)
        new = [[name, self.erased(value, key)] for name, value in pairs]
        return stored if new == pairs else msgspec.msgpack.Ext(PAIRS, msgspec.msgpack.encode(new))

    def _record(self, stored: bytes) -> bytes:
        """A record inside a stored state (`codec` writes it as JSON)."""
        try:
            new = without(stored.decode(), self.ids, said=False)
        except ValueError:
            return stored
        return stored if new is None else new.encode()


_WORDS: Final = frozenset(
    {
        *("text", "reason", "actor", "prompt", "response", "content", "answer", "details", "arguments"),
        *("refusal", "error"),
    }
)
"""Keys whose values are what a person, a model or an endpoint said."""
_SHORTEST: Final = 4


def _said(text: str, names: Collection[str]) -> str:
    """A name that is all of the text, or stands in it as words of its own, is replaced.

    Of very short ones only the former: `a` is a word.
    """
    if text in names:
        return ERASED
    for name in names:
        if len(name) >= _SHORTEST and name in text:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", ERASED, text)
    return text


def _remember(connection: Connection, subject: Subject, now: datetime) -> None:
    connection.execute(delete(_ERASURES).where(_ERASURES.c.erased_at < now - REMEMBERED))
    key = secret_keys.ensure(connection, KEY, "", lambda: secrets.token_bytes(32), now)
    rows = [{"digest": _digest(key, subject.kind, name), "erased_at": now} for name in subject.names]
    upsert(connection, _ERASURES, rows)


ErasedTest = Callable[[Mapping[str, str | None], datetime], bool]


def still_erased(connection: Connection) -> ErasedTest | None:
    """Whether an exchange with these names and time is of a subject that was erased after it; None if none ever was."""
    digests = {row.digest: row.erased_at for row in connection.execute(select(_ERASURES))}
    if not digests:
        return None
    key = secret_keys.load(connection, KEY, "")
    assert key is not None

    def test(names: Mapping[str, str | None], ts: datetime) -> bool:
        held = (digests.get(_digest(key, kind, name)) for kind, name in names.items() if name is not None)
        return any(at is not None and ts <= at for at in held)

    return test


def erasures_so_far(connection: Connection) -> tuple[int, datetime | None]:
    """Changes with every erasure: what was made of rows that were read before it must not be written after it."""
    return tuple(connection.execute(select(func.count(), func.max(_ERASURES.c.erased_at))).one())


def _digest(key: bytes, kind: str, name: str) -> str:
    return hmac.new(key, f"{kind}|{key_of(name)}".encode(), hashlib.sha256).hexdigest()


def _count(found: Erased, thing: str, n: int) -> None:
    if n > 0:
        found.rows[thing] += n


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + 500] for start in range(0, len(ids), 500))
