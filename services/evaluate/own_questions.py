"""Which of a route's own questions a run asks: taken of the baseline's texts once, and within the day's budget."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.change import Change
from schemas.evaluation import OWN_TRAFFIC
from schemas.sample import BASELINE_TEXTS
from services.errors import InputError
from services.evaluate.own_traffic import FEWEST, item_id, own_suite, suite_of, suite_text, why_left_out
from services.evaluate.suite import Suite
from services.monitor import ReaskPolicy
from services.store import baselines, evaluation_queue, incidents, own_questions, routes, runs, samples, scores
from services.store.evaluation_queue import ClaimedRun, DueRun
from services.store.own_questions import Origin, OwnSuite
from services.wording import own_traffic as words

MOST_COME_WITHIN: Final = timedelta(seconds=30)
TEXTS_COME_WITHIN: Final = timedelta(minutes=2)
"""A baseline is told of by another way than the texts of its exchanges; some of those may not be kept at all."""
MOST_AGAIN: Final = 3
AGAIN_AFTER: Final = timedelta(hours=1)
"""A baseline whose questions were not answered is asked them again so often, and not before."""
_LOOK_AGAIN: Final = timedelta(seconds=15)


class AskLater(Exception):  # noqa: N818
    """Nothing can be asked now; it can `until` then."""

    def __init__(self, reason: str, until: datetime) -> None:
        self.until = until
        super().__init__(reason)


def questions(connection: Connection, claimed: ClaimedRun, policy: ReaskPolicy | None, now: datetime) -> Suite:
    """The route's own questions that the run is to ask.

    Raises:
        AskLater: while the texts of a new baseline may be on their way, when the day's budget is used up, and where an
            incident keeps a baseline from being asked once more.
        InputError: if there is nothing to ask, or nothing that the answers could be held against; it says why.
    """
    what = claimed.what
    if policy is None:
        raise InputError(words.OFF)
    routes.lock(connection, [what.route])
    pinned = baselines.current_pinnings(connection, [what.route]).get(what.route)
    if pinned is None or pinned.baseline is None:
        raise InputError(words.NO_BASELINE)
    if what.moment == "pinned" and what.cause != pinned.id:
        raise InputError(words.ANOTHER_BASELINE)
    if what.moment == "pinned" and incidents.has_unresolved(connection, what.route):
        if runs.reference_run(connection, what.route, OWN_TRAFFIC, now) is not None:
            raise AskLater(words.DURING_INCIDENT, next_day(now))  # an update has outdated that one: asked for once
        raise InputError(words.DURING_INCIDENT)
    stored = own_questions.load(connection, what.route, pinned.baseline)
    if what.moment != "pinned" and runs.reference_run(connection, what.route, OWN_TRAFFIC, claimed.created) is None:
        raise InputError(words.NOT_OF_BASELINE)
    if stored is not None:
        suite = suite_of(stored.payload)
    elif what.moment == "pinned":
        suite = _taken(connection, claimed, pinned, policy, now)
    else:
        raise InputError(words.NOT_OF_BASELINE)
    _grant(connection, what, suite, policy, now)
    return suite


def _grant(connection: Connection, what: DueRun, suite: Suite, policy: ReaskPolicy, now: datetime) -> None:
    """Take what the suite asks from the day's budget."""
    if len(suite.items) < FEWEST:
        raise InputError(words.too_few(len(suite.items), FEWEST))
    if suite.answers > policy.daily_budget:
        raise InputError(words.over_budget(suite.answers, policy.daily_budget))
    if not own_questions.grant(connection, what.route, what.id, suite.answers, policy.daily_budget):
        raise AskLater(words.tomorrow(policy.daily_budget), next_day(now))


def next_day(now: datetime) -> datetime:
    """When the next day (UTC) begins, and with it what may be asked on a day."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _taken(connection: Connection, claimed: ClaimedRun, pinned: Change, policy: ReaskPolicy, now: datetime) -> Suite:
    assert pinned.baseline is not None
    kept = samples.of_baseline(connection, pinned.route, pinned.baseline, BASELINE_TEXTS)
    of = 0 if pinned.pinning is None else pinned.pinning.n
    most = min(policy.max_items, policy.daily_budget, max(FEWEST, math.ceil(policy.share * of)))
    wanted = 0 if pinned.pinning is None else len(pinned.pinning.examples)
    if len(kept) < wanted and now < claimed.created + MOST_COME_WITHIN:
        raise AskLater(words.under_way(len(kept), wanted), now + _LOOK_AGAIN)
    suite = own_suite(pinned.route, pinned.baseline, kept, most)
    if suite is None and len(kept) < wanted and now < claimed.created + TEXTS_COME_WITHIN:
        raise AskLater(words.under_way(len(kept), wanted), now + _LOOK_AGAIN)
    if suite is None:
        raise InputError(words.too_few(sum(why_left_out(one) is None for one in kept), FEWEST))
    asked = {item.id for item in suite.items}
    origins = {item_id(one.id): Origin(one.id, one.user, one.conversation) for one in kept}
    origins = {item: of for item, of in origins.items() if item in asked}
    own_questions.put(connection, OwnSuite(pinned.route, pinned.baseline, suite_text(suite), origins))
    return suite


def standing(connection: Connection, route: str, baseline: str) -> Suite | None:
    """The baseline's own questions that stand now, while the route is kept from others; None when it has none.

    A run loads its questions once; who asked one of them may be erased while it goes on. What is then written of it
    would bring that back.
    """
    routes.lock(connection, [route])
    stored = own_questions.load(connection, route, baseline)
    return None if stored is None else suite_of(stored.payload)


def stands(connection: Connection, route: str, baseline: str, item: str) -> bool:
    """Whether one of them does."""
    routes.lock(connection, [route])
    stored = own_questions.load(connection, route, baseline)
    return stored is not None and item in stored.origins


def first_asked(connection: Connection, wanted: dict[str, str], now: datetime) -> list[DueRun]:
    """The runs that are to show the baseline of routes that ask their own questions again: route -> target.

    One for each baseline, whatever endpoint it asks, and one more an hour after one that was not complete. Nothing
    is asked while the model may be another: during an incident, and when another identity answers.
    """
    pins = baselines.current_pinnings(connection, sorted(wanted)) if wanted else {}
    moved = incidents.unresolved(connection, pins)
    return [
        DueRun(route, pinned.id, "pinned", pinned.to_identity, OWN_TRAFFIC, wanted[route], attempt, now)
        for route, pinned in pins.items()
        if route not in moved
        and (attempt := _attempt(connection, pinned, now)) is not None
        and scores.latest_identity(connection, route) == pinned.to_identity
    ]


def _attempt(connection: Connection, pinned: Change, now: datetime) -> int | None:
    """How often its questions were asked without a complete run; None when they are not to be asked now."""
    before = evaluation_queue.attempts(connection, pinned.route, pinned.id, OWN_TRAFFIC)
    if before is None:
        return 0
    again = not before.open and before.many <= MOST_AGAIN and before.last + AGAIN_AFTER <= now
    if not again or runs.reference_run(connection, pinned.route, OWN_TRAFFIC, now) is not None:
        return None
    return before.many
