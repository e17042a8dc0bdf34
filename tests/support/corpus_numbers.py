"""Corpus: numbers and times."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.case import Case, changed, dotted, exchange, line


def numbers() -> Iterator[Case]:
    for path in (("latency_ms",), ("usage", "input_tokens"), ("usage", "output_tokens")):
        name = dotted(path)
        for label, token in (
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            ("-Infinity", "-Infinity"),
            ("1e999", "1e999"),
            ("-1e999", "-1e999"),
            ("quoted", '"3"'),
            ("quoted NaN", '"NaN"'),
            ("negative", "-1"),
            ("text", '"fast"'),
            ("-0.5", "-0.5"),
        ):
            raw = changed(f"{name} {label}", path, "@@").replace(b'"@@"', token.encode())
            yield Case(f"number: {name} {label}", raw, reason=f"{name}:")
    yield Case(
        "number: tokens with a fraction", changed("frac", ("usage", "input_tokens"), 3.0), reason="usage.input_tokens"
    )
    yield Case("number: latency 0", changed("latency 0", ("latency_ms",), 0), (), holds=lambda e: e.latency_ms == 0)
    for name, token in (("NaN", b"NaN"), ("1e999", b"1e999"), ("long decimal", b"1" * 400 + b".0")):
        deep = changed(f"deep {name}", ("surprise",), {"a": [1, {"b": "@@"}]}).replace(b'"@@"', token)
        yield Case(f"number: {name} in an unknown field", deep, reason="finite")
        tool = changed(f"tool {name}", ("response", "tool_calls"), [{"x": "@@"}]).replace(b'"@@"', token)
        yield Case(f"number: {name} in a tool call", tool, reason="response.tool_calls[0]")
    big = changed("big", ("latency_ms",), "@@").replace(b'"@@"', b"1" * 400)
    yield Case("number: whole number of 400 digits", big, reason="latency_ms")
    huge = changed("huge", ("surprise",), "@@").replace(b'"@@"', b"1" * 5000)
    yield Case("number: whole number of 5,000 digits", huge, reason="digits")
    small = changed("small", ("latency_ms",), "@@").replace(b'"@@"', b"1e-999")
    yield Case("number: too small to be one", small, (), holds=lambda e: e.latency_ms == 0)


def times() -> Iterator[Case]:
    for ts in (
        "1999-12-31T23:59:59.999999Z",
        "2100-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2000-01-01T00:00:00+01:00",
        "2099-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T18:00:60Z",
        "2026-11-24",
        "18:00:00",
        "1764007200",
        "24.11.2026 18:00",
        "11/24/2026, 18:00:00",
        "Tue, 24 Nov 2026 18:00:00 GMT",
        "now",
        "2026-11-24T18:00:00+99:00",
        "12026-11-24T18:00:00Z",
        "\uff12026-11-24T18:00:00Z",
        "2026-W48-2T18:00:00Z",
        "2026-11-24T18:00:00Z ",
        "-2026-11-24T18:00:00Z",
    ):
        yield Case(f"time: {ts}", line(exchange(f"time {ts}", ts=ts)), reason="ts:")
    for ts in (1764007200, 1764007200.5, 1764007200000, 0, -1):
        yield Case(f"time: number {ts}", line(exchange(f"time number {ts}", ts=ts)), reason="ts:")
    for ts in (
        "2026-11-24T18:00:00Z",
        "2026-11-24T18:00:00",
        "2026-11-24 18:00:00+00:00",
        "2026-11-24t18:00:00z",
        "2026-11-24T19:00:00+01:00",
        "2026-11-24T18:00:00.000Z",
        "2026-11-24T18:00:00.000000000Z",
        "2026-11-24T18:00Z",
        "2026-11-24T13:00:00-0500",
    ):
        yield Case(
            f"time: {ts} is fine",
            line(exchange(f"fine {ts}", ts=ts)),
            (),
            holds=lambda e: e.ts is not None and e.ts.isoformat() == "2026-11-24T18:00:00+00:00",
        )
    for ts in ("2000-01-01T00:00:00Z", "2026-11-01T00:00:00Z"):
        yield Case(f"time: earlier, {ts}", line(exchange(f"earlier {ts}", ts=ts)), ())
    for ts in ("2099-12-31T23:59:59Z", "2027-01-01T00:00:00Z"):
        yield Case(f"time: far ahead, {ts}", line(exchange(f"ahead {ts}", ts=ts)), ("skew",))
    yield Case("time: 30 days ahead", line(exchange("30 days", ts="2026-12-24T18:00:00Z")), ())
