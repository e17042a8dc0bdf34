"""The anchors: exchanges written for this project, the same for good, with what each signal should say of them.

No form of a key and no personal value stands in the file in one piece: places like `<<key_aws>>` are filled in here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from schemas.exchange import Exchange
from schemas.position import Position
from services.ports import Received

FILE: Final = Path(__file__).with_name("anchors.jsonl")
ROUTE: Final = "ruler"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PLACE: Final = re.compile(r"<<([a-z0-9_]+)>>")
_MADE_UP: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("marta.feld", "@", "brightwater-post.com"),
    "email2": ("j.costa", "@", "northwind-reisen.de"),
    "phone_de": ("+49 ", "30 ", "8472 ", "1936"),
    "phone_us": ("(415) ", "736", "-", "2849"),
    "phone_uk": ("+44 ", "20 ", "7183 ", "4926"),
    "ssn": ("536", "-", "84", "-", "2917"),
    "card": ("4716 ", "2093 ", "8164 ", "5534"),
    "card_dashes": ("5214-", "7930-", "4681-", "2054"),
    "iban": ("DE", "89 ", "3704 ", "0044 ", "0532 ", "0130 ", "00"),
    "key_openai": ("sk", "-proj-", "Q7mZ2xVb9LtR4nKc", "T3Blbk", "FJ", "w8HsYd5PfGj6AeUq"),
    "key_github": ("gh", "p_", "k3Jd9QmX7vTz2LbR5nWc", "8HsYfP4GjA6eUq1D"),
    "key_aws": ("AK", "IA", "Z7QX3MVB5LTR4NKC"),
    "key_slack": ("xo", "xb-", "283746519283-", "564738291056-", "Kd8QmZx3VbT7LnR2cWsYfPgJ"),
    "key_anthropic": ("sk", "-ant-", "api03-", "Zx8Kd3QmVb7TnLr2" * 5, "WcYs-9fGjHpAeUqA", "AA"),
    "key_gitlab": ("gl", "pat-", "T7mQx2VbZ9LkR4nKcWdY"),
    "key_google": ("AI", "za", "SyD8Kd3QmVb7TnLr2WcYs9fGjHpAeUq1x0Z"),
    "pem_begin": ("-----BEGIN ", "RSA PRIVATE", " KEY-----"),
    "pem_end": ("-----END ", "RSA PRIVATE", " KEY-----"),
    "pem_body": ("MIIBOgIBAAJBAK", "q7Zx8Kd3QmVb7TnLr2WcYs9fGjHpAeUq1x0Z5vBn" * 3),
}


@dataclass(frozen=True, slots=True)
class Anchor:
    """One exchange, and what it should be said to be: signal -> value. A signal that is not named is not judged."""

    received: Received
    labels: Mapping[str, bool | str]


@dataclass(frozen=True, slots=True)
class Anchors:
    """All of them, in their order. `version` is that of the file and of what is filled in: 16 hex of their SHA-256."""

    version: str
    anchors: tuple[Anchor, ...]


@cache
def load_anchors() -> Anchors:
    """The anchors that are shipped."""
    text = FILE.read_text(encoding="utf-8")
    lines = [json.loads(_PLACE.sub(_filled, line)) for line in text.splitlines()]
    version = hashlib.sha256((text + repr(sorted(_MADE_UP.items()))).encode()).hexdigest()[:16]
    return Anchors(version, tuple(_anchor(line, n) for n, line in enumerate(lines, start=1)))


def _filled(place: re.Match[str]) -> str:
    return "".join(_MADE_UP[place[1]])


def _anchor(line: dict[str, Any], n: int) -> Anchor:
    labels = line.pop("labels")
    ts = _EPOCH + timedelta(seconds=n)
    made = {**line, "ts": ts.isoformat(), "route": ROUTE, "model": {"requested": "anchor"}}
    exchange = Exchange.model_validate_json(json.dumps(made))
    return Anchor(Received(exchange, Position(cluster="ruler", topic="anchors", partition=0, offset=n)), labels)
