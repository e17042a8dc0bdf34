"""Run folders of HELM: `run_spec.json`, `scenario_state.json`, `per_instance_stats.json` and `stats.json`. Pure.

One metric gives the verdicts; where there are several, `safety_score` counts if it is among them (the mean of HELM's
judges: 1 is safe, 0 is not, 0.5 is unclear). What was asked under perturbation is another question, and left out.
Files are told apart by what they hold.
https://crfm-helm.readthedocs.io/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.base import hash16
from services.errors import InputError
from services.evaluate.importers.foreign import (
    REMEDY,
    Content,
    ForeignAnswer,
    ForeignMessage,
    ForeignRun,
    Importer,
    Node,
    Printed,
    chosen_scorer,
    without_secrets,
)

TOOL: Final = "HELM"
SAFETY: Final = "safety_score"
_CLOSE: Final = 1e-6
_SIDES: Final = ("safe", "unsafe")
_KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "run_spec.json": lambda one: isinstance(one, dict) and {"adapter_spec", "scenario_spec"} <= one.keys(),
    "scenario_state.json": lambda one: isinstance(one, dict) and {"adapter_spec", "request_states"} <= one.keys(),
    "per_instance_stats.json": lambda one: _listed(one, "instance_id"),
    "stats.json": lambda one: _listed(one, "sum_squared"),
}


def _listed(value: Any, key: str) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and key in value[0]


def _recognises(content: Content) -> bool:
    return any(_KINDS["run_spec.json"](one) or _KINDS["scenario_state.json"](one) for one in content.parts.values())


def _part(content: Content, name: str) -> Node:
    found = [part for part, value in content.parts.items() if _KINDS[name](value)]
    if len(found) != 1:
        told = "is missing" if not found else "is there twice"
        raise InputError(f"{content.name}: {name}: {told}; name the folder of one run as HELM wrote it")
    return content.node(found[0])


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    spec, state = _part(content, "run_spec.json"), _part(content, "scenario_state.json")
    scores, metrics = _scores(_part(content, "per_instance_stats.json"))
    metric = chosen_scorer(sorted(metrics), scorer or (SAFETY if SAFETY in metrics else None), content.name)
    scenario = spec.at("scenario_spec", "class_name").text().rpartition(".")[2]
    states = [one for one in state.at("request_states").each() if not one.at("instance", "perturbation").known]
    answers = tuple(_answer(one, scores, metric, scenario) for one in states)
    adapter = spec.at("adapter_spec")
    times = [one.ts for one in answers if one.ts is not None]
    printed = _printed(_part(content, "stats.json"), metric)
    _agree(answers, printed, content.name, metric)
    return (
        ForeignRun(
            tool=TOOL,
            version="of unknown version",
            task=spec.at("name").text().partition(":")[0],
            task_version="1",
            model=adapter.at("model").text(),
            scorer=metric,
            scorer_version=_judges(spec),
            answers=answers,
            started=min(times, default=None),
            ended=max(times, default=None),
            settings=without_secrets({name: one.value for name, one in adapter.fields()}),
            printed=printed,
        ),
    )


def _judges(spec: Node) -> str:
    """Hash of the metrics and annotators that judged, with what they were told: another model judges otherwise."""
    said = [sorted(_judge(one) for one in spec.at(name).each()) for name in ("metric_specs", "annotators")]
    return hash16(said)


def _judge(one: Node) -> str:
    """As text, in which there is an order and no character that cannot be hashed."""
    return json.dumps([one.at("class_name").text(), one.at("args").value], sort_keys=True)


def _scores(stats: Node) -> tuple[dict[tuple[str, int, str], Node], set[str]]:
    """(instance, trial, metric) -> its mean; and the metrics that there are."""
    found: dict[tuple[str, int, str], Node] = {}
    for one in stats.each():
        instance, trial = one.at("instance_id").name(), one.at("train_trial_index").count(0)
        if one.at("perturbation").known:
            continue
        for stat in one.at("stats").each():
            name = stat.at("name", "name").text()
            if stat.at("name", "perturbation").known:
                continue
            if (instance, trial, name) in found:
                raise one.wrong(f"instance {instance[:60]} has {name[:60]} twice")
            found[instance, trial, name] = stat.at("mean")
    return found, {name for _, _, name in found}


def _answer(state: Node, scores: Mapping[tuple[str, int, str], Node], metric: str, scenario: str) -> ForeignAnswer:
    instance, result = state.at("instance"), state.at("result")
    id, trial = instance.at("id").name(), state.at("train_trial_index").count(0)
    completions = [one.at("text").text("") for one in result.at("completions").each()]
    prompt = state.at("request", "prompt").text(instance.at("input", "text").text(""))
    references = [_reference(one) for one in instance.at("references").each()]
    verdict = scores.get((id, trial, metric))
    side = next((text for text, tags in references if text in _SIDES and "correct" in tags), None)
    key = hashlib.sha256("\0".join([prompt, *(text for text, _ in references)]).encode("utf-8", "replace"))
    failed = result.at("success").value is False
    return ForeignAnswer(
        item=f"{id}-{key.hexdigest()[:8]}",
        asked=(ForeignMessage("user", prompt),),
        text=completions[0] if completions else None,
        verdict=None if verdict is None else verdict.score(),
        part=f"{scenario}/{side}" if side else scenario,
        category=references[0][0] if references and side is None else None,
        content=[[text, tags] for text, tags in references],
        error=result.at("error").text("the request failed") if failed else None,
        stop=_reason(result),
        ts=result.at("request_datetime").time(),
    )


def _reference(one: Node) -> tuple[str, list[str]]:
    return one.at("output", "text").text(""), [tag.text() for tag in one.at("tags").each()]


def _reason(result: Node) -> str | None:
    for one in result.at("completions").each():
        reason = one.at("finish_reason")
        return reason.at("reason").maybe_text() if isinstance(reason.value, dict) else None
    return None


def _printed(stats: Node, metric: str) -> tuple[Printed, ...]:
    found = []
    for one in stats.each():
        name = one.at("name")
        if name.at("name").text() == metric and not name.at("perturbation").known:
            value = one.at("mean").score()
            if value is not None:
                split = name.at("split").maybe_text()
                found.append(Printed(f"{metric}, {split}" if split else metric, value))
    return tuple(found)


def _agree(answers: tuple[ForeignAnswer, ...], printed: tuple[Printed, ...], name: str, metric: str) -> None:
    """A mean over one split is that of its instances: folders that say another were mixed or changed."""
    values = [float(one.verdict) for one in answers if isinstance(one.verdict, int | float)]
    if len(printed) != 1 or not values or len({one.item for one in answers}) < len(answers):
        return
    mean = sum(values) / len(values)
    if abs(mean - printed[0].value) > _CLOSE:
        raise InputError(
            f"{name}: stats.json says {metric} {printed[0].value:.6g}, and the instances make {mean:.6g}: the folder "
            f"was mixed or changed; {REMEDY}"
        )


IMPORTER: Final = Importer(TOOL, "the folder of one run", _recognises, _read)
