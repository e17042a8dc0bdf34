"""What was issued to the stream and what became of the sending: an append-only file; payloads follow from their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas.exchange import Exchange
from services.demo.support_bot import Script, traffic

CHANGED = ("support-bot/prod", "search/eu")
"""Routes whose model is silently replaced; that of the others stays."""
ROUTES = (*CHANGED, "support-bot/staging", "search/us", "kiosk/harbour")
POISON = "poison"

Payload = tuple[str, bytes, bytes]
"""(id, key, value) of one record."""


@dataclass(frozen=True)
class Sent:
    """Ids by what became of them. An `unknown` one may be on the topic; an accepted one is."""

    issued: frozenset[str]
    accepted: frozenset[str]


class Ledger:
    """One line an event, written before anything else happens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] = path.open("a", buffering=1)

    def issue(self, id: str) -> None:
        """It is about to be sent."""
        self._file.write(f"issued {id}\n")

    def accept(self, id: str) -> None:
        """The broker has it."""
        self._file.write(f"accepted {id}\n")

    def unknown(self, id: str) -> None:
        """Nobody knows whether the broker has it."""
        self._file.write(f"unknown {id}\n")

    def sent(self) -> Sent:
        """What the file says."""
        events = [line.split(" ", 1) for line in self._path.read_text().splitlines()]
        some = {name: frozenset(id for event, id in events if event == name) for name in ("issued", "accepted")}
        return Sent(**some)

    def close(self) -> None:
        """Write no more."""
        self._file.close()


_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def check_of(id: str) -> str:
    """What the payload of this id carries beside its text, so that an altered one is seen.

    In letters alone: sixteen digits can be the number of a card, which is masked before it is stored.
    """
    return hashlib.sha256(id.encode()).hexdigest()[:16].translate(_LETTERS)


def payloads(seed: int, exchanges: int, poison_every: int = 10, twice_every: int = 20) -> Iterator[Payload]:
    """In the order of sending: `exchanges` of all routes by turns, poison between them, and some sent twice."""
    each = exchanges // len(ROUTES)
    after = each * 35 // 100
    stories = [
        traffic(Script(each - after, after, leak=0.04) if route in CHANGED else Script(each, 0), seed + place)
        for place, route in enumerate(ROUTES)
    ]
    for n, told in enumerate(zip(*stories, strict=True)):
        for route, exchange in zip(ROUTES, told, strict=True):
            one = payload(exchange, route, f"{seed}-{route}-{n}")
            yield one
            if n % twice_every == 0:
                yield one
        if n % poison_every == 0:
            yield poison(f"{POISON}-{seed}-{n}")


def probe(seed: int) -> Payload:
    """One more exchange, for when everything is over."""
    [exchange] = traffic(Script(1, 0), seed)
    return payload(exchange, ROUTES[-1], f"{seed}-probe")


def payload(exchange: Exchange, route: str, id: str) -> Payload:
    """An exchange under this id: its text is that of the story, everything else follows from the id."""
    check = check_of(id)
    fields = {"id": id, "route": route, "conversation": check, "tags": {"check": check}, "ts": exchange.ts}
    return id, route.encode(), exchange.model_copy(update=fields).encode()


def poison(id: str) -> Payload:
    """What is no exchange, and says which one it is not."""
    return id, ROUTES[0].encode(), f"{{{id} {check_of(id)}".encode()


def poison_id(raw: bytes) -> str:
    """The id of the poison in a dead letter; the bytes themselves when it is none that was made here."""
    id, _, check = raw.decode(errors="replace").removeprefix("{").partition(" ")
    return id if check == check_of(id) else raw.decode(errors="replace")
