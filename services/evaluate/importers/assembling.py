"""A foreign run -> a run of Keelwatch's own: its items as a suite, its answers, and whose verdicts they carry. Pure.

Items are told apart by what they ask, so that two files of one task are compared item by item. An answer that is an
error, is empty or was stopped by a filter is unscored whatever the foreign scorer said of it, and never safe.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from schemas.base import canonical, hash16
from schemas.evaluation import RunOrigin
from schemas.identity import Model, identity_of
from services.errors import InputError
from services.evaluate.importers.foreign import (
    MOST_ANSWERS,
    REMEDY,
    Content,
    ForeignAnswer,
    ForeignRun,
    Printed,
    spoken,
)
from services.evaluate.importers.hazard_names import hazard_of
from services.evaluate.importers.meanings import GARAK_MEASURES, Meaning, checked_rule, meaning_of, not_known
from services.evaluate.result import (
    AnswerScore,
    AskedItem,
    AskedSuite,
    AskedTarget,
    RunResult,
    SentMessage,
    SuiteAnswer,
    status_of,
)
from services.evaluate.suite import suite_sha256
from services.wording import importing as words

MARGIN: Final = 10.0
"""Largest change, in pp, that still counts as none: that of a suite whose head says nothing."""
MOST_REPEATS: Final = 25
_FILTERS: Final = frozenset({"content_filter", "content-filter", "blocked", "safety", "guardrail_intervened"})
_LONGEST_REASON: Final = 300
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What a person says of an import: whose run it is, and what its verdicts mean where nobody knows."""

    route: str
    meaning: Meaning | None = None


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run as it came out.

    Attributes:
        tool: who made it. printed: its own figures. verdicts: how often its scorer said what.
        left_out: answers that count for nothing, by reason.
    """

    result: RunResult
    tool: str
    printed: tuple[Printed, ...]
    verdicts: Mapping[str, int]
    left_out: Mapping[str, int]


def assembled(run: ForeignRun, content: Content, order: ImportOrder) -> ImportedRun:
    """The run, under the route that was named.

    Raises:
        InputError: if it has no answer, too many, or verdicts whose meaning nobody told.
    """
    if not run.answers:
        raise InputError(f"{content.name}: {run.task}: holds no answer; {REMEDY}")
    if len(run.answers) > MOST_ANSWERS:
        raise InputError(f"{content.name}: holds more than {MOST_ANSWERS:,} answers; split the run into several")
    run = _named(run)
    meanings = _meanings(run, content.name, order.meaning)
    try:
        return _assembled(run, content, order, meanings)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InputError(f"{content.name}: {run.task}: {place}: {first['msg']}; {REMEDY}") from None


def _named(run: ForeignRun) -> ForeignRun:
    """The same with names that pages and terminals can show."""
    return replace(
        run,
        version=_short(run.version),
        task=_short(run.task),
        task_version=_short(run.task_version),
        model=_short(bare_url(run.model) if "://" in run.model else run.model),
        scorer=_short(run.scorer),
        url=None if run.url is None else _short(bare_url(run.url)),
    )


def bare_url(url: str) -> str:
    """An address without what may be a secret in it: user, password, query and fragment.

    >>> bare_url("https://user:pw@host.example/v1?api-key=k#f"), bare_url("http://127.0.0.1:8000/v1")
    ('https://host.example/v1', 'http://127.0.0.1:8000/v1')
    """
    scheme, mark, rest = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("://")
    return f"{scheme.rpartition('@')[2]}{mark}{rest.rpartition('@')[2]}"


def _short(name: str) -> str:
    return words.printable(name)[:_LONGEST_NAME]


def _meanings(run: ForeignRun, name: str, told: Meaning | None) -> dict[str, Meaning]:
    """Part -> what its verdicts mean: what is known, else what a person says."""
    parts = list(dict.fromkeys(one.part for one in run.answers))
    found = {part: known for part in parts if (known := _known(run, part)) is not None}
    open_ = [part for part in parts if part not in found]
    verdicts = [one.verdict for one in run.answers if one.part not in found]
    if told is None and open_:
        raise not_known(name, run.tool, open_, verdicts)
    if told is not None and not open_:
        which = "; ".join(dict.fromkeys(f"{one.measure}, event {one.rule}" for one in found.values()))
        raise InputError(f"{name}: --measure: what these verdicts mean is known ({which}); leave it out")
    if told is not None:
        checked_rule(told.rule, verdicts, name)
        found |= dict.fromkeys(open_, told)
    return found


def _known(run: ForeignRun, part: str) -> Meaning | None:
    if run.hit is not None:
        measure = GARAK_MEASURES.get(part.partition(".")[0])
        return None if measure is None else Meaning(measure, run.hit)
    return meaning_of(run.tool, part, run.scorer)


def _assembled(run: ForeignRun, content: Content, order: ImportOrder, meanings: Mapping[str, Meaning]) -> ImportedRun:
    by_item: dict[str, list[ForeignAnswer]] = {}
    for one in run.answers:
        by_item.setdefault(one.item, []).append(one)
    ids = {item: item_id(item) for item in by_item}
    prompt = _shared_prompt(run)
    items = tuple(
        _item(run, ids[item], given if prompt is None else list(map(_without_system, given)), meanings, content.name)
        for item, given in by_item.items()
    )
    answers = tuple(
        _answer(one, ids[item], repeat, meanings[one.part], run, content)
        for item, given in by_item.items()
        for repeat, one in enumerate(given)
    )
    origin = _origin(run, content, meanings)
    status, reason = status_of(len(answers) + run.missing, answers, run.stopped, run.model, None)
    if run.stopped is not None and status == "complete":
        status, reason = "incomplete", run.stopped
    model = Model(requested=run.model)
    ended = run.ended or run.started or content.modified
    settings = dict(run.settings)
    result = RunResult(
        id=hash16(["import", content.sha256, order.route, run.task, run.model, run.scorer, origin.event]),
        route=order.route,
        identity=identity_of(model),
        suite=_suite(run, items),
        target=AskedTarget(url=run.url or words.NO_ENDPOINT, model=run.model, system_prompt_sha256=_hashed(prompt)),
        settings=settings,
        seed=settings["seed"] if isinstance(settings.get("seed"), int) else None,
        scorers={f"{run.tool}: {run.scorer}": f"{run.version}, {run.scorer_version}, event {origin.event}"},
        started=min(run.started or ended, ended),
        ended=ended,
        status=status,
        reason=reason,
        answers=answers,
        packages={run.tool: run.version},
        origin=origin,
    )
    return ImportedRun(result, run.tool, run.printed, _verdicts(run.answers), _left_out(result))


def _suite(run: ForeignRun, items: tuple[AskedItem, ...]) -> AskedSuite:
    name, version = suite_name(run.tool, run.task), run.task_version
    sha256 = suite_sha256(name, version, MARGIN, [item.sha256 for item in items])
    return AskedSuite(name=name, version=version, sha256=sha256, margin=MARGIN, items=items)


def _origin(run: ForeignRun, content: Content, meanings: Mapping[str, Meaning]) -> RunOrigin:
    rules = {f"{one.measure}: {one.rule}" for one in meanings.values()}
    return RunOrigin(
        tool=run.tool,
        version=run.version,
        task=run.task,
        scorer=run.scorer,
        event="; ".join(sorted(rules)),
        sha256=content.sha256,
    )


def item_id(name: str) -> str:
    """The tool's own name of an item where Keelwatch's ids may be so, else a like one that is no other's.

    >>> item_id("pick-lock"), item_id("Pick a lock?")
    ('pick-lock', 'pick-a-lock-c37115a1')
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        return name
    slug = re.sub(r"[^a-z0-9._]+", "-", name.casefold()).strip("-._")[:60]
    return f"{slug or 'item'}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def suite_name(tool: str, task: str) -> str:
    """What a tool's task is called as a suite: `inspect-ai.xstest`."""
    return item_id(f"{tool}.{task}".casefold().replace(" ", "-").replace("/", "."))


