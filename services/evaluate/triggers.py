"""Which runs a change or a decision asks for: pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import OWN_TRAFFIC
from schemas.identity import identity_of
from services.monitor import RoutePolicy, Target
from services.store.evaluation_queue import DueRun, Moment

AT_ONCE: Final = (timedelta(0),)


def due_runs(policy: RoutePolicy, cause: Change | Decision) -> tuple[DueRun, ...]:
    """Every suite of the route at every delay that the cause asks for; nothing for a route without a target.

    The first sight of a route and a pinned baseline ask for one run at once: it is what later runs are compared with,
    and after a silent update the old model cannot be asked any more. A change, suspected or announced ones too, asks
    for one run after each delay of `after_change`. Of decisions only `announce` asks for any.

    A route's own questions, where it asks them again, are a suite like the others as soon as it has a baseline.
    """
    moment = _moment(cause)
    if moment is None or policy.target is None:
        return ()
    own = () if policy.reask is None or moment == "first_seen" else (OWN_TRAFFIC,)
    delays = AT_ONCE if moment in ("first_seen", "pinned") else policy.after_change
    return tuple(
        DueRun(
            route=cause.route,
            cause=cause.id,
            moment=moment,
            identity=_identity(cause),
            suite=suite,
            target=target_name(policy.target),
            delay=int(delay.total_seconds()),
            due=cause.ts + delay,
        )
        for suite in dict.fromkeys((*policy.suites, *own))
        for delay in sorted(set(delays))
    )


def target_name(target: Target) -> str:
    """The endpoint that is asked, in one line."""
    return f"{target.model} at {target.url}"


def _moment(cause: Change | Decision) -> Moment | None:
    if isinstance(cause, Decision):
        return "announced" if cause.kind == "announce" else None
    if cause.kind in ("provider", "share"):  # its routes' own changes ask already, as the one whose share it is did
        return None
    if cause.kind == "pinned":
        return "pinned"
    return "first_seen" if cause.from_identity is None else "change"


def _identity(cause: Change | Decision) -> str | None:
    if isinstance(cause, Change):
        return cause.to_identity
    return identity_of(cause.model) if cause.model is not None else None
