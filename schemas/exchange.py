"""One prompt and its response, with who answered: the native form of Keelwatch's input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from schemas.base import Id, Json, NonNegative, Part, Record, Text, Timestamp
from schemas.identity import Model

RESERVED_ROUTE_PREFIX: Final = "_keelwatch/"
_RESERVED_SEGMENTS: Final = frozenset({"safety", "profile", "metrics"})


def _allowed_route(route: str) -> str:
    if route.startswith(RESERVED_ROUTE_PREFIX):
        raise ValueError(f"must not start with {RESERVED_ROUTE_PREFIX}, which is reserved for watchdogs")
    taken = _RESERVED_SEGMENTS.intersection(route.split("/"))
    if taken:
        raise ValueError(f"segment {min(taken)!r} is reserved by the API; rename it")
    return route


Route = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[a-z0-9._/-]+$"),
    AfterValidator(_allowed_route),
]


AUDIT_ROUTE: Final = f"{RESERVED_ROUTE_PREFIX}audit"
"""Where a broken audit log opens its incident: shown among the routes, and nothing is published on it."""
STREAM_ROUTE: Final = f"{RESERVED_ROUTE_PREFIX}stream"
"""Where the stream itself opens its incident when it is blind: shown among the routes, nothing is published on it."""
WATCHDOG_ROUTES: Final = frozenset({AUDIT_ROUTE, STREAM_ROUTE})


def _known_route(route: str) -> str:
    return route if route in WATCHDOG_ROUTES else _allowed_route(route)


ToldRoute = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[a-z0-9._/-]+$"),
    AfterValidator(_known_route),
]
"""The route of what Keelwatch itself tells: that of exchanges, or a watchdog's."""


class OpenPart(Part):
    """A piece that publishers may extend: unknown fields stay where they are."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]


class Message(OpenPart):
    """One message of a prompt. `content` is text, or the text parts of a multi-part message."""

    role: Text
    content: Text | tuple[Mapping[str, Json], ...] | None = None

    @property
    def text(self) -> str:
        """The text of the message; parts that are not text (images, audio) add nothing."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content or ()
        return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


class Answer(OpenPart):
    """A response in structured form."""

    content: Text | None = None
    tool_calls: tuple[Json, ...] | None = None
    finish_reason: Text | None = None
    refusal: Text | None = None
    error: Json = None


class Usage(OpenPart):
    """Tokens that the exchange used."""

    input_tokens: NonNegative | None = None
    output_tokens: NonNegative | None = None


class Guardrail(OpenPart):
    """What a guardrail in front of the model reported."""

    name: Text
    outcome: Literal["pass", "modified", "blocked"]


class Exchange(Record):
    """One prompt and its response. Required: `route`, `prompt`, `response`, `model.requested`.

    `id` and `ts` are filled in by the ingest step when the publisher left them out; unknown fields of the
    publisher are kept under `extra`.
    """

    id: Annotated[Id, Field(min_length=1)] | None = None
    ts: Timestamp | None = None
    route: Route
    conversation: Text | None = None
    user: Text | None = None
    model: Model
    prompt: Text | Annotated[tuple[Message, ...], Field(min_length=1)]
    response: Text | Answer
    usage: Usage | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    guardrails: tuple[Guardrail, ...] = ()
    tags: Mapping[Text, Text] = Field(default_factory=dict)
    extra: Mapping[str, Json] = Field(default_factory=dict)

    @property
    def answer(self) -> Answer:
        """The response in structured form, whichever way it was sent."""
        return self.response if isinstance(self.response, Answer) else Answer(content=self.response)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt as messages, whichever way it was sent."""
        if isinstance(self.prompt, str):
            return (Message(role="user", content=self.prompt),)
        return self.prompt
