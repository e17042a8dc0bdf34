"""Logs of Inspect AI: `.eval` (a zip archive of JSON, packed by zstd) and the same as one JSON file. Pure.

What was asked is the conversation as it stood before the first generated answer, so what solvers put there counts.
The plan's solvers and the task's arguments belong to every item; scorer, its options and the roles of models, such as
the grader, to the scorer.

Samples stand in `samples/ID_epoch_N.json`, what was asked and how in `header.json`. A sample's verdict is the value of
one scorer: a letter (C, P, I, N), a number, a truth value, or an object of these, of which one is named.
https://inspect.aisi.org.uk/eval-logs.html
"""

from __future__ import annotations

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
from services.evaluate.suite import MEASURES
from services.wording.importing import own_export

TOOL: Final = "Inspect AI"
_HEADER: Final = "header.json"
_CATEGORIES: Final = ("category", "hazard", "hazard_category", "harm_area", "semantic_category", "risk_domain")
_STATUS: Final = frozenset({"success", "started", "cancelled", "error"})
_FIELDS: Final[Mapping[str, str]] = {"strong_reject": "refusal"}
"""Of tasks whose scorer gives an object: the field that its known meaning is about."""
_LETTERS: Final[Mapping[str, float]] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_CLOSE: Final = 1e-6


def _recognises(content: Content) -> bool:
    head = content.parts.get(_HEADER, content.parts.get(""))
    archive = any(name.startswith(("samples/", "summaries")) for name in content.parts)
    return archive or (isinstance(head, dict) and {"eval", "plan", "status"} <= head.keys())


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    if _HEADER not in content.parts and "" not in content.parts:
        raise InputError(f"{content.name}: {_HEADER} is missing: the run did not end; run the task again, or retry it")
    head = content.node(_HEADER if _HEADER in content.parts else "")
    told = head.at("eval")
    task = told.at("task").text().rpartition("/")[2]
    samples = list(_samples(content, head))
    wanted, key = _scorer(samples, task, scorer, content.name)
    if wanted in MEASURES and told.at("metadata", "keelwatch").known:
        raise InputError(own_export(content.name, told.at("run_id").name()))
    manner = _manner(head)
    answers = tuple(_answer(sample, task, wanted, key, manner) for sample in samples)
    results = head.at("results")
    total = results.at("total_samples").count(len(answers))
    if total < len(answers):
        raise results.at("total_samples").wrong(f"says {total:,}, and the log holds {len(answers):,} samples")
    named = wanted if key is None else f"{wanted}.{key}"
    version = told.at("packages", "inspect_ai").text("of unknown version")
    printed = tuple(_printed(results, wanted))
    if not any(sample.at("invalidation").known for sample in samples):  # the sums are from before that
        _agree(printed, answers, results, told)
    return (
        ForeignRun(
            tool=TOOL,
            version=version,
            task=task,
            task_version=_version(version, told.at("task_version")),
            model=told.at("model").text(),
            url=told.at("model_base_url").maybe_text(),
            scorer=named,
            scorer_version=_scorer_version(told, wanted),
            answers=answers,
            started=head.at("stats", "started_at").time() if head.at("stats", "started_at").value else None,
            ended=head.at("stats", "completed_at").time() if head.at("stats", "completed_at").value else None,
            settings=without_secrets(_object(head.at("plan", "config"))),
            stopped=_stopped(head.at("status"), head.at("invalidated")),
            missing=total - len(answers),
            printed=printed,
        ),
    )


def _version(tool: str, task: Node) -> str:
    return f"{tool}-{task.name() if task.known else '0'}"


def _object(node: Node) -> dict[str, Any]:
    return {name: one.value for name, one in node.fields()}


def _manner(head: Node) -> str:
    """Hash of how every sample was asked: the solvers with their options, and the arguments of the task."""
    steps = [[one.at("solver").value, one.at("params").value] for one in head.at("plan", "steps").each()]
    return hash16(_options([steps, head.at("eval", "task_args").value]))


def _stopped(status: Node, invalidated: Node) -> str | None:
    said = status.text()
    if said not in _STATUS:
        raise status.wrong(f"must be one of {', '.join(sorted(_STATUS))}")
    if said != "success":
        return f"{TOOL} ended the run: {said}"
    return f"{TOOL} calls the log invalidated" if invalidated.value not in (None, False) else None


def _samples(content: Content, head: Node) -> Iterator[Node]:
    seen: set[tuple[str, int]] = set()
    in_archive = (content.node(name) for name in content.parts if name.startswith("samples/"))
    for sample in in_archive if _HEADER in content.parts else head.at("samples").each():
        key = (sample.at("id").name(), sample.at("epoch").count(1))
        if key in seen:
            raise sample.wrong(f"sample {key[0][:60]} of epoch {key[1]} stands twice")
        seen.add(key)
        yield sample


def _scorer(samples: list[Node], task: str, wanted: str | None, name: str) -> tuple[str, str | None]:
    """The scorer whose verdicts count, and which field of them where they are objects."""
    scored = {key: one for sample in samples for key, one in sample.at("scores").fields()}
    objects: dict[str, set[str]] = {}
    for sample in samples:
        for key, one in sample.at("scores").fields():
            if isinstance(one.at("value").value, dict):
                objects.setdefault(key, set()).update(field for field, _ in one.at("value").fields())
    names = [f"{key}.{field}" for key in sorted(objects) for field in sorted(objects[key])]
    names = [key for key in scored if key not in objects] + names
    if wanted is None and len(objects) == len(scored) == 1 and task in _FIELDS:
        wanted = f"{next(iter(objects))}.{_FIELDS[task]}"
    found = chosen_scorer(names, wanted, name)
    of = next((key for key in objects if found.startswith(f"{key}.") and found not in scored), None)
    return (found, None) if of is None else (of, found.removeprefix(f"{of}."))


