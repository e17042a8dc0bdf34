"""The search finds exactly what fits and is seen, in order, page by page, whatever it looks through at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from schemas.identity import Model, identity_of
from schemas.sample import Sample
from services.store import exchange_search, incidents, samples, scores
from services.store.engine import Database
from services.store.exchange_search import ExchangeSearch, search
from services.store.tables import TimeSpan
from tests.support.api import recorded
from tests.support.blocks import START, Row, block
from tests.support.databases import on_sqlite
from tests.support.records import alert, place

OTHER = Model(requested="other")
N = 24


@pytest.fixture
def filled(database: Database) -> Database:
    """Two routes, their exchanges in turn: every third refuses, some have text, one of them no scores."""
    for i, route in enumerate(("bot/a", "bot/b")):
        rows = [
            Row(
                f"e{n}",
                n,
                seconds=n * 60 + i,
                model=OTHER if n % 4 == 0 else Model(requested="gpt-4"),
                signals={"refusal": None if n % 5 == 0 else n % 3 == 0},
                flags=("truncated",) if n == 7 else (),
            )
            for n in range(N)
        ]
        names = {
            "conversation": tuple(f"talk {n // 2}" for n in range(N)),
            "user": tuple("ann" if n % 2 else None for n in range(N)),
        }
        recorded(database, block(rows, route).model_copy(update=names))
    texts = [(6, "Where is my Order? 50%_off"), (9, 'He said "no"\n'), (500, "order of long ago")]
    with database.write() as connection:
        samples.add(
            connection,
            [
                Sample(
                    id=f"e{n}",
                    route="bot/a",
                    source=place(n),
                    ts=START + timedelta(minutes=n),
                    identity=identity_of(OTHER),
                    prompt=prompt,
                    response="r",
                    why="kept",
                )
                for n, prompt in texts
            ],
        )
    return database


def _pages(
    database: Database, wanted: ExchangeSearch, most: int, most_bytes: int | None = None
) -> Iterator[exchange_search.FoundExchanges]:
    after = None
    while True:
        page = database.query(search, wanted, after, most, most_bytes)
        yield page
        after = page.next
        if after is None:
            return


def found(database: Database, most: int = 100, **wanted: Any) -> list[str]:
    """Everything that fits, read in pages."""
    pages = _pages(database, ExchangeSearch(**wanted), most)
    return [f"{one.route[-1]}{one.id[1:]}" for page in pages for one in page.exchanges]


def numbers(*some: int) -> list[str]:
    return [f"{route}{n}" for n in sorted(some, reverse=True) for route in "ba"]


@pytest.mark.parametrize("most", [1, 7, 100])
@pytest.mark.parametrize("oldest_first", [False, True])
def test_pages_hold_everything_once_and_in_order(filled: Database, most: int, oldest_first: bool) -> None:
    wanted = numbers(*range(N))
    assert found(filled, most, oldest_first=oldest_first) == (wanted[::-1] if oldest_first else wanted)


def test_each_filter_finds_what_it_says(filled: Database) -> None:
    def at(minute: int) -> datetime:
        return START + timedelta(minutes=minute)

    assert found(filled, signal="refusal") == numbers(3, 6, 9, 12, 18, 21)
    assert found(filled, signal="refusal", value="unscored") == numbers(0, 5, 10, 15, 20)
    assert len(found(filled, signal="refusal", value="false")) == 2 * (N - 6 - 5)
    assert found(filled, signal="refus_l") == found(filled, signal="refusal", value="en") == []
    assert found(filled, flag="truncated") == numbers(7)
    assert found(filled, identity=identity_of(OTHER)) == numbers(*range(0, N, 4))
    assert found(filled, conversation="talk 3") == numbers(6, 7)
    assert found(filled, conversation="talk 3", route="bot/a") == ["a7", "a6"]
    assert found(filled, user="ann", signal="refusal") == numbers(3, 9, 21)
    assert found(filled, span=TimeSpan(at(2), at(4))) == numbers(2, 3)
    assert found(filled, route="bot/b", span=TimeSpan(at(2))) == [f"b{n}" for n in reversed(range(2, N))]
    assert found(filled, route="*/a", signal="refusal") == ["a21", "a18", "a12", "a9", "a6", "a3"]


def test_texts_are_found_by_their_words_also_without_scores(filled: Database) -> None:
    assert found(filled, 1, texts=True) == ["a500", "a9", "a6"]
    assert found(filled, 1, text="order") == ["a500", "a6"]
    assert found(filled, text="50%_OFF") == ["a6"]
    assert found(filled, text='"no"\n') == ["a9"]
    assert found(filled, text="prompt") == found(filled, text="%")[1:] == found(filled, text="bot/a") == []
    assert found(filled, text="order", signal="refusal") == ["a6"]
    assert found(filled, texts=True, route="bot/b") == []
    gone = filled.query(search, ExchangeSearch(text="long ago"), None, 5).exchanges[0]
    assert (gone.signals, gone.event_index, gone.sample is not None) == (None, None, True)


def test_who_sees_some_routes_finds_those_alone(filled: Database) -> None:
    own = [f"a{n}" for n in reversed(range(N))]
    assert found(filled, 5, globs=("*/a", "nothing")) == own
    assert found(filled, globs=("bot/a",), route="bot/b") == []
    assert found(filled, globs=("bot/a",), conversation="talk 0") == ["a1", "a0"]
    assert found(filled, globs=(), signal="refusal") == found(filled, globs=("x*",), text="order") == []


def test_a_page_ends_when_it_has_looked_at_enough_and_the_next_one_goes_on(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_search, "SCANNED", 10)
    pages = list(_pages(filled, ExchangeSearch(flag="truncated"), 5))
    assert [len(page.exchanges) for page in pages] == [0, 0, 0, 2, 0]
    ends = [page.looked_to for page in pages]
    assert ends == [*(START + timedelta(minutes=minute) for minute in (19, 14, 9, 4)), None]


@on_sqlite
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (ExchangeSearch(), "score_rows_ts_route_event_index"),
        (ExchangeSearch(signal="refusal", oldest_first=True), "score_rows_ts_route_event_index"),
        (ExchangeSearch(route="bot/a", flag="truncated"), "score_rows_route_ts_event_index"),
        (ExchangeSearch(globs=("*/a",), span=TimeSpan(START)), "score_rows_route_ts_event_index"),
        (ExchangeSearch(route="bot/a", conversation="talk 0"), "score_rows_conversation_ts_route_event_index"),
        (ExchangeSearch(route="bot/a", user="ann"), "score_rows_user_ts_route_event_index"),
        (ExchangeSearch(route="bot/a", text="order"), "samples_ts_route_id"),
    ],
)
def test_an_index_alone_serves_the_order(filled: Database, wanted: ExchangeSearch, index: str) -> None:
    plans = list[str]()

    def explain(_connection: Any, cursor: Any, statement: str, bound: Any, *_more: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", bound)
            plans.extend(row[3] for row in cursor.fetchall())

    event.listen(filled.engine, "before_cursor_execute", explain)
    filled.query(search, wanted, None, 5)
    event.remove(filled.engine, "before_cursor_execute", explain)
    assert any(f"COVERING INDEX ix_{index}" in line for line in plans), plans


def test_an_exchange_tells_its_conversation_user_and_what_measured_it(filled: Database) -> None:
    one = filled.query(scores.exchange, "bot/a", "e7")
    assert one is not None
    assert (one.conversation, one.user, one.kept) == ("talk 3", "ann", False)
    assert one.scorer in filled.query(scores.scorers, [one.scorer or ""])


@pytest.mark.parametrize("of_texts", [False, True])
def test_a_page_ends_by_bytes_of_text_as_well_and_the_next_one_goes_on(filled: Database, of_texts: bool) -> None:
    wanted = ExchangeSearch(texts=of_texts, conversation=None if of_texts else "talk 3", route="bot/a")
    everything = database_ids(filled, wanted, 1_000_000)
    assert everything == ([["e500", "e9", "e6"]] if of_texts else [["e7", "e6"]])
    one_by_one = database_ids(filled, wanted, 1)
    assert one_by_one == ([["e500"], ["e9"], ["e6"]] if of_texts else [["e7"], ["e6"]])


def database_ids(database: Database, wanted: ExchangeSearch, most_bytes: int) -> list[list[str]]:
    return [[one.id for one in page.exchanges] for page in _pages(database, wanted, 5, most_bytes)]


def test_the_incident_that_names_an_exchange_is_found_behind_many_that_only_hold_its_id_as_a_word(
    filled: Database,
) -> None:
    """An id may be what every incident says of itself, such as its state."""
    opened = alert("firing", 3, exemplars=("resolved", "e1"))
    recorded(filled, opened.model_copy(update={"route": "bot/a"}))
    [named] = filled.query(incidents.find, "bot/a")
    later = [
        named.model_copy(
            update={"id": f"{n:016x}", "exemplars": ("e1",), "opened_at": named.opened_at + timedelta(hours=n)}
            | {"state": "resolved"}
        )
        for n in range(1, 4)
    ]
    with filled.write() as connection:
        incidents.replace(connection, "bot/a", [named, *later])
    assert [one.id for one in filled.query(incidents.naming, "bot/a", "resolved", 2)] == [named.id]
    assert [one.id for one in filled.query(incidents.naming, "bot/a", "e1", 2)] == [later[2].id, later[1].id]
