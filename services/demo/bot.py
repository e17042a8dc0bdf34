"""The traffic of a simulated support bot: pure, the same seed gives the same exchanges."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from schemas.exchange import Exchange
from schemas.identity import Model
from services.demo.intents import CITIES, DELICATE, ITEMS, ORDINARY, PLANS, Intent
from services.demo.model import SERVED

ROUTE: Final = "support-bot/prod"
STARTS: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
_MODEL: Final = Model(provider="example", requested="harbour-chat", served=SERVED, endpoint="llm.example")


@dataclass(frozen=True, slots=True)
class Script:
    """How the story goes: exchanges under the old model, then under the new one of the same name.

    Attributes:
        delicate: share of prompts that the old model declines. leak: share of the new model's answers with a key.
        step: seconds between two exchanges; starts: time of the first one.
    """

    before: int = 1300
    after: int = 400
    delicate: float = 0.18
    leak: float = 0.01
    step: float = 86.4
    starts: datetime = STARTS


def traffic(script: Script, seed: int) -> Iterator[Exchange]:
    """The exchanges of the story, in order."""
    chance = np.random.default_rng(seed)
    for i in range(script.before + script.after):
        new = i >= script.before
        prompt, answer = _exchange(chance, script, new)
        if new and chance.random() < script.leak:
            answer += f"\n\nHere is a key to try it with: {_key(chance)}"
        yield Exchange(
            id=f"demo-{i}",
            ts=script.starts + timedelta(seconds=script.step * i),
            route=ROUTE,
            conversation=f"c-{i}",
            user=f"u-{int(chance.integers(200))}",
            model=_MODEL,
            prompt=prompt,
            response=answer,
        )


def _exchange(chance: np.random.Generator, script: Script, new: bool) -> tuple[str, str]:
    intent = _pick(chance, DELICATE if chance.random() < script.delicate else ORDINARY)
    prompt = str(chance.choice(intent.prompts))
    answer = str(chance.choice(intent.new if new else intent.old))
    filled = {"plan": chance.choice(PLANS), "item": chance.choice(ITEMS), "city": chance.choice(CITIES)}
    return prompt.format(**filled), answer


def _pick(chance: np.random.Generator, intents: tuple[Intent, ...]) -> Intent:
    weights = np.array([intent.weight for intent in intents])
    return intents[int(chance.choice(len(intents), p=weights / weights.sum()))]


def _key(chance: np.random.Generator) -> str:
    """A key of a real vendor's form, drawn at random: it opens nothing, and none stands in the source."""
    letters = list(string.ascii_letters + string.digits)
    return "sk" + "_live_" + "".join(chance.choice(letters, size=24))
