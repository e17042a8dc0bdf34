"""What one score block adds to the database, as plain rows: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from math import isnan
from typing import Any

import msgspec

from detectors.protocol import PART
from schemas.base import hash16, moment
from schemas.score import WITHOUT_ANSWER, ScoreBlock, Scorer
from services.incident.state import Notification, RouteIncidents
from services.intake.core import Intake
from services.specs import signal_of
from services.store.deliveries import OutboxNotification
from services.store.ingest_counts import NATIVE, TOPIC, IngestCounts, Place
from services.store.rollups import RollupAddition
from services.store.tables import key_if_any, key_of

EXCHANGES = ""  # the rollup of the exchanges themselves: `scored` and `sum` count those that were answered

OVERDUE = timedelta(days=2)

Sums = dict[tuple[str, datetime, str, str, str], tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class Additions:
    """Rows to insert, and rollups (key -> n, scored, sum) to add."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    sums: Sums = field(default_factory=dict)


def additions(block: ScoreBlock, intake: Intake) -> Additions:
    """The rows and rollups of the exchanges of the block that count."""
    scorer = scorer_id(block.scorer)
    made = Additions()
    for row, place in enumerate(intake.source_rows.tolist()):
        made.rows.append(_columns(block, place) | _derived(intake, row) | {"scorer": scorer})
        minute = moment(float(intake.rows.ts[row])).replace(second=0, microsecond=0)
        who = (block.route, minute, intake.identity[row])
        answered = 1.0 if WITHOUT_ANSWER.isdisjoint(block.flags[place]) else None
        broken = "broken_off" in block.flags[place]
        values = {
            name: None if broken and not _stays(name) else column.value[place] for name, column in block.signals.items()
        }
        for label in _labels(intake.rows.slices, row):
            _sum_up(made.sums, (*who, label), answered, values)
        for slice, told in _parts(intake.rows.signals, row).items():
            counted = {name: None if broken and not _stays(name) else value for name, value in told.items()}
            _sum_up(made.sums, (*who, key_of(slice)), answered, counted)
    return made


def _stays(signal: str) -> bool:
    """Whether it is counted of an answer that broke off: what was asked, and what must not happen once."""
    spec = signal_of(signal)
    return spec.of_prompt or spec.floor == 0


def came_in(block: ScoreBlock, places: Iterable[int]) -> dict[Place, IngestCounts]:
    """In which formats the exchanges of these places came from the block's topic, and what they lack."""
    found: dict[Place, IngestCounts] = {}
    source = f"{TOPIC}{block.topic}"
    for place in map(int, places):
        form = block.format[place] if block.format else NATIVE
        told = found.setdefault((block.route, source, form), IngestCounts())
        told.exchanges += 1
        told.lacks.update(block.lacks[place] if block.lacks else ())
        marks = (flag.removeprefix(_SILENT) for flag in block.flags[place] if flag.startswith(_SILENT))
        told.not_monitored.update(marks)
    return found


_SILENT = "not_monitored:"


def rollup_rows(parts: Sequence[Sums]) -> list[RollupAddition]:
    """Rollup rows, each key once, in the order of their keys."""
    total = dict(parts[0]) if parts else {}
    for part in parts[1:]:
        for key, (n, scored, value) in part.items():
            before = total.get(key, (0, 0, 0.0))
            total[key] = (before[0] + n, before[1] + scored, before[2] + value)
    return [(*key, *sums) for key, sums in sorted(total.items())]


def scorer_id(scorer: Scorer) -> str:
    """16 hex of what produced the numbers."""
    return _hashed(scorer.engine, scorer.precision, tuple(sorted(scorer.signals.items())))


@lru_cache(maxsize=256)
def _hashed(engine: str, precision: str, signals: tuple[tuple[str, str], ...]) -> str:
    """Blocks are many, scorers few."""
    return hash16({"engine": engine, "precision": precision, "signals": dict(signals)})


