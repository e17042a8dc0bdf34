"""A sender on a real database, whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry
from sqlalchemy import select

from schemas.base import Record
from services.monitor import RoutePolicy
from services.notify.channel import DEFAULT, Channel, Receiver, Receivers
from services.notify.message import MessageOptions
from services.notify.receivers.slack import SlackBot, SlackWebhook
from services.notify.sender import Sender, wall_clock
from services.observability.metrics import NotificationMeters
from services.record.recorder import Recorder
from services.store.deliveries import DeliveryRow, OutboxRow
from services.store.engine import Database
from services.store.tables import table
from tests.support.fake_slack import TOKEN
from tests.support.records import alert, decision, family_alert
from tests.support.slack import FakeSlack

MENTION = "<!subteam^S123>"
LOOK = MessageOptions("http://keelwatch.example", buttons=True)


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def bot(slack: FakeSlack) -> SlackBot:
    return SlackBot(TOKEN, "#safety", slack.url, seconds=0.4)


def webhook(slack: FakeSlack) -> SlackWebhook:
    return SlackWebhook(slack.webhook, slack.url, seconds=0.4)


def sender(
    database: Database,
    clock: Clock | None,
    *channels: Channel,
    name="one",
    registry=None,
    times=None,
    gallery=None,
) -> Sender:
    """A sender to the channels, all of them told of every route; the first is the default one.

    Without a clock it goes by the real one.
    """
    names = [DEFAULT, *(f"other-{n}" for n in range(1, len(channels)))]
    by_name = {name: Receiver(one, MENTION) for name, one in zip(names, channels, strict=True)}
    policy = RoutePolicy(notify=tuple(names)) if len(names) > 1 else RoutePolicy()
    meters = NotificationMeters(registry or CollectorRegistry())
    world = {"clock": clock or wall_clock, "meters": meters, "times": times, "gallery": gallery}
    return Sender(database, Receivers(by_name, lambda route: policy), name, look=LOOK, **world)


def record(database: Database, *facts: Record) -> None:
    """What the record step does with facts."""
    Recorder(database, lambda route: RoutePolicy()).apply(facts)


def shift(route: str, index: int = 600) -> list[Record]:
    """A model that moved, then a rate, then someone who saw it: post, broadcast, update."""
    return [*opening(route, index), *rest(route, index)]


def opening(route: str, index: int = 600) -> list[Record]:
    return [family_alert("model_shift", index=index, route=route)]


def rest(route: str, index: int = 600) -> list[Record]:
    return [alert(index=index + 10, route=route), decision("acknowledge", index / 60 + 1, route=route)]


def turns(one: Sender, clock: Clock, n: int = 1, seconds: float = 1.0) -> None:
    """So many turns, with so much time between."""

    async def work() -> None:
        for _ in range(n):
            await one.once()
            clock.move(seconds)

    asyncio.run(work())


def outbox(database: Database) -> Sequence:
    with database.read() as connection:
        return connection.execute(select(table(OutboxRow)).order_by(table(OutboxRow).c.created)).all()


def rows(database: Database) -> Sequence:
    with database.read() as connection:
        return connection.execute(select(table(DeliveryRow))).all()


def states(database: Database) -> set[str]:
    return {row.state for row in outbox(database)}
