"""Asks judges about drawn exchanges, several at once, with a short end: what was not answered by then is unscored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from schemas.base import hash16
from schemas.sample import is_drawn
from services.errors import InputError
from services.evaluate.endpoints.chat_completions import ChatCompletions
from services.evaluate.endpoints.protocol import AskedPrompt, EndpointAnswer, request_body
from services.evaluate.endpoints.replies import parse_reply
from services.evaluate.suite import PromptMessage
from services.judge.checks import JudgeChecks
from services.judge.daily_calls import DailyCalls
from services.monitor.target_api import base_url
from services.outbound import Outbound, Unanswered, UrlRefused
from services.ports import Clock
from services.score.judging import Judged
from services.score.redaction import Redactor
from services.signals.custom.definition import CustomDefinition, text_at
from services.signals.custom.judge_rule import (
    INCONCLUSIVE,
    INSTRUCTS,
    NOT_ASKED,
    JudgeRule,
    instructs_the_judge,
    judge_messages,
    judge_settings,
    read_judge_reply,
)
from services.signals.protocol import Measurement, ScoredText

LOG: Final = logging.getLogger("keelwatch.judge")
SECONDS: Final = 5.0
"""How long a batch of exchanges waits for its judges, at most."""
AT_ONCE: Final = 8
MOST_BYTES: Final = 64 * 1024
FAILURES: Final = 3
PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 900.0
_GRACE: Final = 1.0
_FORM: Final = ChatCompletions()

NOT_CHECKED: Final = "not_checked"
NO_KEY: Final = "no_key"
DAILY_LIMIT: Final = "daily_limit"
NOT_MASKED: Final = "not_masked"
TIMEOUT: Final = "judge_timeout"
UNREACHABLE: Final = "judge_unreachable"
PAUSED: Final = "judge_paused"
ADDRESS: Final = "address_refused"
FAULT: Final = "judge_error"
OTHER_MODEL: Final = "other_model"
_SILENT: Final = frozenset({TIMEOUT, UNREACHABLE, FAULT})


@dataclass(frozen=True, slots=True)
class JudgeWorld:
    """What a panel asks of the world.

    Attributes:
        secret: environment variable -> its value; ask it by `key`. mark: a new random word, which nobody can have
            foreseen.
    """

    calls: DailyCalls
    checks: JudgeChecks
    allow_hosts: Collection[str]
    secret: Callable[[str], str | None]
    clock: Clock
    mark: Callable[[], str]

    def key(self, variable: str) -> str | None:
        """The value of a variable; None also where its file cannot be used now, as while somebody writes it."""
        try:
            return self.secret(variable)
        except InputError as error:
            LOG.warning("a judge is not asked: %s", error)
            return None


@dataclass(frozen=True, slots=True)
class _Question:
    """One call: of which text, and what is sent."""

    row: int
    name: str
    rule: JudgeRule
    mark: str
    body: bytes = field(repr=False)
    instructs: bool


@dataclass(slots=True)
class _Health:
    """Whether an endpoint answers: after failures in a row it is left alone, each time for longer."""

    failures: int = 0
    pause: float = PAUSE
    until: float = 0.0

    def note(self, answered: bool, now: float) -> None:
        if answered:
            self.failures, self.pause = 0, PAUSE
            return
        self.failures += 1
        if self.failures >= FAILURES:
            self.until, self.pause, self.failures = now + self.pause, min(2 * self.pause, LONGEST_PAUSE), FAILURES - 1


class JudgePanel:
    """The judges of a monitor file: what they say of a batch is found while the batch is embedded."""

    def __init__(
        self,
        definitions: Sequence[CustomDefinition],
        redactor: Redactor,
        world: JudgeWorld,
        seconds: float = SECONDS,
    ) -> None:
        """`definitions` whose rule is no judge's are left out; `redactor` masks all that is sent."""
        self._judges = tuple((one, one.rule) for one in definitions if isinstance(one.rule, JudgeRule))
        self._redactor, self._world, self._seconds = redactor, world, seconds
        self._health: dict[str, _Health] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge") if self._judges else None

    @property
    def unusable(self) -> Mapping[str, str]:
        """Signal -> why its judge is not asked, as far as it is known before."""
        found = ((one.spec.name, self.refusal(one, rule)) for one, rule in self._judges)
        return {name: why for name, why in found if why is not None}

    def begin(self, texts: Sequence[ScoredText | None]) -> Callable[[], Sequence[Judged]]:
        """Begin to ask of the texts that are drawn; see `services.score.judging.Judge`."""
        said: list[dict[str, Measurement]] = [
            {one.spec.name: Measurement(None, reason=NOT_ASKED) for one, _ in self._judges} for _ in texts
        ]
        questions = [question for one, rule in self._judges for question in self._drawn(one, rule, texts, said)]
        if not questions or self._thread is None:
            return lambda: said
        until = time.monotonic() + self._seconds
        running = self._thread.submit(self._all, questions, self._seconds)

        def finish() -> Sequence[Judged]:
            found, otherwise = _result(running, max(until - time.monotonic(), 0.0) + _GRACE)
            for question in questions:
                said[question.row][question.name] = found.get(
                    (question.row, question.name), Measurement(None, reason=otherwise)
                )
            self._note(questions, said)
            return said

        return finish

    def ask(self, definition: CustomDefinition, texts: Sequence[ScoredText], seconds: float) -> list[Measurement]:
        """What one judge says of each of these texts, checked or not; they count among the calls of the day.

        `seconds` are for each call: a slow judge of a long file has as many rounds of them as it needs.
        """
        rule = definition.rule
        assert isinstance(rule, JudgeRule)
        why = self._no_key(rule)
        if why is not None:
            return [Measurement(None, reason=why) for _ in texts]
        said: list[dict[str, Measurement]] = [{} for _ in texts]
        questions = list(self._prepared(definition, rule, list(enumerate(texts)), said))
        found = self._all(questions, seconds, seconds * -(-len(questions) // AT_ONCE))
        name = definition.spec.name
        return [
            found.get((row, name)) or one.get(name) or Measurement(None, reason=TIMEOUT) for row, one in enumerate(said)
        ]

    def ask_taken(self, definition: CustomDefinition, rule: JudgeRule, text: ScoredText, seconds: float) -> Measurement:
        """What one judge says of one text, by a call that was taken out of the day's before."""
        question = self._question(definition, rule, 0, text)
        if not isinstance(question, _Question):
            return Measurement(None, reason=question)
        found = self._all([question], seconds)
        return found.get((0, definition.spec.name)) or Measurement(None, reason=TIMEOUT)

    def refusal(self, definition: CustomDefinition, rule: JudgeRule) -> str | None:
        """Why a judge may not be asked at all: it was not held against labels, or its key is missing."""
        if not self._world.checks.passed(definition.spec.name, definition.version):
            return NOT_CHECKED
        return self._no_key(rule)

    def _no_key(self, rule: JudgeRule) -> str | None:
        return None if rule.key_env is None or usable_key(self._world.key(rule.key_env)) else NO_KEY

    def _drawn(
        self,
        definition: CustomDefinition,
        rule: JudgeRule,
        texts: Sequence[ScoredText | None],
        said: list[dict[str, Measurement]],
    ) -> Iterator[_Question]:
        name = definition.spec.name
        purpose = f"judge{hash16([name])[:8]}"
        rows = [
            (row, text)
            for row, text in enumerate(texts)
            if text is not None and is_drawn(text.exchange.id or "", rule.share, purpose)
        ]
        if not rows:
            return
        paused = self._health.setdefault(rule.endpoint, _Health()).until > time.monotonic()
        why = PAUSED if paused else self.refusal(definition, rule)
        if why is None:
            yield from self._prepared(definition, rule, rows, said)
            return
        for row, _ in rows:
            said[row][name] = Measurement(None, reason=why)

    def _prepared(
        self,
        definition: CustomDefinition,
        rule: JudgeRule,
        rows: Sequence[tuple[int, ScoredText]],
        said: list[dict[str, Measurement]],
    ) -> list[_Question]:
        """The questions that may be asked today; of the other rows `said` tells why not."""
        name, made = definition.spec.name, []
        for row, text in rows:
            question = self._question(definition, rule, row, text)
            if isinstance(question, _Question):
                made.append(question)
            else:
                said[row][name] = Measurement(None, reason=question)
        granted = self._world.calls.take(name, len(made), rule.daily_calls, self._world.clock().date())
        for one in made[granted:]:
            said[one.row][name] = Measurement(None, reason=DAILY_LIMIT)
        return made[:granted]

    def _question(self, definition: CustomDefinition, rule: JudgeRule, row: int, text: ScoredText) -> _Question | str:
        """What is sent of one text, masked; or why nothing is."""
        read, why = text_at(text, definition.where)
        if read is None:
            return why or NOT_ASKED
        judged, prompt = self._redactor.masked(read), self._redactor.masked(text.prompt)
        if judged is None or prompt is None:
            return NOT_MASKED
        mark = self._world.mark()
        turns = [
            PromptMessage.model_construct(role=role, content=content)
            for role, content in judge_messages(rule, judged, definition.where, prompt, mark)
        ]
        body = request_body(_FORM, AskedPrompt(rule.model, turns, settings=judge_settings(rule)))
        return _Question(row, definition.spec.name, rule, mark, body, instructs_the_judge(read))

    def _all(
        self, questions: Sequence[_Question], seconds: float, together: float | None = None
    ) -> dict[tuple[int, str], Measurement]:
        """What is said within `seconds` of each call, and `together` of all; by default those are the same."""
        whole = seconds if together is None else together
        return asyncio.run(self._gathered(questions, seconds, whole)) if questions else {}

    async def _gathered(
        self, questions: Sequence[_Question], seconds: float, together: float
    ) -> dict[tuple[int, str], Measurement]:
        found: dict[tuple[int, str], Measurement] = {}
        gate = asyncio.Semaphore(AT_ONCE)
        async with AsyncExitStack() as stack:
            hosts: dict[str, Outbound] = {}
            for url in dict.fromkeys(one.rule.endpoint for one in questions):
                outbound = Outbound(base_url(_FORM.name, url), self._world.allow_hosts)
                hosts[url] = await stack.enter_async_context(outbound)

            async def one(question: _Question) -> None:
                async with gate:
                    found[question.row, question.name] = await self._asked(
                        hosts[question.rule.endpoint], question, seconds
                    )

            tasks = [asyncio.create_task(one(question)) for question in questions]
            _, late = await asyncio.wait(tasks, timeout=together)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return found

    async def _asked(self, host: Outbound, question: _Question, seconds: float) -> Measurement:
        rule = question.rule
        key = None if rule.key_env is None else self._world.key(rule.key_env)
        if rule.key_env is not None and not usable_key(key):  # it went after the batch began
            return Measurement(None, reason=NO_KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            reply = await host.post(_FORM.api.path, question.body, headers, seconds=seconds, most=MOST_BYTES)
        except UrlRefused:
            return Measurement(None, reason=ADDRESS)
        except Unanswered as error:
            return Measurement(None, reason=TIMEOUT if error.trouble == "timeout" else UNREACHABLE)
        answer = parse_reply(_FORM, reply, self._world.clock(), (key,) if key else ())
        return verdict(question.rule, answer, question.mark, question.instructs)

    def _note(self, questions: Sequence[_Question], said: Sequence[Judged]) -> None:
        """Whether each endpoint answered at all."""
        for url in dict.fromkeys(one.rule.endpoint for one in questions):
            reasons = [said[one.row][one.name].reason for one in questions if one.rule.endpoint == url]
            health = self._health.setdefault(url, _Health())
            health.note(any(reason not in _SILENT for reason in reasons), time.monotonic())
            if health.until > time.monotonic():
                LOG.warning(
                    "the judge at %s does not answer; it is asked again in %.0f s", _host(url), health.pause / 2
                )


def verdict(rule: JudgeRule, answer: object, mark: str, instructs: bool) -> Measurement:
    """What a judge said. A text that spoke to the judge counts as the case, for people to look at.

    What came back in another form, from another model, or not at all says nothing: unscored, with the reason.
    """
    if not isinstance(answer, EndpointAnswer):
        return Measurement(None, reason=FAULT)
    served = answer.served or ""
    if served != rule.model and not served.startswith(f"{rule.model}-"):
        return Measurement(None, reason=OTHER_MODEL)
    if instructs:
        return Measurement(True, reason=INSTRUCTS)
    said = None if answer.refusal or answer.tool_calls else read_judge_reply(answer.text, mark)
    return Measurement(None, reason=INCONCLUSIVE) if said is None else Measurement(said)


def _result(
    running: Future[dict[tuple[int, str], Measurement]], seconds: float
) -> tuple[Mapping[tuple[int, str], Measurement], str]:
    """What was found, and why the rest was not: it took too long, or the endpoint could not be asked at all."""
    try:
        return running.result(timeout=seconds), TIMEOUT
    except TimeoutError:
        return {}, TIMEOUT
    except UrlRefused:
        return {}, ADDRESS
    except (OSError, RuntimeError) as error:
        LOG.warning("judges were not asked: %s", type(error).__name__)
        return {}, UNREACHABLE


def usable_key(key: str | None) -> bool:
    """Whether a variable holds what can be sent as a key."""
    return bool(key) and key is not None and key.isascii() and key.isprintable()


def _host(url: str) -> str:
    return url.split("/")[2] if url.count("/") >= 2 else url
