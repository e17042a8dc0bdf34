"""`/docs`: what `/openapi.json` says, to be read; it needs no script and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.auth.authorization import needs
from services.api.pages.render import PageContext, page

_TYPES: Final = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}


@dataclass(frozen=True, slots=True)
class DocumentedField:
    """A parameter of an operation, or a field of a record: `takes` in words, `record` the one that it holds."""

    name: str
    takes: str
    record: str
    required: bool
    words: str


@dataclass(frozen=True, slots=True)
class DocumentedOperation:
    """One operation. `answers`: status, words and the record that it holds."""

    id: str
    method: str
    path: str
    title: str
    words: str
    parameters: tuple[DocumentedField, ...]
    body: tuple[str, ...]
    answers: tuple[tuple[str, str, str], ...]


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/docs")
    async def docs(request: Request) -> Response:
        said = request.app.openapi()
        records = {name: one for name, one in sorted(said["components"]["schemas"].items()) if "properties" in one}
        told = {
            "subjects": _subjects(said),
            "records": [(name, one["description"], _fields(one)) for name, one in records.items()],
            "about": said["info"]["description"],
            "known": records,
        }
        return page(request, "docs.html", told)

    return (made,)


def _subjects(said: Mapping[str, Any]) -> dict[str, list[DocumentedOperation]]:
    """Subject -> its operations, in the order of the description."""
    found: dict[str, list[DocumentedOperation]] = {}
    for path, methods in said["paths"].items():
        for method, one in methods.items():
            found.setdefault(one["tags"][0], []).append(_operation(path, method, one))
    return found


def _operation(path: str, method: str, one: Mapping[str, Any]) -> DocumentedOperation:
    parameters = tuple(
        DocumentedField(
            p["name"], _takes(p["schema"]), _record(p["schema"]), p.get("required", False), p["description"]
        )
        for p in one.get("parameters", ())
    )
    body = tuple(dict.fromkeys(_named(one.get("requestBody", {}).get("content", {}))))
    answers = tuple(
        (status, told["description"], next(_named(told.get("content", {})), ""))
        for status, told in sorted(one["responses"].items())
    )
    words = one.get("description", "")
    return DocumentedOperation(
        one["operationId"], method.upper(), path, one["summary"], words, parameters, body, answers
    )


def _fields(record: Mapping[str, Any]) -> list[DocumentedField]:
    required = record.get("required", ())
    return [
        DocumentedField(name, _takes(one), _record(one), name in required, one["description"])
        for name, one in record["properties"].items()
    ]


def _record(schema: Mapping[str, Any]) -> str:
    return next(_named(schema), "")


def _named(node: Any) -> Iterator[str]:
    """The records that a part of the description refers to."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for one in node.values():
            yield from _named(one)
    elif isinstance(node, list):
        for one in node:
            yield from _named(one)


def _takes(schema: Mapping[str, Any]) -> str:
    """What may stand there, in words."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    empty = ", or null" if len(options) < len(schema.get("anyOf", [schema])) else ""
    return " or ".join(map(_one, options)) + empty


def _one(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_takes(schema.get('items', {}))}"
    if schema.get("format") == "date-time":
        return "time"
    kind = str(schema.get("type", "anything"))
    return "mapping" if kind == "object" else _TYPES.get(kind, kind)