def outbox_row(notification: Notification) -> OutboxNotification:
    """A notification as a row of the outbox."""
    names = ("severity", "mention", "text", "fingerprint", "fired")
    content = {name: getattr(notification, name) for name in names}
    return OutboxNotification(
        id=notification.id,
        route=notification.route,
        incident=notification.incident,
        kind=notification.kind,
        payload=_json(content),
        created=notification.ts,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _columns(block: ScoreBlock, place: int) -> dict[str, Any]:
    """The block's own columns at one place."""
    signals = {
        name: [
            *(column.value[place], column.probability[place], column.status[place]),
            *([dict(column.parts[place])] if column.parts and column.parts[place] else []),
        ]
        for name, column in sorted(block.signals.items())
    }
    return {
        "route": block.route,
        "id": block.id[place],
        "ts": block.ts[place],
        "cluster": block.cluster,
        "topic": block.topic,
        "partition": block.partition[place],
        "offset": block.offset[place],
        "conversation": block.conversation[place],
        "user": key_if_any(block.user[place]),
        "tags": _json(dict(sorted(block.tags[place].items()))),
        "flags": _json(block.flags[place]),
        "kept": block.kept[place],
        "signals": _json(signals),
    }


def _derived(intake: Intake, row: int) -> dict[str, Any]:
    """What intake made of it; vectors of rows that were not embedded are left out."""
    rows = intake.rows
    embedded = bool(rows.embedded[row])
    return {
        "event_index": int(rows.index[row]),
        "identity": intake.identity[row],
        "fingerprint": intake.fingerprint[row],
        "embedded": embedded,
        "prompt_vec": rows.prompt[row].tobytes() if embedded else None,
        "response_vec": rows.response[row].tobytes() if embedded else None,
        "style": rows.style[row].tobytes(),
    }


def _labels(slices: Mapping[str, tuple[str | None, ...]], row: int) -> list[str]:
    """The slices that the row is part of: the whole route, and one for each dimension that it has a value of."""
    return ["", *(key_of(f"{name}={values[row]}") for name, values in slices.items() if values[row] is not None)]


def _parts(signals: Mapping[str, Any], row: int) -> dict[str, dict[str, float]]:
    """Slice of one tool or guardrail that the row has -> what each signal says of it."""
    made: dict[str, dict[str, float]] = {}
    for name, column in signals.items():
        signal, mark, slice = name.partition(PART)
        if mark and not isnan(column[row]):
            made.setdefault(slice, {})[signal] = float(column[row])
    return made


def _sum_up(
    sums: Sums,
    key: tuple[str, datetime, str, str],
    answered: float | None,
    found: Mapping[str, bool | float | str | None],
) -> None:
    """Add one exchange, and what was found of it, under (route, minute, identity, slice)."""
    values = {name: value for name, value in found.items() if not isinstance(value, str)}
    for signal, value in [(EXCHANGES, answered), *values.items()]:
        n, scored, total = sums.get((*key, signal), (0, 0, 0.0))
        sums[*key, signal] = (n + 1, scored + (value is not None), total + float(value or 0.0))


def standing(derived: RouteIncidents) -> frozenset[str]:
    """The ids of the notifications whose alert still fires: also of an incident that closed by itself meanwhile."""
    fires = {case.incident.id: {*case.firing, *case.standing} for case in derived.cases}
    return frozenset(
        one.id
        for one in derived.notifications
        if one.fired is not None and one.fingerprint in fires.get(one.incident, ())
    )


def unheard(derived: RouteIncidents) -> frozenset[str]:
    """The ids of the notifications of alerts that a silence of before kept from people."""
    return frozenset(one.id for one in derived.notifications if one.silenced)


def overdue(derived: RouteIncidents, clock: datetime | None) -> frozenset[str]:
    """The ids of the words that something has been so for long which nobody needs any more: it was long ago.

    They come of time alone, so those of old incidents are all due at once where an earlier version did not know them.
    """
    if clock is None:
        return frozenset()
    of_time = {
        (incident.id, one.ts, one.text)
        for incident in derived.incidents
        for one in incident.timeline
        if one.kind == "lasting" and one.ts < clock - OVERDUE
    }
    return frozenset(one.id for one in derived.notifications if (one.incident, one.ts, one.text) in of_time)
