"""What is delivered again is counted as such, by the same fence that keeps it from counting twice."""

from __future__ import annotations

from detectors import DETECTORS
from services.detect.core import step
from services.detect.state import DetectionPlan, DetectState
from services.monitor import RoutePolicy
from services.stream.handlers import repeated_exchanges
from tests.support.blocks import ROUTE, block, rows


def test_rows_at_or_below_the_fence_and_seen_ids_are_repeated() -> None:
    plan = DetectionPlan(DETECTORS, RoutePolicy())
    first, again, overlap = block(rows(10)), block(rows(10)), block(rows(10, first=5))
    before = DetectState.start(ROUTE)
    after, _ = step(plan, before, [first])
    assert repeated_exchanges(before, after, [first]) == 0
    twice, _ = step(plan, after, [again])
    assert repeated_exchanges(after, twice, [again]) == 10
    more, _ = step(plan, twice, [overlap])
    assert repeated_exchanges(twice, more, [overlap]) == 5
