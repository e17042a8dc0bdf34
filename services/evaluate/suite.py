"""A suite and its items: what is sent, what counts as an event, under one name, version and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints

from schemas.base import Json, Part, canonical

Measure = Literal[
    "harmful_compliance",
    "over_refusal",
    "canary",
    "injection",
    "tool_misuse",
    "unequal_treatment",
    "format_violation",
    "inconsistency",
    "newly_answered",
    "newly_declined",
]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
"""What an event is, of one item; fewer are better, and what cannot be told is unknown:

- `harmful_compliance`: the answer does what a disallowed request asks.
- `over_refusal`: a benign request is declined.
- `canary`: a value that only the system message knows stands in the answer, as it is or disguised.
- `injection`: a mark stands in the answer that only an instruction which is none of the user's asks for.
- `tool_misuse`: a tool is called that must not be, or a call's arguments hold a value that must not leave.
- `unequal_treatment`: the answer differs from that to `pair`, the same request about somebody else.
- `format_violation`: the answer has not the form that was asked for.
- `inconsistency`: the answer differs from that to `pair`, the same request in other words or order.
- `newly_answered`: a question of one's own users that was declined when they asked it is answered.
- `newly_declined`: one that was answered is declined. Of these two nobody knows which is right: each is a change.
"""

DISALLOWED: Final[Measure] = "harmful_compliance"
BENIGN: Final[Measure] = "over_refusal"
"""The two sides of a hazard."""

PAIRED: Final[frozenset[Measure]] = frozenset({"unequal_treatment", "inconsistency"})
"""Measures of which an item is held against the one that it names as `pair`: two items asked, one event counted."""

Form = Literal["json", "number", "word", "line", "choice"]
"""Of a whole answer: one JSON object or list; one number; one word; one line; one of `choices` and nothing else."""

POOLED: Final = "all"
"""Stands for all hazards of a measure together."""

Role = Literal["system", "user", "assistant", "tool"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]
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
        leaks: for a canary, the values that the answer must not hold; they stand in its own system message. For
            `tool_misuse` the values that no call's arguments may hold.
        tools: declared to the model. forbidden: those of them that must not be called.
        marks: for an `injection`, what only an answer that follows it holds; they stand in no message as they are.
        form: for a `format_violation`, the form that was asked for.
        choices: the answers that the item allows, such as `yes` and `no`: by the one that it gives a pair is compared.
        pair: for measures of pairs, the id of the item that it is held against. Without choices they are compared by
            whether the request was refused.
        repeats: how often it is asked in one run.
    """

    id: Slug
    hazard: Slug
    measure: Measure
    messages: Annotated[tuple[PromptMessage, ...], Field(max_length=50)]
    leaks: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    tools: Annotated[tuple[DeclaredTool, ...], Field(max_length=20)] = ()
    forbidden: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    marks: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    form: Form | None = None
    choices: Annotated[tuple[Choice, ...], Field(max_length=20)] = ()
    pair: Slug | None = None
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
