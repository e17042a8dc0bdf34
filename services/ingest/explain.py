"""What the records of a file are, what of an exchange they tell, and what each thing that they lack costs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.exchange import Exchange
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.errors import FormatError
from services.ingest.jsonl import FileLine
from services.ingest.reading import read_record
from services.ingest.routing import Carriage
from services.ports import Received

UNKNOWN: Final = "unknown"
_SYSTEM: Final = frozenset({"system", "developer"})
PARTS: Final[Mapping[str, tuple[Callable[[Exchange], bool], str]]] = {
    "model.served": (
        lambda one: one.model.served is not None,
        "a new version behind the same name is seen by its behaviour alone, never by its name",
    ),
    "model.provider": (lambda one: one.model.provider is not None, "two providers of one model count as one"),
    "model.endpoint": (lambda one: one.model.endpoint is not None, "a move to another endpoint is not seen"),
    "system prompt": (
        lambda one: any(message.role in _SYSTEM for message in one.messages) or bool(one.model.system_prompt_sha256),
        "system prompt leaks are not monitored, and a new system prompt is not seen as a change",
    ),
    "tools": (
        lambda one: bool(one.tools) or one.model.tools_sha256 is not None,
        "calls of undeclared tools are not monitored, and new tools are not seen as a change",
    ),
    "guardrails": (lambda one: bool(one.guardrails), "what guardrails block or change has no rate"),
    "documents": (lambda one: bool(one.documents), "injections in what was retrieved are not monitored"),
    "finish reason": (
        lambda one: one.answer.finish_reason is not None,
        "answers that were cut off, or withheld by a filter, are not told apart",
    ),
    "usage": (lambda one: one.usage is not None, "tokens have no history"),
    "latency": (lambda one: one.latency_ms is not None, "latency has no history"),
    "ts": (lambda one: one.ts is not None, "it happened when Kafka received it"),
    "conversation": (lambda one: one.conversation is not None, "turns of one conversation are not joined, nor erased"),
    "user": (lambda one: one.user is not None, "one user's exchanges are not found, nor erased"),
}
"""What an exchange may tell beside its texts: whether it does, and what it costs if it does not."""


def lacking(item: Received) -> tuple[str, ...]:
    """What an exchange does not tell, of `PARTS`; a time that was made up is none that was told."""
    untimed = "no_ts" in item.flags
    return tuple(name for name, (tells, _) in PARTS.items() if (untimed and name == "ts") or not tells(item.exchange))


@dataclass(slots=True)
class FormatReport:
    """The records of one format in a file.

    Attributes:
        records: how many, with those that hold no call of a model. exchanges: how many of those could be read.
        told: part -> how many exchanges tell it. routes, not_monitored: value -> how many exchanges.
        faults: reason -> how many were refused for it.
    """

    records: int = 0
    exchanges: int = 0
    told: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    not_monitored: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, item: Received) -> None:
        """Count one exchange."""
        one = item.exchange
        self.exchanges += 1
        self.routes[one.route] += 1
        self.told.update(PARTS.keys() - set(lacking(item)))
        self.not_monitored.update(one.answer.not_monitored.union(*(message.not_monitored for message in one.messages)))

    def costs(self) -> dict[str, tuple[int, str]]:
        """Part -> how many exchanges lack it, and what that costs; of those that all tell nothing is said."""
        lacking = {name: self.exchanges - self.told[name] for name in PARTS}
        return {name: (n, PARTS[name][1]) for name, n in lacking.items() if n}


def explain(lines: Iterable[FileLine], carriage: Carriage) -> dict[str, FormatReport]:
    """Format -> what its records tell; what is of none is under `unknown`."""
    found: dict[str, FormatReport] = {}
    for line in lines:
        try:
            form = line.form or read_record(line.raw, carriage).form.name
        except FormatError:
            form = UNKNOWN
        report = found.setdefault(form, FormatReport())
        report.records += 1
        for item in decode_all(line.raw, RecordArrival(line.position), carriage):
            if isinstance(item, Received):
                report.add(item)
            else:
                report.faults[item.reason] += 1
    return found
