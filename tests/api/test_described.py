"""What `/openapi.json` says is of use to programs that make clients of it: every name once, every field told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from docs.reference import description

_NAME = re.compile(r"[a-z]+(?:[A-Z][a-z0-9]*)*")
_REF = "#/components/schemas/"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """What `/openapi.json` says."""
    return dict(description())


def nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every object of the description with its place, examples aside."""
    if isinstance(node, dict):
        yield path, node
        for key, one in node.items():
            if path[-1:] == ("properties",) or key not in ("example", "examples", "default"):
                yield from nodes(one, (*path, key))
    elif isinstance(node, list):
        for i, one in enumerate(node):
            yield from nodes(one, (*path, i))


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            yield f"{method} {path}", one


def test_every_operation_has_a_name_for_people_and_its_parameters_are_told(described: dict[str, Any]) -> None:
    names = [one["operationId"] for _, one in operations(described)]
    assert len(names) == len(set(names)) > 40
    assert [name for name in names if not _NAME.fullmatch(name)] == []
    bare = [(name, p["name"]) for name, one in operations(described) for p in one.get("parameters", ())]
    told = [
        (name, p["name"])
        for name, one in operations(described)
        for p in one.get("parameters", ())
        if p.get("description")
    ]
    assert sorted(set(bare) - set(told)) == []
    assert all(one["summary"] and one["tags"] for _, one in operations(described))


def test_every_record_has_its_own_title_and_words(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert [name for name, one in schemas.items() if one.get("title") != name or not one.get("description")] == []


def test_nothing_but_records_has_a_title(described: dict[str, Any]) -> None:
    """Generators name what has no name of its own after its title: `Kind` would be there ten times."""
    titled = [path for path, one in nodes(described) if isinstance(one.get("title"), str)]
    assert [path for path in titled if path[:2] != ("components", "schemas") or len(path) != 3] == [("info",)]


def test_every_field_is_told(described: dict[str, Any]) -> None:
    untold = [
        f"{name}.{field}"
        for name, one in described["components"]["schemas"].items()
        for field, schema in one.get("properties", {}).items()
        if not schema.get("description")
    ]
    assert untold == []


def test_no_type_without_a_name_stands_there_twice(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    records = [path for path, one in nodes(described) if one.get("type") == "object" and "properties" in one]
    assert [path for path in records if path[:2] != ("components", "schemas") or len(path) != 3] == []
    choices = Counter(
        tuple(one["enum"]) for path, one in nodes(schemas) if isinstance(one.get("enum"), list) and "const" not in one
    )
    assert [choice for choice, n in choices.items() if n > 1] == []


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    led = {one["$ref"] for _, one in nodes(described) if isinstance(one.get("$ref"), str)}
    assert {name for name in led if not name.startswith(_REF) or name.removeprefix(_REF) not in schemas} == set()
    assert {f"{_REF}{name}" for name in schemas} == led
