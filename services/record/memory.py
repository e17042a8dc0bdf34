"""What the record step remembers of routes between batches, so that it need not ask the database for it again.

All of it can be read again. What another process, a deletion or a fault has made old is dropped as a whole: the version
of the intake state, which every batch of exchanges counts up, tells.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from services.incident.fold import FoldCheckpoint
from services.incident.state import RouteIncidents
from services.intake.core import IntakeState
from services.store.arrivals import Arrival
from services.store.samples import Holders, TextTurnover

ROUTES_IN_MEMORY: Final = 256
IDENTITIES: Final = 64
"""Of one route; of more the earlier ones are forgotten, and asked for again."""


@dataclass(frozen=True, slots=True)
class SavedIntake:
    """A route's intake state as the database holds it."""

    version: int
    blob: bytes
    state: IntakeState


@dataclass(frozen=True, slots=True)
class FoldedJournal:
    """What the journal of a route was folded into, up to entry `seq` of this hash.

    `written` is what of it stands in the database: where time alone changed nothing, nothing is written again.
    """

    seq: int
    head: str
    checkpoint: FoldCheckpoint
    false_alarms: frozenset[str]
    written: RouteIncidents | None = None


@dataclass(frozen=True, slots=True)
class NamedTexts:
    """Whose texts stay, as the journal of a route says up to this head: with its baseline, and with its incidents."""

    head: str
    holders: Holders


@dataclass(slots=True)
class RecordedRoute:
    """What is remembered of one route. `rows` and `texts` are changed in place, all else is replaced.

    Attributes:
        noted: the identities that were noted on the day `day` of ours.
        rows: identity -> score rows that came since the route's were pruned last.
        texts: what came since its texts were thinned last. arrival: when it was heard of last.
    """

    saved: SavedIntake | None = None
    folded: FoldedJournal | None = None
    named: NamedTexts | None = None
    day: int = 0
    noted: frozenset[str] = frozenset()
    rows: dict[str, int] = field(default_factory=dict)
    texts: TextTurnover = field(default_factory=TextTurnover)
    arrival: Arrival | None = None

    def copy(self) -> RecordedRoute:
        """One that a batch may change: it counts only once the batch is in the database."""
        return replace(self, rows=dict(self.rows), texts=self.texts.copy())

    def is_noted(self, identity: str, day: int) -> bool:
        """Whether it was noted that the identity answered on this day."""
        return day == self.day and identity in self.noted

    def note(self, identities: frozenset[str], day: int) -> None:
        """They are noted; of very many the earlier ones are noted again."""
        known = self.noted | identities if day == self.day else identities
        self.day, self.noted = day, known if len(known) <= IDENTITIES else identities


class Memories:
    """The memories of the routes that were heard of last."""

    def __init__(self) -> None:
        self._routes: OrderedDict[str, RecordedRoute] = OrderedDict()

    def of(self, route: str) -> RecordedRoute:
        """A copy of the route's, to be kept with the batch."""
        known = self._routes.get(route)
        return RecordedRoute() if known is None else known.copy()

    def keep(self, changed: Mapping[str, RecordedRoute]) -> None:
        """Their batch is in the database. The longest unused of too many go."""
        for route, memory in changed.items():
            self._routes[route] = memory
            self._routes.move_to_end(route)
        while len(self._routes) > ROUTES_IN_MEMORY:
            self._routes.popitem(last=False)

    def forget(self) -> None:
        """Drop all but what journals were folded into, which their heads prove."""
        for route, memory in self._routes.items():
            self._routes[route] = RecordedRoute(folded=memory.folded)
