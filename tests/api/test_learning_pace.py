"""How long a route still learns, as the fleet and its own page say it, held against what detect takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from detectors.protocol import Detector
from schemas.identity import Model
from services.api.app import Api
from services.api.decision_outbox import DecisionWriter
from services.api.learning_pace import LearningPace, learning_line, pace_of
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.monitor import BaselinePolicy, RoutePolicy
from services.record.recorder import Recorder
from services.store import fleet
from services.store.engine import Database
from services.store.learning import LearningTraffic
from services.store.readings import LearningTimes
from services.wording import routes
from tests.support.api import NOW, Wire, api_on, asked
from tests.support.blocks import ROUTE, START, Row, blocks
from tests.support.databases import on_sqlite
from tests.support.outline import outline

NONE: tuple[Detector[Any, Any], ...] = ()
HOUR = 3600.0
SMALL = BaselinePolicy(size=60, min_size=20, per_hour=5, max_days=7)
OTHER = Model(requested="gpt-4", served="gpt-4-other")


def steady(hours: float, an_hour: float, begins: float = 0.0, **same) -> list[Row]:
    return [Row("", 0, begins + i * HOUR / an_hour, **same) for i in range(round(hours * an_hour))]


def numbered(rows: Sequence[Row]) -> list[Row]:
    ordered = sorted(rows, key=lambda row: row.seconds)
    return [Row(f"e{i}", i, row.seconds, model=row.model, flags=row.flags) for i, row in enumerate(ordered)]


def told(database: Database, rows: Sequence[Row], policy: RoutePolicy, until: float) -> tuple[LearningPace | None, str]:
    """What is said at that second, of what came before it."""
    recorder, flow = Recorder(database, lambda _: policy), RouteFlow.start(ROUTE)
    for block in blocks([row for row in rows if row.seconds < until], 128):
        flow, made = advance(DetectionPlan(NONE, policy), flow, block)
        recorder.apply([block, *made.readings, *made.changes])
    now = START + timedelta(seconds=until)
    entry = database.query(fleet.entry, ROUTE, now)
    assert entry is not None
    pace = pace_of(entry.learned, entry.learns_from, entry.route.clock, policy, now)
    return pace, learning_line(entry.learned, entry.held_back, pace, policy)


def pinned_at(rows: Sequence[Row], policy: RoutePolicy) -> float:
    """When detect has learned enough."""
    flow = RouteFlow.start(ROUTE)
    for block in blocks(rows, 64):
        flow, made = advance(DetectionPlan(NONE, policy), flow, block)
        for change in made.changes:
            if change.kind == "pinned":
                return (change.ts - START).total_seconds()
    raise AssertionError("nothing was pinned")


def night(day: int) -> list[Row]:
    return steady(1, 100, (day * 24 + 2) * HOUR)


NIGHTLY = [row for day in range(14) for row in night(day)]
HALF = [*steady(80, 6, flags=("no_response",)), *steady(80, 2, 300)]
TWO = [*steady(80, 3), *steady(80, 2, 100, model=OTHER)]
"""Of each stream what detect takes in an hour: 5 a night; 2 of 8; 3 of 5."""


@on_sqlite
@pytest.mark.parametrize(
    ("rows", "policy", "until", "within"),
    [
        pytest.param(NIGHTLY, RoutePolicy(baseline=BaselinePolicy(60, 20, 30, 5)), 3.1 + 48, 24, id="nightly burst"),
        pytest.param(NIGHTLY, RoutePolicy(baseline=BaselinePolicy(60, 10, 5, 5)), 3.1 + 48, 24, id="max_days"),
        pytest.param(NIGHTLY, RoutePolicy(baseline=BaselinePolicy(60, 30, 3, 5)), 3.1 + 48, 24, id="late and too few"),
        pytest.param(HALF, RoutePolicy(baseline=SMALL), 10, 3, id="unanswered ones"),
        pytest.param(TWO, RoutePolicy(baseline=SMALL), 10, 3, id="two models"),
        pytest.param(steady(40, 10), RoutePolicy(baseline=SMALL), 6, 2, id="above the limit"),
        pytest.param(steady(80, 8), RoutePolicy(baseline=SMALL, embed_share=0.25), 10, 0, id="not all are embedded"),
    ],
)
def test_it_ends_when_detect_has_learned_enough(database, rows, policy, until, within) -> None:
    rows = numbered(rows)
    pace, line = told(database, rows, policy, until * HOUR)
    assert pace is not None
    assert "to go" in line
    if policy.embed_share == 1:
        assert abs((pace.ends - START) / timedelta(hours=1) - pinned_at(rows, policy) / HOUR) <= within
    else:
        assert 1.9 < pace.rate < 2.2
    assert (pace.limit is None) == (pace.counted > 0.95 * pace.rate)


@on_sqlite
def test_a_route_of_some_minutes_is_measured_by_minutes(database: Database) -> None:
    trial = RoutePolicy(baseline=BaselinePolicy(trial=True))
    rows = numbered(steady(1 / 60, 6000, 2 * HOUR + 58 * 60))
    pace, line = told(database, rows, trial, 2 * HOUR + 59 * 60)
    assert pace is not None
    assert line == f"{routes.learning(100, 300)}, about 2 minutes to go"
    full = pace_of(100, LearningTraffic(times(2.97, 2.98), (0,) * 23 + (100,)), at(2.98), RoutePolicy(), at(2.99))
    assert full is not None
    assert full.limit == 84
    assert full.hours == pytest.approx(900 / 84, abs=0.02)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def times(began: float, told: float) -> LearningTimes:
    return LearningTimes(at(began), at(began), at(told))


STEADY = LearningTraffic(times(0, 24), (60,) * 24)


@pytest.mark.parametrize(
    ("traffic", "clock", "now"),
    [
        pytest.param(None, at(24), at(24), id="what it learns from is not kept"),
        pytest.param(STEADY, None, at(24), id="no exchange"),
        pytest.param(STEADY, at(24), at(25.1), id="nothing came for an hour"),
        pytest.param(LearningTraffic(times(0, 24), (0,) * 23 + (9,)), at(24), at(24), id="too few"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(traffic, clock, now) -> None:
    pace = pace_of(100, traffic, clock, RoutePolicy(), now)
    assert pace is None
    assert learning_line(100, None, pace, RoutePolicy()) == routes.learning(100, 1000)


@pytest.mark.parametrize("since", [at(0), at(23.9), at(24), at(25)])
@pytest.mark.parametrize("hours", [(60,) * 24, (0,) * 23 + (60,), (60,) + (0,) * 23])
def test_whenever_it_began_there_is_an_end(since, hours) -> None:
    pace = pace_of(2000, LearningTraffic(LearningTimes(since, None, since), hours), at(24), RoutePolicy(), at(24))
    assert pace is None or (pace.hours, pace.ends) == (0, at(24))


def test_the_fleet_and_the_page_say_the_same_whatever_span_is_shown(database: Database) -> None:
    begins, policy = (NOW - START).total_seconds() - 3.5 * HOUR, RoutePolicy()
    rows = numbered([*steady(3.4, 20, begins), *steady(0.1, 1000, begins + 2 * HOUR)])
    _, line = told(database, rows, policy, begins + 3.5 * HOUR)
    assert "to go" in line
    api = api_on(database, Wire())
    pages = [words(api, path) for path in ("/", f"/routes/{ROUTE}", f"/routes/{ROUTE}?hours=1")]
    assert [line in page for page in pages] == [True] * 3, line
    [_] = {re.findall(r"At this rate it ends about [^.]*\.", page)[0] for page in pages[1:]}

    later = DecisionWriter(database, api.relay.wake, lambda: NOW + timedelta(hours=20))
    stale = [words(replace(api, decisions=later), path) for path in ("/", f"/routes/{ROUTE}")]
    assert [("Learning: " in page, "to go" in page, "an hour" in page) for page in stale] == [(True, False, False)] * 2
    assert "The last exchange arrived 20 hours ago." in stale[1]


def words(api: Api, path: str) -> str:
    answer = asked(api, "GET", path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return " ".join(outline(answer.text).text.split())
