"""Every line of the bad-input corpus, alone and in one file between valid neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.dead_letter import KEPT_BYTES, DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import decode
from services.ingest.jsonl import exchanges
from services.ports import Received
from tests.support.corpus import CORPUS, Case, with_neighbours

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
FILE = Position(cluster="file", topic="0123456789ab", partition=0, offset=7)
KAFKA = Position(cluster="c1", topic="keelwatch.exchanges", partition=3, offset=99)


UNTIMED = {"optional: only what is required", "optional: ts null"}


def check(case: Case, result: Received | DeadLetter, in_file: bool = True) -> None:
    if case.flags is None:
        assert isinstance(result, DeadLetter)
        assert case.reason in result.reason
        assert 0 < len(result.reason) <= 300
        assert "\n" not in result.reason
        assert len(result.raw) <= KEPT_BYTES * 4 / 3 + 4
        return
    assert isinstance(result, Received), result.reason
    assert result.flags == case.flags + (("no_ts",) if in_file and case.name in UNTIMED else ())
    assert case.holds is None or case.holds(result.exchange)


def test_the_corpus_is_large_and_its_names_differ() -> None:
    assert len(CORPUS) >= 200
    assert len({case.name for case in CORPUS}) == len(CORPUS)
    assert len({case.raw for case in CORPUS}) == len(CORPUS)
    assert not any(b"\n" in case.raw or not case.raw.strip() for case in CORPUS)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_line_of_a_file(case: Case) -> None:
    check(case, decode(case.raw, FILE, previous=NOW, clock=NOW))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_record_of_kafka(case: Case) -> None:
    result = decode(case.raw, KAFKA, received=NOW)
    if case.name == "time: 30 days ahead":
        assert isinstance(result, Received)
        assert result.flags == ("skew",)
        return
    check(case, result, in_file=False)
    if isinstance(result, Received):
        assert Exchange.decode(result.exchange.encode()) == result.exchange


def test_neighbours_are_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(with_neighbours())
    results = list(exchanges(path))
    assert len(results) == 2 * len(CORPUS) + 1
    for number, result in enumerate(results, start=1):
        position = result.position if isinstance(result, Received) else result.source
        assert position.offset == number
        if number % 2:
            assert isinstance(result, Received)
            assert result.flags == ()
            assert result.exchange.id is not None
            assert result.exchange.id.startswith("neighbour-")
    for case, result in zip(CORPUS, results[1::2], strict=True):
        check(case, result)


def test_reasons_repeat_no_content() -> None:
    secret = "alice@example.com"
    for text in (
        f'{{"route": "{secret}", "prompt": "a", "response": "b", "model": {{"requested": "m"}}}}',
        f'{{"route": "a", "prompt": [{{"role": 1, "{secret}": 1}}], "response": "b", "model": {{"requested": "m"}}}}',
        f'{{"route": "a", "prompt": "a", "response": "b", "model": {{"requested": "m"}}, "tags": {{"{secret}": []}}}}',
        f'{{"route": "a", "prompt": "a", "response": "b", "model": {{"requested": "m"}}, "{secret}": NaN}}',
        f'{{"route": "a", "ts": "{secret}", "prompt": "a", "response": "b", "model": {{"requested": "m"}}}}',
        f"{secret} is not JSON",
        f'{{"{secret}": 1}}',
    ):
        result = decode(text.encode(), FILE)
        assert isinstance(result, DeadLetter)
        assert "alice" not in result.reason
        assert "example.com" not in result.reason


def test_skew_is_judged_by_the_line_before_and_the_time_that_the_file_had_reached() -> None:
    after = CORPUS[[case.name for case in CORPUS].index("time: 2026-11-24T18:00:00Z is fine")].raw
    old = NOW - timedelta(days=31)

    def flags(previous: datetime | None, clock: datetime | None) -> tuple[str, ...]:
        result = decode(after, FILE, previous=previous, clock=clock)
        assert isinstance(result, Received)
        return result.flags

    assert flags(None, None) == ()
    assert flags(old, old) == ("skew",)
    assert flags(old, NOW) == ()
    assert flags(NOW + timedelta(days=900), old) == ()
    assert flags(NOW - timedelta(days=30), None) == ()
