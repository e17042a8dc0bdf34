"""What an API of a vendor is: how its requests, answers and chunks become fields of an exchange. Duck-typed, pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from keelwatch_client.exchange import Json, without_media


class ChunkJoiner(Protocol):
    """Makes one whole answer of the chunks of a stream."""

    def add(self, chunk: Any) -> None:
        """Take the next one."""

    def whole(self) -> Json:
        """What they add up to so far, in the form of an answer that was not streamed."""


class CallForm(Protocol):
    """One way of calling a model."""

    def request(self, asked: Mapping[str, Any]) -> Json:
        """Fields of an exchange by the arguments of the call."""

    def answers(self, result: Any) -> list[Json]:
        """Fields of an exchange for each answer in a result."""

    def joiner(self) -> ChunkJoiner:
        """A new joiner."""

    def snapshot(self, stream: Any) -> Any:
        """What the vendor's own helper has joined so far; None before it has anything."""


def get(value: Any, name: str) -> Any:
    """A field of an object of a library, or of the same as a dict; None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def present(**fields: Any) -> Json:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def messages_of(value: Any) -> list[Any]:
    """A copy of a list of messages, without media; a text is a user's message."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [without_media(one) for one in value] if isinstance(value, (list, tuple)) else []


def listed(value: Any) -> list[Any] | None:
    """A copy of a list; None for what is none, such as a vendor's mark of an argument that was not given."""
    return list(value) if isinstance(value, (list, tuple)) and value else None


def text(value: Any) -> str | None:
    """A text; None for what is none."""
    return value if isinstance(value, str) else None


def count(value: Any) -> int | None:
    """A number of tokens; None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
