"""Asks a model endpoint: each question until there is an answer, or a reason why there is none."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from services.errors import InputError
from services.evaluate import openai_chat
from services.evaluate.openai_chat import ChatAnswer, ChatFault
from services.evaluate.result import AskedTarget, SentMessage, SuiteAnswer
from services.evaluate.suite import Item, PromptMessage
from services.monitor import Target
from services.outbound import Outbound, Unanswered
from services.wording import runs as reasons

MOST_BYTES: Final = 512 * 1024
_LONGEST_PROMPT: Final = 256 * 1024
_CHARACTERS: Final = 4  # a token, about


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Where a run ends.

    Attributes:
        concurrency: questions that are under way at once.
        seconds, requests, tokens: of the whole run. failures: questions without an answer, running.
    """

    concurrency: int = 4
    seconds: float = 1800.0
    requests: int = 5_000
    tokens: int = 2_000_000
    failures: int = 8


class BudgetSpent(Exception):  # noqa: N818
    """The budget is used up."""


@dataclass(slots=True)
class RunBudget:
    """Requests and tokens that a run may still use."""

    limits: RunLimits
    requests: int = 0
    tokens: int = 0

    def take(self) -> None:
        """One more request.

        Raises:
            BudgetSpent: if there is none left.
        """
        if self.requests >= self.limits.requests:
            raise BudgetSpent(reasons.budget_spent(self.limits.requests, "requests"))
        if self.tokens >= self.limits.tokens:
            raise BudgetSpent(reasons.budget_spent(self.limits.tokens, "tokens"))
        self.requests += 1

    def spend(self, tokens: int) -> None:
        """What a request has cost."""
        self.tokens += tokens


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for.

    Attributes:
        attempts: requests for one answer at most.
        seconds: for one request. first_pause, longest_pause: seconds before the second one, and before any.
    """

    attempts: int = 4
    seconds: float = 60.0
    first_pause: float = 0.5
    longest_pause: float = 60.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What is the same for every question of a run.

    Attributes:
        base: URL to which the path is added. key: sent as bearer token, and never shown or stored.
    """

    base: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def target(self) -> AskedTarget:
        """What is told of it."""
        prompt = self.system_prompt
        hashed = None if prompt is None else hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
        return AskedTarget(url=self.base, model=self.model, system_prompt_sha256=hashed)


def endpoint_settings(target: Target, secret: Callable[[str], str | None]) -> EndpointSettings:
    """What a target of the monitor file is asked with: its prompt is read, its key looked up by `secret`.

    Raises:
        InputError: if the prompt cannot be read, the key is not there, or a setting is not one of a target.
    """
    openai_chat.request_body(target.model, (), target.settings)
    key = None
    if target.api_key_env is not None:
        key = secret(target.api_key_env)
        if not key or not key.isascii() or not key.isprintable():
            raise InputError(f"{target.api_key_env}: holds no key of the target {target.url}; set the variable")
    return EndpointSettings(target.url, target.model, target.settings, _prompt(target.system_prompt_file), key)


def _prompt(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LONGEST_PROMPT + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"system_prompt_file: {path} cannot be read: {error.strerror}; correct the path") from None
    except UnicodeDecodeError:
        raise InputError(f"system_prompt_file: {path} is not UTF-8; save it as UTF-8") from None
    if len(raw) > _LONGEST_PROMPT:
        raise InputError(f"system_prompt_file: {path} is larger than {_LONGEST_PROMPT // 1024} KiB; shorten it")
    return text.rstrip("\n")


