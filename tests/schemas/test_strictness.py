"""What violates the schema, tried at every place of every golden example."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.exchange import Exchange
from schemas.score import ScoreBlock
from tests.support.contract import RECORDS, examples_of

CASES = [
    pytest.param(name, json.loads(path.read_bytes()), id=f"{name}/{path.stem}")
    for name in RECORDS
    for path in examples_of(name)
]
# What publishers may fill freely: only NaN and Infinity are refused there.
FREE = {"extra", "tool_calls", "error", "content"}
OPEN = {"response", "usage", "prompt", "guardrails", "tags", "identities", "signals"}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))


def _with(value: Any, path: tuple[Any, ...], new: Any) -> bytes:
    changed = {"": copy.deepcopy(value)}
    holder: Any = changed
    for key in ("", *path)[:-1]:
        holder = holder[key]
    holder[("", *path)[-1]] = new
    return json.dumps(changed[""]).encode()


def _refused(name: str, text: bytes) -> bool:
    try:
        RECORDS[name].decode(text)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_number_in_quotes_is_refused(name: str, value: Any) -> None:
    numbers = [(path, n) for path, n in _places(value) if type(n) in (int, float) and not FREE & set(path)]
    assert [path for path, n in numbers if not _refused(name, _with(value, path, str(n)))] == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("name", "value"), CASES)
def test_nan_and_infinity_are_refused_everywhere(name: str, value: Any, bad: float) -> None:
    places = [path for path, _ in _places(value) if path]
    assert [path for path in places if not _refused(name, _with(value, path, bad))] == []


@pytest.mark.parametrize(("name", "value"), CASES)
def test_an_unknown_field_is_refused_but_where_publishers_may_add(name: str, value: Any) -> None:
    closed = [path for path, item in _places(value) if isinstance(item, dict) and not (FREE | OPEN) & set(path)]
    assert closed
    for path in closed:
        holder = value
        for key in path:
            holder = holder[key]
        mapping = path in (("scorer", "signals"), ("pinning", "rates"))
        assert _refused(name, _with(value, path, {**holder, "unknown": 1})) or mapping, path


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_required_field_cannot_be_left_out(name: str, value: Any) -> None:
    for key, field in RECORDS[name].model_fields.items():
        sent = field.alias or key
        if field.is_required():
            assert _refused(name, json.dumps({k: v for k, v in value.items() if k != sent}).encode()), sent


@pytest.mark.parametrize("version", [0, 2, 3, "1", None, 1.5])
@pytest.mark.parametrize(("name", "value"), CASES[::3])
def test_another_schema_version_is_refused(name: str, value: Any, version: Any) -> None:
    newest = RECORDS[name].model_fields["schema_version"].default
    assert _refused(name, _with(value, ("schema_version",), version)) is (version != newest)


def _exchange(**fields: Any) -> bytes:
    base = {"route": "support-bot/prod", "model": {"requested": "m"}, "prompt": "p", "response": "r"}
    return json.dumps({**base, **fields}).encode()


@pytest.mark.parametrize(
    "route",
    [
        "",
        "a" * 201,
        "Support/prod",
        "a b",
        "a/b\n",
        "ü",
        "a\x00",
        "a:b",
        "_keelwatch/canary",
        "safety",
        "a/safety",
        "profile/a",
        "a/metrics/b",
    ],
)
def test_bad_route_is_refused(route: str) -> None:
    assert _refused("exchange", _exchange(route=route))


@pytest.mark.parametrize(
    "route", ["a", "a" * 200, "support-bot/prod", "a.b_c-d/0", "safety-bot/metrics2", "keelwatch/x"]
)
def test_good_route_is_taken(route: str) -> None:
    assert Exchange.decode(_exchange(route=route)).route == route


@pytest.mark.parametrize(
    "ts",
    [
        "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "2000-01-01T00:00:00+00:01", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00", "1764000000", 1764000000, 1764000000.5, True, "2026-11-24", "18:00",
        "2026-02-30T00:00:00Z", "2026-11-24T18:61:00Z", "tomorrow", "", [], {},
    ],
)  # fmt: skip
def test_bad_time_is_refused(ts: Any) -> None:
    assert _refused("exchange", _exchange(ts=ts))


@pytest.mark.parametrize(
    ("ts", "sent"),
    [
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        ("2099-12-31T23:59:59.999999Z", "2099-12-31T23:59:59.999999Z"),
        ("2026-11-24T18:00:00", "2026-11-24T18:00:00Z"),
        ("2026-11-24 20:00:00+02:00", "2026-11-24T18:00:00Z"),
        ("2026-11-24T18:00:00.5Z", "2026-11-24T18:00:00.500000Z"),
    ],
)
def test_every_good_time_leaves_in_utc(ts: str, sent: str) -> None:
    assert json.loads(Exchange.decode(_exchange(ts=ts)).encode())["ts"] == sent


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe{}", b"{}", _exchange()[:-1], _exchange() + b"x", b"[" * 100_000],
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    assert all(_refused(name, text) for name in RECORDS)


def _block(**fields: Any) -> bytes:
    path = next(iter(examples_of("score")))
    return json.dumps({**json.loads(path.read_bytes()), **fields}).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ts", ["2026-11-24T18:00:00Z"]),
        ("id", []),
        ("id", ["x"] * 129),
        ("kept", [True, False, True]),
        ("fingerprint", [None]),
        ("identity", ["0123456789abcdef"] * 2),
        ("prompt_vec", ""),
        ("prompt_vec", "not base64!"),
        ("style", "AAAA"),
        ("signals", {"refusal": {"value": [True], "probability": [None, None], "status": ["scored", "scored"]}}),
    ],
)
def test_a_score_block_with_unequal_columns_is_refused(field: str, value: Any) -> None:
    assert not _refused("score", _block())
    with pytest.raises(ValidationError):
        ScoreBlock.decode(_block(**{field: value}))
