"""Feeds what fixtures become when they are broken to each decoder: `python -m tests.ingest.fuzz --seconds 120`.

Bytes are flipped, cut, doubled and swapped, values of JSON are put in each other's place, and what stands for text in
protobuf is too. It prints of each decoder how many were decoded, and the worst time; a crash prints the record as
base64. `--only otlp` asks for the decoders whose name has that in it; CI feeds all of them for seconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
from typing import Any

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.errors import LONGEST
from services.ingest.routing import Carriage
from tests.ingest.malformed import fixture, framed, names, raw_of
from tests.support.case import exchange, line

PLACE = Position(cluster="file", topic="0" * 12, partition=0, offset=1)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\ud800\0",
    [],
    {},
    [[]],
    [{}],
    {"role": 7},
    "[{",
    '{"a": 1}',
)
PIECES = (b"\0", b"\xff", b'"', b"\\", b"{", b"]", b"\\ud800", b"e999", b",", b"\x0a\x7f", b"\x12\xff\xff\xff\xff\x0f")


def check(raw: bytes) -> int:
    """How many exchanges a record holds; what is neither an exchange nor a reason is an error.

    Raises:
        AssertionError: if a reason is no line, or an exchange does not survive a round trip.
    """
    count = 0
    for item in decode_all(raw, RecordArrival(PLACE), Carriage({"keelwatch-route": "fuzz/prod"})):
        if isinstance(item, DeadLetter):
            assert 0 < len(item.reason) <= LONGEST
            assert item.reason.isprintable()
        else:
            assert Exchange.decode(item.exchange.encode()) == item.exchange
            count += 1
    return count


def broken(chance: random.Random, wholes: list[Any]) -> bytes:
    """One fixture, broken in one of the ways."""
    value = chance.choice(wholes)
    if not isinstance(value, bytes) and chance.random() < 0.7:
        return json.dumps(_misplaced(json.loads(json.dumps(value)), chance)).encode()
    raw = bytearray(raw_of(value))
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(raw) or 1)
        raw[at : at + chance.randint(0, 4)] = chance.choice(PIECES)
    return bytes(raw[: chance.randrange(len(raw) + 1)] if chance.random() < 0.1 else raw)


def _misplaced(whole: Any, chance: random.Random) -> Any:
    places = list(_places(whole))
    for _ in range(chance.randint(1, 4)):
        holder, key = chance.choice(places)
        other, name = chance.choice(places)
        moved = other[name] if chance.random() < 0.3 and len(json.dumps(other[name])) < 2000 else chance.choice(ODD)
        holder[key] = json.loads(json.dumps(moved))
    return whole


def _places(value: Any) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inner):
        yield value, key
        yield from _places(one)


def decoders() -> dict[str, list[Any]]:
    """Decoder -> the fixtures that are fed to it: those of one format, and of an envelope that it is opened from."""
    found: dict[str, list[Any]] = {}
    for name in names():
        found.setdefault(_decoder_of(name), []).append(fixture(name))
    inner = [line(exchange("native")), raw_of(fixture("openai_chat"))]
    found["native"] = [exchange("native"), exchange("agent", tools=[{"name": "f"}], documents=["d"], guardrails=[])]
    found["confluent"] = [framed(7, one) for one in inner]
    return found


def _decoder_of(name: str) -> str:
    bare = name.removesuffix("_proto").removesuffix("_stream").removesuffix("_failure")
    return bare + ("_proto" if name.endswith("_proto") else "")


def run(seconds: float, seed: int, most: int | None = None, wholes: list[Any] | None = None) -> tuple[int, int, float]:
    """(records, exchanges, worst seconds of one record) within so much time of the processor."""
    chance = random.Random(seed)
    wholes = wholes or [fixture(name) for name in names()]
    records = exchanges = 0
    worst, end = 0.0, time.process_time() + seconds
    while time.process_time() < end and (most is None or records < most):
        raw, start = broken(chance, wholes), time.process_time()
        try:
            exchanges += check(raw)
        except BaseException:
            print(base64.b64encode(raw).decode(), file=sys.stderr)
            raise
        worst = max(worst, time.process_time() - start)
        records += 1
    return records, exchanges, worst


def main() -> None:
    """Print what came of each decoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="decoders whose name has this in it")
    given = parser.parse_args()
    for name, wholes in decoders().items():
        if given.only in name:
            records, exchanges, worst = run(given.seconds, given.seed, wholes=wholes)
            print(f"{name}: {records:,} records, {exchanges:,} exchanges, worst {worst * 1e3:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
