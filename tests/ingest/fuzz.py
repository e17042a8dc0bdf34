"""Feeds what fixtures become when they are broken to each decoder: `python -m tests.ingest.fuzz --seconds 120`.

Bytes are flipped, cut, doubled and swapped, values of JSON are put in each other's place, and what stands for text in
protobuf is too; of a binary CloudEvent its headers are, of files their bytes. It prints of each decoder how many were
decoded, and the worst time; a crash prints the record as base64. `--only otlp` asks for the decoders whose name has
that in it; CI feeds all of them for seconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from services.errors import InputError
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.errors import LONGEST
from services.ingest.files import records
from services.ingest.jsonl import decoded
from services.ingest.routing import Carriage
from services.ports import Received
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


ROUTED: Mapping[str, str] = {"keelwatch-route": "fuzz/prod"}


def check(raw: bytes, headers: Mapping[str, str] = ROUTED) -> int:
    """How many exchanges a record holds; what is neither an exchange nor a reason is an error.

    Raises:
        AssertionError: if a reason is no line, or an exchange does not survive a round trip.
    """
    return _sound(decode_all(raw, RecordArrival(PLACE), Carriage(headers)))


def check_binary_event(raw: bytes) -> int:
    """The same of a body, and of headers that are read from the same bytes."""
    pieces = raw.split(b"\n", 4)
    names = ("ce_specversion", "ce_id", "ce-source", "ce_time")
    sent = [(name, value) for name, value in zip(names, pieces, strict=False)]
    return _sound(decode_all(pieces[-1], RecordArrival(PLACE), Carriage.of([*sent, ("keelwatch-route", b"fuzz/prod")])))


def check_file(raw: bytes, suffix: str) -> int:
    """The same of what a file holds; one that is refused as a whole says why.

    Raises:
        AssertionError: if it is refused without a reason.
    """
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(raw)
        file.flush()
        try:
            return _sound(decoded(records(Path(file.name)), carriage=Carriage(ROUTED)))
        except InputError as error:
            refused = str(error)
    assert refused.isprintable()
    return 0


def _sound(items: Iterable[Received | DeadLetter]) -> int:
    count = 0
    for item in items:
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
    glued = [inner[0], fixture("otlp_semconv_proto"), fixture("otlp_details_proto")]
    found["native"] = [exchange("native"), exchange("agent", tools=[{"name": "f"}], documents=["d"], guardrails=[])]
    found["confluent"] = [framed(7, one) for one in inner]
    found["cloudevent_headers"] = [b"1.0\ne-1\n/shop\n2026-11-24T18:00:00Z\n" + one for one in inner]
    found["file_table"] = [_TABLE, _SPENT]
    found["file_document"] = [json.dumps([exchange("a"), fixture("langfuse")], indent=1).encode(), b"\n".join(inner)]
    found["file_protobuf"] = [b"".join(len(one).to_bytes(4) + one for one in glued[1:]), glued[1]]
    return found


_TABLE: Final = (
    b"prompt,response,model,ts,prompt_tokens,latency_ms,team\r\n"
    b'"Where is ""it""?","There;\nor not",gpt-4,2026-11-24T18:00:00Z,21,12.5,shop\r\n'
    b'"[{""role"": ""user"", ""content"": ""Hi""}]","{""content"": ""yes""}",gpt-4,,,,\r\n'
)
_SPENT: Final = (
    b"request_id,call_type,spend,model,prompt_tokens,proxy_server_request,response\n"
    b'c-1,acompletion,0.1,gpt-4o,21,"{""messages"": [{""role"": ""user"", ""content"": ""Hi""}]}",'
    b'"{""choices"": [{""message"": {""content"": ""Yes.""}}]}"\n'
)
_CHECKS: Final[Mapping[str, Callable[[bytes], int]]] = {
    "cloudevent_headers": check_binary_event,
    "file_table": partial(check_file, suffix=".csv"),
    "file_document": partial(check_file, suffix=".json"),
    "file_protobuf": partial(check_file, suffix=".bin"),
}
"""How what is no record of itself is read; all else as a record of Kafka."""


def _decoder_of(name: str) -> str:
    bare = name.removesuffix("_proto").removesuffix("_stream").removesuffix("_failure")
    return bare + ("_proto" if name.endswith("_proto") else "")


def run(
    seconds: float, seed: int, most: int | None = None, wholes: list[Any] | None = None, decoder: str = ""
) -> tuple[int, int, float]:
    """(records, exchanges, worst seconds of one record) within so much time of the processor."""
    chance, checked = random.Random(seed), _CHECKS.get(decoder, check)
    wholes = wholes or [fixture(name) for name in names()]
    count = exchanges = 0
    worst, end = 0.0, time.process_time() + seconds
    while time.process_time() < end and (most is None or count < most):
        raw, start = broken(chance, wholes), time.process_time()
        try:
            exchanges += checked(raw)
        except BaseException:
            print(base64.b64encode(raw).decode(), file=sys.stderr)
            raise
        worst = max(worst, time.process_time() - start)
        count += 1
    return count, exchanges, worst


def main() -> None:
    """Print what came of each decoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="decoders whose name has this in it")
    given = parser.parse_args()
    for name, wholes in decoders().items():
        if given.only in name:
            count, exchanges, worst = run(given.seconds, given.seed, wholes=wholes, decoder=name)
            print(f"{name}: {count:,} records, {exchanges:,} exchanges, worst {worst * 1e3:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
