"""The calls of tools of an exchange, read once for every signal that asks: name, arguments, and the texts in these.

Read are OpenAI (`tool_calls`, `function_call`, items of the Responses API), Anthropic (`tool_use`), Gemini
(`functionCall`), Bedrock (`toolUse`), Cohere, Ollama, LangChain, the AI SDK, MCP and OpenTelemetry. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from services.signals.protocol import LONGEST_NAME, UNNAMED, ScoredText

NO_TOOL_CALL: Final = "no_tool_call"
"""Why a signal of tool calls has nothing to say."""
MOST_CALLS: Final = 256
MOST_LEAVES: Final = 4096
MOST_CHARACTERS: Final = 128 * 1024
"""Of the arguments of one call, and of all calls of an exchange."""
_DEEPEST: Final = 32
_UNPACKED: Final = 3
"""So many times JSON is looked for in a text of JSON."""
_GREATEST: Final = 1e40
"""What is greater is no number that anybody meant, and may be too long to be written down."""
_WRAPPERS: Final = (
    *("function", "functionCall", "function_call", "toolUse", "tool_use", "tool_call", "toolCall"),
    "custom",
)
_NAMES: Final = ("name", "toolName", "tool_name", "recipient_name", "tool")
_ARGUMENTS: Final = ("arguments", "input", "args", "parameters", "params", "action", "operation", "queries", "code")
_NAMESPACES: Final = ("functions.", "default_api.", "default_api:", "tools.")
"""Put before a name by what models write internally (OpenAI's `functions.`, Gemini's `default_api.`)."""
_USER: Final = "user"


class Leaf(NamedTuple):
    """A text within arguments: the last name on the way to it, lower case, and the text."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        name: as it was called, without the model's own namespace; empty when the call has none.
        arguments: decoded, where they came as a text of JSON.
        said: whether it stands in the answer; the others stand in messages of before.
    """

    name: str
    arguments: Any
    said: bool

    @property
    def label(self) -> str:
        """What it is called in slices."""
        return self.name.strip()[:LONGEST_NAME] or UNNAMED

    @property
    def key(self) -> str:
        """The same for calls that are the same: name and arguments, in whatever order these were written."""
        try:
            return json.dumps([self.name, self.arguments], sort_keys=True, default=str)
        except (ValueError, TypeError, RecursionError):  # numbers of thousands of digits, or nested without end
            return "\n".join([self.name, *(leaf.text for leaf in self.leaves())])

    def leaves(self) -> tuple[Leaf, ...]:
        """Every text of the arguments, in order; of a list of words, as commands are given, also its line."""
        return tuple(_bounded(_leaves(self.arguments, "", 0)))

    def values(self) -> Iterator[tuple[str, Any]]:
        """(name, value) of every field of the arguments, at whatever depth."""
        return _fields(self.arguments, 0)


def calls_of(text: ScoredText) -> tuple[ToolCall, ...]:
    """Every call of the exchange, oldest first: those of messages of before, then the answer's."""
    return text.once("tool_calls", lambda: tuple(_every_call(text)))


def recent_calls(text: ScoredText) -> tuple[ToolCall, ...]:
    """The calls since a person spoke last: an agent's steps of this turn, and the answer's.

    What was called before that was measured with the exchange that it answered.
    """
    return text.once("recent_tool_calls", lambda: tuple(_every_call(text, since=_turn(text))))


def _turn(text: ScoredText) -> int:
    """Where the turn begins: behind the last message that a person wrote."""
    spoken = [i for i, one in enumerate(text.exchange.messages) if one.role == _USER and one.text]
    return spoken[-1] + 1 if spoken else 0


def _every_call(text: ScoredText, since: int = 0) -> Iterator[ToolCall]:
    before = chain.from_iterable(message.calls for message in text.exchange.messages[since:])
    told = [(raw, False) for raw in before][-MOST_CALLS:] + [(raw, True) for raw in text.answer.calls[:MOST_CALLS]]
    return (call for raw, said in told if (call := _call(raw, said)) is not None)


def _call(raw: Any, said: bool) -> ToolCall | None:
    """One call of any form; None for what is none."""
    if not isinstance(raw, Mapping):
        return None
    name, arguments = named_call(raw)
    return ToolCall(name, _decoded(arguments), said)


def named_call(raw: Mapping[str, Any]) -> tuple[str, Any]:
    """(name, arguments) of one call of any form, the arguments as they came; the name is empty where it has none."""
    inner = next((raw[name] for name in _WRAPPERS if isinstance(raw.get(name), Mapping)), raw)
    kind = raw.get("type")
    name = next((inner[one] for one in _NAMES if isinstance(inner.get(one), str)), None)
    if name is None:  # hosted tools of the Responses API have a type alone: `local_shell_call`
        name = kind.removesuffix("_call") if isinstance(kind, str) and kind.endswith("_call") else ""
        name = "" if name in ("function", "tool") else name
    arguments: Any = next((inner[one] for one in _ARGUMENTS if inner.get(one) is not None), {})
    return _bare(name), arguments


def _bare(name: str) -> str:
    return next((name.removeprefix(one) for one in _NAMESPACES if name.startswith(one)), name)


def _decoded(arguments: Any) -> Any:
    """Arguments that are a text of JSON, as what they say; any other text as it is."""
    if not isinstance(arguments, str) or not arguments.lstrip().startswith(("{", "[", '"')):
        return arguments
    try:
        return json.loads(arguments[:MOST_CHARACTERS])
    except (ValueError, RecursionError):
        return arguments


def _leaves(value: Any, key: str, depth: int, unpacked: int = 0) -> Iterator[Leaf]:
    """Texts and numbers; what lies deeper than any real call is left alone."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield Leaf(key, value)
        inner = _decoded(value) if unpacked < _UNPACKED else value
        if not isinstance(inner, str):
            yield from _leaves(inner, key, depth + 1, unpacked + 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, str(name).lower(), depth + 1, unpacked)
    elif isinstance(value, Sequence):
        words = [item for item in value[:MOST_LEAVES] if isinstance(item, str)]
        if len(words) == len(value) > 1:
            yield Leaf(key, " ".join(words)[:MOST_CHARACTERS])
        for item in value:
            yield from _leaves(item, key, depth + 1, unpacked)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _GREATEST:
        yield Leaf(key, str(value))


def _bounded(leaves: Iterator[Leaf]) -> Iterator[Leaf]:
    left = MOST_CHARACTERS
    for _, leaf in zip(range(MOST_LEAVES), leaves, strict=False):
        if left <= 0:
            return
        yield Leaf(leaf.key, leaf.text[:left])
        left -= len(leaf.text) + 1


def _fields(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str):
        value = _decoded(value)
    if depth > _DEEPEST or isinstance(value, str):
        return
    if isinstance(value, Mapping):
        for name, item in list(value.items())[:MOST_LEAVES]:
            yield str(name).lower(), item
            yield from _fields(item, depth + 1)
    elif isinstance(value, Sequence):
        for item in value[:MOST_LEAVES]:
            yield from _fields(item, depth + 1)
