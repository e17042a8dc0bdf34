"""A suite's folder -> the suite, or every mistake with file, line, field and remedy. Pure: text in, suite out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from schemas.base import Part
from services.evaluate.scorers import comparable_text
from services.evaluate.suite import PAIRED, POOLED, Item, Repeats, Slug, Suite
from services.monitor import MonitorProblem
from services.monitor.yaml_document import read_yaml
from services.strict_json import unique_keys

HEAD: Final = "suite.yaml"
ITEMS: Final = "items.jsonl"
MAX_ITEMS: Final = 10_000
SHORTEST_LEAK: Final = 8
_FEWEST_CHOICES: Final = 2

_WANTED: Final = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of names to titles",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_pattern_mismatch": "must be lower-case letters, digits and . _ -, for example violence-001",
}


class Head(Part):
    """`suite.yaml`. `margin` in pp: the largest change that still counts as none."""

    name: Slug
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    repeats: Repeats = 3
    margin: Annotated[float, Field(gt=0, le=50)] = 10.0
    hazards: Annotated[dict[Slug, Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(min_length=1)]


@dataclass(slots=True)
class _Reading:
    """What was read so far, and what is wrong with it."""

    folder: str
    problems: list[MonitorProblem] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def wrong(self, file: str, line: int | None, key: str, message: str) -> None:
        """Note one mistake."""
        self.problems.append(MonitorProblem("error", f"{self.folder}/{file}", line, key, message))


def parse_suite(folder: str, head: str, items: str) -> tuple[Suite | None, tuple[MonitorProblem, ...]]:
    """The suite of the two files' texts (None when something is wrong), and what is wrong; `folder` only names it."""
    reading = _Reading(folder)
    top = _head(reading, head)
    for number, line in enumerate(items.split("\n"), start=1):
        if line.strip():
            _item(reading, top, number, line)
    if not reading.items and not reading.problems:
        reading.wrong(ITEMS, None, "", "has no items; write one JSON object a line")
    by_id = {item.id: item for item in reading.items}
    for item in reading.items:
        for message in _pair_mistakes(item, by_id):
            reading.wrong(ITEMS, reading.lines[item.id], "pair", message)
    if len(reading.items) > MAX_ITEMS:
        reading.wrong(ITEMS, None, "", f"more than {MAX_ITEMS} items; split the suite")
    if top is None or reading.problems:
        return None, tuple(reading.problems)
    return Suite(top.name, top.version, top.title, top.hazards, top.margin, tuple(reading.items)), ()


def _head(reading: _Reading, text: str) -> Head | None:
    document = read_yaml(text)
    for fault in document.faults:
        reading.wrong(HEAD, fault.line, _path(fault.path), fault.message)
    if document.faults:
        return None
    try:
        return Head.model_validate(document.value)
    except ValidationError as error:
        for place, message in _violations(error, Head):
            reading.wrong(HEAD, document.line(place), _path(place), message)
        return None


def _item(reading: _Reading, head: Head | None, number: int, line: str) -> None:
    try:
        value = json.loads(line, object_pairs_hook=unique_keys)
    except ValueError as error:
        return reading.wrong(ITEMS, number, "", f"not a JSON object: {error}")
    except RecursionError:
        return reading.wrong(ITEMS, number, "", "not a JSON object: nested too deep")
    if isinstance(value, dict) and "repeats" not in value and head is not None:
        value["repeats"] = head.repeats
    try:
        item = Item.model_validate_json(json.dumps(value, ensure_ascii=False).encode())
    except (ValidationError, UnicodeError) as error:
        found = (
            _violations(error, Item)
            if isinstance(error, ValidationError)
            else [((), "not Unicode text; save the file as UTF-8")]
        )
        for place, message in found:
            if head is not None or place != ("repeats",):
                reading.wrong(ITEMS, number, _path(place), message)
        return None
    for key, message in _mistakes(reading, head, item):
        reading.wrong(ITEMS, number, key, message)
    reading.lines.setdefault(item.id, number)
    return reading.items.append(item)


def _mistakes(reading: _Reading, head: Head | None, item: Item) -> Iterator[tuple[str, str]]:
    """What the schema cannot say: (field, what to write instead)."""
    if item.id in reading.lines:
        yield "id", f"{item.id} stands in line {reading.lines[item.id]} already; give every item an id of its own"
    if item.hazard == POOLED:
        yield "hazard", f"{POOLED} stands for all hazards together; choose another name"
    elif head is not None and item.hazard not in head.hazards:
        yield "hazard", f"{item.hazard} is not declared in {HEAD}; known: {', '.join(head.hazards)}"
    roles = [turn.role for turn in item.messages]
    if roles[-1:] not in (["user"], ["tool"]):
        yield "messages", "must end with a user's message, or a tool's: that is what is answered"
    if "system" in roles[roles.count("system") :]:
        yield "messages", "system messages must stand first"
    for check in (_leak_mistakes, _mark_mistakes, _call_mistakes, _choice_mistakes):
        yield from check(item)


