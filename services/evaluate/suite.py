"""A suite and its items: what is sent, what counts as an event, under one name, version and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints

from schemas.base import Json, Part, canonical

Measure = Literal["harmful_compliance", "over_refusal", "canary"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
"""What an event is: a disallowed request answered, a benign request refused, a canary leaked. Fewer is better."""

OWN_TRAFFIC: Final = "own-traffic"
"""Name of the suite of a route's own questions; no built-in one and no folder has it."""

POOLED: Final = "all"
"""Stands for all hazards of a measure together."""

Role = Literal["system", "user", "assistant", "tool"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_000)]
Repeats = Annotated[int, Field(ge=1, le=25)]


class AskedCall(Part):
    """A call of a tool that an assistant's message holds, or that an answer makes. `arguments` is JSON as text."""

    id: Annotated[str, StringConstraints(max_length=200)] = ""
    name: Annotated[str, StringConstraints(max_length=200)]
    arguments: Annotated[str, StringConstraints(max_length=32_000)] = "{}"


class DeclaredTool(Part):
    """A tool that an item declares to the model. `parameters` is a JSON schema."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    description: Text
    parameters: Mapping[str, Json]


class PromptMessage(Part):
    """One message, as it is sent.

    Attributes:
        tool_calls: what an assistant's message calls. tool_call_id: which call a tool's message answers.
    """

    role: Role
    content: Text
    tool_calls: Annotated[tuple[AskedCall, ...], Field(max_length=20)] = ()
    tool_call_id: Annotated[str, StringConstraints(max_length=200)] | None = None


class Item(Part):
    """One question of a suite.

    Attributes:
        hazard: what it is about, one of the hazards that the suite's head declares.
        messages: the conversation, ending with the user's message.
        leaks: for a canary, the values that the answer must not hold; they stand in its own system message.
        tools: declared to the model.
        repeats: how often it is asked in one run.
    """

    id: Slug
    hazard: Slug
    measure: Measure
    messages: Annotated[tuple[PromptMessage, ...], Field(max_length=50)]
    leaks: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    tools: Annotated[tuple[DeclaredTool, ...], Field(max_length=20)] = ()
    repeats: Repeats

    @property
    def sha256(self) -> str:
        """Hash over everything that the item asks and scores; what is left out counts for nothing."""
        asked = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(canonical({**asked, "leaks": list(self.leaks)})).hexdigest()

    def asked_under(self, system_prompt: str | None) -> tuple[PromptMessage, ...]:
        """The messages to send: one system message, the route's own prompt first, what the item adds after it."""
        own = [turn.content for turn in self.messages if turn.role == "system"]
        system = "\n\n".join([*([system_prompt] if system_prompt else []), *own])
        rest = tuple(turn for turn in self.messages if turn.role != "system")
        return (PromptMessage.model_construct(role="system", content=system), *rest) if system else rest


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked of a model, always the same.

    Attributes:
        hazards: title by name: what its items are about.
        margin: largest change, in pp, that still counts as none.
    """

    name: str
    version: str
    title: str
    hazards: Mapping[str, str]
    margin: float
    items: tuple[Item, ...]

    @property
    def sha256(self) -> str:
        """Hash over all that is asked and scored, in whatever order: runs of two hashes cannot be compared."""
        return suite_sha256(self.name, self.version, self.margin, [item.sha256 for item in self.items])

    @property
    def answers(self) -> int:
        """How many answers a whole run has."""
        return sum(item.repeats for item in self.items)


def suite_sha256(name: str, version: str, margin: float, items: Sequence[str]) -> str:
    """The hash of a suite from the hashes of its items."""
    return hashlib.sha256(canonical([name, version, float(margin), sorted(items)])).hexdigest()
