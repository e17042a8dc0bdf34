"""Tokens of requests and answers: what the endpoint says that they were, else a quarter of the characters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.evaluate.result import SentMessage, SuiteAnswer, UsedTokens
from services.evaluate.suite import PromptMessage
from services.monitor import TokenPrices

CHARACTERS: Final = 4
"""Of a token, about, where nobody says."""
_AROUND: Final = 4
"""Tokens that a message costs beside its text, about."""
_SENT: Final = ("prompt_tokens", "input_tokens", "promptTokenCount")
_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")
"""What Anthropic counts beside its `input_tokens`; others count it within what was sent."""
_CAME: Final = ("completion_tokens", "output_tokens", "candidatesTokenCount")
_TOTAL: Final = ("total_tokens", "totalTokenCount")
_MOST_TOKENS: Final = 10**12
"""No answer takes more: an endpoint that says so says nothing."""
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that were `sent`, and that `came` back."""

    sent: float = 0.0
    came: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.sent + other.sent, self.came + other.came)

    @property
    def total(self) -> float:
        """Both."""
        return self.sent + self.came

    @property
    def stored(self) -> UsedTokens | None:
        """As an answer keeps them; None for none."""
        return UsedTokens(sent=self.sent, came=self.came) if self.total else None

    def cost(self, prices: TokenPrices) -> float:
        """What they cost, in the currency of the prices."""
        return (self.sent * prices.input + self.came * prices.output) / _MILLION


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked for before: `requests`, and their `tokens`."""

    requests: int = 0
    tokens: Tokens = field(default_factory=Tokens)

    @classmethod
    def by(cls, answers: Iterable[SuiteAnswer]) -> Spent:
        """What these answers took, with all requests that were made for them."""
        every = list(answers)
        return cls(sum(one.attempts for one in every), sum((used(one) for one in every), Tokens()))

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.requests + other.requests, self.tokens + other.tokens)


def used(answer: SuiteAnswer) -> Tokens:
    """What one answer took, with the requests before it that brought none."""
    last = last_tokens(answer)
    return last if answer.before is None else last + Tokens(answer.before.sent, answer.before.came)


def last_tokens(answer: SuiteAnswer) -> Tokens:
    """What the last request took, which brought the answer: those before it say nothing of what one takes."""
    failed, status = answer.error is not None, answer.http_status
    return request_tokens(answer.raw, answer.messages, answer.text, failed=failed, status=status)


def request_tokens(
    raw: Any, messages: Sequence[SentMessage], text: str | None, *, failed: bool, status: int | None
) -> Tokens:
    """What one request took. One that nothing came back from may have been billed: what it sent counts."""
    usage: Any = raw.get("usage") or raw.get("usageMetadata") if isinstance(raw, Mapping) else None
    sent, came, total = number(usage, _SENT), number(usage, _CAME), number(usage, _TOTAL)
    if sent is not None and "prompt_tokens" not in usage:
        sent += sum(number(usage, (name,)) or 0.0 for name in _CACHED)
    if failed and sent is None and total is None:
        return Tokens(guessed_tokens(messages) if status is None else 0.0, came or 0.0)
    sent = guessed_tokens(messages) if sent is None else sent
    came = _guess(text or "") if came is None else came
    return Tokens(sent, came if total is None else max(came, total - sent))  # a total may hold what was thought, too


def guessed_tokens(messages: Iterable[SentMessage | PromptMessage]) -> float:
    """What messages take, where nobody says."""
    return float(sum(_guess(message.content) + _AROUND for message in messages))


def number(fields: Any, names: Iterable[str]) -> float | None:
    """The first of these fields that is a number of tokens."""
    for name in names:
        value = fields.get(name) if isinstance(fields, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
            return float(value)
    return None


def _guess(text: str) -> float:
    return -(-len(text) // CHARACTERS)