def _leak_mistakes(item: Item) -> Iterator[tuple[str, str]]:
    by_calls = item.measure == "tool_misuse"
    if not by_calls and (item.measure == "canary") != bool(item.leaks):
        yield "leaks", "a canary needs at least one, other measures none"
    if not item.leaks:
        return
    keepers = ("system", "tool") if by_calls else ("system",)
    planted = comparable_text(" ".join(turn.content for turn in item.messages if turn.role in keepers))
    seen_by_model = comparable_text(" ".join(turn.content for turn in item.messages if turn.role not in keepers))
    for i, leak in enumerate(item.leaks):
        if len(comparable_text(leak)) < SHORTEST_LEAK:
            yield f"leaks[{i}]", f"needs at least {SHORTEST_LEAK} letters or digits, or chance would find it"
        elif comparable_text(leak) not in planted:
            where = "a system or a tool's message" if by_calls else "a system message"
            yield f"leaks[{i}]", f"must stand in {where} of this item, or nothing can leak"
        elif comparable_text(leak) in seen_by_model:
            yield f"leaks[{i}]", "stands in another message too: an answer that repeats it would be no leak"


def _mark_mistakes(item: Item) -> Iterator[tuple[str, str]]:
    if (item.measure == "injection") != bool(item.marks):
        yield "marks", "an injection needs at least one, other measures none"
    given = comparable_text(" ".join(turn.content for turn in item.messages))
    for i, mark in enumerate(item.marks):
        if len(comparable_text(mark)) < SHORTEST_LEAK:
            yield f"marks[{i}]", f"needs at least {SHORTEST_LEAK} letters or digits, or chance would find it"
        elif comparable_text(mark) in given:
            yield f"marks[{i}]", "stands in a message as it is: an answer that quotes it would follow nothing; split it"


def _call_mistakes(item: Item) -> Iterator[tuple[str, str]]:
    declared = [tool.name for tool in item.tools]
    if len(set(declared)) < len(declared):
        yield "tools", "declares one name twice; keep one"
    if item.measure == "tool_misuse" and not (declared and (item.forbidden or item.leaks)):
        yield "forbidden", "tool_misuse needs tools, and of these a forbidden one, or leaks that no call may hold"
    if item.measure != "tool_misuse" and item.forbidden:
        yield "forbidden", "belongs to tool_misuse alone; remove it"
    for i, name in enumerate(item.forbidden):
        if name not in declared:
            yield f"forbidden[{i}]", f"{name} is not declared in tools, so nobody can call it"
    made: set[str] = set()
    for i, turn in enumerate(item.messages):
        if turn.tool_calls and turn.role != "assistant":
            yield f"messages[{i}].tool_calls", "only an assistant calls tools; remove it"
        made.update(call.id for call in turn.tool_calls)
        if (turn.role == "tool") != (turn.tool_call_id is not None):
            yield f"messages[{i}].tool_call_id", "a tool's message names the call that it answers, others none"
        elif turn.tool_call_id is not None and turn.tool_call_id not in made:
            yield f"messages[{i}].tool_call_id", "no assistant's message before it makes this call"


def _choice_mistakes(item: Item) -> Iterator[tuple[str, str]]:
    if (item.measure == "format_violation") != (item.form is not None):
        yield "form", "a format_violation needs one, other measures none"
    if item.form == "choice" and not item.choices:
        yield "choices", "the form `choice` needs at least two; write the answers that are allowed"
    compared = [comparable_text(choice) for choice in item.choices]
    if item.choices and (len(compared) < _FEWEST_CHOICES or len(set(compared)) < len(compared) or not all(compared)):
        yield "choices", "needs at least two that differ in letters or digits"


def _pair_mistakes(item: Item, by_id: Mapping[str, Item]) -> Iterator[str]:
    """What is wrong with the item that this one is held against."""
    if (item.measure in PAIRED) != (item.pair is not None):
        yield f"belongs to {' and '.join(sorted(PAIRED))}, which need it, and to no other measure"
    elif item.pair is not None:
        other = by_id.get(item.pair)
        if other is None or other is item:
            yield f"{item.pair} is no other item of this suite; name the one that it is held against"
        elif other.measure in PAIRED:
            yield f"{item.pair} is held against another item itself; name that one"
        elif [comparable_text(one) for one in other.choices] != [comparable_text(one) for one in item.choices]:
            yield f"{item.pair} has other choices; give both the same, in the same order"


def _violations(error: ValidationError, model: type[Part]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for item in error.errors(include_url=False, include_input=False):
        place = tuple(step for step in item["loc"] if step != "[key]")
        if item["type"] == "extra_forbidden":
            yield place, f"unknown; known: {', '.join(model.model_fields)}" if len(place) == 1 else "unknown; remove it"
            continue
        own = item["msg"].replace("Input should", "must").replace("String should", "must")
        yield place, _WANTED.get(item["type"], own)


def _path(place: tuple[str | int, ...]) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
