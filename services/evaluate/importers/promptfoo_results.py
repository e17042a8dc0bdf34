"""Results of promptfoo (`promptfoo eval -o FILE.json`, or a red-team report as JSON). Pure.

A verdict is `pass` or `fail`: whether all assertions of a test held. A test that ended in an error (`failureReason` 2)
has none. Tests of red-team plugins carry the plugin's name, which says what a failure is; of other tests a person says.
https://www.promptfoo.dev/docs/configuration/outputs/
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from schemas.base import hash16
from services.errors import InputError
from services.evaluate.importers.foreign import (
    Content,
    ForeignAnswer,
    ForeignMessage,
    ForeignRun,
    Importer,
    Node,
    Printed,
    without_secrets,
)

TOOL: Final = "promptfoo"
_ERROR: Final = 2
_PLAIN: Final = "tests"
_JUDGING: Final = ("assert", "threshold", "assertScoringFunction", "options")
"""What of a test says how its answers are judged."""
_GRADING: Final = ("provider", "purpose", "graderExamples", "graderGuidance")
"""The same of a red-team configuration."""
_SECRET: Final = re.compile(r"key|token(?!s)|secret|passw|auth|header|cookie", re.IGNORECASE)


def _recognises(content: Content) -> bool:
    head = content.parts.get("")
    results = head.get("results") if isinstance(head, dict) else None
    return isinstance(results, dict) and isinstance(results.get("results"), list) and "stats" in results


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    head = content.node("")
    version = head.at("metadata", "promptfooVersion").text("of unknown version")
    rows = list(head.at("results", "results").each())
    by_model: dict[str, list[Node]] = {}
    for row in rows:
        by_model.setdefault(_model(row.at("provider")), []).append(row)
    if scorer is not None:
        raise InputError(f"{content.name}: --scorer: a test of promptfoo has one verdict; leave it out")
    stats = head.at("results", "stats")
    printed = tuple(Printed(name, stats.at(name).number()) for name in ("successes", "failures", "errors"))
    _agree(rows, stats)
    made = head.at("results", "timestamp").time()
    return tuple(
        ForeignRun(
            tool=TOOL,
            version=version,
            task=head.at("config", "description").text("eval") or "eval",
            task_version=version,
            model=model,
            scorer="assertions",
            scorer_version=_assertions(given, head.at("config")),
            answers=tuple(_answers(given, made)),
            started=made,
            ended=made,
            settings=_settings(head.at("config", "providers"), model),
            printed=printed if len(by_model) == 1 else (),
        )
        for model, given in by_model.items()
    )


def _model(provider: Node) -> str:
    if isinstance(provider.value, str):
        return provider.text()
    label = provider.at("label").maybe_text()
    return label or provider.at("id").text()


def _settings(providers: Node, model: str) -> dict[str, Any]:
    """What the configuration says of the provider, as far as it is known to be no secret."""
    if not isinstance(providers.value, list):
        return {}
    for one in providers.each():
        if isinstance(one.value, dict) and model in (one.at("label").value, one.at("id").value):
            return without_secrets({name: node.value for name, node in one.at("config").fields()})
    return {}


def _assertions(rows: list[Node], config: Node) -> str:
    """Hash of how tests are judged: their assertions without what single ones expect, and what holds for all tests."""
    kinds = {str(one.at("type").value) for row in rows for one in row.at("testCase", "assert").each()}
    every, attack = config.at("defaultTest").value, config.at("redteam").value
    shared = [
        {name: one[name] for name in names if name in one} if isinstance(one, dict) else one
        for one, names in ((every, _JUDGING), (attack, _GRADING))
    ]
    return hash16([sorted(kinds), _hash(shared)])


def _answers(rows: list[Node], made: Any) -> Iterator[ForeignAnswer]:
    for row in rows:
        asked = _asked(row.at("prompt"))
        plugin = row.at("metadata", "pluginId").maybe_text() or row.at("testCase", "metadata", "pluginId").maybe_text()
        test = row.at("testCase")
        list(test.at("assert").each())
        expected = _hash({name: test.at(name).value for name in _JUDGING})
        strategy = row.at("metadata", "strategyId").maybe_text()
        told = json.dumps([[one.role, one.content] for one in asked] + [plugin, strategy, expected])
        error = row.at("response", "error").maybe_text()
        failed_to_run = row.at("failureReason").value == _ERROR
        success = row.at("success")
        if not isinstance(success.value, bool):
            raise success.wrong("must be true or false")
        yield ForeignAnswer(
            item=f"{(plugin or _PLAIN).replace(':', '.')}.{hashlib.sha256(told.encode()).hexdigest()[:10]}",
            asked=asked,
            text=_text(row.at("response", "output")),
            verdict=None if failed_to_run else "pass" if success.value else "fail",
            part=plugin or _PLAIN,
            category=plugin,
            content=[strategy, expected],
            why=row.at("gradingResult", "reason").maybe_text(),
            error=(error or row.at("error").text("an error of the test")) if failed_to_run or error else None,
            stop="content_filter" if row.at("response", "guardrails", "flagged").value is True else None,
            ts=made,
        )


def _asked(prompt: Node) -> tuple[ForeignMessage, ...]:
    """The prompt as it was sent: a text, or a conversation as JSON."""
    raw = prompt.at("raw").text()
    if raw.lstrip().startswith("["):
        try:
            turns = [(turn["role"], turn["content"]) for turn in json.loads(raw)]
        except (ValueError, TypeError, KeyError, RecursionError):
            turns = []
        if turns and all(isinstance(role, str) and isinstance(text, str) for role, text in turns):
            return tuple(ForeignMessage(role, text) for role, text in turns)
    return (ForeignMessage("user", raw),)


def _text(output: Node) -> str | None:
    """The answer; one that is an object as its JSON."""
    if output.value is None or isinstance(output.value, str):
        return output.value
    return json.dumps(output.value, ensure_ascii=True)[:100_000]


def _hash(judged: Any) -> str:
    told = json.dumps(_judging(judged), sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()


def _judging(value: Any, configured: bool = False) -> Any:
    """What judges, whole: thresholds, graders, inner assertions. The keys of a grader change nothing, and are left."""
    if isinstance(value, dict):
        return {
            str(name): _judging(one, configured or name == "config")
            for name, one in value.items()
            if not (configured and _SECRET.search(str(name)))
        }
    return [_judging(one, configured) for one in value] if isinstance(value, list) else value


def _agree(rows: list[Node], stats: Node) -> None:
    """What promptfoo sums up is what its tests say: a file that says others was cut or changed."""
    errors = sum(row.at("failureReason").value == _ERROR for row in rows)
    good = sum(row.at("success").value is True for row in rows)
    for name, counted in (("successes", good), ("errors", errors), ("failures", len(rows) - good - errors)):
        if stats.at(name).count() != counted:
            told = f"says {stats.at(name).count():,}, and the tests make {counted:,}"
            raise stats.at(name).wrong(f"{told}: the file was cut or changed")


IMPORTER: Final = Importer(TOOL, "results as JSON (`promptfoo eval -o FILE.json`)", _recognises, _read)
