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
from services.signals.stop_reasons import is_filter_error
from services.wording import runs

MANY: Final = 1_000_000
PATH: Final = "/chat/completions"
_DEEPEST: Final = 64
_OURS: Final = ("messages", "model", "n", "stream")
_AGAIN: Final = frozenset({408, 425, 429})
_BESIDE: Final = ("native_finish_reason", "stop_reason", "content_filter_results", "content_filter_result")
_TEXTS: Final = frozenset({"text", "output_text"})


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
    """The body of a request; settings are handed on as they are, and the answer is asked for as a whole.

    Raises:
        InputError: if a setting is one of those that belong to the runner.
    """
    for name in _OURS:
        if name in settings:
            raise InputError(f"settings.{name}: is not a setting of a target; remove it")
    asked = {"model": model, "messages": [turn.model_dump(exclude_defaults=True) for turn in messages], "stream": False}
    return canonical({**settings, **asked})


def parse_reply(reply: HttpReply, now: datetime, secret: str | None = None) -> ChatAnswer | ChatFault:
    """What the endpoint answered; `secret` is blotted out wherever the answer repeats it."""
    text = reply.body.decode("utf-8", "replace")
    if secret:
        text = text.replace(secret, "<api key>")
    raw = _json(text)
    if reply.status == 200:
        return _answer_of(raw)
    if is_filter_error(raw):
        return ChatFault(runs.filtered_with(reply.status), raw=raw)
    tries = MANY if reply.status in _AGAIN or reply.status >= 500 else 1
    return ChatFault(runs.answers_with(reply.status), tries, _after(reply.headers.get("retry-after", ""), now), raw)


def beside_stop(raw: Any) -> dict[str, Any]:
    """What gateways and clouds put beside the stop reason of an answer; empty where it has another form."""
    try:
        choice = raw["choices"][0]
        return {name: choice[name] for name in _BESIDE if choice.get(name)}
    except (KeyError, IndexError, TypeError, AttributeError):
        return {}


def _answer_of(raw: Any) -> ChatAnswer | ChatFault:
    if raw is None:
        return ChatFault(runs.NOT_JSON, MANY)
    try:
        choice = raw["choices"][0]
        if broken := choice.get("error") or (raw.get("error") if choice.get("finish_reason") == "error" else None):
            return _broken(broken, raw)
        message = choice["message"]
        answer = ChatAnswer(
            raw,
            _content(message.get("content")),
            _string(message.get("refusal") or None),
            bool(message.get("tool_calls") or message.get("function_call")),
            _string(choice.get("finish_reason")),
            _string(raw.get("model")),
            _string(raw.get("system_fingerprint")),
            _tokens(raw.get("usage")),
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        return _broken(raw["error"], raw) if _has_error(raw) else ChatFault(runs.NO_MESSAGE, MANY, raw=raw)
    if answer.finish_reason == "error":
        return ChatFault(runs.BROKE_OFF, MANY, raw=raw)
    if answer.text is None and answer.refusal is None and not answer.tool_calls and answer.finish_reason is None:
        return ChatFault(runs.SAYS_NOTHING, MANY, raw=raw)
    return answer


def _has_error(raw: Any) -> bool:
    return isinstance(raw, dict) and bool(raw.get("error"))


def _broken(error: Any, raw: Any) -> ChatFault:
    """What an error within an answer of status 200 means: a filter's is final, any other may pass."""
    if is_filter_error(error):
        return ChatFault(runs.filtered_with(200), raw=raw)
    return ChatFault(runs.BROKE_OFF, MANY, raw=raw)


def _content(content: Any) -> str | None:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] in _TEXTS)
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
