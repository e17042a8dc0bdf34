"""A broken audit log is an incident of its own: told once, on a route that is shown and has no traffic."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text

from schemas.decision import Decision
from schemas.exchange import AUDIT_ROUTE
from services.monitor import Monitor
from services.record.audit import alert_of
from services.store import audit_log, deliveries, fleet, incidents
from services.store.audit_check import check
from services.store.engine import Database
from services.wiring.adapters import audit_companion
from tests.record.stories import ROUTES, story
from tests.support.api import NOW, Wire, api_on, asked, recorded


def checked(database: Database) -> None:
    """What a worker that records does each day, once."""

    async def work() -> None:
        head = database.query(audit_log.head)
        task = asyncio.create_task(audit_companion(Monitor(), database, after=0.0)(None))
        async with asyncio.timeout(30):
            while database.query(audit_log.head) == head and not task.done():
                await asyncio.sleep(0.01)
        task.cancel()

    if alert_of(database.query(check, None), NOW) is not None:
        asyncio.run(work())


def tamper(database: Database, of: str) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE incidents SET severity = 'info' WHERE route = :route"), {"route": of})


def found(database: Database) -> list[tuple[str, str, str]]:
    return [
        (one.severity, one.state, one.headline)
        for one in database.query(incidents.find)
        if one.families == ("audit",) and one.route == AUDIT_ROUTE
    ]


def test_a_break_opens_one_incident_that_counts_in_no_budget_and_is_told(database: Database) -> None:
    recorded(database, *story(ROUTES[0]), *story(ROUTES[1]))
    assert alert_of(database.query(check, None), NOW) is None
    tamper(database, ROUTES[0])
    checked(database)
    [(severity, state, headline)] = found(database)
    assert (severity, state) == ("error", "open")
    assert "incident" in headline
    assert "was changed after it was written" in headline
    again = alert_of(database.query(check, None), NOW)
    assert again is not None
    recorded(database, again)
    assert len(found(database)) == 1, "the same findings are one incident"
    with database.read() as connection:
        seen = fleet.entry(connection, AUDIT_ROUTE, NOW)
        assert seen is not None
        assert (seen.page_budget.pages, seen.exchanges, seen.route.status.watch) == (0, 0, "watching")
    with database.write() as connection:
        deliveries.fan_out(connection, lambda route: ["slack"], NOW)
        told = [one for one in deliveries.first_pending(connection, "slack") if "Records of Keelwatch" in one.text]
        assert [(one.kind, one.mention) for one in told] == [("post", True)]


def test_a_person_ends_it_and_only_another_break_opens_it_again(database: Database) -> None:
    recorded(database, *story(ROUTES[0]), *story(ROUTES[1]))
    tamper(database, ROUTES[0])
    checked(database)
    [incident] = database.query(incidents.find, AUDIT_ROUTE)
    later = incident.updated_at + timedelta(seconds=1)
    recorded(database, Decision(kind="resolve", route=AUDIT_ROUTE, actor="erika", reason="restored", ts=later))
    same = alert_of(database.query(check, None), later + timedelta(days=1))
    assert same is not None
    recorded(database, same)
    assert [state for _, state, _ in found(database)] == ["resolved"]
    tamper(database, ROUTES[1])
    other = alert_of(database.query(check, None), later + timedelta(days=2))
    assert other is not None
    recorded(database, other)
    assert [state for _, state, _ in found(database)] == ["resolved", "open"]


def test_it_is_shown_where_routes_and_incidents_are(database: Database) -> None:
    recorded(database, *story(ROUTES[0]))
    tamper(database, ROUTES[0])
    checked(database)
    api = api_on(database, Wire())
    [incident] = database.query(incidents.find, AUDIT_ROUTE)
    for path in ("/", f"/incidents/{incident.id}", f"/routes/{AUDIT_ROUTE}"):
        page = asked(api, "GET", path, headers={"accept": "text/html"})
        assert page.status_code == 200, path
        assert AUDIT_ROUTE in page.text, path
    listed = asked(api, "GET", "/v1/routes").json()["items"]
    assert AUDIT_ROUTE in {one["route"] for one in listed}
    sent = {"id": "x", "route": AUDIT_ROUTE, "model": {"requested": "m"}, "prompt": "p", "response": "r"}
    assert asked(api, "POST", "/v1/exchanges", json=sent).status_code == 422
