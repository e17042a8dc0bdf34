"""What every operation may answer, added once to the OpenAPI description: problems, who may ask, limits."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from services.api.http import otlp_answers
from services.api.http.field_descriptions import describe_fields, describe_parameters
from services.api.http.problems import MEDIA_TYPE, ProblemBody
from services.api.http.shared_types import name_types

FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": ProblemBody, "description": "A parameter cannot be used."},
    503: {"model": ProblemBody, "description": "The database does not answer."},
}
UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "As If-None-Match knows it."}}

KEY_SCHEME: Final = "key"
"""Name of the way in, as the description has it."""
_PROBLEM: Final = {"$ref": "#/components/schemas/ProblemBody"}
_ANY_OPERATION: Final = {
    "401": "There are keys, and none that counts was sent; without keys the API answers on its own machine alone.",
    "403": "The key may not do this.",
    "429": "Too much at one time; Retry-After says when to send again.",
    "503": "The database or the broker does not answer; Retry-After says when to send again.",
}
_BODY_OPERATIONS: Final = {
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is compressed by something else than gzip.",
    "422": "The body cannot be used; errors name field and remedy.",
}


def complete_openapi(description: dict[str, Any]) -> None:
    """Add to an OpenAPI description what all operations have in common; what one of them says itself stays."""
    schemes = description.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes.setdefault(
        KEY_SCHEME, {"type": "http", "scheme": "bearer", "description": "A key of `keelwatch key create`."}
    )
    describe_fields(description["components"].setdefault("schemas", {}))
    for path, operation in _operations(description):
        describe_parameters(operation)
        operation.setdefault("security", [{KEY_SCHEME: []}])
        told = _ANY_OPERATION | (_BODY_OPERATIONS if "requestBody" in operation else {})
        for status, words in told.items():
            operation["responses"].setdefault(status, {"description": words, "content": {MEDIA_TYPE: _body()}})
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                otlp = path in otlp_answers.PATHS
                response["content"] = deepcopy(otlp_answers.STATUS) if otlp else {MEDIA_TYPE: _problem(response)}
    name_types(description)


def _problem(response: dict[str, Any]) -> dict[str, Any]:
    """What the operation itself says of the answer, else that it is a problem."""
    said: list[dict[str, Any]] = list(response.get("content", {}).values())
    return said[0] if said and "$ref" in said[0].get("schema", {}) else _body()


def _body() -> dict[str, Any]:
    return {"schema": dict(_PROBLEM)}


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, path in description.get("paths", {}).items():
        yield from ((name, one) for one in path.values() if isinstance(one, dict) and "responses" in one)
