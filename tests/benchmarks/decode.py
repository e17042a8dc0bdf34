"""Exchanges decoded a second on one core, of each format and envelope: `make bench-decode`.

Each line is a record as it comes from Kafka, from its bytes to its exchanges: what `score` does with it first. The
records are those that the real libraries made (tests/ingest/fixtures), and native ones of about 2 KB. The seconds are
the processor's, and the best of many short rounds counts: what else runs on the machine costs a round, not the figure.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from typing import Final

from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.routing import Carriage
from services.ports import Received
from tests.ingest.malformed import fixture, framed, names, raw_of
from tests.support.case import exchange, line

ROUND_SECONDS: Final = 0.02
BATCH: Final = 50
NATIVE_GOAL: Final = 20_000
OTLP_GOAL: Final = 5_000
ARRIVAL: Final = RecordArrival(Position(cluster="c", topic="t", partition=0, offset=1), datetime.now(UTC))
Sent = tuple[bytes, Carriage, int | None]
"""A record, what comes with it, and how many exchanges a second are wanted of its format."""


def records() -> dict[str, Sent]:
    """What is decoded, by name."""
    bare = Carriage({"keelwatch-route": "support-bot/prod"})
    plain = line(exchange("plain", response="word and another word " * 70))
    binary = fixture("cloudevent_binary")
    headers = {name.lower(): value for name, value in binary["headers"].items()}
    found: dict[str, Sent] = {
        "native: plain text": (plain, bare, NATIVE_GOAL),
        "native: code": (line(exchange("code", response="f({[x]}, [y]); " * 100)), bare, NATIVE_GOAL),
        "native: escaped emoji": (_escaped("\N{GRINNING FACE} and words " * 64), bare, NATIVE_GOAL),
        "native in Confluent's frame": (framed(7, plain), bare, NATIVE_GOAL),
        "native in a CloudEvent, binary": (raw_of(binary["body"]), Carriage(headers), NATIVE_GOAL),
        "native in a CloudEvent, structured": (raw_of(fixture("cloudevent_structured")), bare, NATIVE_GOAL),
    }
    for name in names():
        raw = raw_of(fixture(name))
        read = not name.startswith("cloudevent") and decode_all(raw, ARRIVAL, bare)
        if read and isinstance(read[0], Received):  # events without their span are none
            found[name] = (raw, bare, OTLP_GOAL if name.startswith("otlp") else None)
    found[f"otlp_semconv_proto, {BATCH} in one"] = (fixture("otlp_semconv_proto") * BATCH, bare, OTLP_GOAL)
    return found


def _escaped(response: str) -> bytes:
    """A native exchange in which every character beyond ASCII is escaped."""
    return json.dumps(exchange("emoji", response=response)).encode()


def rate(raw: bytes, carriage: Carriage, seconds: float) -> float:
    """Exchanges a second of the processor: the best round of those that fit into so many seconds."""
    count = sum(isinstance(one, Received) for one in decode_all(raw, ARRIVAL, carriage))
    best, times, end = 0.0, 1, time.process_time() + seconds
    while (start := time.process_time()) < end:
        for _ in range(times):
            decode_all(raw, ARRIVAL, carriage)
        took = time.process_time() - start
        best = max(best, times * count / took)
        times = max(1, int(times * ROUND_SECONDS / took))
    return best


def main() -> None:
    """Print a line for each record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of the processor, of each record")
    parser.add_argument("--only", default="", help="records whose name has this in it")
    given = parser.parse_args()
    for name, (raw, carriage, goal) in records().items():
        if given.only in name:
            found = rate(raw, carriage, given.seconds)
            wanted = "" if goal is None else f"  goal {goal:,}/s: {'reached' if found >= goal else 'missed'}"
            print(f"{name:34} {len(raw):7,} bytes  {found:8,.0f}/s{wanted}", flush=True)


if __name__ == "__main__":
    main()
