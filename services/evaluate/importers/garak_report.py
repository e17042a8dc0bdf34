"""Reports of garak (`NAME.report.jsonl`): attempts, what each detector scored of them, and its own sums. Pure.

An answer is an event of an item where its detector scores it at least the run's `eval_threshold`: that is how garak
counts hits. Attempts stand twice, before and after they were judged; the judged ones (status 2) count. An item is what
one probe asks and one detector judges, whatever its place in the report.
https://docs.garak.ai/garak/reporting
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from services.evaluate.importers.foreign import (
    Content,
    EventRule,
    ForeignAnswer,
    ForeignMessage,
    ForeignRun,
    Importer,
    Node,
    Printed,
    chosen_scorer,
    without_secrets,
)

TOOL: Final = "garak"
_SETUP: Final = "start_run setup"
_JUDGED: Final = 2
_THRESHOLD: Final = 0.5


def _recognises(content: Content) -> bool:
    rows = content.rows.get("", ())
    return any(isinstance(row, dict) and row.get("entry_type") in (_SETUP, "init", "attempt") for row in rows[:3])


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    kinds: dict[str, list[Node]] = {}
    for row in content.lines(""):
        kinds.setdefault(row.at("entry_type").text(), []).append(row)
    setup = kinds.get(_SETUP, [Node({}, content.name)])[0]
    began = kinds.get("init", [Node({}, content.name)])[0]
    version = began.at("garak_version").text(setup.at("_config.version").text("of unknown version"))
    judged = [one for one in kinds.get("attempt", ()) if one.at("status").count() == _JUDGED]
    evals = kinds.get("eval", [])
    started = began.at("start_time").time()
    answers = tuple(_answers(judged, scorer, content.name, started))
    at_least = setup.at("run.eval_threshold")
    threshold = at_least.number() if at_least.known else _THRESHOLD
    hit = EventRule(sign=">=", bound=threshold, best=0.0)
    _agree(evals, answers, hit, scorer)
    detectors = sorted({str(one.content["detector"]) for one in answers})
    ends = kinds.get("completion", [])
    return (
        ForeignRun(
            tool=TOOL,
            version=version,
            task="probes",
            task_version=version,
            model=_model(setup),
            scorer=", ".join(detectors[:5]) + (", …" if len(detectors) > 5 else ""),
            scorer_version=f"{len(detectors)} detectors" if len(detectors) > 5 else "at its threshold",
            answers=answers,
            started=started,
            ended=ends[0].at("end_time").time() if ends else None,
            settings=_settings(setup),
            stopped=None if ends else "garak did not end the run: the report has no line `completion`",
            printed=tuple(_printed(evals)),
            hit=hit,
        ),
    )


def _model(setup: Node) -> str:
    kind = setup.at("plugins.target_type")
    name = setup.at("plugins.target_name")
    if not kind.known:
        kind, name = setup.at("plugins.model_type"), setup.at("plugins.model_name")
    told = [one.text() for one in (kind, name) if one.known]
    return "/".join(told) or "not told"


def _settings(setup: Node) -> dict[str, Any]:
    seed = setup.at("run.seed").value
    return without_secrets({"seed": seed} if isinstance(seed, int) else {})


def _answers(judged: list[Node], scorer: str | None, name: str, started: datetime | None) -> Iterator[ForeignAnswer]:
    found = {key for attempt in judged for key, _ in attempt.at("detector_results").fields()}
    if scorer is not None or not found:
        found = {chosen_scorer(sorted(found), scorer, name)}
    for attempt in judged:
        probe, outputs = attempt.at("probe_classname").text(), list(attempt.at("outputs").each())
        asked = tuple(_turns(attempt.at("prompt")))
        goal = attempt.at("goal").maybe_text()
        key = hashlib.sha256("\0".join(f"{one.role}\0{one.content}" for one in asked).encode("utf-8", "replace"))
        for detector, scores in attempt.at("detector_results").fields():
            if detector not in found:
                continue
            given = list(scores.each())
            if len(given) != len(outputs):
                raise scores.wrong(f"has {len(given)} scores for {len(outputs)} outputs")
            for output, score in zip(outputs, given, strict=True):
                text = _text(output)
                yield ForeignAnswer(
                    item=f"{probe}.{detector}.{key.hexdigest()[:10]}".casefold(),
                    asked=asked,
                    text=text,
                    verdict=score.score(),
                    part=probe,
                    category=attempt.at("intent").maybe_text(),
                    content={"detector": detector, "goal": goal},
                    error="the generator gave no output" if text is None else None,
                    ts=started,
                )


def _turns(prompt: Node) -> Iterator[ForeignMessage]:
    """The prompt of an attempt: a text, a message or a conversation, by garak's version."""
    if isinstance(prompt.value, str):
        yield ForeignMessage("user", prompt.value)
    elif prompt.at("turns").known:
        for turn in prompt.at("turns").each():
            yield ForeignMessage(turn.at("role").text(), _text(turn.at("content")) or "")
    else:
        yield ForeignMessage("user", prompt.at("text").text(""))


def _text(output: Node) -> str | None:
    if output.value is None or isinstance(output.value, str):
        return output.value
    return output.at("text").maybe_text()


def _printed(evals: list[Node]) -> Iterator[Printed]:
    for one in evals:
        name = f"{one.at('probe').text()} {one.at('detector').text().removeprefix('detector.')}"
        passed, total = one.at("passed").count(), _total(one)
        if total:
            yield Printed(f"{name} score", passed / total)


def _total(one: Node) -> int:
    """How many outputs garak judged; reports before 0.14 call it `total`."""
    return one.at("total_evaluated" if one.at("total_evaluated").known else "total").count()


def _agree(evals: list[Node], answers: tuple[ForeignAnswer, ...], hit: EventRule, scorer: str | None) -> None:
    """What garak sums up are the attempts: a report that says others, or has none of them, was cut or changed.

    Sums of detectors other than the one that was named count for nothing.
    """
    hits: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        key = (answer.part, str(answer.content["detector"]))
        event = hit.event(answer.verdict)
        seen[key] += event is not None
        hits[key] += bool(event)
    for one in evals:
        key = (one.at("probe").text(), one.at("detector").text().removeprefix("detector."))
        if scorer is not None and key[1] != scorer:
            continue
        total, passed = _total(one), one.at("passed").count()
        if (total, total - passed) != (seen[key], hits[key]):
            said = f"{total - passed:,} hits of {total:,}, and the attempts make {hits[key]:,} of {seen[key]:,}"
            raise one.wrong(f"says {said}: the report was cut or changed")


IMPORTER: Final = Importer(TOOL, "a report, `NAME.report.jsonl`", _recognises, _read)