class Endpoint:
    """One endpoint, asked by several at once. When it says that it is busy, all of them wait."""

    def __init__(
        self,
        settings: EndpointSettings,
        allow_hosts: Collection[str],
        chance: Random,
        clock: Callable[[], datetime],
        patience: Patience = Patience(),
    ) -> None:
        """`chance` spreads the pauses between attempts.

        Raises:
            Refused: if the URL may not be called.
        """
        self._settings = settings
        self._outbound = Outbound(settings.base.rstrip("/").removesuffix(openai_chat.PATH), allow_hosts)
        self._headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        self._chance = chance
        self._clock = clock
        self._patience = patience
        self._closed_until = 0.0

    @property
    def settings(self) -> EndpointSettings:
        """What it is asked with."""
        return self._settings

    async def ask(self, item: Item, repeat: int, budget: RunBudget) -> SuiteAnswer:
        """The answer to one item, or one that says why there is none; `budget` is asked before each request.

        Raises:
            Refused: if the endpoint's address may not be called.
        """
        turns = item.asked_under(self._settings.system_prompt)
        body = openai_chat.request_body(self._settings.model, turns, self._settings.settings)
        for attempt in itertools.count(1):
            await self._opened()
            budget.take()
            asked, began = self._clock(), time.perf_counter()
            status, answer = await self._once(body)
            latency = (time.perf_counter() - began) * 1000
            budget.spend(_tokens(answer, body))
            pause = self._pause(answer, attempt)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return SuiteAnswer(
            item=item.id,
            repeat=repeat,
            messages=_sent(turns),
            settings=self._settings.settings,
            requested=self._settings.model,
            http_status=status,
            latency_ms=latency,
            ts=asked,
            attempts=attempt,
            **_fields(answer),
        )

    def would_ask(self, item: Item, answer: SuiteAnswer) -> bool:
        """Whether `answer` is one to the very question that would be asked now."""
        settings = self._settings
        same = (answer.requested, answer.settings) == (settings.model, settings.settings)
        return same and answer.messages == _sent(item.asked_under(settings.system_prompt))

    async def close(self) -> None:
        """Close the connections."""
        await self._outbound.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _opened(self) -> None:
        """Wait until the endpoint, which was busy, wants to be asked again."""
        while (wait := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    async def _once(self, body: bytes) -> tuple[int | None, ChatAnswer | ChatFault]:
        seconds = self._patience.seconds
        try:
            reply = await self._outbound.post(openai_chat.PATH, body, self._headers, seconds=seconds, most=MOST_BYTES)
        except Unanswered as error:
            return None, openai_chat.fault_of(error)
        return reply.status, openai_chat.parse_reply(reply, self._clock(), self._settings.key)

    def _pause(self, answer: ChatAnswer | ChatFault, attempt: int) -> float | None:
        """Seconds until the next attempt, None when there is none: each about twice the last, spread by chance."""
        patience = self._patience
        if isinstance(answer, ChatAnswer) or attempt >= min(answer.tries, patience.attempts):
            return None
        if answer.after > patience.longest_pause:
            return None
        self._closed_until = max(self._closed_until, time.monotonic() + answer.after)
        usual = min(patience.first_pause * 2.0 ** (attempt - 1), patience.longest_pause)
        return usual * self._chance.uniform(0.5, 1.0)


def _sent(turns: Iterable[PromptMessage]) -> tuple[SentMessage, ...]:
    return tuple(SentMessage.model_validate(turn.model_dump()) for turn in turns)


def _fields(answer: ChatAnswer | ChatFault) -> dict[str, Any]:
    if isinstance(answer, ChatFault):
        return {"raw": answer.raw, "error": answer.words + reasons.wait(answer.after)}
    return {
        "raw": answer.raw,
        "text": answer.text,
        "refusal": answer.refusal,
        "tool_calls": answer.tool_calls,
        "finish_reason": answer.finish_reason,
        "served": answer.served,
        "system_fingerprint": answer.fingerprint,
    }


def _tokens(answer: ChatAnswer | ChatFault, body: bytes) -> int:
    """What the endpoint says that it cost, else a guess: a budget holds with endpoints that do not tell, too."""
    if isinstance(answer, ChatFault):
        return 0
    return (len(body) + len(answer.text or "")) // _CHARACTERS if answer.tokens is None else answer.tokens
