"""What Prometheus is told: complete, bounded, and nothing that people wrote."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from schemas.alert import Alert
from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.reading import Evidence, Reading
from services.observability.metrics import OTHER, CappedLabels, StreamMeters, reason_class
from tests.support.blocks import block, rows

TS = datetime(2026, 11, 24, tzinfo=UTC)
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)
HASH = "0" * 16


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def values(meters: StreamMeters) -> dict[str, float]:
    """Name{labels} -> value of every sample."""
    found = {}
    for family in text_string_to_metric_families(meters.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def reading(route: str, status: str, signal: str = "refusal") -> Reading:
    return Reading(
        id=HASH,
        route=route,
        detector="rate_shift",
        signal=signal,
        status=status,
        evidence=Evidence(),
        event_index=0,
        ts=TS,
        source=PLACE,
    )


def test_every_meter_of_the_list_is_told() -> None:
    clock = Clock()
    meters = StreamMeters(clock)
    meters.lag({("keelwatch.scores", 3): 17})
    meters.taken("score", "keelwatch.exchanges", 5)
    meters.dead("score", "prompt[0].content: must be text")
    meters.duplicates("detect", 4)
    meters.batch("score", 0.2)
    with meters.stage("score", "send"):
        clock.now += 3
    meters.snapshot("detect")
    meters.watched(12.0)
    meters.readings([reading("a/b", "blind")])
    meters.alert(
        Alert(
            id=HASH,
            route="a/b",
            family="rate_shift",
            fingerprint=HASH,
            status="firing",
            severity="error",
            event_index=0,
            ts=TS,
            evidence=Evidence(),
        )
    )
    clock.now += 7
    told = values(meters)
    assert told["keelwatch_lag{partition=3,topic=keelwatch.scores}"] == 17
    assert told["keelwatch_records_total{step=score,topic=keelwatch.exchanges}"] == 5
    assert told["keelwatch_dead_letters_total{reason=prompt,step=score}"] == 1
    assert told["keelwatch_duplicates_total{step=detect}"] == 4
    assert told["keelwatch_batch_seconds_count{step=score}"] == 1
    assert told["keelwatch_stage_seconds_sum{stage=send,step=score}"] == 3
    assert told["keelwatch_snapshot_age_seconds{step=detect}"] == 7
    assert told["keelwatch_watchdog_age_seconds{}"] == 7
    assert told["keelwatch_stalled_seconds{}"] == 12
    assert told["keelwatch_alerts_total{family=rate_shift,severity=error,status=firing}"] == 1
    assert told["keelwatch_blind_routes{}"] == 1
    assert told["process_resident_memory_bytes{}"] > 0


def test_records_that_were_sent_are_counted_by_their_kind() -> None:
    meters = StreamMeters()
    letter = DeadLetter.of(b"x", "detect", "record: empty", PLACE)
    meters.sent("detect", [block(rows(3)), reading("a", "blind"), reading("b", "quiet"), letter])
    told = values(meters)
    assert told["keelwatch_exchanges_total{}"] == 3
    assert told["keelwatch_blind_routes{}"] == 1
    assert told["keelwatch_dead_letters_total{reason=record,step=detect}"] == 1


def test_exchanges_and_the_share_embedded() -> None:
    meters = StreamMeters()
    one = block(rows(4))
    meters.scored(one.model_copy(update={"embedded": (True, True, True, False)}))
    meters.scored(one.model_copy(update={"embedded": (False,) * 4}))
    told = values(meters)
    assert told["keelwatch_exchanges_total{}"] == 8
    assert told["keelwatch_embedded_total{}"] == 3
    assert told["keelwatch_embedded_share{}"] == pytest.approx(3 / 8)


def test_the_share_forgets_what_is_long_ago() -> None:
    meters = StreamMeters()
    one = block(rows(100))
    for _ in range(20):
        meters.scored(one.model_copy(update={"embedded": (True,) * 100}))
    for _ in range(10):
        meters.scored(one.model_copy(update={"embedded": (False,) * 100}))
    assert values(meters)["keelwatch_embedded_share{}"] == 0


def test_a_partition_that_was_given_away_is_no_longer_told() -> None:
    meters = StreamMeters()
    meters.lag({("t", 0): 5, ("t", 1): 6})
    meters.lag({("t", 1): 7})
    told = values(meters)
    assert "keelwatch_lag{partition=0,topic=t}" not in told
    assert told["keelwatch_lag{partition=1,topic=t}"] == 7


def test_blind_streams_come_and_go() -> None:
    meters = StreamMeters()
    meters.readings([reading("a", "blind"), reading("a", "blind", "pii_leak"), reading("b", "blind")])
    assert values(meters)["keelwatch_blind_streams{}"] == 3
    meters.readings([reading("a", "quiet"), reading("b", "quiet"), reading("b", "quiet")])
    told = values(meters)
    assert told["keelwatch_blind_streams{}"] == 1
    assert told["keelwatch_blind_routes{}"] == 1
    meters.forget()
    assert values(meters)["keelwatch_blind_routes{}"] == 0


def test_a_flood_of_routes_and_reasons_makes_a_bounded_number_of_series_without_a_route() -> None:
    meters = StreamMeters()
    one = block(rows(1))
    for i in range(500):
        meters.scored(one.model_copy(update={"route": f"r/{i}"}))
        meters.readings([reading(f"r/{i}", "blind")])
        meters.dead("score", f"field_{'abcdefghij'[i % 10] * (i % 30)}: x")
    told = values(meters)
    assert (told["keelwatch_exchanges_total{}"], told["keelwatch_blind_streams{}"]) == (500, 500)
    assert told["keelwatch_blind_routes{}"] == 500
    assert sum(key.startswith("keelwatch_dead_letters_total") for key in told) <= 51
    assert not [key for key in told if "route=" in key or "r/1" in key]


@given(st.text())
def test_the_class_of_a_reason_is_one_short_word(reason: str) -> None:
    assert re.fullmatch(r"[a-z][a-z_]{0,30}", reason_class(reason))


@given(st.lists(st.text(), max_size=30), st.integers(0, 10))
def test_capped_labels_keep_what_they_once_named(names: list[str], limit: int) -> None:
    labels = CappedLabels(limit)
    first = {name: labels(name) for name in names}
    assert {name: labels(name) for name in names} == first
    assert len(set(first.values()) - {OTHER}) <= limit
