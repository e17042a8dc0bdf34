"""An entry of `signals` -> the definition of a signal, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from services.monitor.policy import Monitor
from services.monitor.schema import JudgeSection, MonitorFile, SignalSection
from services.monitor.yaml_document import KeyPath
from services.outbound import UrlRefused, checked_url
from services.signals.custom.definition import CustomDefinition
from services.signals.custom.json_rule import JsonSchemaRule
from services.signals.custom.judge_rule import JudgeRule
from services.signals.custom.rules import (
    KeywordRule,
    MustContainRule,
    PatternRule,
    Rule,
    RuleRefused,
)

KINDS: Final = ("keywords", "pattern", "must_contain", "must_not_contain", "json_schema", "judge")
_COUNTABLE: Final = ("keywords", "pattern", "must_not_contain")


def definition_of(name: str, section: SignalSection) -> CustomDefinition:
    """The signal of an entry; of one that names no usable kind, a rule that fits nothing and is refused."""
    return CustomDefinition(
        name=name,
        rule=_rule(section),
        where=section.where,
        value=section.value,
        floor=section.floor,
        title=section.title or "",
        noun=section.noun or "",
    )


def _rule(section: SignalSection) -> Rule:
    kinds = named_kinds(section)
    kind = kinds[0] if kinds else ""
    if kind == "pattern":
        return PatternRule(section.pattern or "")
    if kind == "must_contain":
        return MustContainRule(section.must_contain or ())
    if kind == "must_not_contain":
        return KeywordRule(section.must_not_contain or (), whole=False)
    if kind == "json_schema":
        return _schema(section)
    if section.judge is not None:
        return _judge(section.judge)
    return KeywordRule(section.keywords or ())


def _schema(section: SignalSection) -> Rule:
    try:
        return JsonSchemaRule.of(section.json_schema or {})
    except RuleRefused:
        return KeywordRule(())  # refused with its reason by `wrong_signals`


def _judge(section: JudgeSection) -> JudgeRule:
    return JudgeRule(
        question=section.question,
        endpoint=section.endpoint,
        model=section.model,
        key_env=section.api_key_env,
        share=section.share,
        daily_calls=section.daily_calls,
        settings=json.dumps(section.settings, sort_keys=True, default=str),
        suites=section.suites,
    )


def named_kinds(section: SignalSection) -> list[str]:
    """The kinds that an entry names: one, where all is well."""
    return [kind for kind in KINDS if getattr(section, kind) is not None]


def wrong_signals(file: MonitorFile, monitor: Monitor) -> Iterator[tuple[KeyPath, str]]:
    """Where an entry of `signals` cannot be used, below `signals`, and what to write instead."""
    titles: dict[str, str] = {}
    scores_suites: str | None = None
    for definition, (name, section) in zip(monitor.signals, file.signals.items(), strict=True):
        kinds = named_kinds(section)
        if len(kinds) != 1:
            yield (name,), _number_of_kinds(kinds)
            continue
        yield from ((((name, *place)), why) for place, why in _wrong(section, definition, monitor.allow_hosts))
        title = definition.spec.title.casefold()
        if title in titles:
            yield (name, "title"), f"is the title of {titles[title]}, too; give it another"
        titles[title] = name
        if section.judge is not None and section.judge.suites:
            if scores_suites is not None:
                yield (name, "judge", "suites"), f"is set for {scores_suites}, too; one judge scores suites"
            scores_suites = name


def _number_of_kinds(kinds: list[str]) -> str:
    if not kinds:
        return f"names no kind; write one of {', '.join(KINDS)}"
    return f"names {len(kinds)} kinds, {' and '.join(kinds)}; keep one, and make a second signal of the other"


def _wrong(
    section: SignalSection, definition: CustomDefinition, allowed: tuple[str, ...]
) -> Iterator[tuple[KeyPath, str]]:
    (kind,) = named_kinds(section)
    try:
        if section.json_schema is not None:
            JsonSchemaRule.of(section.json_schema)
        definition.rule.check()
    except RuleRefused as refused:
        yield (kind,), str(refused)
    if section.value == "count" and kind not in _COUNTABLE:
        yield ("value",), f"{kind} says yes or no; only {', '.join(_COUNTABLE)} count"
    if section.value == "count" and section.floor is not None:
        yield ("floor",), "a number has no rate; remove the floor, or `value: count`"
    if kind == "json_schema" and section.where == "tool_calls":
        yield ("where",), "calls of tools are no one JSON text; leave `where` out, or look for a pattern"
    if section.judge is not None and section.judge.suites and section.where != "response":
        yield ("where",), "a judge of suites looks at the answer; write `response`, or leave it out"
    if section.judge is not None:
        yield from _wrong_endpoint(section.judge, allowed)


def _wrong_endpoint(judge: JudgeSection, allowed: tuple[str, ...]) -> Iterator[tuple[KeyPath, str]]:
    try:
        checked_url(judge.endpoint, allowed)
    except UrlRefused as refused:
        yield ("judge", "endpoint"), str(refused)
