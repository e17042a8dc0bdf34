"""Logs are JSON lines for machines, and hold nothing that people or models wrote."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest
from pydantic import ValidationError

from schemas.exchange import Exchange
from schemas.identity import Model
from services.observability.log import Bridge, open_log

SECRET = "the patient's name is Wilhelmina"
EXCHANGE = Exchange(route="a/b", model=Model(requested="m"), prompt=SECRET, response=SECRET)


def lines(out: StringIO) -> list[dict]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_level_time_and_what_was_bound() -> None:
    out = StringIO()
    open_log(out, step="score").warning("dependency is away", seconds=3.5, topic="keelwatch.scores")
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "dependency is away",
        "step": "score",
        "seconds": 3.5,
        "topic": "keelwatch.scores",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": SECRET},
        {"response": {"content": SECRET}},
        {"raw": SECRET.encode()},
        {"batch": [EXCHANGE]},
        {"who": EXCHANGE},
        {"found": {"x": SECRET}},
        {"error": ValueError(SECRET)},
    ],
)
def test_content_is_left_out_whatever_it_is_called(fields: dict) -> None:
    out = StringIO()
    open_log(out).error("x", **fields)
    assert lines(out)
    assert "Wilhelmina" not in out.getvalue()


def test_an_exception_is_told_by_class_and_place_not_by_its_words() -> None:
    out = StringIO()
    try:
        Exchange.model_validate({"prompt": SECRET, "route": SECRET})
    except ValidationError:
        open_log(out).error("cannot be read", exc_info=True)
    (line,) = lines(out)
    assert line["error"] == "ValidationError"
    assert any(place.startswith("test_log.py") for place in line["at"])
    assert "Wilhelmina" not in out.getvalue()


def test_what_libraries_log_comes_in_the_same_form_without_content() -> None:
    out = StringIO()
    logger = logging.getLogger("tests.library")
    logger.propagate = False
    logger.addHandler(bridge := Bridge(open_log(out)))
    try:
        logger.warning("node %s cannot be reached: %r", 3, ConnectionError(SECRET))
        logger.error("dropped %r", EXCHANGE)
        logger.error("dropped %(value)r", {"value": SECRET.encode()})
        logger.error("100%")
        logger.error("wrong %d", "x")
        logger.error(ValueError(SECRET))
        try:
            raise RuntimeError(SECRET)
        except RuntimeError:
            logger.exception("failed")
    finally:
        logger.removeHandler(bridge)
    found = lines(out)
    assert [line["event"] for line in found] == [
        "node 3 cannot be reached: 'ConnectionError'",
        "dropped '(Exchange)'",
        "dropped '(32 bytes)'",
        "100%",
        "wrong %d",
        "ValueError",
        "failed",
    ]
    assert found[-1]["error"] == "RuntimeError"
    assert {line["library"] for line in found} == {"tests.library"}
    assert "Wilhelmina" not in out.getvalue()


def test_a_library_that_repeats_itself_is_heard_every_ten_seconds() -> None:
    out = StringIO()
    bridge = Bridge(open_log(out))
    for second in range(25):
        for _ in range(10):
            record = logging.LogRecord("aiokafka", logging.ERROR, "x.py", 1, "node %s is away", (1,), None)
            record.created = 1000.0 + second
            bridge.handle(record)
    assert [line.get("left_out") for line in lines(out)] == [None, 99, 99]


def test_what_is_remembered_of_libraries_is_bounded() -> None:
    out = StringIO()
    bridge = Bridge(open_log(out))
    for number in range(2000):
        bridge.handle(logging.LogRecord("aiokafka", logging.ERROR, "x.py", 1, f"message {number}", (), None))
    assert len(lines(out)) == 2000
    assert len(bridge._last) <= 500
