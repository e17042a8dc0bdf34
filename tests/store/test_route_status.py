"""How a route stands, derived from what is stored of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.store.parks import ParkedRoute
from services.store.route_status import BlindSpot, RouteFacts, StreamStatus, is_current, learned, status_of

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
PINNED, BEFORE = "b" * 16, "a" * 16


def stream(status="quiet", detector="rate_shift", signal="refusal", reason=None, baseline=PINNED, ts=EARLIER, n=0):
    return StreamStatus(detector, signal, status, reason, baseline, ts, n)


def watch(*streams, clock=NOW, baseline=PINNED):
    return status_of(RouteFacts(clock, baseline, streams), NOW).watch


@pytest.mark.parametrize(
    ("streams", "facts", "expected"),
    [
        ([], {}, "watching"),
        ([], {"baseline": None}, "learning"),
        ([], {"clock": None, "baseline": None}, "learning"),
        ([stream("blind")], {}, "blind"),
        ([stream("blind", baseline=None)], {"baseline": None}, "blind"),
        ([stream("blind", baseline=BEFORE)], {}, "watching"),
        ([stream("blind", detector="events")], {}, "watching"),
        ([stream("firing", detector="blind", signal="no_data", baseline=None)], {}, "blind"),
        ([stream("quiet", detector="blind", signal="no_data", baseline=None)], {}, "watching"),
        ([stream("firing", detector="blind", signal="recreated_topic", baseline=None)], {}, "watching"),
        ([stream("firing", detector="blind", signal="recreated_topic", baseline=None, ts=NOW)], {}, "blind"),
        ([], {"clock": NOW - timedelta(hours=24)}, "blind"),
        ([], {"clock": NOW - timedelta(hours=23, minutes=59)}, "watching"),
        ([], {"clock": NOW - timedelta(hours=24), "baseline": None}, "learning"),
    ],
)
def test_blind_comes_before_learning_before_watching(streams, facts, expected) -> None:
    assert watch(*streams, **facts) == expected


def test_blind_spots_are_counted_by_detector_signal_and_reason() -> None:
    unscored = [stream("blind", reason="unscored") for _ in range(3)]
    found = status_of(RouteFacts(NOW, PINNED, [*unscored, stream("blind", "events", "leak", "unscored")]), NOW)
    assert found.blind_spots == (
        BlindSpot("events", "leak", "unscored", 1),
        BlindSpot("rate_shift", "refusal", "unscored", 3),
    )


def test_silence_is_told_beside_what_is_blind() -> None:
    found = status_of(RouteFacts(NOW - timedelta(days=2), PINNED, [stream("blind")]), NOW)
    assert (found.silent, found.is_silent_alone) == (timedelta(days=2), False)
    alone = status_of(RouteFacts(NOW - timedelta(days=2), PINNED, [stream("blind", "events")]), NOW)
    assert alone.is_silent_alone


def test_what_fires_has_moved_where_it_is_held_against_the_baseline_that_counts() -> None:
    facts = RouteFacts(NOW, PINNED, [stream("firing"), stream("firing", baseline=BEFORE), stream()])
    assert status_of(facts, NOW).moved == (stream("firing"),)


def test_progress_of_learning_is_no_finding() -> None:
    progress = stream("learning", "baseline", None, baseline=None, n=350)
    assert learned([progress, stream(n=900)]) == 350
    assert not is_current(progress, RouteFacts(NOW, None))


def test_a_route_on_which_a_step_fails_is_blind_whatever_else_is_known_of_it() -> None:
    park = ParkedRoute("detect", "a", "ValueError in services.vectors, line 25", "1", EARLIER, 1, False, 12, 4096, 0)
    for facts in (RouteFacts(NOW, PINNED, (), [park]), RouteFacts(None, None, (), [park])):
        found = status_of(facts, NOW)
        assert (found.watch, found.parked, found.is_silent_alone) == ("blind", (park,), False)
