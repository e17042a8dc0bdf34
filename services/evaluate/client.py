"""Asks a model endpoint: each question until there is an answer, or a reason why there is none."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final, Self
from urllib.parse import quote, quote_plus

from services.errors import InputError
from services.evaluate.endpoints import API_FORMS
from services.evaluate.endpoints.protocol import (
    ApiForm,
    AskedPrompt,
    EndpointAnswer,
    EndpointFault,
    numbered_calls,
    refuse_settings,
    request_body,
)
from services.evaluate.endpoints.replies import fault_of, parse_reply
from services.evaluate.result import OWN_RUNNER, AskedTarget, SentMessage, SuiteAnswer
from services.evaluate.suite import Item, PromptMessage
from services.evaluate.token_usage import Spent, Tokens, request_tokens
from services.monitor import Target
from services.monitor.sent_values import SentValue, may_be_sent
from services.monitor.target_api import DEFAULT_API, ApiName, base_url
from services.outbound import Outbound, Unanswered
from services.wording import runs as reasons

MOST_BYTES: Final = 512 * 1024
MOST_EVENT_BYTES: Final = 4 * 1024 * 1024
_LONGEST_PROMPT: Final = 256 * 1024
_SHORTEST_WORD: Final = 6
_SCHEMES: Final = frozenset({"bearer", "basic", "digest", "token", "apikey", "negotiate"})
"""What stands before a key in a header: no secret, and a word like others in an answer."""


_USUAL_SECONDS: Final = 60.0
"""In which an answer comes, unless a target says otherwise."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Where a run ends.

    Attributes:
        concurrency: questions that are under way at once.
        seconds, requests, tokens: of the whole run; None leaves it to the size of the suite.
        failures: questions without an answer, running.
    """

    concurrency: int = 4
    seconds: float | None = None
    requests: int | None = None
    tokens: int | None = None
    failures: int = 8

    def of(self, answers: int, answer_seconds: float = _USUAL_SECONDS) -> RunLimits:
        """Those of a run of so many answers: a large suite needs more than a small one, and no run is without end.

        Where one answer may take longer than is usual, the run may, too.
        """
        seconds, requests, tokens = (max(least, each * answers) for least, each in (_SECONDS, _REQUESTS, _TOKENS))
        seconds = round(seconds * max(1.0, answer_seconds / _USUAL_SECONDS))
        return replace(
            self,
            seconds=float(seconds) if self.seconds is None else self.seconds,
            requests=requests if self.requests is None else self.requests,
            tokens=tokens if self.tokens is None else self.tokens,
        )


_SECONDS: Final = (1_800, 12)
_REQUESTS: Final = (5_000, 8)
_TOKENS: Final = (2_000_000, 8_000)
"""(at least, for each answer): long before what an endpoint in good health needs, where nobody set a bound."""


class BudgetSpent(Exception):  # noqa: N818
    """The budget is used up."""


@dataclass(slots=True)
class RunBudget:
    """Requests and tokens that a run may still use."""

    limits: RunLimits
    requests: int = 0
    tokens: float = 0.0

    def take(self) -> None:
        """One more request.

        Raises:
            BudgetSpent: if there is none left.
        """
        if self.limits.requests is not None and self.requests >= self.limits.requests:
            raise BudgetSpent(reasons.budget_spent(self.limits.requests, "requests"))
        if self.limits.tokens is not None and self.tokens >= self.limits.tokens:
            raise BudgetSpent(reasons.budget_spent(self.limits.tokens, "tokens"))
        self.requests += 1

    def spend(self, tokens: Tokens) -> None:
        """What a request has cost."""
        self.tokens += tokens.total

    def taken_over(self, spent: Spent) -> None:
        """What the same run had used before."""
        self.requests += spent.requests
        self.tokens += spent.tokens.total


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for.

    Attributes:
        attempts: requests for one answer at most.
        seconds: for one request. first_pause, longest_pause: seconds before the second one, and before any.
    """

    attempts: int = 4
    seconds: float = _USUAL_SECONDS
    first_pause: float = 0.5
    longest_pause: float = 60.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What is the same for every question of a run.

    Attributes:
        base: URL to which the path is added. key: sent where the API has it, and never shown or stored.
        headers, query: sent with every question; values of the environment among them are never shown or stored.
        hidden: those values, and whatever else must not be kept when an endpoint repeats it.
        told_headers, told_query: the same without those values: `env:NAME` in their place.
        runner: what sends the questions.
        seconds: for one request, where the target says it; else the endpoint's `Patience`.
    """

    base: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    key: str | None = field(default=None, repr=False)
    api: ApiName = DEFAULT_API
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    told_headers: Mapping[str, str] = field(default_factory=dict)
    told_query: Mapping[str, str] = field(default_factory=dict)
    runner: str = OWN_RUNNER
    seconds: float | None = None

    @property
    def form(self) -> ApiForm:
        """The form of its API."""
        return API_FORMS[self.api]

    @property
    def sent_headers(self) -> Mapping[str, str]:
        """All that goes with a question beside the headers of every request; names count whatever their case."""
        api = self.form.api
        own = {api.key_header: f"{api.key_prefix}{self.key}"} if self.key else {}
        named = {name.lower() for name in self.headers}
        usual = {name: value for name, value in {**api.headers, **own}.items() if name.lower() not in named}
        return {**usual, **self.headers}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is blotted out of answers."""
        return (*((self.key,) if self.key else ()), *self.hidden)

    @property
    def target(self) -> AskedTarget:
        """What is told of it."""
        prompt = self.system_prompt
        hashed = None if prompt is None else hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
        return AskedTarget(
            url=self.base,
            model=self.model,
            system_prompt_sha256=hashed,
            api=self.api,
            headers=self.told_headers,
            query=self.told_query,
            runner=self.runner,
        )


