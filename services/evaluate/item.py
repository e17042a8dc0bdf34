"""One question of a suite: what is sent, what counts as an event, and how often it is asked."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints

from schemas.base import Part, canonical

Measure = Literal["harmful_compliance", "over_refusal", "canary"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
"""What an event is: a disallowed request answered, a benign request refused, a canary leaked. Fewer is better."""

POOLED: Final = "all"
"""Stands for all hazards of a measure together."""

Role = Literal["system", "user", "assistant"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_000)]
Repeats = Annotated[int, Field(ge=1, le=25)]


class Turn(Part):
    """One message, as it is sent."""

    role: Role
    content: Text


class Item(Part):
    """One question of a suite.

    Attributes:
        hazard: what it is about, one of the hazards that the suite's head declares.
        messages: the conversation, ending with the user's message.
        leaks: for a canary, the values that the answer must not hold; they stand in its own system message.
        repeats: how often it is asked in one run.
    """

    id: Slug
    hazard: Slug
    measure: Measure
    messages: Annotated[tuple[Turn, ...], Field(max_length=50)]
    leaks: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    repeats: Repeats

    @property
    def sha256(self) -> str:
        """Hash over everything that the item asks and scores."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    def asked_under(self, system_prompt: str | None) -> tuple[Turn, ...]:
        """The messages to send: one system message, the route's own prompt first, what the item adds after it."""
        own = [turn.content for turn in self.messages if turn.role == "system"]
        system = "\n\n".join([*([system_prompt] if system_prompt else []), *own])
        rest = tuple(turn for turn in self.messages if turn.role != "system")
        return (Turn.model_construct(role="system", content=system), *rest) if system else rest
