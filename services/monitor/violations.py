"""Violations of the schema of the monitor file, as problems that name line and remedy."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.monitor.document import Document, Path
from services.monitor.model import (
    BaselineSection,
    MonitorFile,
    ReceiverSection,
    RouteSection,
    ScheduleSection,
    Section,
    SlackSection,
    TargetSection,
)
from services.monitor.problems import Problem, suggestion

SECRET_KEY: Final = re.compile(r"(?i)(?:^|[_-])(?:api[_-]?key|key|token|secret|password|authorization)$|webhook_url$")

_BY_NAME: Final[dict[str | int, type[Section]]] = {
    "baseline": BaselineSection,
    "target": TargetSection,
    "slack": SlackSection,
}
_WANTED: Final = {
    "string_type": "must be text; put quotes around it",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list, for example [a, b]",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "missing": "is missing here",
}
_NAMED: Final = {
    "channel": 'must be a Slack channel in quotes, for example "#llm-safety"',
}


def problems_of(error: ValidationError, document: Document, file: str) -> list[Problem]:
    """One problem a violation, with the nearest line of the file."""
    return [_problem(item, document, file) for item in error.errors(include_url=False, include_input=False)]


def key_path(path: Path) -> str:
    """`routes.support-bot/*.schedules[0].cron`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _problem(item: ErrorDetails, document: Document, file: str) -> Problem:
    path = tuple(step for step in item["loc"] if step != "[key]")
    return Problem("error", file, document.line(path), key_path(path), _message(item, path))


def _message(item: ErrorDetails, path: Path) -> str:
    kind, name = item["type"], str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return _unknown(name, path[:-1])
    if kind == "value_error":
        return item["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch" and name.endswith("_env"):
        return "must be the NAME of an environment variable in capitals, for example OPENAI_API_KEY, never its value"
    if name in _NAMED:
        return _NAMED[name]
    if kind == "string_pattern_mismatch":
        return "must be a name of letters, digits and . _ @ / -"
    return _WANTED.get(kind) or _bounds(item)


def _bounds(item: ErrorDetails) -> str:
    """Pydantic's own words for ranges and choices name no value of the file."""
    return item["msg"].replace("Input should", "must").replace("String should", "must")


def _unknown(name: str, parent: Path) -> str:
    if SECRET_KEY.search(name):
        return f"secrets do not belong in this file; put it in the environment and name the variable in {name}_env"
    return f"unknown key{suggestion(name, _section(parent).model_fields)}"


def _section(parent: Path) -> Any:
    if not parent:
        return MonitorFile
    if len(parent) == 2:
        return (
            RouteSection if parent[0] == "routes" else ReceiverSection if parent[0] == "receivers" else _inner(parent)
        )
    return _inner(parent)


def _inner(parent: Path) -> type[Section]:
    if isinstance(parent[-1], int):
        return ScheduleSection
    return _BY_NAME.get(parent[-1], RouteSection)
