"""A signal of the monitor file from the exchange to the incident: one when its rate moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest

from detectors import DETECTORS
from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from services import specs
from services.api.resources.route_rates import rate_estimate
from services.ingest.recorded_answers import START
from services.monitor import Monitor
from services.ports import Received
from services.replay.report import report
from services.replay.runner import ReplayDependencies, ReplayResult, ReplayRunner
from services.score.core import ExchangeScorer
from services.wiring import configured_signals
from services.wording import incidents
from tests.support.own_signals import about_tea, judging, monitor_of
from tests.support.scoring import SeededEmbedder

ROUTE = "shop/prod"
TOPICS = ("shoes", "a coat", "returns", "gift cards", "delivery", "sizes", "a refund", "opening hours")
FILE = """\
defaults: {baseline: {size: 400, min_size: 100, per_hour: 100000}}
signals:
  rivals: {keywords: [Acme, Globex], floor: 0.02, title: Competitors named, noun: rate of answers naming a rival}
  dump: {pattern: "DROP TABLE [a-z]+", floor: 0, title: Dropped tables}
  orders: {pattern: "ORD-[0-9]{4}", value: count}
"""


class TopicEmbedder(SeededEmbedder):
    """Few vectors, one a topic, so that prompts repeat as those of people do."""

    def embed(self, texts):
        return super().embed([next((topic for topic in TOPICS if topic in text), "other") for text in texts])


def traffic(n: int, share: float, seed: int, start: int = 0, also: str = "") -> Iterator[Received]:
    draw = Random(seed)
    for i in range(start, start + n):
        topic = draw.choice(TOPICS)
        named = "Acme has it cheaper." if draw.random() < share else "We have it."
        exchange = Exchange(
            id=f"x{i}",
            ts=START + timedelta(minutes=i),
            route=ROUTE,
            model=Model(requested="m"),
            prompt=f"Tell me about {topic}, please ({i})",
            response=f"About {topic}: {named} See ORD-{1000 + i % 9000} and ORD-0001. {also}",
        )
        yield Received(exchange, Position(cluster="c", topic="t", partition=0, offset=i))


def replayed(monitor: Monitor, *parts: Iterator[Received], judge=None) -> ReplayResult:
    more = {} if judge is None else {"judge": judge}
    scorer = ExchangeScorer(TopicEmbedder(), monitor.policy, configured_signals(monitor), **more)
    run = ReplayRunner(ReplayDependencies(scorer.score, DETECTORS, monitor.policy))
    for part in parts:
        for item in part:
            run.feed(item)
    return run.finish()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = monitor_of(FILE)
    specs.know_own(one.spec for one in made.signals)
    yield made
    specs.know_own(())


def test_an_own_signal_opens_an_incident_when_its_rate_moves(monitor: Monitor) -> None:
    seen = replayed(monitor, traffic(500, 0.03, 1), traffic(400, 0.35, 2, start=500))
    told = report(seen, monitor.policy)
    (alert, *_) = [one for one in told["alerts"] if one["signal"] == "custom.rivals"]
    assert (alert["family"], alert["direction"], alert["status"]) == ("rate_shift", "up", "firing")
    assert 500 <= alert["event_index"] < 700
    (incident,) = told["incidents"]
    assert incident["signals"] == ["custom.rivals"]
    (case,) = seen.incidents(ROUTE).incidents
    assert "the rate of answers naming a rival" in f"{incidents.title(case)} {incidents.verdict_in_full(case)}".lower()
    assert json.dumps(told["incidents"]).count("custom.orders") == 0


def test_without_a_move_there_is_none(monitor: Monitor) -> None:
    told = report(replayed(monitor, traffic(900, 0.05, 3)), monitor.policy)
    assert told["incidents"] == []


def test_an_own_signal_with_floor_zero_alerts_at_the_first(monitor: Monitor) -> None:
    seen = replayed(monitor, traffic(20, 0.0, 4), traffic(1, 0.0, 5, start=20, also="DROP TABLE users"))
    told = report(seen, monitor.policy)
    (alert,) = told["alerts"]
    assert (alert["family"], alert["signal"], alert["event_index"]) == ("events", "custom.dump", 20)
    (case,) = seen.incidents(ROUTE).incidents
    assert "dropped tables" in incidents.title(case).lower()


def test_a_number_is_recorded_and_has_a_mean_and_no_rate(monitor: Monitor) -> None:
    scorer = ExchangeScorer(TopicEmbedder(), monitor.policy, configured_signals(monitor))
    (block,) = scorer.score(list(traffic(10, 0.0, 6))).blocks
    assert block.signals["custom.orders"].value == (2.0,) * 10
    assert "custom.orders" not in monitor.policy(ROUTE).floors
    assert rate_estimate(10, 8, 2.0, counts=True) == {
        "n": 10,
        "scored": 8,
        "unscored": 0.2,
        "mean": 0.25,
        "rate": None,
        "low": None,
        "high": None,
    }
    assert rate_estimate(10, 8, 2.0)["mean"] is None


def test_a_signal_that_counted_before_says_nothing_to_a_rate() -> None:
    """Rows of an earlier version of a signal may be numbers: no test of a rate takes them for shares."""
    monitor = monitor_of(FILE.replace("value: count", "floor: 0.02"))
    old = ExchangeScorer(TopicEmbedder(), monitor.policy, configured_signals(monitor_of(FILE)))
    run = ReplayRunner(ReplayDependencies(old.score, DETECTORS, monitor.policy))
    for item in traffic(700, 0.0, 7):
        run.feed(item)
    told = report(run.finish(), monitor.policy)
    assert told["incidents"] == []
    assert "custom.orders" in {spot["signal"] for spot in told["routes"][ROUTE]["blind"]}


def test_a_replay_asks_no_judge_unless_it_is_given_one() -> None:
    with judging() as server:
        server.say = about_tea
        watched = server.monitor()
        replayed(watched, traffic(5, 0.0, 8))
        assert server.seen == []
