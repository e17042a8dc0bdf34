"""One prompt and its response, with who answered: the native form of Keelwatch's input."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from schemas.base import Id, Json, NonNegative, Part, Record, Text, Timestamp
from schemas.identity import SentModel

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
RULER_ROUTE: Final = f"{RESERVED_ROUTE_PREFIX}ruler"
"""Where a change of our own measurement opens its incident: shown among the routes, nothing is published on it."""
WATCHDOG_ROUTES: Final = frozenset({AUDIT_ROUTE, STREAM_ROUTE, RULER_ROUTE})


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


Content = Text | tuple[Mapping[str, Json], ...]
"""Text, or parts as the APIs of vendors send them: text, images, audio, files, calls of tools and their results."""
NotMonitored = Literal["image", "audio", "file"]
_MEDIA: Final[Mapping[str, NotMonitored]] = {
    "image": "image",
    "screenshot": "image",
    "audio": "audio",
    "speech": "audio",
}
_MIME_TYPES: Final = ("media_type", "mediaType", "mime_type", "mimeType")
_HOLDERS: Final = ("source", "file", "inlineData", "inline_data", "fileData", "file_data", "input_audio")
"""Fields of parts: which kind of media they are, and the object in which that may stand."""
_OTHER_THAN_CONTENT: Final = (
    *("thinking", "reasoning", "tool", "function", "refusal"),
    *("redacted_thinking", "compaction", "mcp_"),
)
_FILES: Final = ("document", "file")
_CALLS: Final = frozenset(
    {"tool_use", "tool_call", "tool-call", "function_call", "server_tool_use", "mcp_tool_use", "mcp_call"}
    | {"custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call", "code_interpreter_call"}
    | {"web_search_call", "file_search_call", "computer_call"}
)
"""Types of parts that call a tool: Anthropic, the Responses API, OpenTelemetry, the AI SDK."""
_CALL_FIELDS: Final = ("functionCall", "function_call", "toolUse")
_RESULT_FIELDS: Final = ("functionResponse", "function_response", "toolResult")
"""Parts without a type, of Gemini and of Bedrock: they are known by the field that they hold."""


def _text_of(content: Content | None) -> str:
    """The text; parts that are none (images, calls of tools, reasoning) add nothing."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = (_part_text(part) for part in content if not _is_aside(part))
    return "\n".join(text for text in texts if text is not None)


def _part_text(part: Mapping[str, Json]) -> str | None:
    """The text of one part: its own, that of the object `text` (Assistants API), or of a message's own parts."""
    text = part.get("text")
    if isinstance(text, dict):
        text = text.get("value")
    if isinstance(text, str):
        return text
    inner = part.get("content") if _kind(part) == "message" else None
    return _result_text(inner) if isinstance(inner, (str, list, tuple)) else None


def _kind(part: Mapping[str, Json]) -> str:
    """The type of a part as text, whatever was sent as one."""
    return str(part.get("type") or "")


def _is_aside(part: Mapping[str, Json]) -> bool:
    """Whether a part is reasoning, a call of a tool or its result, or a refusal: no content of the message itself."""
    kind = _kind(part)
    untyped = any(name in part for name in (*_CALL_FIELDS, *_RESULT_FIELDS))
    known = kind in _CALLS or kind.startswith(_OTHER_THAN_CONTENT) or _is_result(part)
    return untyped or part.get("thought") is True or known


def _is_result(part: Mapping[str, Json]) -> bool:
    """Whether a part is what a tool gave back, as those of vendors that they run themselves name it too."""
    return _kind(part).endswith(("tool_result", "tool-result", "search_result"))


def _calls_of(content: Content | None, beside: Mapping[str, Json]) -> tuple[Json, ...]:
    """The calls of tools, as they came: of `tool_calls`, of the older `function_call`, and those among the parts."""
    listed = beside.get("tool_calls")
    older = beside.get("function_call")
    parts = content if isinstance(content, tuple) else ()
    among = [dict(part) for part in parts if _kind(part) in _CALLS or any(name in part for name in _CALL_FIELDS)]
    return (
        *(listed if isinstance(listed, (list, tuple)) else ()),
        *([older] if isinstance(older, dict) else ()),
        *among,
    )


def _not_monitored(content: Content | None) -> set[NotMonitored]:
    """Of which kinds the parts are that no signal looks at."""
    found: set[NotMonitored] = set()
    for part in content if isinstance(content, tuple) else ():
        if _part_text(part) is None and not _is_aside(part):
            found.add(_media(part) or "file")
        elif _is_result(part):
            found |= {media for one in _listed(part.get("content")) if (media := _media(one)) is not None}
    return found


def _listed(content: Json) -> Iterator[Mapping[str, Json]]:
    return (one for one in content if isinstance(one, dict)) if isinstance(content, (list, tuple)) else iter(())


