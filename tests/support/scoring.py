"""Exchanges as the scorer receives them, and a scorer of tiny parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from schemas.exchange import Exchange
from schemas.position import Position
from schemas.spec import Spec
from services.monitor import RoutePolicy
from services.ports import Received
from services.score.core import ExchangeScorer
from services.signals.protocol import Measurement, ScoredText
from services.specs import signal_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def received(n: int = 0, /, *, route: str = "support-bot/prod", topic: str = "t", flags=(), **fields: Any) -> Received:
    given = {
        "id": f"e{n}",
        "ts": START + timedelta(seconds=n),
        "model": {"requested": "gpt-4"},
        "prompt": f"question {n}",
        "response": f"answer {n}",
        **fields,
    }
    exchange = Exchange(route=route, **given)
    return Received(exchange, Position(cluster="c", topic=topic, partition=0, offset=n), flags)


def vector_of(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(384)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


class SeededEmbedder:
    """Unit vectors drawn from a generator that the text seeds."""

    engine = "seeded"
    precision = "f32"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([vector_of(text) for text in texts]) if texts else np.zeros((0, 384), np.float16)


@dataclass(frozen=True)
class Says:
    """A signal that says what a function of the text says."""

    name: str
    say: Callable[[ScoredText], Measurement]
    version: str = "1"

    @property
    def spec(self) -> Spec:
        return signal_of(self.name)

    def measure(self, text: ScoredText) -> Measurement:
        return self.say(text)


CLEAN = (
    Says("pii_leak", lambda text: Measurement(False, 0.1)),
    Says("secret_leak", lambda text: Measurement(False, 0.1)),
)


DEFAULT = RoutePolicy()


def scorer(*signals: Says, policy: RoutePolicy = DEFAULT, **fields: Any) -> ExchangeScorer:
    return ExchangeScorer(SeededEmbedder(), lambda route: policy, signals=(*signals, *CLEAN), **fields)
