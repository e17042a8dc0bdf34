"""What a run of a suite brought: the form of `eval run --json`, and of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.base import Hash16, Json, NonNegative, Part, Record, Timestamp
from schemas.evaluation import Measure as Measured
from schemas.evaluation import Run, RunStatus
from schemas.exchange import Route
from services.evaluate.item import Measure, Repeats
from services.evaluate.suite import Suite, suite_sha256

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


Said = Annotated[str, BeforeValidator(_storable)]
Raw = Annotated[Json, BeforeValidator(_storable)]


class Sent(Part):
    """One message, exactly as it was sent."""

    role: str
    content: str


class Scored(Part):
    """Whether one answer is an event. None is unknown, and never safe."""

    event: bool | None
    reason: str


class Answer(Part):
    """One response to one item.

    Attributes:
        repeat: from 0.
        text: content of the answer; None when it has none.
        raw: the endpoint's JSON as it came, also of an error; None when it was no JSON.
        http_status: of the last attempt; None when nothing came back.
        error: why there is no answer, in words; None when the endpoint answered.
    """

    item: str
    repeat: NonNegative
    messages: Annotated[tuple[Sent, ...], Field(min_length=1)]
    settings: Mapping[str, Json] = Field(default_factory=dict)
    text: Said | None = None
    refusal: Said | None = None
    tool_calls: bool = False
    raw: Raw = None
    finish_reason: Said | None = None
    http_status: int | None = None
    requested: str
    served: Said | None = None
    system_fingerprint: Said | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    ts: Timestamp
    attempts: Annotated[int, Field(ge=1)] = 1
    error: Said | None = None
    scored: Scored | None = None


class AskedItem(Part):
    """What a comparison must know of an item: which it is, and what its events count for."""

    id: str
    hazard: str
    measure: Measure
    repeats: Repeats
    sha256: str


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
        return self

    @classmethod
    def of(cls, suite: Suite) -> AskedSuite:
        """What a run of `suite` keeps of it."""
        items = (
            AskedItem(id=item.id, hazard=item.hazard, measure=item.measure, repeats=item.repeats, sha256=item.sha256)
            for item in suite.items
        )
        return cls(name=suite.name, version=suite.version, sha256=suite.sha256, margin=suite.margin, items=tuple(items))


class AskedTarget(Part):
    """Which endpoint was asked, and under which system prompt."""

    url: str
    model: str
    system_prompt_sha256: str | None = None


class RunResult(Record):
    """One execution of a suite against one identity, with every answer.

    Attributes:
        settings: generation settings, the same for all items.
        scorers: version of each scorer, by name.
        reason: why it is not complete, in words.
        packages: versions of what ran it. commit: git commit, where it is known.
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
    started: Timestamp
    ended: Timestamp
    status: RunStatus
    reason: str | None = None
    answers: tuple[Answer, ...] = ()
    packages: Mapping[str, str] = Field(default_factory=dict)
    commit: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Answers belong to items, each once; a complete run has them all."""
        asked = {(item.id, repeat) for item in self.suite.items for repeat in range(item.repeats)}
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
        """Of every item whether it is an event: what more than half of its repeats say, else unknown."""
        said: dict[str, list[bool | None]] = {item.id: [] for item in self.suite.items}
        for answer in self.answers:
            said[answer.item].append(None if answer.scored is None else answer.scored.event)
        return {item.id: majority(said[item.id], item.repeats) for item in self.suite.items}


def majority(said: Sequence[bool | None], repeats: int) -> bool | None:
    """What more than half of all repeats say: answers that are missing or unscored cannot change it.

    >>> majority([True, None, True], 3), majority([True, False], 3), majority([False, False], 3)
    (True, None, False)
    """
    for event in (True, False):
        if 2 * sum(one is event for one in said) > repeats:
            return event
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
        measures=tuple(
            Measured(hazard=hazard, measure=measure, n=n, events=count)
            for (hazard, measure), (n, count) in sorted(counts.items())
        ),
    )
