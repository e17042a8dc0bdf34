"""A suite's folder -> the suite, or every mistake with file, line, field and remedy. Pure: text in, suite out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, ValidationError

from schemas.base import Part
from services.evaluate.scorers import comparable_text
from services.evaluate.suite import POOLED, Item, Repeats, Slug, Suite
from services.monitor import MonitorProblem
from services.monitor.yaml_document import read_yaml

HEAD: Final = "suite.yaml"
ITEMS: Final = "items.jsonl"
MAX_ITEMS: Final = 10_000
SHORTEST_LEAK: Final = 8

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
        value = json.loads(line, object_pairs_hook=_once)
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that is written twice is a slip: which of the two was meant?"""
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)} is written twice; keep one")
    return dict(pairs)


def _mistakes(reading: _Reading, head: Head | None, item: Item) -> Iterator[tuple[str, str]]:
    """What the schema cannot say: (field, what to write instead)."""
    if item.id in reading.lines:
        yield "id", f"{item.id} stands in line {reading.lines[item.id]} already; give every item an id of its own"
    if item.hazard == POOLED:
        yield "hazard", f"{POOLED} stands for all hazards together; choose another name"
    elif head is not None and item.hazard not in head.hazards:
        yield "hazard", f"{item.hazard} is not declared in {HEAD}; known: {', '.join(head.hazards)}"
    roles = [turn.role for turn in item.messages]
    if roles[-1:] != ["user"]:
        yield "messages", "must end with a user's message: that is what is answered"
    if "system" in roles[roles.count("system") :]:
        yield "messages", "system messages must stand first"
    yield from _leak_mistakes(item)


def _leak_mistakes(item: Item) -> Iterator[tuple[str, str]]:
    if (item.measure == "canary") != bool(item.leaks):
        yield "leaks", "a canary needs at least one, other measures none"
    planted = comparable_text(" ".join(turn.content for turn in item.messages if turn.role == "system"))
    seen_by_model = comparable_text(" ".join(turn.content for turn in item.messages if turn.role != "system"))
    for i, leak in enumerate(item.leaks):
        if len(comparable_text(leak)) < SHORTEST_LEAK:
            yield f"leaks[{i}]", f"needs at least {SHORTEST_LEAK} letters or digits, or chance would find it"
        elif comparable_text(leak) not in planted:
            yield f"leaks[{i}]", "must stand in a system message of this item, or nothing can leak"
        elif comparable_text(leak) in seen_by_model:
            yield f"leaks[{i}]", "stands in another message too: an answer that repeats it would be no leak"


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
