"""A route of which one signal learns anew says so where it stands, and is not simply called monitored."""

from __future__ import annotations

from datetime import timedelta

from detectors import DETECTORS
from services.api.route_snapshot import read_route
from services.api.route_status import detector_rows, heading_of
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.monitor import BaselinePolicy, RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import Database
from tests.detect.test_relearning import V2, traffic
from tests.support.blocks import ROUTE, START, blocks

POLICY = RoutePolicy(baseline=BaselinePolicy(size=200, min_size=100), floors={"refusal": 0.02, "pii_leak": 0.02})
PLAN = DetectionPlan(DETECTORS, POLICY)
NOW = START + timedelta(days=1)


def recorded(database: Database, n: int) -> None:
    recorder, flow = Recorder(database, lambda _: POLICY), RouteFlow.start(ROUTE)
    for block in blocks(traffic(300) + traffic(n, 300, refusal=0.6, versions=V2)):
        flow, made = advance(PLAN, flow, block)
        recorder.apply([block, *made.readings, *made.changes, *made.alerts])


def test_a_route_of_which_a_signal_learns_anew_says_so(database: Database) -> None:
    recorded(database, 200)
    with database.read() as connection:
        seen = read_route(connection, ROUTE, 24, "", NOW)
    assert seen is not None
    assert seen.open is None
    heading = heading_of(seen, POLICY, NOW)
    [note] = [note for note in heading.notes if "measured in a new way" in note]
    assert note.startswith("Not monitored: refusal is measured in a new way since 2026-01-01 08:22 UTC")
    assert note.endswith("learning 150 of 200")
    rows = {(row.name, row.where): row for row in detector_rows(seen.readings, seen.models)}
    assert [row.status for (_, where), row in rows.items() if row.status == "learning" and where is None]


def test_once_it_is_learned_nothing_is_said(database: Database) -> None:
    recorded(database, 300)
    with database.read() as connection:
        seen = read_route(connection, ROUTE, 24, "", NOW)
    assert seen is not None
    assert not any("measured in a new way" in note for note in heading_of(seen, POLICY, NOW).notes)
    assert [one.status for one in seen.readings if (one.detector, one.signal) == ("rate_shift", "refusal")] == ["quiet"]
