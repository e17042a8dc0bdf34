"""A span of OpenTelemetry as plain values, and how the attributes of a convention are read from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from services.ingest.errors import FormatError
from services.ingest.formats.fields import Fields, parsed, parsed_or_text
from services.ingest.formats.protocol import Draft, Json

_LONGEST_NAME: Final = 12
_CUT: Final = "no JSON, perhaps cut; raise OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"


@dataclass(slots=True)
class TraceSpan:
    """One span. Nobody changes it; it is not frozen, since a frozen one takes a tenth of its reading to be made.

    Attributes:
        start, end: nanoseconds since 1970, 0 where it has none.
        status: what it says of its failure. resource: attributes of who sent it.
        faults: what of it could not be read.
        piece: the record that holds this span alone.
    """

    trace_id: str
    span_id: str
    name: str
    scope: str
    start: int
    end: int
    attributes: Json
    events: tuple[tuple[str, Json], ...]
    status: str | None
    failed: bool
    resource: Json
    faults: list[str]
    piece: Callable[[], bytes]

    def get(self, name: str) -> Any:
        """One of its attributes, else of its resource's; None where neither has it."""
        attributes = self.attributes
        return attributes[name] if name in attributes else self.resource.get(name)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One log record that is an event of a call of a model.

    Attributes:
        name: of the event, such as `gen_ai.user.message`.
        at: nanoseconds since 1970, 0 where it has none.
        body: what it says; some libraries say it in the attributes.
        resource, faults, piece: as of a span.
    """

    trace_id: str
    span_id: str
    name: str
    scope: str
    at: int
    attributes: Json
    body: Any
    resource: Json
    faults: list[str]
    piece: Callable[[], bytes]

    @property
    def about(self) -> Json:
        """What it says, whether in its attributes or in its body; a body of text is its content, or JSON of it."""
        said = parsed_or_text(self.body)
        return {**self.attributes, **(said if isinstance(said, dict) else {} if said is None else {"content": said})}


def with_events(span: TraceSpan, events: Sequence[LogEvent]) -> TraceSpan:
    """A span with its log records as events of its own."""
    told = (*span.events, *((one.name, one.about) for one in events))
    faults = [*span.faults, *(fault for one in events for fault in one.faults)]
    pieces = (span.piece, *(one.piece for one in events))
    return replace(span, events=told, faults=faults, piece=partial(_together, pieces))


def span_of(events: Sequence[LogEvent]) -> TraceSpan:
    """The span that log records of one call stand for. What its resource says of the model counts for them."""
    first = events[0]
    attributes = {name: item for name, item in first.resource.items() if name.startswith("gen_ai.")}
    for event in events:
        attributes |= event.attributes
    return TraceSpan(
        trace_id=first.trace_id,
        span_id=first.span_id,
        name="",
        scope=first.scope,
        start=min((one.at for one in events if one.at), default=0),
        end=0,
        attributes=attributes,
        events=tuple((one.name, one.about) for one in events),
        status=None,
        failed=False,
        resource=first.resource,
        faults=[fault for one in events for fault in one.faults],
        piece=partial(_together, tuple(one.piece for one in events)),
    )


def _together(pieces: Sequence[Callable[[], bytes]]) -> bytes:
    """One record of several: messages of protobuf one behind the other, and the lists of JSON."""
    made = [piece() for piece in pieces]
    if not made[0].startswith(b"{"):
        return b"".join(made)
    whole: dict[str, list[Any]] = {}
    for one in made:
        for name, items in json.loads(one).items():
            whole.setdefault(name, []).extend(items)
    return json.dumps(whole).encode()


@dataclass(frozen=True, slots=True)
class Convention:
    """Names of attributes that a family of instrumentations shares.

    Attributes:
        claims: whether a span follows it. is_call: whether such a span is a call of a model, no step around one.
        read: fills in model, prompt, response, usage and tools.
    """

    name: str
    claims: Callable[[TraceSpan], bool]
    is_call: Callable[[TraceSpan], bool]
    read: Callable[[TraceSpan, Draft], None]


def json_attribute(fields: Fields, *names: str) -> Any:
    """The value of an attribute that holds JSON as text, or is structured; None where it is missing or no JSON."""
    name, value = fields.find(*names)
    try:
        return parsed(value)
    except FormatError as error:
        fields.fault(name, _CUT if str(error).startswith("not JSON") else str(error).removeprefix("record: "))
        return None


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """What flat attributes such as `gen_ai.prompt.0.role` hold: a list of what stands under each number.

    >>> indexed({"a.1.role": "user", "a.0.tool_calls.0.name": "f"}, "a.")
    [{'tool_calls': [{'name': 'f'}]}, {'role': 'user'}]
    """
    start = len(prefix)
    named = [(name[start:], value) for name, value in attributes.items() if name.startswith(prefix)]
    if not named:
        return []
    tree: Json = {}
    for name, value in named:
        _plant(tree, name.split(".", _LONGEST_NAME), value)
    found = _listed(tree)
    return found if isinstance(found, list) else []


def _plant(tree: Json, steps: list[str], value: Any) -> None:
    for step in steps[:-1]:
        inner = tree.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(steps[-1], value)


def _listed(tree: Any) -> Any:
    """With objects whose names are all numbers as lists, in the order of the numbers."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(name.isdigit() and name.isascii() and len(name) < _LONGEST_NAME for name in tree):
        return [_listed(tree[name]) for name in (tree if len(tree) == 1 else sorted(tree, key=int))]
    return {name: _listed(item) if isinstance(item, dict) else item for name, item in tree.items()}


def with_failure(answer: Json, error: Json | None) -> Json:
    """An answer of a span that failed after text of it was delivered, with why it broke off."""
    return answer if error is None or not answer.get("content") else {**answer, "error": error}


def failure(span: TraceSpan) -> Json | None:
    """What a span that failed says of it, from its status and its exception; None of one that did not."""
    if not span.failed:
        return None
    raised = next((about for name, about in span.events if name == "exception"), {})
    kind = span.attributes.get("error.type") or raised.get("exception.type")
    message = span.status or raised.get("exception.message")
    return {"type": str(kind or "error"), "message": str(message or "")}
