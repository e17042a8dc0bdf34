"""Traffic at a steady rate, each exchange sent until the broker has it, and how long each took to be scored."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from aiokafka.errors import KafkaError

from schemas.exchange import Exchange
from schemas.score import ScoreBlock
from schemas.topics import EXCHANGES, SCORES
from services.demo.support_bot import Script, traffic
from services.errors import UnknownOutcome
from services.stream.broker import Broker
from services.stream.producer import Producer
from tests.support.streams import read_all

ROUTES = ("bot-0/prod", "bot-1/prod", "bot-3/prod", "bot-5/prod")
"""Their keys are of one partition each, where there are four."""

_MOST_AT_ONCE = 200
_PAUSE = 0.2


def story(script: Script, routes: Sequence[str] = ROUTES) -> Iterator[Exchange]:
    """The story of every route, by turns; ids are `ROUTE#N`."""
    stories = [traffic(script, seed) for seed, _ in enumerate(routes)]
    for n, together in zip(count(), zip(*stories, strict=True), strict=False):
        for route, one in zip(routes, together, strict=True):
            yield one.model_copy(update={"route": route, "id": f"{route}#{n}"})


class Steady(threading.Thread):
    """Sends exchanges at `rate` a second until `finish`: while the broker is away they wait, and then catch up.

    `accepted`: ids that the broker has, in the order of sending.
    """

    def __init__(self, broker: Broker, exchanges: Iterator[Exchange], rate: float) -> None:
        super().__init__(name="traffic", daemon=True)
        self._broker, self._exchanges, self._rate = broker, exchanges, rate
        self._asked = threading.Event()
        self._fault: BaseException | None = None
        self.accepted: list[str] = []
        self.ended = False

    def __enter__(self) -> Steady:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.set()
        self.join(30)

    def finish(self) -> list[str]:
        """Send no more; the ids of all that the broker has."""
        assert not self.ended, f"ran out of exchanges, or failed: {self._fault!r}"
        self._asked.set()
        self.join(60)
        assert self._fault is None, self._fault
        assert not self.is_alive(), "the broker does not take what was sent last"
        return self.accepted

    def run(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._fault = error
        self.ended = True

    async def _run(self) -> None:
        producer = Producer(self._broker, deadline=5.0)
        await producer.start()
        try:
            begin, sent = time.monotonic(), 0
            while not self._asked.is_set():
                due = min(int((time.monotonic() - begin) * self._rate) - sent, _MOST_AT_ONCE)
                some = list(islice(self._exchanges, max(due, 0)))
                if due > 0 and not some:
                    raise AssertionError("no exchanges are left")
                await self._deliver(producer, some)
                sent += len(some)
                await asyncio.sleep(0.01)
        finally:
            await producer.stop()

    async def _deliver(self, producer: Producer, some: Sequence[Exchange]) -> None:
        while some:
            sending = [producer.send(EXCHANGES.name, one.route.encode(), one.encode()) for one in some]
            outcomes = await asyncio.gather(*sending, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, UnknownOutcome | KafkaError):
                    raise outcome
            pairs = list(zip(some, outcomes, strict=True))
            self.accepted += [str(one.id) for one, outcome in pairs if not isinstance(outcome, BaseException)]
            some = [one for one, outcome in pairs if isinstance(outcome, BaseException)]
            if some:
                await asyncio.sleep(_PAUSE)


@dataclass(frozen=True, order=True)
class Delay:
    """How many seconds an exchange waited to be scored, and when it was published, as seconds since the epoch."""

    seconds: float
    published: float
    id: str


def delays(broker: Broker) -> list[Delay]:
    """Every exchange from its publication to its first score, by the times of the records, the shortest first."""
    published: dict[str, int] = {}
    scored: dict[str, int] = {}
    for record in read_all(broker, EXCHANGES.name):
        published.setdefault(str(Exchange.decode(record.value).id), record.timestamp)
    for record in read_all(broker, SCORES.name):
        for id in ScoreBlock.decode(record.value).id:
            scored[id] = min(record.timestamp, scored.get(id, record.timestamp))
    return sorted(Delay((scored[id] - at) / 1000, at / 1000, id) for id, at in published.items() if id in scored)
