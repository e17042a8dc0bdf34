"""How long an incident takes: from the acknowledgement of the exchange that crossed to the row, and on to Slack."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from sqlalchemy import select

from schemas.alert import Alert
from schemas.exchange import Exchange
from schemas.reading import Reading
from schemas.score import ScoreBlock
from schemas.topics import ALERTS, EXCHANGES, READINGS, SCORES
from services.demo.support_bot import Script, traffic
from services.store.engine import Database, open_database
from services.store.incidents import IncidentRow
from services.store.tables import table
from services.stream.broker import Broker, options
from services.stream.messages import decode_record
from tests.support.fake_slack import TOKEN
from tests.support.slack import FakeSlack, fake_slack
from tests.support.stage import Stage
from tests.support.streams import keyed, lag, publish, read_all, until

ROUTES, LEARNED, AFTER, STAGGER = 24, 290, 60, 60
"""The models of the routes change one after the other, `STAGGER` exchanges apart: 8 a minute, no storm for Slack."""

STEPS = ("score", "detect", "evaluate", "alert", "record")
PER_SECOND, SHARE = 100, 0.4
"""The load: so many exchanges a second, or that share of what the worker did while it learned, if this is less."""
MONITOR = "defaults: {baseline: {size: 250, min_size: 100}}\n"
_LOOK = 0.02
_ROUTE = re.compile(r"delay/\d+")

Place = tuple[str, int]
"""Route and event index."""


@dataclass(frozen=True)
class Delay:
    """One incident, in seconds since the exchange that crossed was acknowledged, and in exchanges since the change.

    `slack`: seconds from its row in the database to the message about it that Slack accepted.
    """

    seconds: float
    exchanges: int
    slack: float
    sent: tuple[float, ...]
    """When what became of the exchange was sent: its scores, the reading that fires, the alert."""


def delays(on: Stage) -> tuple[float, list[Delay]]:
    """The load in exchanges/s, and the delays of all routes' incidents; one from before the change is left out."""
    routes = [_route(place) for place in range(ROUTES)]
    learned = [one for route in routes for one in route[:LEARNED]]
    rest = [(i + STAGGER * place, one) for place, route in enumerate(routes) for i, one in enumerate(route[LEARNED:])]
    publish(on.broker, EXCHANGES.name, keyed(learned))
    with fake_slack(on.folder) as slack, on.worker(",".join((*STEPS, "notify")), **_told(slack)):
        load = min(PER_SECOND, SHARE * _pace(on, len(learned)))
        following = [one for _, one in sorted(rest, key=lambda pair: pair[0])]
        with _Watch(on.database) as watch:
            acknowledged = asyncio.run(_publish(on.broker, following, load))
            until(lambda: lag(on.broker, STEPS) == 0, "every step has committed everything", 300.0)
            until(lambda: watch.seen.keys() <= _accepted(slack).keys(), "Slack has heard of every incident", 300.0)
        accepted = _accepted(slack)
    sent = _sent(on)
    found = []
    for route, (moment, index) in watch.seen.items():
        change, place = LEARNED + 10 + STAGGER * int(route.rpartition("/")[2]), (route, index)
        if index >= change:
            begin = acknowledged[place]
            hops = tuple(one[place] - begin for one in sent)
            found.append(Delay(moment - begin, index - change, accepted[route] - moment, hops))
    return load, found


def _pace(on: Stage, n: int) -> float:
    """Exchanges per second of the worker on the `n` that it learns from, all waiting for it at once."""
    until(lambda: on.recorded() > 0, "the first are recorded", 300.0)
    begin, first = time.monotonic(), on.recorded()
    until(lambda: on.recorded() == n, "what is learned is recorded", 600.0)
    return (n - first) / (time.monotonic() - begin)


def _told(slack: FakeSlack) -> dict[str, str]:
    channel = {"KEELWATCH_SLACK_TOKEN": TOKEN, "KEELWATCH_SLACK_CHANNEL": "#llm-safety"}
    return {"KEELWATCH_SLACK_API_URL": slack.url, **channel}


def _accepted(slack: FakeSlack) -> dict[str, float]:
    """Route -> when the first message about it was accepted."""
    found: dict[str, float] = {}
    for call in slack.calls():
        if call["accepted"] and call["method"] == "chat.postMessage":
            for route in _ROUTE.findall(json.dumps(call["body"])):
                found.setdefault(route, call["at"])
    return found


def _sent(on: Stage) -> tuple[dict[Place, float], dict[Place, float], dict[Place, float]]:
    """(route, event index) -> when its scores, its first reading that fires, and its first alert were sent."""
    scores: dict[Place, float] = {}
    readings: dict[Place, float] = {}
    alerts: dict[Place, float] = {}
    for topic in (SCORES.name, READINGS.name, ALERTS.name):
        for record in read_all(on.broker, topic):
            said, moment = decode_record(topic, record.value), record.timestamp / 1000
            if isinstance(said, ScoreBlock):
                scores.update({(said.route, int(id.rpartition("/")[2])): moment for id in said.id})
            elif isinstance(said, Reading) and said.status == "firing":
                readings.setdefault((said.route, said.event_index), moment)
            elif isinstance(said, Alert):
                alerts.setdefault((said.route, said.event_index), moment)
    return scores, readings, alerts


def _route(place: int) -> list[Exchange]:
    script = Script(before=LEARNED + 10 + STAGGER * place, after=AFTER, leak=0.02)
    route = f"delay/{place}"
    return [
        one.model_copy(update={"route": route, "id": f"{route}/{i}"}) for i, one in enumerate(traffic(script, place))
    ]


async def _publish(broker: Broker, exchanges: Sequence[Exchange], per_second: float) -> dict[Place, float]:
    """Send at a steady rate; when each exchange was acknowledged."""
    producer = AIOKafkaProducer(**{**options(broker).producer, "linger_ms": 0})
    acknowledged: dict[Place, float] = {}
    await producer.start()
    try:
        begin, sent = time.time(), []
        for place, (key, value) in enumerate(keyed(exchanges)):
            await asyncio.sleep(max(0.0, begin + place / per_second - time.time()))
            delivery = await producer.send(EXCHANGES.name, key=key, value=value)
            route, _, index = (exchanges[place].id or "").rpartition("/")
            delivery.add_done_callback(lambda _, of=(route, int(index)): acknowledged.setdefault(of, time.time()))
            sent.append(delivery)
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return acknowledged


class _Watch:
    """Looks for new incidents, 50 times a second; `seen`: route -> when its first one was seen, and its index."""

    def __init__(self, url: str) -> None:
        self.seen: dict[str, tuple[float, int]] = {}
        self._database: Database = open_database(url, create=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._database.close()

    def _run(self) -> None:
        rows = table(IncidentRow).c
        wanted = select(rows.route, rows.opened_event_index).order_by(rows.opened_at)
        while not self._stop.wait(_LOOK):
            with self._database.read() as connection:
                for route, index in connection.execute(wanted):
                    self.seen.setdefault(route, (time.time(), index))
