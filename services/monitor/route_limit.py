"""Which routes may be new: those that the monitor file lists always, others while there is a place for them.

Routes are named by whoever publishes. What is refused becomes a dead letter with one of two reasons, whatever the
route's name is: a reason that repeated it would be as many counts as there are names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from services.monitor.policy import Monitor

IDLE: Final = timedelta(hours=24)
"""An unlisted route from which nothing came for so long leaves its place to a new one."""
_ON_ITS_WAY: Final = timedelta(minutes=10)
KEPT_CONTENTS: Final = 1_000
CONTENTS_EVERY: Final = timedelta(hours=1)

REFUSED: Final = (
    "route: not listed in the monitor file, and unlisted_routes is refuse; list it under routes, or set "
    "unlisted_routes: accept, and then send this again with `keelwatch dead replay`"
)
FULL: Final = (
    "route: new and not listed in the monitor file, and there are max_routes unlisted ones; list it under routes, "
    "delete another one with `keelwatch route delete`, or raise max_routes, and then send this again with "
    "`keelwatch dead replay`"
)


class RouteLimit:
    """The unlisted routes that have a place, and when each was seen last. Times are arguments."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self._since: datetime | None = None
        self._contents = 0

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return len(self._seen)

    def know(self, routes: Mapping[str, datetime | None], now: datetime) -> None:
        """Learn of the routes that are stored, with when they were seen last; what is gone there leaves its place.

        One that was seen within the last minutes keeps it: it may not be stored yet. One of which no exchange ever came
        (None) takes none: people decided something of it, and their names cost nothing.
        """
        stored = {name: ts for name, ts in routes.items() if ts is not None and not self._monitor.lists(name)}
        fresh = {name: ts for name, ts in self._seen.items() if name in stored or now - ts < _ON_ITS_WAY}
        latest = {name: max(fresh.get(name, ts), ts) for name, ts in stored.items()}
        self._seen = OrderedDict(sorted({**fresh, **latest}.items(), key=lambda item: item[1]))

    def refusal(self, route: str, now: datetime) -> str | None:
        """Why an exchange of this route is not taken; None if it is."""
        if self._monitor.lists(route):
            return None
        if self._monitor.unlisted_routes == "refuse":
            return REFUSED
        if route not in self._seen and len(self._seen) >= self._monitor.max_routes and not self._make_room(now):
            return FULL
        self._seen[route] = now
        self._seen.move_to_end(route)
        return None

    def keeps_content(self, now: datetime) -> bool:
        """Whether the dead letter of one that was refused holds its content: of 1,000 an hour, then only its length."""
        if self._since is None or now - self._since >= CONTENTS_EVERY:
            self._since, self._contents = now, 0
        self._contents += 1
        return self._contents <= KEPT_CONTENTS

    def _make_room(self, now: datetime) -> bool:
        oldest = next(iter(self._seen), None)
        if oldest is None or now - self._seen[oldest] < IDLE:
            return False
        del self._seen[oldest]
        return True
