"""Spans decoded a second of the processor, from real records: `python -m tests.benchmarks.decode_otlp`."""

from __future__ import annotations

import time
from typing import Final

from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from tests.ingest.malformed import fixture, raw_of

ROUNDS: Final = 5
RECORDS: Final = 400
PLACE: Final = Position(cluster="file", topic="0" * 12, partition=0, offset=1)
FIXTURES: Final = ("otlp_semconv", "otlp_events", "otlp_numbered", "otlp_openinference", "otlp_ai_sdk")


def rate(raw: bytes) -> float:
    """Exchanges a second of the processor, the best of `ROUNDS`."""
    count, best = 0, 0.0
    for _ in range(ROUNDS):
        start, count = time.process_time(), 0
        for _ in range(RECORDS):
            count += len(decode_all(raw, RecordArrival(PLACE)))
        best = max(best, count / (time.process_time() - start))
    return best


def main() -> None:
    """Print a line for each fixture, in JSON and in protobuf."""
    for name in FIXTURES:
        plain, proto = (raw_of(fixture(one)) for one in (name, f"{name}_proto"))
        print(f"{name:20} JSON {rate(plain):8,.0f}/s   protobuf {rate(proto):8,.0f}/s")


if __name__ == "__main__":
    main()
