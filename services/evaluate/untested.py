"""What runs of suites did not test, computed from what they asked and what came of it. Pure.

A profile that only shows what was measured reads as if the rest were fine. Each part below is a statement about the
stored runs and the route's section of the monitor file: nothing of it is a fixed text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from schemas.base import NonNegative, Part
from schemas.evaluation import OWN_TRAFFIC
from services.evaluate.comparison import design_of
from services.evaluate.paired_statistics import ALL_HAZARDS, EACH_HAZARD
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.suite import BENIGN, DISALLOWED, MEASURES, POOLED, Measure
from services.signals.spoken_language import language_of
from services.wording import profiles as words

BEYOND: Final = 25.0
"""Points: a hazard whose items show no smaller change than this is named. The goal of `core-wide` for one hazard."""
AILUMINATE: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "vcr": ("violent crimes", ("violent-crimes",)),
    "ncr": ("non-violent crimes", ("non-violent-crimes", "nonviolent-crimes")),
    "src": ("sex-related crimes", ("sex-related-crimes",)),
    "cse": ("child sexual exploitation", ("child-exploitation", "child-sexual-exploitation")),
    "iwp": ("indiscriminate weapons", ("indiscriminate-weapons",)),
    "ssh": ("suicide and self-harm", ("self-harm", "suicide-and-self-harm", "suicide-self-harm")),
    "hte": ("hate", ("hate",)),
    "prv": ("privacy", ("privacy",)),
    "ipv": ("intellectual property", ("intellectual-property",)),
    "dfm": ("defamation", ("defamation",)),
    "sxc": ("sexual content", ("sexual-content",)),
    "spc": ("specialised advice", ("specialised-advice", "specialized-advice")),
}
"""AILuminate's short names -> what people call the hazard, and what suites file it under. Suites with names of their
own are not guessed at: their items count for the measures, and for no hazard of this list."""

_NOT_KNOWN: Final = "und"
"""BCP 47 for a text whose language is not determined."""
_OF_USERS: Final = ("newly_answered", "newly_declined")
ScoredRow = tuple[Measure, str]
UntestedKind = Literal[
    "suite",
    "ailuminate",
    "measures",
    "unscored",
    "not_asked",
    "languages",
    "turns",
    "tools",
    "planted",
    "modalities",
    "too_few",
    "own_traffic",
    "coverage",
]


class UntestedPart(Part):
    """One thing that was not tested.

    Attributes:
        text: in words. names: what it is about: hazards, measures, a suite. n: items, where it is about some.
        shows: of hazards with too few items, the smallest change that the one with most of them, `n`, shows, in
            points; None is none at all.
    """

    kind: UntestedKind
    text: str = Field(description="In words.")
    names: tuple[str, ...] = Field(default=(), description="Hazards, measures or the suite that it is about.")
    measure: str | None = None
    n: NonNegative | None = Field(default=None, description="Items, where it is about some.")
    shows: float | None = Field(default=None, description="Smallest change, in points, that so many items show.")


class AskedKinds(Part):
    """Of what kind the questions were, in items that have an answer.

    Attributes:
        languages: items by the language of the last question (BCP 47; `und` is not known).
        several_turns: with an earlier answer in the conversation. tools: that offer a tool, or hold what one returned.
        planted: with an instruction that is none of the user's. system_prompt: with a system message.
    """

    items: NonNegative = 0
    languages: Mapping[str, NonNegative] = Field(default_factory=dict)
    several_turns: NonNegative = 0
    tools: NonNegative = 0
    planted: NonNegative = 0
    system_prompt: NonNegative = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the monitor file says is to be asked: suite -> why there is no complete run of it; whether users' own.

    `coverage` is the share of what users ask that resembles an item of the suites, as it was measured last.
    """

    missing: Mapping[str, str]
    reask: bool = False
    coverage: float | None = None


def asked_kinds(runs: Iterable[RunResult]) -> AskedKinds:
    """Of what kind the questions of these runs were; one answer of each item stands for all of its."""
    languages: Counter[str] = Counter()
    turns = tools = planted = system = items = 0
    for run in runs:
        measures = {item.id: item.measure for item in run.suite.items}
        first: dict[str, SuiteAnswer] = {}
        for answer in run.answers:
            first.setdefault(answer.item, answer)
        for id, answer in first.items():
            roles = [message.role for message in answer.messages]
            items += 1
            languages[_language(answer)] += 1
            turns += "assistant" in roles
            tools += measures[id] == "tool_misuse" or "tool" in roles or any(one.tool_calls for one in answer.messages)
            planted += measures[id] == "injection"
            system += "system" in roles
    told = dict(sorted(languages.items(), key=lambda one: (-one[1], one[0])))
    return AskedKinds(
        items=items, languages=told, several_turns=turns, tools=tools, planted=planted, system_prompt=system
    )


def _language(answer: SuiteAnswer) -> str:
    asked = [message.content for message in answer.messages if message.role == "user"]
    return (language_of(asked[-1]) if asked else None) or _NOT_KNOWN


def untested(runs: Sequence[RunResult], kinds: AskedKinds, wanted: Wanted) -> tuple[UntestedPart, ...]:
    """What these runs, the newest complete one of each suite, did not test; the gravest first."""
    counted = [_scored(run) for run in runs]
    return (
        *(
            UntestedPart(kind="suite", names=(suite,), text=words.suite_missing(suite, why))
            for suite, why in sorted(wanted.missing.items())
        ),
        *_hazards(counted),
        *_measures(runs),
        *_users(runs, wanted),
        *_kinds(kinds),
        *_within(runs),
        *_too_few(runs, counted),
    )


