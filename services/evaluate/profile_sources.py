"""What a route's profile is made of, read from one state of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import OWN_TRAFFIC
from services.evaluate.coverage_watch import current_report
from services.evaluate.endpoints import API_FORMS
from services.evaluate.persistence import changed_conditions, stored_run
from services.evaluate.profile_label import AskedNow, EarlierRun, ProfileSources, RouteProfile, host_of, profile_label
from services.evaluate.result import RunResult
from services.evaluate.suite_library import suite_here, suite_names
from services.evaluate.untested import Wanted
from services.monitor import RoutePolicy
from services.store import baselines, incidents, journal, routes, runs, scores
from services.store.runs import RunSummary
from services.wording import incidents as incident_words
from services.wording import profiles as words

_OPEN: Final = ("open", "acknowledged", "snoozed")
_MOST_CHANGES: Final = 50


def route_profile(
    connection: Connection,
    route: str,
    policy: RoutePolicy,
    now: datetime,
    scorers: Mapping[str, str],
    identity: str | None = None,
) -> RouteProfile | None:
    """The profile of `identity` on a route, of who answers now when none is named; None if there is no such route.

    `scorers` are the versions that would score answers here now, by name.
    """
    if not routes.exists(connection, route):
        return None
    return profile_label(replace(_sources(connection, route, policy, identity, now), scorers=scorers), now)


def _sources(
    connection: Connection, route: str, policy: RoutePolicy, identity: str | None, now: datetime
) -> ProfileSources:
    latest = scores.latest_identity(connection, route)
    whom, models = identity or latest, routes.identities(connection, route)
    listed = runs.find(connection, route)
    complete = [one for one in listed if one.status == "complete"]
    newest = {one.suite: one for one in complete if one.identity == whom}
    found = [_result(connection, one.id) for _, one in sorted(newest.items())]
    asked_before = next((one.identity for one in reversed(complete) if one.identity != whom), None)
    return ProfileSources(
        route=route,
        identity=whom,
        models=models,
        latest=latest,
        runs=found,
        earlier=_earlier(connection, complete, newest, {run.suite.name: run for run in found}),
        failed=[
            (one.id, one.suite, one.status, one.reason, one.ts) for one in _failed(listed, whom) if _later(one, newest)
        ],
        incidents=[
            (one.id, incident_words.title(one), one.opened_at) for one in incidents.find(connection, route, _OPEN)
        ],
        changes=_changes(connection, route, found),
        suites=_suites_here(policy, newest),
        wanted=_wanted(policy, listed, newest, whom, _share_now(connection, route, policy, now)),
        asked_before=asked_before,
        target=_asked_now(policy),
        by_hand={one.id for one in newest.values() if one.moment == runs.COMMAND},
        own={run.suite.name for run in found if run.origin is None} - {OWN_TRAFFIC, *suite_names()},
    )


def _result(connection: Connection, id: str) -> RunResult:
    found = stored_run(connection, id)
    assert found is not None
    return found


def _earlier(
    connection: Connection,
    complete: Sequence[RunSummary],
    newest: Mapping[str, RunSummary],
    results: Mapping[str, RunResult],
) -> dict[str, EarlierRun]:
    """Of each suite the newest run of another identity of the route that ended before the label's.

    A run by hand, or of another tool, may have asked anybody: it counts where it asked whom a baseline was learned of.
    """
    if not newest:
        return {}
    found, normal = {}, baselines.pinned_identities(connection, next(iter(newest.values())).route)
    of_route = [one for one in complete if one.moment != runs.COMMAND or one.identity in normal]
    for suite, mine in newest.items():
        before = [one for one in of_route if (one.suite, one.identity != mine.identity) == (suite, True)]
        last = next((one for one in reversed(before) if (one.ts, one.id) < (mine.ts, mine.id)), None)
        if last is not None:
            before_run = _result(connection, last.id)
            across = changed_conditions(connection, before_run, results[suite])
            found[suite] = EarlierRun(before_run, across, last.moment == runs.COMMAND)
    return found


def _failed(listed: Sequence[RunSummary], identity: str | None) -> list[RunSummary]:
    """Of each suite the newest run of the identity, where that one is not complete."""
    last = {one.suite: one for one in listed if one.identity == identity}
    return [one for _, one in sorted(last.items()) if one.status != "complete"]


def _later(one: RunSummary, newest: Mapping[str, RunSummary]) -> bool:
    return one.suite in newest and one.ts >= newest[one.suite].ts


def _changes(connection: Connection, route: str, found: Sequence[RunResult]) -> list[Change | Decision]:
    """What was seen to change, or announced, after the oldest of the runs ended."""
    if not found:
        return []
    since = min(run.ended for run in found)
    facts = journal.facts_within(connection, route, ("change", "decision"), since, None, _MOST_CHANGES)
    return [one for one in facts if isinstance(one, Change | Decision) and _is_change(one) and one.ts > since]


def _is_change(fact: Change | Decision) -> bool:
    return fact.kind == "announce" if isinstance(fact, Decision) else fact.kind != "pinned"


def _share_now(connection: Connection, route: str, policy: RoutePolicy, now: datetime) -> float | None:
    """How far the suites ask what users ask, if what was measured says that of now."""
    report, stale = current_report(connection, route, policy, now)
    known = report is not None and stale is None and policy.target is not None and policy.suites
    return report.share if report is not None and known else None


def _wanted(
    policy: RoutePolicy,
    listed: Sequence[RunSummary],
    newest: Mapping[str, RunSummary],
    identity: str | None,
    coverage: float | None,
) -> Wanted:
    """Suites of the monitor file without a complete run of the identity, and why; how far they ask what users ask."""
    asked = (
        *(policy.suites if policy.target is not None else ()),
        *((OWN_TRAFFIC,) if policy.reask is not None else ()),
    )
    missing = {}
    for suite in dict.fromkeys(asked):
        name = _name_of(suite)
        if name not in newest:
            last = next((one for one in reversed(listed) if (one.suite, one.identity) == (name, identity)), None)
            missing[name] = words.NOT_RUN if last is None else words.failed_run(last.status, last.reason)
    return Wanted(missing, policy.reask is not None, coverage)


def _name_of(suite: str) -> str:
    """The name under which runs of a suite are stored: one in a folder has its own."""
    here = None if suite == OWN_TRAFFIC else suite_here(suite)
    return suite if here is None else here.name


def _suites_here(policy: RoutePolicy, newest: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Version and hash of what lies here now under the names of the runs: built in, or named by the monitor file."""
    there = [suite_here(one) for one in (*(name for name in newest if name in suite_names()), *policy.suites)]
    return {one.name: (one.version, one.sha256) for one in there if one is not None}


def _asked_now(policy: RoutePolicy) -> AskedNow | None:
    """What runs of the service are asked with; the defaults of an API are sent too."""
    target = policy.target
    if target is None:
        return None
    settings = {**API_FORMS[target.api].api.defaults, **target.settings}
    return AskedNow(host_of(target.url), target.model, target.api, settings)