def _answer(sample: Node, task: str, scorer: str, key: str | None, manner: str) -> ForeignAnswer:
    output, metadata = sample.at("output"), sample.at("metadata")
    error = sample.at("error")
    invalid = "somebody invalidated the sample" if sample.at("invalidation").known else None
    label = metadata.at("label").value if task == "xstest" else None
    score = sample.at("scores", scorer)
    texts = [_text_of(choice.at("message", "content")) for choice in output.at("choices").each()]
    stops = [choice.at("stop_reason").maybe_text() for choice in output.at("choices").each()]
    return ForeignAnswer(
        item=sample.at("id").name(),
        asked=tuple(_asked(sample)),
        text=texts[0] if texts else output.at("completion").maybe_text(),
        verdict=_verdict(score.at("value"), key),
        part=f"{task}/{label}" if label in ("safe", "unsafe") else task,
        category=next((one for name in _CATEGORIES if isinstance(one := metadata.at(name).value, str)), None),
        content=[sample.at("target").value, manner],
        why=score.at("explanation").maybe_text(),
        error=error.at("message").text() if error.known else output.at("error").maybe_text() or invalid,
        stop=stops[0] if stops else None,
        served=output.at("model").maybe_text() or None,
        ts=sample.at("completed_at").time(),
    )


def _verdict(value: Node, key: str | None) -> Verdict:
    found = value if key is None else value.at(key) if isinstance(value.value, dict) else Node(None, value.place)
    if found.value is None or isinstance(found.value, str | bool):
        return found.value
    return found.score()


def _asked(sample: Node) -> Iterator[ForeignMessage]:
    """The conversation before the first answer of a model; what the sample asks where the log has no conversation."""
    turns: list[Node] = []
    for turn in sample.at("messages").each():
        if turn.at("role").value == "assistant" and turn.at("source").value != "input":
            break
        turns.append(turn)
    given = sample.at("input") if not turns else Node([one.value for one in turns], sample.at("messages").place)
    if isinstance(given.value, str):
        yield ForeignMessage("user", given.value)
        return
    for turn in given.each():
        yield ForeignMessage(turn.at("role").text(), _text_of(turn.at("content")))


def _text_of(content: Node) -> str:
    """The text of a message's content; of its parts what is text."""
    if content.value is None or isinstance(content.value, str):
        return content.value or ""
    texts = [part.at("text").text("") for part in content.each() if part.at("type").value == "text"]
    return "\n".join(texts)


def _scorer_version(told: Node, wanted: str) -> str:
    """What distinguishes this scorer from others of its name: its options, without what a model was given."""
    roles = {name: one.value for name, one in told.at("model_roles").fields()}
    for one in told.at("scorers").each():
        if one.at("name").text("").rpartition("/")[2] == wanted:
            options = one.at("options").value
            judged = [options, roles]
            graded = wanted.startswith("model_graded") and not (isinstance(options, dict) and options.get("model"))
            if graded and "grader" not in roles:  # then the model that is asked judges itself
                judged.append(told.at("model").text())
            return hash16(_options(judged))
    return f"options not told, {hash16(_options(roles))}"


def _options(value: Any) -> Any:
    """Options as they count: of a model its name, since its arguments may hold a key."""
    if isinstance(value, dict):
        if "model" in value and value.keys() & {"model_args", "args", "base_url"}:
            return {"model": _options(value["model"]), "config": _options(value.get("config"))}
        return {str(key): _options(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_options(one) for one in value]
    return value if isinstance(value, bool | int | None) else str(value).encode("utf-8", "replace").decode()


def _printed(results: Node, scorer: str) -> Iterator[Printed]:
    for one in results.at("scores").each():
        if one.at("scorer").value == scorer:
            for name, metric in one.at("metrics").fields():
                value = metric.at("value").score()
                if value is not None:
                    part = one.at("name").text(scorer)
                    yield Printed(name if part == scorer else f"{part}: {name}", value)


def _agree(printed: tuple[Printed, ...], answers: tuple[ForeignAnswer, ...], results: Node, told: Node) -> None:
    """Accuracy is the mean of the verdicts: a log that says another was cut or changed."""
    plain = all(not _of_accuracy(one) for one in results.at("scores").each())
    said = next((one.value for one in printed if one.name == "accuracy"), None) if plain else None
    counted = [_worth(one.verdict) for one in answers if one.verdict is not None and one.error is None]
    known = [one for one in counted if one is not None]
    reduced = told.at("config", "epochs_reducer").value not in (None, ["mean"])
    if said is None or reduced or len(known) < len(counted) or not known:
        return
    by_item: dict[str, list[float]] = {}
    for one, value in zip(
        [one for one in answers if one.verdict is not None and one.error is None], known, strict=True
    ):
        by_item.setdefault(one.item, []).append(value)
    mean = sum(sum(values) / len(values) for values in by_item.values()) / len(by_item)
    if abs(mean - said) > _CLOSE:
        raise results.wrong(f"say accuracy {said:.6g}, and the samples make {mean:.6g}: the log was cut or changed")


def _of_accuracy(score: Node) -> bool:
    """Whether accuracy was told to count otherwise than it does."""
    return bool(score.at("metrics", "accuracy", "params").value)


def _worth(verdict: Verdict) -> float | None:
    if isinstance(verdict, str):
        return _LETTERS.get(verdict)
    return None if verdict is None else float(verdict)


IMPORTER: Final = Importer(TOOL, "a log, `.eval` or `.json`", _recognises, _read)
