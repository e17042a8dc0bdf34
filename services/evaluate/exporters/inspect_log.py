"""Inspect's log (`.eval`): a zip with a header, and a sample for each answer. Pure.

Read by `inspect_ai.log.read_eval_log` and by `inspect view`; `python -m tests.evaluate.inspect_reader` shows it with
the real package. What Inspect calls epoch is a repeat. A score is 1 for an event, 0 for none, and NaN (Inspect's own
sign of an unscored sample) where nobody could tell. Fields of Inspect 0.3, log version 2.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.base import iso
from services.evaluate.exporters.protocol import answer_event
from services.evaluate.profile import ProfileRate, profile_of
from services.evaluate.result import AskedItem, MadeCall, RunResult, SentMessage, SuiteAnswer
from services.evaluate.suite import POOLED
from services.evaluate.token_usage import used
from services.wording import exports as words

VERSION: Final = 2
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_STATUS: Final = {"complete": "success", "incomplete": "error", "failed": "error"}
_STOPS: Final = {
    "stop": "stop",
    "end_turn": "stop",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
}
_ROLES: Final = ("system", "user", "assistant", "tool")
_SETTINGS: Final = {"temperature": float, "top_p": float, "max_tokens": int, "seed": int}
"""What Inspect's settings of generation and ours have in common; all of ours stand in `metadata`."""


@dataclass(frozen=True, slots=True)
class InspectLog:
    """`--to inspect`."""

    name: str = "inspect"
    ending: str = ".eval"
    several: bool = False

    def export(self, found: Sequence[RunResult]) -> bytes:
        """The log of one run."""
        (run,) = found
        ids = _sample_ids(run.suite.items)
        samples = [_sample(answer, ids, item, event) for answer, item, event in _answers(run)]
        spec = _spec(run, ids)
        members = {
            "_journal/start.json": {"version": VERSION, "eval": spec, "plan": _plan(run)},
            **{f"samples/{sample['id']}_epoch_{sample['epoch']}.json": sample for sample in samples},
            "summaries.json": [_summary(sample) for sample in samples],
            "header.json": _header(run, spec, samples),
        }
        return _zipped(members)


