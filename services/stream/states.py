"""States of detect and alert in the database, saved by compare-and-swap."""

from __future__ import annotations

from sqlalchemy import Connection

from services.alert.state import AlertState
from services.detect import saved
from services.detect.saved import Detectors
from services.detect.state import DetectState
from services.store import baselines, states
from services.store.codec import pack, unpack
from services.stream.stateful import Kept

DETECT = "detect"
ALERT = "alert"


class AlertStore:
    """A few KB a route, written whole."""

    def load(self, connection: Connection, route: str) -> Kept[AlertState]:
        """The state of a route; of a route that was never saved, its start."""
        found = states.load(connection, ALERT, route)
        if found is None:
            return Kept(AlertState.start(route))
        state = unpack(AlertState, found[1])
        return Kept(state, state, found[0])

    def save(self, connection: Connection, route: str, kept: Kept[AlertState]) -> int:
        """Save it; its new version."""
        return states.save(connection, ALERT, route, kept.version, pack(kept.now))


class DetectStore:
    """The running state with every snapshot, candidate rows as they come, a baseline's artefact once."""

    def __init__(self, detectors: Detectors) -> None:
        """`detectors` are those whose states and artefacts may be read."""
        self._detectors = detectors

    def load(self, connection: Connection, route: str) -> Kept[DetectState]:
        """The state of a route; of a route that was never saved, its start."""
        found = states.load(connection, DETECT, route)
        if found is None:
            return Kept(DetectState.start(route))

        def artefact(id: str) -> bytes | None:
            return baselines.load(connection, id)

        rows = baselines.candidates(connection, route)
        state = saved.restored(self._detectors, found[1], rows, artefact)
        return Kept(state, state, found[0])

    def save(self, connection: Connection, route: str, kept: Kept[DetectState]) -> int:
        """Save it; its new version. The swap comes first: who loses it must write nothing."""
        version = states.save(connection, DETECT, route, kept.version, saved.running(kept.now))
        rows = saved.written(kept.saved, kept.now)
        if rows.afresh:
            baselines.drop_candidates(connection, route)
        for key, data in rows.rows.items():
            baselines.put_candidates(connection, route, key, data)
        pinned, before = kept.now.pinned, None if kept.saved is None else kept.saved.pinned
        if pinned is not None and (before is None or before.id != pinned.id):
            baselines.put(connection, route, pinned.id, saved.artefacts(pinned))
        return version
