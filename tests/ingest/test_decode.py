"""Ids and times that decoding fills in, and that no bytes at all raise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import decode
from services.ingest.errors import LONGEST
from services.ingest.json_text import KEPT_BYTES, LONGEST_BYTES, truncate_text
from services.ingest.reading import MAX_BYTES
from services.ports import Received
from tests.support.case import exchange, line

FILE = Position(cluster="file", topic="0123456789ab", partition=0, offset=7)
KAFKA = Position(cluster="c1", topic="keelwatch.exchanges", partition=3, offset=99)
NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
MINIMAL = line({"route": "a", "prompt": "b", "response": "c", "model": {"requested": "m"}})

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()))
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
fields = sorted(Exchange.model_fields)


def received(result: Received | DeadLetter) -> Received:
    assert isinstance(result, Received), result.reason
    return result


def assert_sound(result: Received | DeadLetter) -> None:
    """A dead letter with a short reason, or an exchange that survives a round trip."""
    if isinstance(result, DeadLetter):
        assert 0 < len(result.reason) <= LONGEST
        assert result.reason.isprintable()
        return
    assert result.exchange.id
    assert result.exchange.ts is not None
    assert Exchange.decode(result.exchange.encode()) == result.exchange


def test_an_id_is_made_of_the_place_and_never_of_content() -> None:
    assert received(decode(MINIMAL, FILE)).exchange.id == "f:0123456789ab/7"
    assert received(decode(MINIMAL, KAFKA, received=NOW)).exchange.id == "k:c1/keelwatch.exchanges/3/99"
    assert received(decode(line(exchange("mine")), FILE)).exchange.id == "mine"


def test_a_missing_time_follows_the_line_before_or_is_kafkas() -> None:
    assert received(decode(MINIMAL, FILE)).exchange.ts == datetime(2000, 1, 1, tzinfo=UTC)
    assert received(decode(MINIMAL, FILE, previous=NOW)).exchange.ts == NOW + timedelta(seconds=1)
    assert received(decode(MINIMAL, KAFKA, received=NOW)).exchange.ts == NOW


def test_a_missing_time_does_not_leave_the_century() -> None:
    last = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert received(decode(MINIMAL, FILE, previous=last, clock=last)).exchange.ts == last


def test_skew_from_kafka_is_more_than_an_hour_ahead() -> None:
    raw = line(exchange("x", ts="2026-11-24T18:00:00Z"))
    assert received(decode(raw, KAFKA, received=NOW - timedelta(hours=1))).flags == ()
    assert received(decode(raw, KAFKA, received=NOW - timedelta(hours=1, microseconds=1))).flags == ("skew",)
    assert received(decode(raw, KAFKA, received=NOW + timedelta(days=900))).flags == ()


def test_an_exchange_from_the_future_counts_from_its_arrival() -> None:
    raw = line(exchange("x", ts="2090-01-01T00:00:00Z"))
    first = NOW - timedelta(days=2)
    for came, now, counts in ((NOW, NOW, NOW), (NOW + timedelta(days=9_000), NOW, NOW), (first, NOW, first)):
        found = received(decode(raw, KAFKA, received=came, now=now))
        assert (found.exchange.ts, found.flags) == (counts, ("skew",))
    nowhere = datetime(1970, 1, 1, tzinfo=UTC)
    kept = received(decode(raw, KAFKA, received=nowhere)).exchange
    assert kept.ts == datetime(2090, 1, 1, tzinfo=UTC), "no record may bear a time of before 2000"


@pytest.mark.parametrize("field", ["requested", "served", "provider", "fingerprint", "system_prompt_sha256"])
def test_a_name_of_a_model_has_a_bound_that_is_said(field: str) -> None:
    model = {"requested": "gpt-4", field: "\x01" * 513}
    found = decode(line(exchange("x") | {"model": model}), KAFKA, received=NOW)
    assert isinstance(found, DeadLetter)
    assert found.reason == f"model: {field} has at most 512 characters; send a shorter one"
    assert received(decode(line(exchange("x") | {"model": model | {field: "m" * 512}}), KAFKA, received=NOW))


def test_a_time_made_from_a_skewed_one_is_skewed_too() -> None:
    assert received(decode(MINIMAL, FILE, previous=NOW + timedelta(days=900), clock=NOW)).flags == ("no_ts", "skew")


def test_a_record_over_64_mib_is_refused_unread() -> None:
    result = decode(b" " * (MAX_BYTES + 1), FILE)
    assert isinstance(result, DeadLetter)
    assert "64 MiB" in result.reason


def test_blank_bytes_are_a_dead_letter() -> None:
    for raw in (b"", b" ", b"\r\n"):
        result = decode(raw, KAFKA, received=NOW)
        assert isinstance(result, DeadLetter)
        assert "empty" in result.reason


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(raw: bytes) -> None:
    assert_sound(decode(raw, KAFKA, received=NOW))


@given(values)
def test_arbitrary_json_never_raises(value: Any) -> None:
    assert_sound(decode(json.dumps(value).encode(), FILE))


@given(st.sampled_from(fields), values)
@example("latency_ms", 10**400)
@example("extra", {"": {"": 10**4000}})
@example("usage", {"input_tokens": 10**30})
@example("response", {"error": {"a": [1e308, -0.0]}})
def test_any_value_in_any_field_never_raises(field: str, value: Any) -> None:
    assert_sound(decode(json.dumps({**exchange("x"), field: value}).encode(), FILE))


@given(st.data())
def test_a_mutated_record_never_raises(data: st.DataObject) -> None:
    raw = bytearray(line(exchange("mutated", response='Grüße 😀 \\ " \u2028')))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        new = data.draw(
            st.sampled_from([b"", b"\0", b"\xff", b'"', b"\\", b"{", b"]", b"9", b"\\ud800", b"e999", b","])
        )
        raw[at : at + data.draw(st.integers(0, 3))] = new
        if not raw:
            break
    assert_sound(decode(bytes(raw), FILE, previous=NOW, clock=NOW))


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), st.integers(LONGEST_BYTES - 8, LONGEST_BYTES + 8))
def test_a_cut_text_is_the_longest_whole_prefix(piece: str, size: int) -> None:
    text = piece * (size // len(piece.encode()) + 1)
    kept = truncate_text(text)
    if len(text.encode()) <= LONGEST_BYTES:
        assert kept == text
    else:
        assert text.startswith(kept)
        assert KEPT_BYTES - 3 <= len(kept.encode()) <= KEPT_BYTES


@pytest.mark.parametrize("kafkas", [datetime(1999, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_a_kafka_time_that_no_record_may_have_is_a_dead_letter(kafkas: datetime) -> None:
    found = decode(MINIMAL, KAFKA, received=kafkas, now=NOW)
    assert isinstance(found, DeadLetter)
    assert "Kafka's timestamp" in found.reason


def test_a_kafka_time_that_has_yet_to_come_counts_as_now() -> None:
    found = received(decode(MINIMAL, KAFKA, received=NOW + timedelta(days=64 * 365), now=NOW))
    assert (found.exchange.ts, found.flags) == (NOW, ("skew",))


def test_a_producers_clock_that_is_a_little_off_counts_as_it_is() -> None:
    for off in (timedelta(hours=1), -timedelta(days=9 * 365)):
        found = received(decode(MINIMAL, KAFKA, received=NOW + off, now=NOW))
        assert (found.exchange.ts, found.flags) == (NOW + off, ())


def test_an_own_time_is_held_against_the_brokers_and_not_against_the_producers() -> None:
    raw = line(exchange("mine") | {"ts": (NOW + timedelta(hours=2)).isoformat()})
    ahead = received(decode(raw, KAFKA, received=NOW + timedelta(hours=2), now=NOW))
    assert (ahead.exchange.ts, ahead.flags) == (NOW, ("skew",)), "it counts from its arrival"
    assert received(decode(raw, KAFKA, received=NOW - timedelta(days=9_000), now=NOW + timedelta(hours=1))).flags == ()
