"""The journal finds every edit, delete, insert and swap of a single row, and survives erasure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, update

from schemas.alert import Alert
from schemas.change import Change, change_id
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.reading import Evidence
from services.store import journal, routes
from services.store.engine import Database, StoreError, open_database
from services.store.journal import JournalRow, commitment_of, hash_of
from services.store.tables import table

ROUTE = "support-bot/prod"
START = datetime(2026, 1, 1, tzinfo=UTC)
A, B = "a" * 16, "b" * 16
JOURNAL = table(JournalRow)
TEXT = "Erika Mustermann wrote this herself"


def decision(n: int, reason: str = "looks fine") -> Decision:
    return Decision(kind="resolve", route=ROUTE, actor="erika", reason=reason, ts=START + timedelta(minutes=n))


def change(n: int) -> Change:
    id = change_id(ROUTE, "observed", A, B, f"{n:016x}")
    return Change(
        id=id, kind="observed", route=ROUTE, from_identity=A, to_identity=B, ts=START, event_index=n, reason="new"
    )


def alert(n: int) -> Alert:
    return Alert(
        id=f"{n:016x}",
        route=ROUTE,
        family="model_shift",
        fingerprint=A,
        status="firing",
        severity="info",
        event_index=n,
        ts=START,
        evidence=Evidence(n=n),
    )


def run(n: int) -> Run:
    return Run(
        id=f"{n:016x}", route=ROUTE, identity=A, suite="core", suite_sha256="x", status="complete", ts=START, items=9
    )


def comparison(n: int) -> Comparison:
    return Comparison(id=f"{n:016x}", route=ROUTE, identity=A, suite="core", overall="unchanged", ts=START)


FACTS = (decision(1), change(2), alert(3), run(3), comparison(3), decision(4, TEXT))


@pytest.fixture
def chain(database: Database) -> Iterator[Connection]:
    """Six facts, one of them erased with a replacement and one without: eight entries."""
    with database.engine.connect() as connection, connection.begin() as transaction:
        journal.append(connection, ROUTE, FACTS)
        journal.erase(connection, ROUTE, 6, START, decision(4, "(erased)"))
        journal.erase(connection, ROUTE, 1, START)
        assert journal.verify_chain(connection, ROUTE) == ()
        yield connection
        transaction.rollback()


def rows(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(JOURNAL).order_by(JOURNAL.c.seq)).mappings()]


def is_found(connection: Connection) -> bool:
    return any(journal.verify_chain(connection, route) for route in {ROUTE, *_routes(connection)})


def _routes(connection: Connection) -> list[str]:
    return list(connection.execute(select(JOURNAL.c.route).distinct()).scalars())


def put(connection: Connection, changed: list[dict[str, Any]]) -> None:
    """The table with these rows in place of its own."""
    connection.execute(delete(JOURNAL))
    connection.execute(insert(JOURNAL), changed)


def test_facts_come_back_in_the_order_of_their_arrival(database: Database) -> None:
    with database.write() as connection:
        assert journal.append(connection, ROUTE, FACTS) == len(FACTS)
        assert journal.facts(connection, ROUTE) == FACTS


def test_an_edit_of_any_column_of_any_row_is_found(chain: Connection) -> None:
    original = rows(chain)
    edits = 0
    for place, name in itertools.product(range(len(original)), JOURNAL.columns.keys()):
        for value in _other_values(original, place, name):
            edited = [dict(row) for row in original]
            edited[place][name] = value
            if _keys_clash(edited):
                continue  # the database refuses it
            put(chain, edited)
            assert is_found(chain), (place, name, value)
            edits += 1
    assert edits > 300
    put(chain, original)
    assert not is_found(chain)


def _other_values(original: list[dict[str, Any]], place: int, name: str) -> list[Any]:
    """The value of each other row, and a small change of the own one."""
    own = original[place][name]
    values = [row[name] for row in original]
    if JOURNAL.c[name].nullable:
        values.append(None)
    if isinstance(own, str):
        values += [own + " ", own[:-1], "", own.upper(), own.replace("a", "b")]
    elif isinstance(own, bytes):
        values += [own + b"x", own[:-1], b"", bytes(reversed(own))]
    elif isinstance(own, datetime):
        values += [own + timedelta(microseconds=1), own - timedelta(days=1)]
    elif isinstance(own, int):
        values += [own + 1, own - 1, own + 100, -own]
    else:
        values += ["" if name == "payload" else b"", "x" if name == "payload" else b"x" * 16]
    return [value for value in values if value != own]


def _keys_clash(edited: list[dict[str, Any]]) -> bool:
    keys = {(row["route"], row["seq"]) for row in edited}
    facts = {(row["route"], row["kind"], row["fact"]) for row in edited}
    return min(len(keys), len(facts)) < len(edited)


def test_a_deletion_of_any_row_is_found(chain: Connection) -> None:
    original = rows(chain)
    for place in range(len(original)):
        put(chain, original[:place] + original[place + 1 :])
        assert is_found(chain), place
        closed = [dict(row) for row in original[:place] + original[place + 1 :]]
        for seq, row in enumerate(closed, start=1):
            row["seq"] = seq
        put(chain, closed)
        assert is_found(chain), f"{place}, the later ones moved up"


def test_an_insertion_at_any_place_is_found_even_with_a_right_hash(chain: Connection) -> None:
    original = rows(chain)
    for place in range(len(original) + 1):
        previous = original[place - 1]["hash"] if place else ""
        payload, salt = decision(99).encode().decode(), b"s" * 16
        commitment = commitment_of(salt, payload)
        forged = {
            "route": ROUTE,
            "seq": place + 1,
            "kind": "decision",
            "fact": decision(99).id,
            "ts": decision(99).ts,
            "payload": payload,
            "salt": salt,
            "commitment": commitment,
            "hash": hash_of(previous, commitment, (ROUTE, place + 1, "decision", decision(99).id, decision(99).ts)),
        }
        later = [{**row, "seq": row["seq"] + 1} for row in original[place:]]
        put(chain, [*original[:place], forged, *later])
        assert is_found(chain), place


def test_a_swap_of_any_two_rows_or_of_their_contents_is_found(chain: Connection) -> None:
    original = rows(chain)
    parts = [["seq"], ["payload", "salt"], ["payload", "salt", "commitment"], ["payload", "salt", "commitment", "hash"]]
    parts += [["kind", "fact", "ts", "payload", "salt", "commitment"], ["kind", "fact", "ts"], ["commitment", "hash"]]
    for (i, j), names in itertools.product(itertools.combinations(range(len(original)), 2), parts):
        swapped = [dict(row) for row in original]
        for name in names:
            swapped[i][name], swapped[j][name] = original[j][name], original[i][name]
        if swapped == original:
            continue
        put(chain, swapped)
        assert is_found(chain), (i, j, names)


def test_an_edit_of_the_head_is_found(chain: Connection) -> None:
    seq, hash_ = routes.head(chain, ROUTE)
    for wrong in [(seq - 1, hash_), (seq + 1, hash_), (seq, ""), (seq, "0" * 64), (0, "")]:
        routes.set_head(chain, ROUTE, *wrong)
        assert is_found(chain), wrong


def test_an_erased_fact_cannot_be_put_back_or_removed_without_a_trace(chain: Connection) -> None:
    original = rows(chain)
    chain.execute(update(JOURNAL).where(JOURNAL.c.seq == 3).values(payload=None, salt=None))
    assert "no erasure says so" in journal.verify_chain(chain, ROUTE)[0]
    put(chain, original)
    salt, payload = b"s" * 16, decision(1).encode().decode()
    chain.execute(update(JOURNAL).where(JOURNAL.c.seq == 1).values(payload=payload, salt=salt))
    assert is_found(chain)


def test_what_is_read_since_a_time_is_the_end_of_what_is_read_of_all(database: Database) -> None:
    with database.write() as connection:
        journal.append(connection, ROUTE, [decision(n) for n in range(6)])
        journal.erase(connection, ROUTE, 2, START + timedelta(hours=1), decision(1, "gone"))
        journal.erase(connection, ROUTE, 5, START + timedelta(hours=1), decision(4, "gone too"))
    with database.read() as connection:
        whole = journal.facts(connection, ROUTE)
        for n in range(7):
            since = START + timedelta(minutes=n)
            assert journal.facts(connection, ROUTE, since) == tuple(fact for fact in whole if fact.ts >= since)
    assert [fact.reason for fact in whole] == [
        "looks fine",
        "gone",
        "looks fine",
        "looks fine",
        "gone too",
        "looks fine",
    ]


def test_an_erased_fact_does_not_come_back_when_it_is_delivered_again(chain: Connection) -> None:
    before = journal.facts(chain, ROUTE)
    told = decision(4, "(erased)").encode()
    assert (*before[:4], before[4].encode(), before[4].id) == (*FACTS[1:5], told, FACTS[5].id)
    assert journal.append(chain, ROUTE, FACTS) == 0
    assert journal.facts(chain, ROUTE) == before


def test_the_replacement_can_be_erased_as_well(chain: Connection) -> None:
    journal.erase(chain, ROUTE, 6, START, decision(4, "twice"))
    journal.erase(chain, ROUTE, 6, START)
    assert journal.verify_chain(chain, ROUTE) == ()
    assert journal.facts(chain, ROUTE) == FACTS[1:5]


@pytest.mark.parametrize("seq", [0, 7, 99])
def test_only_facts_can_be_erased(chain: Connection, seq: int) -> None:
    with pytest.raises(StoreError, match=f"no fact {seq}"):
        journal.erase(chain, ROUTE, seq, START)


def test_after_an_erasure_no_file_of_the_database_holds_the_text(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/kw.db")
    with database.write() as connection:
        journal.append(connection, ROUTE, [*FACTS, *(decision(n, "x" * 900) for n in range(20, 60))])
    assert TEXT.encode() in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    with database.write() as connection:
        journal.erase(connection, ROUTE, 6, START)
    database.scrub()
    assert TEXT.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    database.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.lists(st.sampled_from(FACTS), max_size=6), max_size=5))
def test_a_fact_is_kept_once_however_often_it_comes(database: Database, batches: list[list[Any]]) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        for batch in batches:
            journal.append(connection, ROUTE, batch)
        kept = journal.facts(connection, ROUTE)
        assert list(kept) == list(dict.fromkeys(itertools.chain(*batches)))
        assert journal.verify_chain(connection, ROUTE) == ()
        transaction.rollback()