def endpoint_settings(target: Target, secret: Callable[[str], str | None]) -> EndpointSettings:
    """What a target of the monitor file is asked with: its prompt is read, what stands in the environment looked up.

    Args:
        target: of a route.
        secret: environment variable -> its value.

    Raises:
        InputError: if the prompt cannot be read, a variable is not there, or a setting is not one of a target.
    """
    form = API_FORMS[target.api]
    refuse_settings(form, target.settings)
    key = None if target.api_key_env is None else _from_environment(target.api_key_env, target, secret)
    headers = _values(target.headers, target, secret)
    query = _values(target.query, target, secret)
    pairs = ((target.headers, headers), (target.query, query))
    secrets = [found[name] for named, found in pairs for name, one in named.items() if not isinstance(one, str)]
    return EndpointSettings(
        base=target.url,
        model=target.model,
        settings={**form.api.defaults, **target.settings},
        system_prompt=_prompt(target.system_prompt_file),
        key=key,
        api=target.api,
        headers=headers,
        query=query,
        seconds=target.answer_seconds,
        hidden=_repeated([*([key] if key else []), *secrets]),
        told_headers={name.lower(): value for name, value in _told(target.headers).items()},
        told_query=_told(target.query),
    )


def _repeated(secrets: Iterable[str]) -> tuple[str, ...]:
    """What an endpoint may repeat of secret values: each whole, its words, and both as URLs have them; longest first.

    A value may be `Bearer KEY`, of which an endpoint repeats the key alone.
    """
    found = set()
    for value in secrets:
        words = [one for one in value.split() if len(one) >= _SHORTEST_WORD and one.lower() not in _SCHEMES]
        for one in (value, value.strip(), *words):
            found |= {one, quote(one, safe=""), quote(one), quote_plus(one)}
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def _told(named: Mapping[str, SentValue]) -> Mapping[str, str]:
    """What may be told of values: of one that stands in the environment, where."""
    return {name: value if isinstance(value, str) else f"env:{value.name}" for name, value in named.items()}


def _values(named: Mapping[str, SentValue], target: Target, secret: Callable[[str], str | None]) -> Mapping[str, str]:
    return {
        name: value if isinstance(value, str) else _from_environment(value.name, target, secret)
        for name, value in named.items()
    }


def _from_environment(variable: str, target: Target, secret: Callable[[str], str | None]) -> str:
    value = secret(variable)
    if not value or not may_be_sent(value):
        raise InputError(f"{variable}: holds no key of the target {target.url}; set the variable")
    return value


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


