"""Samples of lm-eval (`samples_TASK_TIME.jsonl`) with the results beside them (`results_TIME.json`). Pure.

Each sample holds the value of each metric of its task; the results say what was asked of whom, and the mean of each
metric. A folder, or one file of samples in it, is read; a folder may hold several tasks.
https://github.com/EleutherAI/lm-evaluation-harness
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
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
    Verdict,
    chosen_scorer,
    without_secrets,
)

TOOL: Final = "lm-eval"
_CATEGORIES: Final = ("category", "hazard", "SemanticCategory", "harm_area", "type", "subject")
_TEXT: Final = "generate_until"
_CLOSE: Final = 1e-6


def _recognises(content: Content) -> bool:
    return bool(_sample_parts(content)) or any(_is_results(one) for one in content.parts.values())


def _sample_parts(content: Content) -> list[str]:
    return [
        part
        for part, rows in content.rows.items()
        if rows and isinstance(rows[0], dict) and {"doc_id", "filtered_resps", "doc"} <= rows[0].keys()
    ] + [
        part
        for part, one in content.parts.items()
        if isinstance(one, dict) and {"doc_id", "filtered_resps", "doc"} <= one.keys()
    ]


def _is_results(value: Any) -> bool:
    return isinstance(value, dict) and {"results", "configs", "n-shot"} <= value.keys()


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    parts = _sample_parts(content)
    if not parts:
        remedy = "run lm-eval with --log_samples, and name the folder or a file of samples"
        raise InputError(f"{content.name}: has results and no samples; {remedy}")
    results = [part for part, one in content.parts.items() if _is_results(one)]
    if not results:
        raise InputError(f"{content.name}: no results of lm-eval lie beside the samples; put results_*.json there")
    runs = [_run(content, part, results, scorer) for part in parts]
    tasks = [run.task for run in runs]
    if len(set(tasks)) < len(tasks):
        raise InputError(f"{content.name}: holds samples of one task twice; name one file of samples")
    return tuple(runs)


def _run(content: Content, part: str, results: list[str], scorer: str | None) -> ForeignRun:
    rows = list(content.lines(part)) if part in content.rows else [content.node(part)]
    head, task = _results_of(content, part, rows, results)
    config = head.at("configs", task)
    measured = sorted({str(one.value) for row in rows for one in row.at("metrics").each()})
    metric = chosen_scorer(measured, scorer, content.place(part))
    filters = list(dict.fromkeys(row.at("filter").text("none") for row in rows))
    kept = [row for row in rows if row.at("filter").text("none") == filters[0]]
    answers = tuple(_answer(row, task, metric) for row in kept)
    printed = tuple(_printed(head.at("results", task)))
    if _is_mean(config.at("metric_list"), metric):
        _agree(printed, answers, metric, filters[0], content.place(part))
    expected = head.at("n-samples", task, "effective").count(len(answers))
    version = head.at("lm_eval_version").text("of unknown version")
    judged = [config.at("process_results").value, config.at("metric_list").value, config.at("filter_list").value]
    return ForeignRun(
        tool=TOOL,
        version=version,
        task=task,
        task_version=f"{version}-{_plain(head.at('versions', task).value)}",
        model=_model(head),
        scorer=metric if filters[0] == "none" else f"{metric} after {filters[0]}",
        scorer_version=hash16(json.dumps(judged, sort_keys=True, default=str).encode("utf-8", "replace").decode()),
        answers=answers,
        started=head.at("date").time(),
        ended=head.at("date").time(),
        settings=without_secrets({name: one.value for name, one in config.at("generation_kwargs").fields()}),
        missing=max(0, expected - len(answers)),
        printed=printed,
    )


def _plain(value: Any) -> str:
    return str(value)[:40] if isinstance(value, str | int | float) else "0"


def _model(head: Node) -> str:
    """Who was asked; a name that lm-eval did not tell is that of the kind of model."""
    for place in (("model_name",), ("config", "model_args", "pretrained"), ("config", "model_args", "model")):
        node = head.at(*place[:-1])
        if isinstance(node.value, dict) and isinstance(node.value.get(place[-1]), str) and node.value[place[-1]]:
            return str(node.value[place[-1]])
    return head.at("config", "model").text("not told")


def _results_of(content: Content, part: str, rows: list[Node], results: list[str]) -> tuple[Node, str]:
    """The results that these samples are of: those that have the hashes of them, else those of a metric of theirs."""
    metrics = {str(one.value) for row in rows[:1] for one in row.at("metrics").each()}
    found = []
    for name in results:
        head = content.node(name)
        for task, one in head.at("results").fields():
            keys = {key.partition(",")[0] for key, _ in one.fields()}
            stem = part.removeprefix("samples_")
            if metrics <= keys:
                found.append((part != "" and stem.startswith(f"{task}_"), head, task, len(rows)))
    exact = [one for one in found if one[0]] or found
    if len(exact) != 1:
        told = "no results" if not exact else f"results of {len(exact)} tasks"
        raise InputError(
            f"{content.place(part)}: {told} beside the samples may be theirs; leave one results file and its samples"
        )
    return exact[0][1], exact[0][2]


def _answer(row: Node, task: str, metric: str) -> ForeignAnswer:
    doc = row.at("doc")
    category = next((str(doc.value[name]) for name in _CATEGORIES if _says(doc.value, name)), None)
    prompt = row.at("arguments", "gen_args_0", "arg_0")
    text = list(row.at("filtered_resps").each())
    first = text[0].value if text else None
    asked = _asked(prompt)
    expected = row.at("target").value
    told = json.dumps([[one.content for one in asked], expected], default=str)
    return ForeignAnswer(
        item=f"{row.at('doc_id').name()}-{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:8]}",
        asked=asked,
        text=first if isinstance(first, str) else None if first is None else json.dumps(first)[:1_000],
        verdict=_verdict(row.at(metric)),
        part=task,
        category=category,
        content=expected if isinstance(expected, str | int | None) else json.dumps(expected, default=str)[:1_000],
    )


def _says(doc: Any, name: str) -> bool:
    return isinstance(doc, Mapping) and isinstance(doc.get(name), str)


def _asked(prompt: Node) -> tuple[ForeignMessage, ...]:
    """A text, or with a chat template the conversation as JSON."""
    raw = prompt.value
    if isinstance(raw, list) and raw and isinstance(raw[0], str):
        raw = raw[0]
    if not isinstance(raw, str):
        raise prompt.wrong("must be text")
    if raw.startswith("[{"):
        try:
            turns = [(turn["role"], turn["content"]) for turn in json.loads(raw)]
        except (ValueError, TypeError, KeyError, RecursionError):
            turns = []
        if turns and all(isinstance(role, str) and isinstance(text, str) for role, text in turns):
            return tuple(ForeignMessage(role, text) for role, text in turns)
    return (ForeignMessage("user", raw),)


def _verdict(value: Node) -> Verdict:
    if value.value is None or isinstance(value.value, str | bool):
        return value.value
    return value.score()


def _printed(results: Node) -> Iterator[Printed]:
    for name, one in results.fields():
        if "," in name and "_stderr" not in name and isinstance(one.value, int | float):
            value = one.score()
            if value is not None:
                yield Printed(name, value)


def _is_mean(metrics: Node, metric: str) -> bool:
    """Whether the results hold the mean of this metric, and no other figure of it."""
    return any(one.at("metric").value == metric and one.at("aggregation").value == "mean" for one in metrics.each())


def _agree(
    printed: tuple[Printed, ...], answers: tuple[ForeignAnswer, ...], metric: str, filter_: str, place: str
) -> None:
    """A mean of the results is that of the samples: files that say another are not of one run, or were changed."""
    said = next((one.value for one in printed if one.name == f"{metric},{filter_}"), None)
    values = [float(one.verdict) for one in answers if isinstance(one.verdict, int | float)]
    if said is None or len(values) < len(answers) or not set(values) <= {0.0, 1.0}:
        return
    if abs(sum(values) / len(values) - said) > _CLOSE:
        raise InputError(
            f"{place}: the results beside it say {metric} {said:.6g}, and the samples make "
            f"{sum(values) / len(values):.6g}: they are not of one run, or were changed"
        )


IMPORTER: Final = Importer(TOOL, "samples_*.jsonl beside results_*.json, or their folder", _recognises, _read)
