"""Microseconds to decode one exchange: `python -m tests.benchmarks.decode`."""

from __future__ import annotations

import json
import time
from typing import Final

from schemas.position import Position
from services.ingest.decode import decode
from tests.support.case import exchange, line

ROUNDS: Final = 7
CALLS: Final = 3000
PLACE: Final = Position(cluster="file", topic="0" * 12, partition=0, offset=1)


def examples() -> dict[str, bytes]:
    """About 2 KB each: plain, with many brackets (code), and with every character escaped (emoji)."""
    return {
        "plain text": line(exchange("plain", response="word and another word " * 70)),
        "code": line(exchange("code", response="f({[x]}, [y]); " * 100)),
        "escaped emoji": json.dumps(exchange("emoji", response="\N{GRINNING FACE} and words " * 64)).encode(),
    }


def microseconds(raw: bytes) -> float:
    """The best of `ROUNDS` means over `CALLS` calls."""
    means = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            decode(raw, PLACE)
        means.append((time.perf_counter() - start) / CALLS * 1e6)
    return min(means)


def main() -> None:
    """Print one line an example."""
    for name, raw in examples().items():
        print(f"{name:14} {len(raw):5} bytes  {microseconds(raw):6.1f} us")


if __name__ == "__main__":
    main()
