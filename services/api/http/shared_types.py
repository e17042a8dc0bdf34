"""Types that the OpenAPI description names once, where it would repeat them without a name. Pure.

Generators make a type of each: what is one type in the answers of two paths must be one in their programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from schemas.alert import Severity
from schemas.decision import DecisionKind
from schemas.evaluation import Outcome, RunStatus
from schemas.incident import Confidence, IncidentState
from schemas.reading import Direction
from services.evaluate.profile_label import MadeBy
from services.store.runs import RunState

_COMPONENT: Final = "#/components/schemas/"
_CHOICES: Final[Mapping[str, tuple[Any, str]]] = {
    "Severity": (Severity, "How grave it is; from warning on people are called."),
    "IncidentState": (IncidentState, "How an incident stands."),
    "Confidence": (Confidence, "How sure we are: likely is more than suspected, certain was seen."),
    "Direction": (Direction, "Which way it moved."),
    "ComparisonOutcome": (Outcome, "What a comparison says; inconclusive is never unchanged."),
    "DecisionKind": (DecisionKind, "What a person decides."),
    "EvaluationState": (RunState, "How far a run is."),
    "EvaluationStatus": (RunStatus, "Whether every answer of a run came."),
    "RunMaker": (MadeBy, "Who ran it: the service, a command, or another tool whose result was imported."),
}


_BODIES: Final[Mapping[str, tuple[str, str, str]]] = {
    "exchanges": ("ExchangeBatch", "Several exchanges.", "In the order in which they are answered."),
    "resourceSpans": ("SpansExport", "OTLP: ExportTraceServiceRequest.", "As OTLP has them."),
    "resourceLogs": ("LogsExport", "OTLP: ExportLogsServiceRequest.", "As OTLP has them."),
    "message": ("RpcStatus", "A refusal of OTLP: google.rpc.Status.", "What is wrong, and the remedy."),
}
"""First field of a record without a name -> its name, what it is, what the field is."""


def name_types(description: dict[str, Any]) -> None:
    """Replace each repeated choice in a record by the name of its type, and name the records of bodies."""
    schemas = description["components"]["schemas"]
    known = {get_args(choice): name for name, (choice, _) in _CHOICES.items()}
    used: set[str] = set()
    for schema in list(schemas.values()):
        for field in schema.get("properties", {}).values():
            for one in (field, *field.get("anyOf", ())):
                name = known.get(tuple(one.get("enum", ())))
                if name is not None:
                    used.add(name)
                    del one["enum"], one["type"]
                    one["$ref"] = f"{_COMPONENT}{name}"
    _name_bodies(description["paths"], schemas)
    for name in sorted(used):
        choice, words = _CHOICES[name]
        schemas[name] = {"title": name, "description": words, "type": "string", "enum": list(get_args(choice))}


def _name_bodies(node: Any, schemas: dict[str, Any]) -> None:
    """Replace each record that stands in a path itself."""
    for key, one in list(node.items() if isinstance(node, dict) else enumerate(node)):
        known = _BODIES.get(next(iter(one["properties"]))) if isinstance(one, dict) and "properties" in one else None
        if known is not None:
            name, words, said = known
            fields = {field: {**schema, "description": said} for field, schema in one["properties"].items()}
            schemas[name] = {"title": name, "description": words, **one, "properties": fields}
            node[key] = {"$ref": f"{_COMPONENT}{name}"}
        elif isinstance(one, dict | list) and key not in ("example", "examples"):
            _name_bodies(one, schemas)
