"""What a format is: how it is recognised, and what it makes of a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """What a format makes of one call of a model: fields of `Exchange` as JSON has them, not yet checked.

    Attributes:
        faults: what is wrong or missing, each with its remedy, in the words of the product that sent it.
        facts: by which rules of the monitor file match it: name -> value.
        service: what the sender calls itself; a route of last resort.
        product: whose form it is, where the format alone does not say it.
        made: when the answer was made, where nothing says when it happened: its time in a file.
        piece: makes the record of the call by itself where its record holds others, so that its dead letter can be
            sent again alone.
    """

    fields: Json
    faults: list[str] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)
    service: str | None = None
    product: str | None = None
    made: datetime | None = None
    piece: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """One form in which publishers send exchanges.

    Attributes:
        name: of header `keelwatch-format` and of `keelwatch import --from`.
        product: whose form it is, as a dead letter says it.
        recognises: whether a JSON object is of this form (looks at its keys alone).
        read: the calls of models in it, none where it holds none; never raises.
    """

    name: str
    product: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Json], Iterable[Draft]]
