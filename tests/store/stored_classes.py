"""What can stand in stored bytes: every class that the hints of a stored object reach, by stored name, with fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from detectors import DETECTORS
from detectors.protocol import Rows
from detectors.stats.near_repeats import UsualPrompts
from detectors.stats.topic_map import TopicMap
from services.alert.state import AlertState
from services.detect.serialization import Artefacts
from services.detect.state import DetectState
from services.intake.core import IntakeState
from services.store.codec import stored_name

STORED = (
    DetectState,
    Artefacts,
    IntakeState,
    AlertState,
    Rows,
    TopicMap,
    UsualPrompts,
    *(one.artefact_type for one in DETECTORS),
    *(one.state_type for one in DETECTORS),
)


def stored_classes() -> list[str]:
    """One line a class: stored name and fields, sorted."""
    found: dict[type, None] = {}
    for hint in STORED:
        found |= dict.fromkeys(_reached(hint, {}))
    return sorted(" ".join((stored_name(kind), *_names(kind))) for kind in found)


def _names(kind: type) -> Iterator[str]:
    return (field.name for field in fields(kind) if field.init) if is_dataclass(kind) else iter(kind.model_fields)


def _reached(hint: Any, seen: dict[int, Any]) -> Iterator[type]:
    if id(hint) in seen:
        return
    seen[id(hint)] = hint  # held, so that no other hint gets its id
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for part in get_type_hints(hint).values():
            yield from _reached(part, seen)
    elif isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in (get_origin(hint), *get_args(hint)):
        if part is not None:
            yield from _reached(part, seen)


if __name__ == "__main__":
    print("\n".join(stored_classes()))