def _zipped(members: Mapping[str, Any]) -> bytes:
    """The members, dated alike: the same run is the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            about = zipfile.ZipInfo(name, _DATE)
            about.compress_type = zipfile.ZIP_DEFLATED
            about.external_attr = 0o600 << 16
            archive.writestr(about, json.dumps(value))
    return out.getvalue()


def _answers(run: RunResult) -> Iterator[tuple[SuiteAnswer, AskedItem, bool | None]]:
    events, items = run.events, {item.id: item for item in run.suite.items}
    for answer in run.answers:
        item = items[answer.item]
        yield answer, item, answer_event(answer, item, events)


def _sample_ids(items: Sequence[AskedItem]) -> dict[str, str]:
    """What an item is called in the log, where its id names a file of the zip: as it is, unless it could lead out."""
    found: dict[str, str] = {}
    for n, item in enumerate(items):
        plain = re.sub(r"[^A-Za-z0-9._-]|^\.+", "_", item.id)[:150]
        found[item.id] = plain if plain == item.id else f"{plain}_{n}"
    return found


def _spec(run: RunResult, ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "eval_id": run.id,
        "run_id": run.id,
        "created": iso(run.started),
        "task": run.suite.name,
        "task_id": run.suite.sha256,
        "task_version": run.suite.version,
        "task_args": {},
        "dataset": {"name": run.suite.name, "samples": len(ids), "sample_ids": list(ids.values()), "shuffled": False},
        "model": run.target.model,
        "model_base_url": run.target.url,
        "model_args": {},
        "model_generate_config": _generation(run),
        "config": {"epochs": max((item.repeats for item in run.suite.items), default=1)},
        "packages": dict(run.packages),
        "scorers": [{"name": measure, "options": {}} for measure in _measures(run)],
        "metadata": {
            "keelwatch": {
                "route": run.route,
                "identity": run.identity,
                "suite_sha256": run.suite.sha256,
                "margin": run.suite.margin,
                "settings": dict(run.settings),
                "scorers": dict(run.scorers),
                "status": run.status,
                "system_prompt_sha256": run.target.system_prompt_sha256,
                "commit": run.commit,
            }
        },
    }


def _measures(run: RunResult) -> list[str]:
    return list(dict.fromkeys(item.measure for item in run.suite.items))


def _generation(run: RunResult) -> dict[str, Any]:
    return {
        name: kind(value)
        for name, kind in _SETTINGS.items()
        if isinstance(value := run.settings.get(name), int | float) and not isinstance(value, bool)
    }


def _plan(run: RunResult) -> dict[str, Any]:
    return {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": _generation(run)}


def _header(run: RunResult, spec: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    done, rates = sum(sample["error"] is None for sample in samples), profile_of(run)
    return {
        "version": VERSION,
        "status": _STATUS[run.status],
        "eval": spec,
        "plan": _plan(run),
        "results": {
            "total_samples": sum(item.repeats for item in run.suite.items),
            "completed_samples": done,
            "scores": [_results(measure, rates) for measure in _measures(run)],
        },
        "stats": {"started_at": iso(run.started), "completed_at": iso(run.ended), "model_usage": _usage(run)},
        "error": None if run.reason is None else _error(run.reason),
    }


def _results(measure: str, every: Sequence[ProfileRate]) -> dict[str, Any]:
    """The rates of a measure, over all hazards and of each, of items and not of answers: as Keelwatch counts them."""
    rates = [rate for rate in every if rate.measure == measure]
    pooled = next(rate for rate in rates if rate.hazard == POOLED)
    return {
        "name": measure,
        "scorer": measure,
        "scored_samples": pooled.n,
        "unscored_samples": pooled.items - pooled.n,
        "params": {},
        "metrics": {_metric(rate): {"name": _metric(rate), "value": _share(rate), "params": {}} for rate in rates},
        "metadata": {"counts": {rate.hazard: {"events": rate.events, "scored": rate.n} for rate in rates}},
    }


def _metric(rate: ProfileRate) -> str:
    return words.RATE if rate.hazard == POOLED else words.rate_of(rate.hazard)


def _share(rate: ProfileRate) -> float:
    return math.nan if rate.rate is None else rate.events / rate.n


def _usage(run: RunResult) -> dict[str, Any]:
    counted = [usage for answer in run.answers if (usage := _counted(answer)) is not None]
    return {run.target.model: {name: sum(one[name] for one in counted) for name in counted[0]}} if counted else {}


def _counted(answer: SuiteAnswer) -> dict[str, int] | None:
    """The tokens that the endpoint says it took; what it does not say is not guessed here."""
    raw = answer.raw
    if not isinstance(raw, Mapping) or not isinstance(raw.get("usage") or raw.get("usageMetadata"), Mapping):
        return None
    taken = used(answer)
    sent, came = round(taken.sent), round(taken.came)
    return {"input_tokens": sent, "output_tokens": came, "total_tokens": sent + came}


def _error(message: str) -> dict[str, str]:
    return {"message": message, "traceback": "", "traceback_ansi": ""}


def _sample(answer: SuiteAnswer, ids: Mapping[str, str], item: AskedItem, event: bool | None) -> dict[str, Any]:
    asked = [_message(sent) for sent in answer.messages]
    said = [] if answer.error is not None else [_said(answer)]
    return {
        "id": ids[item.id],
        "epoch": answer.repeat + 1,
        "input": asked,
        "target": "",
        "messages": [*asked, *said],
        "output": _output(answer, said),
        "scores": {item.measure: _score(answer, event)},
        "metadata": {
            "item": item.id,
            "hazard": item.hazard,
            "measure": item.measure,
            "sha256": item.sha256,
            "pair": item.pair,
            "http_status": answer.http_status,
            "attempts": answer.attempts,
            "finish_reason": answer.finish_reason,
            "refusal": answer.refusal,
        },
        "completed_at": iso(answer.ts),
        "total_time": None if answer.latency_ms is None else answer.latency_ms / 1000,
        "error": None if answer.error is None else _error(answer.error),
    }


def _score(answer: SuiteAnswer, event: bool | None) -> dict[str, Any]:
    scored = answer.scored
    why = answer.error or words.NOT_SCORED if scored is None else scored.reason
    score = {"value": math.nan if event is None else float(event), "explanation": why}
    if event is None:
        score["reason"] = "unscored"
    return score if scored is None or scored.said is None else {**score, "answer": scored.said}


def _message(sent: SentMessage) -> dict[str, Any]:
    made: dict[str, Any] = {"role": sent.role if sent.role in _ROLES else "user", "content": sent.content}
    if sent.tool_calls:
        made["tool_calls"] = [_call(call) for call in sent.tool_calls]
    if sent.tool_call_id is not None:
        made["tool_call_id"] = sent.tool_call_id
    return made


def _said(answer: SuiteAnswer) -> dict[str, Any]:
    text = "\n".join(part for part in (answer.text, answer.refusal) if part)
    made: dict[str, Any] = {"role": "assistant", "content": text, "source": "generate", "model": _model(answer)}
    return {**made, "tool_calls": [_call(call) for call in answer.calls]} if answer.calls else made


def _call(call: MadeCall) -> dict[str, Any]:
    """A call; arguments that are no object are kept as they came, with what is wrong with them."""
    made = {"id": call.id, "function": call.name, "type": "function"}
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return {**made, "arguments": arguments}
    return {**made, "arguments": {"arguments": call.arguments}, "parse_error": words.NO_OBJECT}


def _output(answer: SuiteAnswer, said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    stop = _STOPS.get((answer.finish_reason or "").casefold(), "unknown")
    return {
        "model": _model(answer),
        "choices": [{"message": message, "stop_reason": stop} for message in said],
        "completion": said[0]["content"] if said else "",
        "usage": _counted(answer),
        "time": None if answer.latency_ms is None else answer.latency_ms / 1000,
        "error": answer.error,
    }


def _model(answer: SuiteAnswer) -> str:
    return answer.served or answer.requested


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "epoch", "input", "target", "scores", "completed_at", "total_time")
    error = sample["error"]
    return {
        **{name: sample[name] for name in kept},
        "error": None if error is None else error["message"],
        "completed": error is None,
        "message_count": len(sample["messages"]),
    }