def _media(part: Mapping[str, Json]) -> NotMonitored | None:
    """Image, audio or file, as a part that is no text says; None where it says nothing of the kind."""
    told = _media_of(part)
    known = next((media for word, media in _MEDIA.items() if word in told), None)
    return "file" if known is None and _kind(part).endswith(_FILES) else known


def _media_of(part: Mapping[str, Json]) -> str:
    """What a part that is no text says of its kind: its type and that of its media, else the names of its fields."""
    inner = [part, *(one for name in _HOLDERS if isinstance(one := part.get(name), dict))]
    mime = [str(one[name]) for one in inner for name in _MIME_TYPES if name in one]
    return " ".join([_kind(part), *mime]) if _kind(part) or mime else " ".join(part)


class Message(OpenPart):
    """One message of a prompt. `content` is text, or the parts of a multi-part message."""

    role: Text
    content: Content | None = None

    @property
    def text(self) -> str:
        """The text of the message; parts that are not text (images, audio) add nothing."""
        return _text_of(self.content)

    @property
    def tool_text(self) -> str:
        """What tools gave back in it: the content of parts that are results."""
        parts = self.content if isinstance(self.content, tuple) else ()
        results = [part.get("content", part.get("output")) for part in parts if "result" in str(part.get("type"))]
        results += [part[name] for part in parts for name in _RESULT_FIELDS if name in part]
        return "\n".join(filter(None, (_result_text(one) for one in results)))

    @property
    def calls(self) -> tuple[Json, ...]:
        """The calls of tools in it, as an assistant's message of before holds them."""
        return _calls_of(self.content, self.__pydantic_extra__ or {})

    @property
    def not_monitored(self) -> frozenset[NotMonitored]:
        """Of which kinds the parts are that no signal looks at."""
        return frozenset(_not_monitored(self.content))


def _result_text(content: Json) -> str:
    """The text of a tool's result: text, or parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):  # Gemini's and Bedrock's: an object of whatever the tool gave back
        return json.dumps(content, ensure_ascii=False)
    parts = content if isinstance(content, (list, tuple)) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


class Answer(OpenPart):
    """A response in structured form. `content` is text, or parts (Anthropic, Mistral, the Responses API)."""

    content: Content | None = None
    tool_calls: tuple[Json, ...] | None = None
    finish_reason: Text | None = None
    refusal: Text | None = None
    error: Json = None

    @property
    def text(self) -> str | None:
        """The text of the content; None where there is no content at all."""
        return None if self.content is None else _text_of(self.content)

    @property
    def declined(self) -> str | None:
        """What the provider reports as the refusal, in its own field or as a part of the content."""
        if self.refusal is not None or not isinstance(self.content, tuple):
            return self.refusal
        parts = [part for part in self.content if _kind(part) == "refusal"]
        said = [part["refusal"] for part in parts if isinstance(part.get("refusal"), str)]
        return "\n".join(str(one) for one in said) if said else None

    @property
    def calls(self) -> tuple[Json, ...]:
        """The calls of tools: of `tool_calls`, of the older field `function_call`, and those among the parts."""
        return _calls_of(self.content, {**(self.__pydantic_extra__ or {}), "tool_calls": self.tool_calls})

    @property
    def not_monitored(self) -> frozenset[NotMonitored]:
        """Of which kinds the parts are that no signal looks at; a field `audio` is one."""
        audio = (self.__pydantic_extra__ or {}).get("audio")
        return frozenset(_not_monitored(self.content) | ({"audio"} if audio else set()))


class Usage(OpenPart):
    """Tokens that the exchange used."""

    input_tokens: NonNegative | None = None
    output_tokens: NonNegative | None = None


class Guardrail(OpenPart):
    """What a guardrail in front of the model reported."""

    name: Text
    outcome: Literal["pass", "modified", "blocked"]


class Tool(OpenPart):
    """A tool that was declared to the model."""

    name: Text
    schema_: Annotated[Json, Field(alias="schema")] = None


class RetrievedDocument(OpenPart):
    """A text that was retrieved for the prompt."""

    id: Text | None = None
    content: Content

    @property
    def text(self) -> str:
        """Its text."""
        return _text_of(self.content)


class Exchange(Record):
    """One prompt and its response. Required: `route`, `prompt`, `response`, `model.requested`.

    `tools` are those declared to the model, `documents` what was retrieved for it. `id` and `ts` are filled in by the
    ingest step when the publisher left them out; unknown fields of the publisher are kept under `extra`.
    """

    id: Annotated[Id, Field(min_length=1)] | None = None
    ts: Timestamp | None = None
    route: Route
    conversation: Text | None = None
    user: Text | None = None
    model: SentModel
    prompt: Text | Annotated[tuple[Message, ...], Field(min_length=1)]
    response: Text | Answer
    usage: Usage | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    guardrails: tuple[Guardrail, ...] = ()
    tools: tuple[Tool, ...] = ()
    documents: tuple[RetrievedDocument, ...] = ()
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