def _item(
    run: ForeignRun, id: str, answers: Sequence[ForeignAnswer], meanings: Mapping[str, Meaning], name: str
) -> AskedItem:
    first = answers[0]
    if len(answers) > MOST_REPEATS:
        remedy = f"at most {MOST_REPEATS} are read; ask each item fewer times"
        raise InputError(f"{name}: item {first.item[:80]}: has {len(answers)} answers, {remedy}")
    if any(one.part != first.part or one.content != first.content for one in answers):
        raise InputError(f"{name}: item {first.item[:80]}: stands for two different questions; {REMEDY}")
    hazard, measure = hazard_of(first.category, first.part, first.part.partition(".")[0]), meanings[first.part].measure
    asked = list(dict.fromkeys(tuple((turn.role, turn.content) for turn in one.asked) for one in answers))
    told = _plain([run.tool, run.task, first.part, id, asked, first.content, hazard, measure])
    sha256 = hashlib.sha256(canonical(told)).hexdigest()
    return AskedItem(id=id, hazard=hazard, measure=measure, repeats=len(answers), sha256=sha256)


def _plain(value: Any) -> Any:
    """A value that can be hashed: NaN and lone surrogates are no JSON."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return {str(_plain(key)): _plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value


def _answer(
    one: ForeignAnswer, id: str, repeat: int, meaning: Meaning, run: ForeignRun, content: Content
) -> SuiteAnswer:
    return SuiteAnswer(
        item=id,
        repeat=repeat,
        messages=tuple(SentMessage(role=turn.role, content=turn.content) for turn in one.asked),
        settings={},
        text=one.text,
        finish_reason=one.stop,
        requested=run.model,
        served=one.served,
        ts=one.ts or run.ended or run.started or content.modified,
        error=one.error,
        scored=None if one.error is not None else _scored(one, meaning, run),
    )


def _scored(one: ForeignAnswer, meaning: Meaning, run: ForeignRun) -> AnswerScore:
    """The foreign verdict, where there is an answer that it can be about."""
    if (one.stop or "").casefold() in _FILTERS:
        return AnswerScore(event=None, reason=words.FILTERED)
    if not (one.text or "").strip():
        return AnswerScore(event=None, reason=words.EMPTY)
    event = meaning.rule.event(one.verdict)
    if event is None:
        return AnswerScore(event=None, reason=words.no_verdict(spoken(one.verdict)))
    why = None if one.why is None else " ".join(one.why.split())[:_LONGEST_REASON]
    return AnswerScore(event=event, reason=words.said(run.scorer, spoken(one.verdict), why))


def _hashed(prompt: str | None) -> str | None:
    """Hash of a system prompt that all questions share; None where there is none."""
    return hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest() if prompt else None


def _without_system(one: ForeignAnswer) -> ForeignAnswer:
    """The same without the system turns: those that all questions share are the target's, not the items'."""
    return replace(one, asked=tuple(turn for turn in one.asked if turn.role != "system"))


def _shared_prompt(run: ForeignRun) -> str | None:
    """The system turns of every question, where all have the same; None where they differ: they are the items' then."""
    prompts = {"\n\n".join(turn.content for turn in one.asked if turn.role == "system") for one in run.answers}
    return prompts.pop() if len(prompts) == 1 else None


def _verdicts(answers: Iterable[ForeignAnswer]) -> dict[str, int]:
    said = Counter(spoken(one.verdict) for one in answers if one.verdict is not None)
    return dict(sorted(said.items(), key=lambda pair: (-pair[1], pair[0])))


def _left_out(result: RunResult) -> dict[str, int]:
    """Why answers count for nothing, and how many do."""
    reasons = Counter(
        words.ERROR if one.scored is None else one.scored.reason
        for one in result.answers
        if one.scored is None or one.scored.event is None
    )
    return dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
