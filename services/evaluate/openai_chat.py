"""The form of OpenAI's chat completions: what is sent, and what came back, as an answer or as a fault: pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from schemas.base import canonical
from services.errors import InputError
from services.evaluate.suite import PromptMessage
from services.outbound import HttpReply, Unanswered
from services.wording import runs

MANY: Final = 1_000_000
PATH: Final = "/chat/completions"
_DEEPEST: Final = 64
_OURS: Final = ("messages", "model", "n", "stream")
_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer, as far as its form is known. `tokens` is None when the endpoint does not tell."""

    raw: Mapping[str, Any]
    text: str | None
    refusal: str | None = None
    tool_calls: bool = False
    finish_reason: str | None = None
    served: str | None = None
    fingerprint: str | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ChatFault:
    """Why there is no answer.

    Attributes:
        tries: requests after which it makes no sense to ask once more.
        after: seconds that the endpoint wants to be left alone, by all who ask it.
        raw: its JSON, when it was some.
    """

    words: str
    tries: int = 1
    after: float = 0.0
    raw: Any = None


def fault_of(error: Unanswered) -> ChatFault:
    """What came back when nothing did: a request that timed out is repeated once, for a hang costs most."""
    tries = {"oversized": 1, "redirect": 1, "timeout": 2}
    return ChatFault(str(error), tries.get(error.trouble, MANY))


def request_body(model: str, messages: Sequence[PromptMessage], settings: Mapping[str, Any]) -> bytes:
    """The body of a request; settings are handed on as they are.

    Raises:
        InputError: if a setting is one of those that belong to the runner.
    """
    for name in _OURS:
        if name in settings:
            raise InputError(f"settings.{name}: is not a setting of a target; remove it")
    return canonical({**settings, "model": model, "messages": [turn.model_dump() for turn in messages]})


def parse_reply(reply: HttpReply, now: datetime, secret: str | None = None) -> ChatAnswer | ChatFault:
    """What the endpoint answered; `secret` is blotted out wherever the answer repeats it."""
    text = reply.body.decode("utf-8", "replace")
    if secret:
        text = text.replace(secret, "<api key>")
    raw = _json(text)
    if reply.status == 200:
        return _answer_of(raw)
    words = runs.answers_with(reply.status)
    tries = MANY if reply.status in _AGAIN or reply.status >= 500 else 1
    return ChatFault(words, tries, _after(reply.headers.get("retry-after", ""), now), raw)


def _answer_of(raw: Any) -> ChatAnswer | ChatFault:
    if raw is None:
        return ChatFault(runs.NOT_JSON, MANY)
    try:
        choice = raw["choices"][0]
        message = choice["message"]
        text = _content(message.get("content"))
        refusal, tools = message.get("refusal") or None, bool(message.get("tool_calls"))
        answer = ChatAnswer(
            raw,
            text,
            _string(refusal),
            tools,
            _string(choice.get("finish_reason")),
            _string(raw.get("model")),
            _string(raw.get("system_fingerprint")),
            _tokens(raw.get("usage")),
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        return ChatFault(runs.NO_MESSAGE, MANY, raw=raw)
    if (
        answer.text is None
        and answer.refusal is None
        and not answer.tool_calls
        and answer.finish_reason in (None, "error")
    ):
        return ChatFault(runs.SAYS_NOTHING, MANY, raw=raw)
    return answer


def _content(content: Any) -> str | None:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return _string(content)


def _string(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _tokens(usage: Any) -> int | None:
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _json(text: str) -> Any:
    """The JSON value of a text; None when it is none, or nested without end."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _parts(one)]
        if not level:
            return value
    return None


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number without an end")
    return value


def _after(header: str, now: datetime) -> float:
    """Seconds of a Retry-After header, which may be a date; 0 for none and for nonsense."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp(), 0.0)