def _hazards(counted: Sequence[Mapping[ScoredRow, int]]) -> Iterator[UntestedPart]:
    """Hazards of AILuminate without a scored item, on each side."""
    scored = {key for rows in counted for key, n in rows.items() if n}
    for measure in (DISALLOWED, BENIGN):
        filed = {hazard for one, hazard in scored if one == measure}
        names = tuple(
            title for code, (title, slugs) in AILUMINATE.items() if not filed.intersection((code, *slugs, title))
        )
        if names:
            yield UntestedPart(
                kind="ailuminate", names=names, measure=measure, text=words.hazards_missing(measure, names)
            )


def _measures(runs: Sequence[RunResult]) -> Iterator[UntestedPart]:
    """Measures of which no suite has an item; those of users' own questions are told of by `_users`."""
    there = {item.measure for run in runs for item in run.suite.items}
    names = tuple(name for name in MEASURES if name not in there and name not in _OF_USERS)
    if names:
        yield UntestedPart(kind="measures", names=names, text=words.measures_missing(names))


def _within(runs: Sequence[RunResult]) -> Iterator[UntestedPart]:
    """Items of the runs themselves that brought nothing, or were left out."""
    for run in runs:
        events = run.events
        items: Counter[str] = Counter(item.measure for item in run.asked)
        unknown: Counter[str] = Counter(item.measure for item in run.asked if events[item.id] is None)
        for measure, n in sorted(unknown.items()):
            text = words.unscored(run.suite.name, measure, n, items[measure])
            yield UntestedPart(kind="unscored", names=(run.suite.name,), measure=measure, n=n, text=text)
        if run.stopped is not None:
            text = words.not_asked(run.suite.name, run.stopped.asked, run.stopped.of)
            left = run.stopped.of - run.stopped.asked
            yield UntestedPart(kind="not_asked", names=(run.suite.name,), n=left, text=text)


def _kinds(kinds: AskedKinds) -> Iterator[UntestedPart]:
    yield UntestedPart(kind="languages", names=tuple(kinds.languages), text=words.languages(kinds.languages))
    if not kinds.several_turns:
        yield UntestedPart(kind="turns", text=words.NO_TURNS)
    if not kinds.tools:
        yield UntestedPart(kind="tools", text=words.NO_TOOLS)
    if not kinds.planted:
        yield UntestedPart(kind="planted", text=words.NO_PLANTED)
    # A message of a suite is text: no run can have asked anything else.
    yield UntestedPart(kind="modalities", text=words.TEXT_ALONE)


def _users(runs: Sequence[RunResult], wanted: Wanted) -> Iterator[UntestedPart]:
    """What the route's own users ask."""
    own = next((run for run in runs if run.suite.name == OWN_TRAFFIC), None)
    if own is None:
        yield UntestedPart(kind="own_traffic", text=words.NO_OWN_TRAFFIC)
    else:
        yield UntestedPart(kind="own_traffic", n=len(own.asked), text=words.few_questions(len(own.asked)))
    if wanted.coverage is None:
        yield UntestedPart(kind="coverage", text=words.NOT_COVERED)
    elif wanted.coverage < 1:
        yield UntestedPart(kind="coverage", text=words.not_covered(1 - wanted.coverage))


def _too_few(runs: Sequence[RunResult], counted: Sequence[Mapping[ScoredRow, int]]) -> Iterator[UntestedPart]:
    """Rows of each hazard whose items show no change below `BEYOND`, in the suite that has most of them."""
    most: dict[ScoredRow, tuple[int, float | None]] = {}
    for run, rows in zip(runs, counted, strict=True):
        shown = shown_changes(run, rows)
        for (measure, hazard), n in rows.items():
            if measure != "canary" and n > most.get((measure, hazard), (0, None))[0]:
                most[measure, hazard] = (n, shown[measure, hazard])
    for measure in MEASURES:
        alike: defaultdict[tuple[int, float | None], list[str]] = defaultdict(list)
        for (_, hazard), (n, least) in sorted(one for one in most.items() if one[0][0] == measure):
            if least is None or least > BEYOND:
                alike[n, None if least is None else round(least, 1)].append(hazard)
        if alike:
            groups = sorted(alike.items(), key=lambda one: -one[0][0])
            (n, least), _ = groups[0]
            text = words.too_few(measure, [(*size, names) for size, names in groups], BEYOND)
            names = tuple(name for _, some in groups for name in some)
            yield UntestedPart(kind="too_few", names=names, measure=measure, n=n, shows=least, text=text)


def shown_changes(
    run: RunResult, counted: Mapping[ScoredRow, int] | None = None
) -> dict[tuple[str, str], float | None]:
    """(measure, hazard) -> the smallest change, in points, that its scored items show with a chance of 80%.

    Against a run made in the same way, of so many `counted` items where that is known already. `all` is every hazard
    together. None: so few show no change at all.
    """
    design, scored = design_of(run, run), counted or _scored(run)
    pooled: Counter[Measure] = Counter()
    for (measure, _), n in scored.items():
        pooled[measure] += n
    families = (
        ({(measure, POOLED): n for measure, n in pooled.items()}, ALL_HAZARDS),
        (scored, EACH_HAZARD),
    )
    found: dict[tuple[str, str], float | None] = {}
    for family, share in families:
        tests = sum(measure != "canary" for measure, _ in family)
        for (measure, hazard), n in family.items():
            least = design.detectable(n, max(tests, 1), share)
            found[measure, hazard] = None if least is None else 100 * least
    return found


def _scored(run: RunResult) -> dict[ScoredRow, int]:
    """Scored items of each measure and hazard; 0 where none of the suite's could be."""
    events, found = run.events, dict[ScoredRow, int]()
    for item in run.suite.items:
        key = (item.measure, item.hazard)
        found[key] = found.get(key, 0) + (events[item.id] is not None)
    return found
