"""Lines of a file: numbers, hash, kinds, progress, times that run on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter
from services.ingest import jsonl as module
from services.ingest.jsonl import exchanges, kind_of, lines, sha12
from services.ports import Received
from tests.support.case import TS, exchange, line

BARE = line({"route": "a", "prompt": "b", "response": "c", "model": {"requested": "m"}})
SCORES = line({"id": "x", "route": "a", "ts": TS, "signals": {}, "prompt_vec": "", "source": ["c", "t", 0, 1]})


def written(folder: Path, content: bytes) -> Path:
    path = folder / "in.jsonl"
    path.write_bytes(content)
    return path


def test_numbers_count_blank_lines_and_the_topic_is_the_hash(tmp_path: Path) -> None:
    content = b"\n" + BARE + b"\r\n  \r\n\n" + BARE
    path = written(tmp_path, content)
    found = list(lines(path))
    assert [one.position.offset for one in found] == [2, 5]
    assert [one.raw for one in found] == [BARE, BARE]
    topic = hashlib.sha256(content).hexdigest()[:12]
    assert sha12(path) == topic
    assert {(one.position.cluster, one.position.topic, one.position.partition) for one in found} == {("file", topic, 0)}


def test_progress_adds_up_to_the_size(tmp_path: Path) -> None:
    path = written(tmp_path, b"\n\n" + BARE + b"\n{\n" + BARE)
    told: list[int] = []
    list(lines(path, told.append))
    assert sum(told) == path.stat().st_size
    assert len(told) == 5


def test_times_run_on_from_2000_and_over_dead_letters(tmp_path: Path) -> None:
    found = list(exchanges(written(tmp_path, b"\n".join([BARE, b"{", BARE, line(exchange("x")), BARE]))))
    assert isinstance(found[1], DeadLetter)
    good = [one for one in found if isinstance(one, Received)]
    start, later = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 11, 24, 18, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert [one.exchange.ts for one in good] == [start, start + second, later, later + second]


def test_a_line_at_the_end_of_time_kills_none_after_it(tmp_path: Path) -> None:
    last = line(exchange("x", ts="2099-12-31T23:59:59Z"))
    found = list(exchanges(written(tmp_path, b"\n".join([BARE, last, BARE, BARE]))))
    assert [one.flags for one in found if isinstance(one, Received)] == [
        ("no_ts",),
        ("skew",),
        ("no_ts", "skew"),
        ("no_ts", "skew"),
    ]


def test_one_old_line_does_not_skew_the_next(tmp_path: Path) -> None:
    times = ["2026-11-24T18:00:00Z", "2000-01-01T00:00:00Z", "2026-11-24T18:00:01Z", "2099-01-01T00:00:00Z", TS]
    path = written(tmp_path, b"\n".join(line(exchange(str(i), ts=ts)) for i, ts in enumerate(times)))
    assert [one.flags for one in exchanges(path) if isinstance(one, Received)] == [(), (), (), ("skew",), ()]


def test_a_gap_flags_one_line_and_no_more(tmp_path: Path) -> None:
    times = ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:01Z"]
    path = written(tmp_path, b"\n".join(line(exchange(str(i), ts=ts)) for i, ts in enumerate(times)))
    assert [one.flags for one in exchanges(path) if isinstance(one, Received)] == [(), ("skew",), ()]


def test_a_line_beyond_the_limit_is_one_dead_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 200)
    path = written(tmp_path, BARE + b"\n" + b"x" * 1000 + b"\n" + BARE + b"\n" + b"y" * 401)
    told: list[int] = []
    found = list(lines(path, told.append))
    assert [(one.position.offset, len(one.raw)) for one in found] == [
        (1, len(BARE)),
        (2, 201),
        (3, len(BARE)),
        (4, 201),
    ]
    assert sum(told) == path.stat().st_size


def test_kinds() -> None:
    assert kind_of(SCORES) == "scores"
    assert kind_of(BARE) == "exchange"
    assert kind_of(line(exchange("x", response=SCORES.decode(), signals={}))) == "exchange"
    assert kind_of(line({"call_type": "completion", "metadata": {"signals": 1}, "messages": "signals"})) == "exchange"
    assert kind_of(b"not JSON") == "exchange"


@given(st.text())
def test_no_text_makes_an_exchange_a_score_line(text: str) -> None:
    assert kind_of(line(exchange("x", response=text, prompt='"signals"' + text))) == "exchange"


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(lines(tmp_path / "none.jsonl"))
