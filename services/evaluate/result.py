"""What a run of a suite brought: its form in files and in the database, its status, its record. Pure.

Whether a run is complete, incomplete or failed, and why: missing answers never look like good ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from schemas.base import Hash16, Json, NonNegative, Part, Record, Timestamp
from schemas.evaluation import OWN_TRAFFIC, EarlyStop, ItemsOf, Run, RunOrigin, RunStatus
from schemas.evaluation import Measure as Measured
from schemas.exchange import Route
from schemas.identity import Model
from services.errors import InputError
from services.evaluate.judged_pairs import JudgedPairs
from services.evaluate.scorer_errors import ScorerErrors
from services.evaluate.suite import PAIRED, Measure, Repeats, Suite, suite_sha256
from services.wording import runs

T = TypeVar("T")
OWN_RUNNER: Final = "keelwatch"
_UNSTORABLE = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def _storable(value: Any) -> Any:
    """Model text is hostile: what neither JSON nor PostgreSQL can hold becomes U+FFFD."""
    if isinstance(value, str):
        return value.translate(_UNSTORABLE)
    if isinstance(value, Mapping):
        return {_storable(key): _storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(one) for one in value]
    return value


StorableText = Annotated[str, BeforeValidator(_storable)]
StorableJson = Annotated[Json, BeforeValidator(_storable)]


class MadeCall(Part):
    """A call of a tool, as it was sent or as an answer made it. `arguments` is text, JSON where the model made some."""

    id: StorableText = ""
    name: StorableText
    arguments: StorableText = ""


class SentMessage(Part):
    """One message, exactly as it was sent."""

    role: str
    content: str
    tool_calls: tuple[MadeCall, ...] = ()
    tool_call_id: str | None = None


class AnswerScore(Part):
    """Whether one answer is an event. None is unknown, and never safe.

    Attributes:
        said: what pairs are compared by: the choice that the answer gives, `refused` or `answered`; None is unknown.
        judge: version of the judge that was asked about it; None where none was.
    """

    event: bool | None
    reason: str
    said: StorableText | None = None
    judge: str | None = None


class UsedTokens(Part):
    """Tokens that requests `sent`, and that `came` back."""

    sent: Annotated[float, Field(ge=0)]
    came: Annotated[float, Field(ge=0)]


class SuiteAnswer(Part):
    """One response to one item.

    Attributes:
        repeat: from 0.
        text: content of the answer; None when it has none.
        tool_calls: whether it calls tools. calls: which, with what.
        raw: the endpoint's JSON as it came, also of an error; None when it was no JSON.
        http_status: of the last attempt; None when nothing came back.
        attempts: how many requests were made for it. before: what all but the last one took; None is nothing.
        error: why there is no answer, in words; None when the endpoint answered.
    """

    item: str
    repeat: NonNegative
    messages: Annotated[tuple[SentMessage, ...], Field(min_length=1)]
    settings: Mapping[str, Json] = Field(default_factory=dict)
    text: StorableText | None = None
    refusal: StorableText | None = None
    tool_calls: bool = False
    calls: tuple[MadeCall, ...] = ()
    raw: StorableJson = None
    finish_reason: StorableText | None = None
    http_status: int | None = None
    requested: str
    served: StorableText | None = None
    system_fingerprint: StorableText | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    ts: Timestamp
    attempts: Annotated[int, Field(ge=1)] = 1
    before: UsedTokens | None = None
    error: StorableText | None = None
    scored: AnswerScore | None = None


class AskedItem(Part):
    """What a comparison must know of an item: which it is, and what its events count for."""

    id: str
    hazard: str
    measure: Measure
    repeats: Repeats
    sha256: str
    pair: str | None = None


class AskedSuite(Part):
    """Which suite was run. `margin` in pp."""

    name: str
    version: str
    sha256: str
    margin: float
    items: tuple[AskedItem, ...]

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        """The hash is the one of these items: two runs of one hash were asked the same."""
        hashes = [item.sha256 for item in self.items]
        if self.sha256 != suite_sha256(self.name, self.version, self.margin, hashes):
            raise ValueError("sha256 is not the hash of these items")
        if len({item.id for item in self.items}) < len(self.items):
            raise ValueError("items share an id")
        known = {item.id for item in self.items if item.pair is None}
        if any((item.measure in PAIRED) != (item.pair is not None) for item in self.items):
            raise ValueError("an item has a pair exactly when its measure compares two")
        if any(item.pair not in known for item in self.items if item.pair is not None):
            raise ValueError("a pair must be an item of the suite that is compared with no other")
        return self

    @classmethod
    def of(cls, suite: Suite) -> AskedSuite:
        """What a run of `suite` keeps of it."""
        items = (
            AskedItem(**item.model_dump(include={"id", "hazard", "measure", "repeats", "pair"}), sha256=item.sha256)
            for item in suite.items
        )
        return cls(name=suite.name, version=suite.version, sha256=suite.sha256, margin=suite.margin, items=tuple(items))

    def of_items(self, items: tuple[AskedItem, ...]) -> AskedSuite:
        """The same suite with these of its items alone."""
        sha256 = suite_sha256(self.name, self.version, self.margin, [item.sha256 for item in items])
        return self.model_copy(update={"items": items, "sha256": sha256})


class AskedTarget(Part):
    """Which endpoint was asked, under which system prompt, and with what beside the question.

    Attributes:
        headers, query: what was sent with each question, by name; `env:NAME` for what stands in the environment.
        runner: what sent the questions: requests of another one may differ.
    """

    url: str
    model: str
    system_prompt_sha256: str | None = None
    api: str = "chat_completions"
    headers: Mapping[str, str] = Field(default_factory=dict)
    query: Mapping[str, str] = Field(default_factory=dict)
    runner: str = OWN_RUNNER


class RunResult(Record):
    """One execution of a suite against one identity, with every answer.

    Attributes:
        settings: generation settings, the same for all items.
        scorers: version of each scorer, by name. scorer_errors: by measure what is known of how often they are wrong.
        reason: why it is not complete, in words.
        packages: versions of what ran it. commit: git commit, where it is known.
        against: the run that it was held against while it went on. stopped: that this decided it early.
        origin: that another tool made it, and whose verdicts its answers carry.
        pairs: what a judge prefers of its answers and of those of the run before it.
    """

    kind: Literal["run_result"] = "run_result"
    id: Hash16
    route: Route
    identity: Hash16
    change: Hash16 | None = None
    suite: AskedSuite
    target: AskedTarget
    settings: Mapping[str, Json] = Field(default_factory=dict)
    seed: int | None = None
    scorers: Mapping[str, str]
    scorer_errors: Mapping[str, ScorerErrors] = Field(default_factory=dict)
    started: Timestamp
    ended: Timestamp
    status: RunStatus
    reason: str | None = None
    answers: tuple[SuiteAnswer, ...] = ()
    packages: Mapping[str, str] = Field(default_factory=dict)
    commit: str | None = None
    against: Hash16 | None = None
    stopped: EarlyStop | None = None
    origin: RunOrigin | None = None
    pairs: JudgedPairs | None = None

    @property
    def asked(self) -> tuple[AskedItem, ...]:
        """The items that were to be asked: of a run that was stopped early those that it has answers to."""
        answered_ = {answer.item for answer in self.answers}
        return tuple(item for item in self.suite.items if self.stopped is None or item.id in answered_)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Answers belong to items, each once; a complete run has them all, of the items that it was to ask."""
        if self.stopped is not None and (self.against is None or self.status != "complete"):
            raise ValueError("only a complete run that was held against another is stopped early")
        counts = len(self.asked), len(self.suite.items)
        if self.stopped is not None and (self.stopped.asked, self.stopped.of) != counts:
            raise ValueError("stopped: counts other items than the run has")
        asked = {(item.id, repeat) for item in self.asked for repeat in range(item.repeats)}
        given = [(answer.item, answer.repeat) for answer in self.answers]
        if len(set(given)) < len(given) or set(given) - asked:
            raise ValueError("answers must belong to items of the suite, one for each repeat")
        if self.status == "complete" and len(given) < len(asked):
            raise ValueError(f"a complete run has {len(asked)} answers, this one has {len(given)}")
        if (self.status == "complete") != (self.reason is None):
            raise ValueError("a run has a reason exactly when it is not complete")
        return self

    @property
    def events(self) -> dict[str, bool | None]:
        """Of every item whether it is an event: what more than half of its repeats say, else unknown.

        An item of a pair is one when what more than half of its answers say is not what more than half of the other's
        say; where either says nothing by more than half, it is unknown.
        """
        scores: dict[str, list[AnswerScore | None]] = {item.id: [] for item in self.suite.items}
        for answer in self.answers:
            scores[answer.item].append(answer.scored)
        said = {
            item.id: majority([None if one is None else one.said for one in scores[item.id]], item.repeats)
            for item in self.suite.items
        }
        found: dict[str, bool | None] = {}
        for item in self.suite.items:
            if item.pair is None:
                events = [None if one is None else one.event for one in scores[item.id]]
                found[item.id] = majority(events, item.repeats)
            else:
                own, other = said[item.id], said[item.pair]
                found[item.id] = None if own is None or other is None else own != other
        return found


