"""A day's key is one for all processes, is used by nobody once it is forgotten, and its absence stops no step."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from services.offload import Offload
from services.record.retention_timer import RetentionTimer
from services.score.core import ScoredBatch
from services.store import secret_keys
from services.store.engine import Database
from services.store.secret_keys import DEAD_LETTERS
from services.stream.broker import Broker
from services.stream.handlers import ScoreHandler, record_handler
from services.stream.letter_keys import DatabaseKeys, FollowedKeys, ensure
from services.stream.letter_seal import key_of, opened
from services.stream.messages import TopicMessage
from services.stream.stateful import HandlerResources, Threads

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
TODAY = NOW.date()
SECRET = b'{"prompt": "my number is 555-0199"}'


class Clock:
    """Ours, turned by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def letter(offset: int = 0) -> DeadLetter:
    place = Position(cluster="c", topic="keelwatch.exchanges", partition=0, offset=offset)
    return DeadLetter.of(SECRET, "score", "prompt: must be text", place)


def keys_of(database: Database) -> dict[str, bytes]:
    return database.query(secret_keys.find, DEAD_LETTERS)


def with_thread(work: Callable[[Offload], Any]) -> Any:
    with closing(Offload("database")) as thread:
        return asyncio.run(work(thread))


def test_many_processes_that_come_at_once_have_one_key_a_day(database: Database) -> None:
    days = [TODAY, TODAY + timedelta(days=1)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: ensure(database, days, NOW), range(12)))
    assert all(one == found[0] for one in found)
    assert sorted(keys_of(database)) == ["2026-11-30", "2026-12-01"]
    assert found[0][days[0]].public != found[0][days[1]].public


def test_each_day_of_ours_has_its_own_key_and_a_forgotten_one_is_used_by_nobody(database: Database) -> None:
    clock = Clock()

    async def work(thread: Offload) -> list[DeadLetter]:
        keys = DatabaseKeys(database, thread, clock)
        made = await keys.seal([letter(0)])
        clock.now += timedelta(minutes=45)
        made += await keys.seal([letter(1)])
        before = keys_of(database)
        database.transact(lambda connection: secret_keys.forget(connection, DEAD_LETTERS))
        made += await keys.seal([letter(2)])
        assert [opened(one, before).raw != "" for one in made] == [True, True, False]
        return made

    made = with_thread(work)
    assert [one.sealed.key[:10] for one in made if one.sealed] == ["2026-11-30", "2026-12-01", "2026-12-01"]
    assert [opened(one, keys_of(database)).raw != "" for one in made] == [False, False, True]
    assert all(SECRET not in base64.b64decode(one.sealed.box) for one in made if one.sealed)


def test_while_the_database_is_away_the_day_s_key_goes_on_and_a_new_day_waits(database: Database) -> None:
    clock = Clock()

    async def work(thread: Offload) -> None:
        keys = DatabaseKeys(database, thread, clock)
        await keys.seal([letter()])
        known = keys_of(database)
        away = OperationalError("", {}, Exception("gone"), connection_invalidated=True)

        def gone(*_: object) -> None:
            raise away

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "query", gone)
            patch.setattr("services.stream.letter_keys.is_unavailable", lambda error: error is away)
            [kept] = await keys.seal([letter(1)])
            assert opened(kept, known).raw != ""
            clock.now += timedelta(hours=1)
            with pytest.raises(OperationalError):
                await keys.seal([letter(2)])

    with_thread(work)


def test_retention_forgets_a_day_when_its_letters_have_left_their_topics(database: Database) -> None:
    days = [TODAY - timedelta(days=n) for n in range(12)]
    ensure(database, days, NOW)
    database.transact(lambda connection: secret_keys.ensure(connection, "erasure", "", lambda: b"k", NOW))
    with closing(Offload("database")) as thread:
        gone = asyncio.run(RetentionTimer(database, thread, clock=lambda: NOW).once())
    assert gone["secret_keys"] == 3
    assert sorted(keys_of(database)) == sorted(day.isoformat() for day in days[:9])
    assert database.query(secret_keys.load, "erasure", "") == b"k"


def test_a_process_without_database_and_broker_keeps_length_and_hash_alone_and_goes_on() -> None:
    keys = FollowedKeys(Broker("127.0.0.1:1"), lambda: NOW)
    [kept] = asyncio.run(keys.seal([letter()]))
    assert (kept.raw, kept.sealed, kept.withheld, kept.length) == ("", None, "no_key", len(SECRET))


def test_a_process_without_database_seals_with_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    private, asked, timer, clock = b"\x07" * 32, [], [0.0], Clock()
    there: dict[date, Any] = {}

    async def published(_: Broker) -> dict[date, Any]:
        asked.append(timer[0])
        return dict(there)

    monkeypatch.setattr("services.stream.letter_keys.published", published)
    keys = FollowedKeys(Broker("b"), clock, lambda: timer[0])

    async def work() -> Sequence[DeadLetter]:
        made = await keys.seal([letter(0)])
        there[TODAY] = key_of(TODAY, private)
        made += await keys.seal([letter(1)])  # not asked again so soon
        timer[0] = 11.0
        made += await keys.seal([letter(2)])
        timer[0] = 60.0
        made += await keys.seal([letter(3)])
        clock.now += timedelta(hours=1)
        made += await keys.seal([letter(4)])  # the day after, of which nothing is published
        return made

    made = asyncio.run(work())
    assert [opened(one, {TODAY.isoformat(): private}).raw != "" for one in made] == [False, False, True, True, False]
    assert [one.withheld for one in made] == ["no_key", "no_key", None, None, "no_key"]
    assert asked == [0.0, 11.0, 60.0]


def test_what_the_steps_send_is_sealed(database: Database) -> None:
    async def cluster() -> str:
        return "c"

    async def work(thread: Offload) -> list[bytes]:
        keys = DatabaseKeys(database, thread, lambda: NOW)
        message = TopicMessage("keelwatch.exchanges", 0, 5, SECRET, NOW, appended=True)
        scoring = ScoreHandler(lambda batch: ScoredBatch(), thread, cluster, clock=lambda: NOW, seal=keys.seal)
        tools = HandlerResources(database, Threads(thread, thread), cluster, seal=keys.seal)
        recording = record_handler(lambda records: None, tools)
        scores = TopicMessage("keelwatch.scores", 0, 6, SECRET, NOW, appended=True)
        handled = [*(await scoring.handle([message])).outgoing, *(await recording.handle([scores])).outgoing]
        assert [one.topic for one in handled] == ["keelwatch.exchanges.score.dead", "keelwatch.scores.record.dead"]
        return [one.value for one in handled]

    sent = with_thread(work)
    assert not any(b"555" in one or base64.b64encode(SECRET)[:20] in one for one in sent)
    keys = keys_of(database)
    assert {base64.b64decode(opened(DeadLetter.decode(one), keys).raw) for one in sent} == {SECRET}
