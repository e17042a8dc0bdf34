"""What is no dead letter, on a topic of them, is counted where people look, and stops nothing."""

from __future__ import annotations

import asyncio

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.monitor import RoutePolicy
from services.offload import Offload
from services.record.recorder import Recorder
from services.store import dead_letters
from services.stream.handlers import record_handler
from services.stream.messages import TopicMessage, kafka_time
from services.stream.stateful import HandlerResources, Threads

DEAD = EXCHANGES.dead("score")


def test_what_is_no_dead_letter_is_counted_once_and_sent_nowhere(database):
    async def cluster():
        return "c"

    async def handled(messages):
        threads = Threads(Offload("cpu"), Offload("database"))
        try:
            apply = Recorder(database, lambda _: RoutePolicy()).apply
            handler = record_handler(apply, HandlerResources(database, threads, cluster))
            return [(await handler.handle(messages)).outgoing for _ in range(2)]
        finally:
            threads.cpu.close()
            threads.database.close()

    good = DeadLetter.of(b"x", "score", "record: no JSON", Position(cluster="c", topic="t", partition=0, offset=1))
    broken = good.encode().replace(b'"first_seen":null', b'"first_seen":"1970-01-01T00:00:00Z"')
    values = [b"", b"\xff", broken, good.encode()]
    sent = asyncio.run(handled([TopicMessage(DEAD, 0, i, one, kafka_time(0.0)) for i, one in enumerate(values)]))
    assert sent == [[], []]
    found = {(one.step, one.topic): 0 for one in database.query(dead_letters.counts)}
    for one in database.query(dead_letters.counts):
        found[one.step, one.topic] += one.n
    assert found == {("score", "t"): 1, ("record", DEAD): 3}