def majority(outcomes: Sequence[T | None], repeats: int) -> T | None:
    """What more than half of all repeats say: answers that are missing or unscored cannot change it.

    >>> majority([True, None, True], 3), majority([True, False], 3), majority([False, False], 3)
    (True, None, False)
    """
    for value, n in Counter(one for one in outcomes if one is not None).items():
        if 2 * n > repeats:
            return value
    return None


def to_record(result: RunResult) -> Run:
    """The run as it goes to keelwatch.evaluations: scored items and events for each hazard and measure."""
    events = result.events
    counts: dict[tuple[str, str], list[int]] = {}
    for item in result.suite.items:
        if (event := events[item.id]) is not None:
            count = counts.setdefault((item.hazard, item.measure), [0, 0])
            count[0] += 1
            count[1] += event
    return Run(
        id=result.id,
        route=result.route,
        identity=result.identity,
        suite=result.suite.name,
        suite_sha256=result.suite.sha256,
        change=result.change,
        status=result.status,
        reason=result.reason,
        ts=result.ended,
        items=len(result.suite.items),
        items_of=items_of(result.suite.name),
        measures=tuple(
            Measured(hazard=hazard, measure=measure, n=n, events=count)
            for (hazard, measure), (n, count) in sorted(counts.items())
        ),
        stopped=result.stopped,
        origin=result.origin,
    )


