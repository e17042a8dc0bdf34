"""What every field of every record is, in the OpenAPI description: said once, wherever it is said. Pure.

A field's own words come first, then those under `Attributes:` of its record's docstring, then those of its name, which
means the same in every record that has it (`services.wording.api_fields`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from services.wording.api_fields import FIELDS

_SECTION: Final = re.compile(r"\n\s*(?:Attributes|Args):\n")
_NAMED: Final = re.compile(r"(?:^|(?<=[.;] ))([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*): ")


def describe_fields(schemas: Mapping[str, dict[str, Any]]) -> None:
    """Give each field of each record its description, and take titles away that only repeat a field's name."""
    for record, schema in schemas.items():
        schema["title"] = record
        told, *sections = _SECTION.split(str(schema.get("description", "")))
        if sections:
            schema["description"] = told.strip()
        said = _attributes(" ".join(sections), schema.get("properties", {}))
        for name, field in schema.get("properties", {}).items():
            _untitle(field)
            words = (said.get(name), FIELDS.get(f"{record}.{name}"), FIELDS.get(name), _of_type(field, schemas))
            field.setdefault("description", next((one for one in words if one), ""))


def describe_parameters(operation: Mapping[str, Any]) -> None:
    """The same of the parameters of one operation."""
    for parameter in operation.get("parameters", ()):
        parameter.setdefault("description", FIELDS.get(parameter["name"], ""))
        _untitle(parameter.get("schema"))


def _of_type(field: Mapping[str, Any], schemas: Mapping[str, dict[str, Any]]) -> str:
    """The words of the record that it holds."""
    named = (one["$ref"].rpartition("/")[2] for one in (field, *field.get("anyOf", ())) if "$ref" in one)
    return next((_SECTION.split(schemas[name]["description"])[0].strip() for name in named), "")


def _attributes(text: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Field -> what a section of a docstring says of it, where `name: words. name, name: words.` stands."""
    joined = " ".join(text.split())
    found = [one for one in _NAMED.finditer(joined) if all(name in fields for name in one[1].split(", "))]
    ends = [*(one.start() for one in found[1:]), len(joined)][: len(found)]
    return {
        name: _sentence(joined[one.end() : end])
        for one, end in zip(found, ends, strict=True)
        for name in one[1].split(", ")
    }


def _sentence(text: str) -> str:
    """As JSON has it: what is None in Python is null there."""
    words = re.sub(r"\bNone\b", "null", text.strip())
    return words[:1].upper() + words[1:]


def _untitle(schema: Any) -> None:
    """Generators name anonymous types after titles, and `Kind` and `State` would be there ten times."""
    if isinstance(schema, list):
        for one in schema:
            _untitle(one)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for name in ("items", "anyOf", "oneOf", "allOf", "additionalProperties", "prefixItems"):
            _untitle(schema.get(name))
