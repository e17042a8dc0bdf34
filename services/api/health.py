"""How Keelwatch itself is, in words: the same for the page, for programs and for people who are called at night."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from prometheus_client import CollectorRegistry

from schemas.dead_letter import DeadLetter
from services.api.meters import Meters
from services.api.replays import Replaying, Replays
from services.api.survey import Survey
from services.ports import Behind
from services.store.repository import Repository


async def _nobody(*_: object) -> NoReturn:
    raise ConnectionError("there is no broker")


@dataclass(frozen=True, slots=True)
class Operations:
    """What the API asks of the broker.

    Attributes:
        behind: how far the steps are behind. replay: sends a step's dead letters again.
        letters: the newest dead letters of a step (None: of all), at most so many.
    """

    behind: Callable[[], Awaitable[Sequence[Behind]]] = _nobody
    replay: Replaying = _nobody
    letters: Callable[[str | None, int], Awaitable[Sequence[DeadLetter]]] = _nobody


@dataclass(frozen=True, slots=True)
class Probes:
    """What the process that answers says of itself.

    Attributes:
        unready: what keeps it from being ready, by check. stuck: why its watchdog would end it; None when it is well.
    """

    unready: Callable[[], Mapping[str, str]] = dict
    stuck: Callable[[], str | None] = lambda: None


class Health:
    """What the pages and paths about Keelwatch itself are made of.

    Whoever runs the API runs its `survey`, and sets its `probes`.
    """

    def __init__(
        self, repository: Repository, operations: Operations | None = None, registry: CollectorRegistry | None = None
    ) -> None:
        """`registry` is what /metrics shows."""
        self.operations = operations or Operations()
        self.probes = Probes()
        self.registry = registry or CollectorRegistry()
        self.meters = Meters(self.registry)
        self.survey = Survey(repository, self.operations.behind, self.meters.show)
        self.replays = Replays(self.operations.replay)