@dataclass(frozen=True, slots=True)
class AskedOnce:
    """What came of one question, by its last request, asked at `ts`.

    Attributes:
        attempts: how many requests it took. before: what all but the last one took.
    """

    answer: EndpointAnswer | EndpointFault
    status: int | None
    latency_ms: float
    ts: datetime
    attempts: int
    before: Tokens = field(default_factory=Tokens)


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
        self._outbound = Outbound(base_url(settings.api, settings.base), allow_hosts)
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
        turns, settings = self._turns(item), self._settings
        asked_for = AskedPrompt(settings.model, turns, item.tools, settings.settings)
        found = await self._until_answered(item, repeat, request_body(settings.form, asked_for), budget)
        return SuiteAnswer(
            item=item.id,
            repeat=repeat,
            messages=_sent(turns),
            settings=settings.settings,
            requested=settings.model,
            http_status=found.status,
            latency_ms=found.latency_ms,
            ts=found.ts,
            attempts=found.attempts,
            before=found.before.stored,
            **_fields(found.answer),
        )

    async def _until_answered(self, item: Item, _repeat: int, body: bytes, budget: RunBudget) -> AskedOnce:
        """Ask, again where that may help, until there is an answer or a reason why there is none."""
        before = Tokens()
        for attempt in itertools.count(1):
            await self._opened()
            budget.take()
            asked, began = self._clock(), time.perf_counter()
            status, answer = await self._once(body)
            latency = (time.perf_counter() - began) * 1000
            taken = self._taken(item, status, answer)
            budget.spend(taken)
            pause = self._pause(answer, attempt)
            if pause is None:
                break
            before += taken
            await asyncio.sleep(pause)
        return AskedOnce(answer, status, latency, asked, attempt, before)

    def _taken(self, item: Item, status: int | None, answer: EndpointAnswer | EndpointFault) -> Tokens:
        """What one request for an item took."""
        text = answer.text if isinstance(answer, EndpointAnswer) else None
        failed, sent = isinstance(answer, EndpointFault), _sent(self._turns(item))
        return request_tokens(answer.raw, sent, text, failed=failed, status=status)

    def would_ask(self, item: Item, answer: SuiteAnswer) -> bool:
        """Whether `answer` is one to the very question that would be asked now."""
        settings = self._settings
        same = (answer.requested, answer.settings) == (settings.model, settings.settings)
        return same and answer.messages == _sent(self._turns(item))

    def _turns(self, item: Item) -> tuple[PromptMessage, ...]:
        return numbered_calls(item.asked_under(self._settings.system_prompt))

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

    async def _once(self, body: bytes) -> tuple[int | None, EndpointAnswer | EndpointFault]:
        settings = self._settings
        try:
            reply = await self._outbound.post(
                settings.form.api.path,
                body,
                settings.sent_headers,
                seconds=self._patience.seconds if settings.seconds is None else settings.seconds,
                most=MOST_BYTES,
                most_events=MOST_EVENT_BYTES,
                query=settings.query,
            )
        except Unanswered as error:
            return None, fault_of(error)
        return reply.status, parse_reply(settings.form, reply, self._clock(), settings.secrets)

    def _pause(self, answer: EndpointAnswer | EndpointFault, attempt: int) -> float | None:
        """Seconds until the next attempt, None when there is none: each about twice the last, spread by chance."""
        patience = self._patience
        if isinstance(answer, EndpointAnswer) or attempt >= min(answer.tries, patience.attempts):
            return None
        if answer.after > patience.longest_pause:
            return None
        self._closed_until = max(self._closed_until, time.monotonic() + answer.after)
        usual = min(patience.first_pause * 2.0 ** (attempt - 1), patience.longest_pause)
        return usual * self._chance.uniform(0.5, 1.0)


def _sent(turns: Iterable[PromptMessage]) -> tuple[SentMessage, ...]:
    return tuple(SentMessage.model_validate(turn.model_dump()) for turn in turns)


def _fields(answer: EndpointAnswer | EndpointFault) -> dict[str, Any]:
    if isinstance(answer, EndpointFault):
        return {"raw": answer.raw, "error": answer.words + reasons.wait(answer.after)}
    return {
        "raw": answer.raw,
        "text": answer.text,
        "refusal": answer.refusal,
        "tool_calls": answer.tool_calls,
        "calls": answer.calls,
        "finish_reason": answer.finish_reason,
        "served": answer.served,
        "system_fingerprint": answer.fingerprint,
    }
