"""The alert step: readings, changes, evaluations and decisions of a route in; alerts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from schemas.base import Record
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.reading import Reading
from services.alert.core import step
from services.alert.state import AlertInput, AlertState
from services.stream.stateful import ALERT, AlertStateStore, HandlerResources, Stateful


def alert_handler(tools: HandlerResources) -> Stateful[AlertState]:
    """The alert step."""
    return Stateful(ALERT, _advance, AlertStateStore(), tools)


def _advance(route: str, state: AlertState, records: Sequence[Record]) -> tuple[AlertState, Sequence[Record]]:
    return step(state, list(in_order(records)))


def in_order(records: Iterable[Record]) -> Iterator[AlertInput]:
    """Readings and changes between two decisions by exchange, readings first, as replay has them.

    They come on two topics, whose records meet in any order; decisions and evaluations keep their place.
    """
    inputs = (one for one in records if isinstance(one, Reading | Change | Run | Comparison | Decision))
    for placed, some in groupby(inputs, key=lambda one: isinstance(one, Reading | Change)):
        together = list(some)
        yield from sorted(together, key=_place) if placed else together


def _place(item: AlertInput) -> tuple[int, bool]:
    assert isinstance(item, Reading | Change)
    return item.event_index, isinstance(item, Change)