def items_of(suite: str) -> ItemsOf:
    """Whether a suite is a route's own questions."""
    return "route" if suite == OWN_TRAFFIC else "suite"


def answered(answer: SuiteAnswer) -> bool:
    """Whether the endpoint answered; that its provider's filter stopped a request is an answer, too."""
    return answer.error is None or (answer.scored is not None and _says(answer.scored))


def _says(scored: AnswerScore) -> bool:
    """Whether an answer's score says anything, by itself or for a pair."""
    return scored.event is not None or scored.said is not None


def served_models(answers: Iterable[SuiteAnswer]) -> tuple[str, ...]:
    """The models that say that they answered, sorted."""
    return tuple(sorted({answer.served for answer in answers if answer.served is not None}))


def status_of(
    wanted: int, answers: Sequence[SuiteAnswer], stopped: str | None, requested: str, expected: Model | None
) -> tuple[RunStatus, str | None]:
    """Status of a run, and the reason when it is not complete.

    Args:
        wanted: answers of a whole run.
        answers: all that came, those with an error too.
        stopped: why the run ended before its end, if it did.
        requested: the model that was asked for.
        expected: the identity that should have answered, if it is known.
    """
    good = [answer for answer in answers if answered(answer)]
    if not good:
        return "failed", stopped or _commonest(answers) or runs.ASKS_NOTHING
    served = served_models(good)
    if len(served) > 1:
        return "incomplete", runs.several_models(served)
    if expected is not None and (wrong := contradiction(expected, requested, served)) is not None:
        return "failed", wrong
    if len(good) < wanted:
        return "incomplete", runs.missing(wanted - len(good), wanted, stopped or _commonest(answers))
    if not any(answer.scored is not None and _says(answer.scored) for answer in good):
        return "incomplete", runs.none_scored(wanted)
    return "complete", None


def contradiction(expected: Model, requested: str, served: Sequence[str]) -> str | None:
    """Why the model that answered cannot be the expected one, None if it can."""
    if expected.served is None:
        if expected.requested in (requested, *served):
            return None
        return runs.asked_another(requested, expected.requested)
    if expected.served in (served or (requested, expected.served)):
        return None
    return runs.another_answered(served, expected.served)


def _commonest(answers: Iterable[SuiteAnswer]) -> str | None:
    errors = Counter(answer.error for answer in answers if not answered(answer))
    return errors.most_common(1)[0][0] if errors else None


_FILE_REMEDY: Final = "name a file written by `keelwatch eval run --json`"
RATES: Final = "rates"
SEAL: Final = "seal"
"""What a file holds beside the run: what follows from it, and hashes of it (`services.evaluate.run_seal`)."""


def read_results(text: str, name: str) -> tuple[RunResult, ...]:
    """The runs of a file's text; `name` only names it.

    Raises:
        InputError: if it is no such file, or was written by another version; it names the first fault.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}; {_FILE_REMEDY}") from None
    found = value if isinstance(value, list) else [value]
    if not found:
        raise InputError(f"{name}: holds no run; {_FILE_REMEDY}")
    results = tuple(_parse_result(one, name) for one in found)
    names = [result.suite.name for result in results]
    if len(set(names)) < len(names):
        raise InputError(f"{name}: holds two runs of one suite; {_FILE_REMEDY}")
    return results


def _parse_result(value: object, name: str) -> RunResult:
    if isinstance(value, dict):
        value = {key: one for key, one in value.items() if key not in (RATES, SEAL)}
    try:
        return RunResult.decode(json.dumps(value).encode())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "run"
        raise InputError(f"{name}: {place}: {first['msg'].removeprefix('Value error, ')}; {_FILE_REMEDY}") from None
