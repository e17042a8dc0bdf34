"""After a new normal was accepted nothing says that a rate moved back, or that a person muted it."""

from __future__ import annotations

import json

import pytest

from services.alert.core import step
from services.alert.state import AlertState
from services.api.app import Api
from services.api.route_snapshot import muted_alerts
from services.cli.rendering import mute_line
from services.notify.message import MessageOptions, of_incident, plain_lines
from services.store import incidents, routes, step_states
from services.store.codec import pack
from services.store.engine import Database
from services.store.routes import RouteHead
from tests.support.api import NOW, Wire, api_on, asked, recorded
from tests.support.records import BASELINE, IDENTITY, ROUTE, at, change, decision, reading

LIES = ("back to normal", "moved back", "muted")
ACCEPTED = decision("accept_baseline", 18, reason="the new model is wanted")


@pytest.fixture
def api(database: Database) -> Api:
    """A rate fell and goes on; Mara called it the new normal, which is being learned."""
    pinned = change("pinned", 100, baseline=BASELINE, from_identity=None, to_identity=IDENTITY)
    firing, again = reading("firing", 1000), reading("firing", 1300)
    state, alerts = step(AlertState.start(ROUTE), [pinned, firing, ACCEPTED, again])
    recorded(database, pinned, firing, again, ACCEPTED, *alerts)
    with database.write() as connection:
        step_states.save(connection, "alert", ROUTE, 0, pack(state))
        routes.set_times(connection, {ROUTE: RouteHead(clock=NOW)})
    return api_on(database, Wire())


def text_of(api: Api, path: str) -> str:
    answer = asked(api, "GET", path, headers={"accept": "text/html"} if not path.startswith("/v1") else {})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_pages_messages_commands_and_api_say_who_accepted_it_and_why(api: Api, database: Database) -> None:
    with database.read() as connection:
        (incident,) = incidents.find(connection)
        (mute,) = muted_alerts(connection, ROUTE, at(30))
    assert incident.state == "resolved"
    told = {
        "incident": text_of(api, f"/incidents/{incident.id}"),
        "route": text_of(api, f"/routes/{ROUTE}"),
        "baseline": text_of(api, f"/baselines/{ROUTE}"),
        "timeline": text_of(api, f"/v1/incidents/{incident.id}/timeline"),
        "message": "\n".join(plain_lines(of_incident(incident, MessageOptions()))),
        "command": mute_line(ROUTE, mute).plain,
    }
    for place, said in told.items():
        assert "Accepted as the new normal by mara" in said, place
        assert "the new model is wanted" in said, place
        assert not [lie for lie in LIES if lie in said], place
    silences = json.loads(text_of(api, f"/v1/silences?route={ROUTE}"))
    assert (silences["muted"], [one["actor"] for one in silences["accepted"]]) == ([], ["mara"])


def test_a_route_whose_stream_fires_unheard_says_what_is_known_alone(api: Api, database: Database) -> None:
    with database.write() as connection:
        version, _ = step_states.load(connection, "alert", ROUTE) or (0, b"")
        step_states.save(connection, "alert", ROUTE, version, pack(AlertState.start(ROUTE)))
    said = text_of(api, f"/routes/{ROUTE}")
    assert "changed, and no incident is open" in said
    assert not [lie for lie in LIES if lie in said]
