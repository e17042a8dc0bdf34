"""Routes whose baseline was pinned, and such that have an incident, for tests of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.change import Change, Pinning
from schemas.identity import Model, identity_of
from schemas.incident import Incident
from schemas.sample import Sample
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store import incidents
from services.store.engine import Database
from tests.support.asking import ROUTE, now
from tests.support.blocks import block, rows
from tests.support.executing import OLD

BASELINE, PIN = "b" * 16, "d" * 16


def pinned(kept: Sequence[Sample], id: str = PIN, baseline: str = BASELINE, model: Model = OLD) -> Change:
    pinning = Pinning(n=1000, streams=8, arl=1e6, examples=tuple(one.id for one in kept))
    return Change(
        id=id, kind="pinned", route=ROUTE, from_identity=None, to_identity=identity_of(model), model=model,
        baseline=baseline, pinning=pinning, ts=now(), event_index=3, reason="1,000 exchanges",
    )  # fmt: skip


def told(database: Database, kept: Sequence[Sample], **more: Any) -> Change:
    """A route whose baseline was pinned, as record has it."""
    change = pinned(kept, **more)
    assert change.model is not None
    Recorder(database, lambda _: RoutePolicy()).apply([block(rows(3, model=change.model), ROUTE), *kept, change])
    return change


def troubled(database: Database, state: Any = "open") -> None:
    """The route has an incident."""
    one = Incident(
        id="a" * 16, route=ROUTE, state=state, opened_event_index=5, opened_at=now(), updated_at=now(),
        verdict="model", verdict_reason="It moved.", severity="warning", families=(), signals=(), identities=(),
        fingerprints=(), exemplars=(), timeline=(), resolved_at=now() if state == "resolved" else None,
    )  # fmt: skip
    with database.write() as connection:
        incidents.replace(connection, ROUTE, [one])
