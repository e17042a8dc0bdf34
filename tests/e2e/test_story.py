"""The main job, from traffic to a resolved incident: broker, database, worker, endpoint and Slack as processes."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.exchange import Exchange
from schemas.identity import identity_of
from schemas.topics import EXCHANGES
from services.demo.support_bot import ROUTE, SERVED, Script, traffic
from tests.e2e.conftest import MENTION, OWN, SECRET, Service
from tests.support.slack import APP, TEAM, member
from tests.support.streams import keyed, publish, seen, until

STEPS = ["score", "detect", "evaluate", "alert", "record"]
BEFORE, AFTER, STEP = 260, 760, 0.5
NEW = "harbour-chat-2026-03"


def story(**script: Any) -> Iterator[Exchange]:
    """Exchanges of the last minutes, so that the times of traffic, decisions and runs agree."""
    plan = Script(before=BEFORE, after=AFTER, step=STEP, **script)
    starts = datetime.now(UTC) - timedelta(seconds=STEP * (BEFORE + AFTER))
    return traffic(replace(plan, starts=starts), seed=3)


def send(service: Service, exchanges: Iterator[Exchange], n: int) -> None:
    publish(service.broker, EXCHANGES.name, keyed(islice(exchanges, n)))


def incident(service: Service, route: str = ROUTE) -> dict[str, Any]:
    """The one incident of the route."""
    answer = service.ask("GET", "/v1/incidents", params={"route": route})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert len(items) <= 1, items
    return items[0] if items else {}


def has(service: Service, **wanted: Any) -> bool:
    found = incident(service)
    return all(found.get(name) == value for name, value in wanted.items())


def run_for(service: Service, route: str, cause: str) -> Run | None:
    """The run that a change or an announcement asked for."""
    found = service.facts(route, Run)
    return next((run for run in found if run.status == "complete" and run.change == cause), None)


def posts(service: Service) -> list[dict[str, Any]]:
    """Messages that stand for themselves in the channel."""
    return [body for body in service.slack.accepted("chat.postMessage") if "thread_ts" not in body]


def broadcasts(service: Service) -> list[dict[str, Any]]:
    return [body for body in service.slack.accepted("chat.postMessage") if body.get("reply_broadcast")]


def buttons(service: Service) -> dict[str, str]:
    """Action -> value, of the message as it stands."""
    shown = [body for body in service.slack.accepted() if any(b["type"] == "actions" for b in body.get("blocks", ()))]
    [actions] = [block for block in shown[-1]["blocks"] if block["type"] == "actions"]
    return {element["action_id"]: element["value"] for element in actions["elements"]}


def press(service: Service, kind: str) -> None:
    """Press a button of the message, as Slack tells of it."""
    now = time.time()
    service.slack.people(member("U1"))
    payload = {
        "type": "block_actions",
        "team": {"id": TEAM},
        "api_app_id": APP,
        "user": {"id": "U1", "username": "mara", "team_id": TEAM},
        "actions": [
            {"action_id": f"keelwatch.{kind}", "value": buttons(service)[f"keelwatch.{kind}"], "action_ts": str(now)}
        ],
        "response_url": f"{service.slack.webhook}/answer",
    }
    body, ts = urlencode({"payload": json.dumps(payload)}).encode(), str(int(now))
    signature = "v0=" + hmac.new(SECRET.encode(), b"v0:%s:%s" % (ts.encode(), body), hashlib.sha256).hexdigest()
    headers = {"x-slack-request-timestamp": ts, "x-slack-signature": signature}
    headers["content-type"] = "application/x-www-form-urlencoded"
    answer = service.ask("POST", "/slack/actions", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


def pinned(service: Service, route: str = ROUTE) -> list[Change]:
    return [change for change in service.facts(route, Change) if change.kind == "pinned"]


def learn(service: Service, exchanges: Iterator[Exchange], route: str) -> None:
    """A route is seen for the first time, and learned."""
    send(service, exchanges, BEFORE)
    until(lambda: len(pinned(service, route)) == 1, "a baseline is pinned")
    until(lambda: len(service.facts(route, Run)) >= 2, "the suite runs at first sight and for the baseline")
    assert {run.status for run in service.facts(route, Run)} == {"complete"}


def test_a_silent_update_from_the_first_exchange_to_the_accepted_baseline(service: Service) -> None:
    exchanges = story(leak=0.0)
    learn(service, exchanges, ROUTE)

    service.replace_model(ROUTE)
    send(service, exchanges, 60)
    until(lambda: bool(posts(service)), "Slack hears of it")
    suspected = [change for change in service.facts(ROUTE, Change) if change.kind == "suspected"]
    assert [change.to_identity for change in suspected] == [pinned(service)[0].to_identity]
    first = next(alert for alert in service.facts(ROUTE, Alert) if alert.status == "firing")
    assert (first.family, first.severity) == ("model_shift", "info")

    until(lambda: has(service, severity="error"), "the suite has regressed")
    [compared] = service.facts(ROUTE, Comparison)
    assert (compared.overall, compared.change) == ("regressed", suspected[0].id)
    until(lambda: bool(broadcasts(service)), "the rise is told anew")
    assert MENTION in json.dumps(broadcasts(service)[0])
    found = incident(service)
    assert (found["verdict"], found["state"]) == ("model", "open")

    shown = buttons(service)
    press(service, "acknowledge")
    until(lambda: has(service, state="acknowledged"), "the button acknowledges")
    until(lambda: buttons(service) != shown, "the message shows it, and its buttons are of what it shows")
    send(service, exchanges, 420)
    crossed = found["opened_event_index"]
    until(lambda: seen(service.database, ROUTE).exchanges >= BEFORE + 480, "all are recorded")
    press(service, "accept_baseline")
    until(lambda: has(service, state="resolved"), "what the model does now is accepted")
    until(lambda: len(pinned(service)) == 2, "and is the new baseline")
    old, new = pinned(service)
    assert new.pinning is not None
    assert old.pinning is not None
    assert new.event_index > crossed + 250 - 1
    assert new.pinning.rates["refusal"] < 0.02 < old.pinning.rates["refusal"]

    send(service, exchanges, 200)
    until(lambda: seen(service.database, ROUTE).exchanges >= BEFORE + 680, "all are recorded")
    until(lambda: len(service.facts(ROUTE, Run)) >= 4, "the suite has run for the new baseline")
    assert has(service, state="resolved", id=found["id"])
    assert len(posts(service)) == 1
    kinds = [entry["kind"] for entry in incident(service)["timeline"]]
    for kind in ("opened", "evaluation", "escalated", "acknowledged", "resolved"):
        assert kind in kinds, kinds


def test_an_announced_change_is_evaluated_against_the_baseline(service: Service) -> None:
    route = "shop-bot/prod"
    exchanges = (one.model_copy(update={"route": route, "id": f"shop-{one.id}"}) for one in story(leak=0.0))
    learn(service, exchanges, route)

    new = next(exchanges).model.model_copy(update={"served": NEW})
    assert new.served != SERVED
    service.replace_model(route, served=NEW)
    said = {"route": route, "model": new.model_dump(mode="json"), "reason": "planned update", "actor": "mara"}
    answer = service.ask("POST", "/v1/changes", json=said)
    assert answer.status_code == 202, answer.text
    until(lambda: bool(service.facts(route, Decision)), "the announcement is recorded")
    until(lambda: bool(service.facts(route, Comparison)), "the suite has run against what was announced")
    [compared] = service.facts(route, Comparison)
    assert (compared.overall, compared.identity) == ("regressed", identity_of(new))
    until(lambda: incident(service, route).get("severity") == "error", "an incident tells of it")
    assert incident(service, route)["verdict"] == "model"


def test_a_silent_update_is_seen_by_what_users_themselves_asked(service: Service) -> None:
    exchanges = (one.model_copy(update={"route": OWN, "id": f"own-{one.id}"}) for one in story(leak=0.0))
    send(service, exchanges, BEFORE)
    until(lambda: len(pinned(service, OWN)) == 1, "a baseline is pinned")
    until(lambda: bool(service.facts(OWN, Run)), "its questions are asked", 150)
    [before] = service.facts(OWN, Run)
    assert (before.status, before.items_of) == ("complete", "route"), before.reason
    assert 20 <= before.items <= 100

    service.replace_model(OWN)
    send(service, exchanges, 120)
    until(lambda: bool(service.facts(OWN, Comparison)), "they are asked again", 150)
    [compared] = service.facts(OWN, Comparison)
    assert (compared.items_of, compared.before_run) == ("route", before.id)
    pooled = next(row for row in compared.hazards if (row.hazard, row.measure) == ("all", "newly_answered"))
    assert (compared.overall, pooled.verdict, pooled.before, pooled.after) == ("regressed", "regressed", 0.0, 100.0)
    assert pooled.flipped

    found = incident(service, OWN)
    until(lambda: "evaluation" in {one["kind"] for one in incident(service, OWN)["timeline"]}, "the incident tells it")
    page = service.ask("GET", f"/incidents/{found['id']}")
    assert page.status_code == 200
    shown = service.ask("GET", f"/v1/comparisons/{compared.id}")
    assert shown.status_code == 200, shown.text
