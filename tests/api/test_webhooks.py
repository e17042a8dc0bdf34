"""Deploys that GitHub or another program tells of become announced changes: once, bounded, by who may."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from schemas.decision import Decision
from schemas.identity import Model
from services.api.app import Api
from services.api.github_deployments import GithubDelivery, github_deploy, is_from_github, one_line, share_of
from services.monitor import Monitor, RoutePolicy
from services.monitor.deployments import DeployRule
from services.store import decisions, routes
from services.store.engine import Database
from services.wording import deploys as words
from services.wording.decisions import decided
from tests.support.access import bearer, key
from tests.support.api import NOW, Wire, api_on, application, asked

GITHUB, DEPLOY = "/v1/webhooks/github", "/v1/webhooks/deploy"
SECRET = "a secret of tests"
RULES = (
    DeployRule("support/prod", "acme/bot", "production", model="gpt-4"),
    DeployRule("support/canary", "acme/bot", "canary"),
    DeployRule("early/prod", "acme/early", at="created"),
    DeployRule("gone/prod", "acme/gone"),
)


@pytest.fixture
def api(database: Database) -> Api:
    with database.write() as connection:
        routes.ensure(connection, "support/prod", "support/canary")
    watched = Monitor(routes={"early/*": RoutePolicy()}, deployments=RULES)
    return api_on(database, Wire(), watched=watched, github_secret=SECRET)


def delivery(state: str | None = "success", repository: str = "Acme/bot", environment: str = "production", **more: Any):
    body: dict[str, Any] = {
        "action": "created",
        "deployment": {
            "id": 42,
            "sha": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
            "ref": "main",
            "task": "deploy",
            "environment": environment,
            "creator": {"login": "octocat"},
            "created_at": "2026-11-26T10:00:00Z",
            "payload": {},
            "url": "https://api.github.com/x",
            **more,
        },
        "repository": {"full_name": repository, "private": True},
        "sender": {"login": "octocat"},
    }
    if state is not None:
        body["deployment_status"] = {
            "state": state,
            "created_at": "2026-11-26T11:00:00Z",
            "target_url": "https://ci/42",
        }
    return body


def sent(api: Api, body: Any, event: str = "deployment_status", **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    given = {"x-github-event": event, "x-hub-signature-256": signature, "content-type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(api, "POST", GITHUB, content=raw, headers={**given, **named})


def written(api: Api, route: str) -> list[Decision]:
    with api.database.read() as connection:
        return list(decisions.of_route(connection, route))


def test_a_deployment_that_succeeded_is_an_announced_change(api: Api) -> None:
    answer = sent(api, delivery())
    [announced] = answer.json()["announced"]
    assert (answer.status_code, announced["route"], announced["ts"]) == (202, "support/prod", "2026-11-26T11:00:00Z")
    [decision] = written(api, "support/prod")
    assert (decision.kind, decision.id, decision.actor) == ("announce", announced["id"], "octocat via GitHub")
    assert decision.model == Model(requested="gpt-4")
    assert decision.reason == "deploy of Acme/bot main 0a1b2c3d4e5f to production (https://ci/42)"
    assert decided(decision) == "Change to gpt-4 announced by octocat via GitHub"


def test_a_delivery_that_comes_again_is_one_announcement(api: Api) -> None:
    first, again = (sent(api, delivery(), X_GitHub_Delivery="7d5c") for _ in range(2))
    assert again.json() == first.json()
    assert len(written(api, "support/prod")) == 1


def test_deployments_of_other_days_are_announced_though_none_took_effect_yet_in_whatever_order_they_come(
    api: Api,
) -> None:
    for day in (26, 20, 23):
        body = delivery(id=day, sha=f"{day:040x}")
        body["deployment_status"]["created_at"] = f"2026-11-{day}T11:00:00Z"
        assert sent(api, body).status_code == 202
    assert len(written(api, "support/prod")) == 3


def test_another_version_is_another_deploy_and_the_same_one_told_again_in_five_minutes_is_not(api: Api) -> None:
    def told(version: str, ts: str) -> int:
        body = {"route": "support/prod", "model": "gpt-5", "version": version, "ts": f"2026-11-{ts}:00Z"}
        return asked(api, "POST", DEPLOY, json=body).status_code

    assert [told(one, "26T11:30") for one in ("1", "2")] == [202, 202]
    assert [told("1", ts) for ts in ("26T11:27", "26T11:34")] == [409, 409]
    assert [told("1", ts) for ts in ("22T11:30", "26T11:40")] == [202, 202]


def test_two_people_who_announce_the_same_at_the_same_time_announce_it_once(api: Api) -> None:
    def told(reason: str, ts: str) -> int:
        body = {"route": "support/prod", "model": {"requested": "gpt-5"}, "reason": reason, "ts": ts, "actor": "mara"}
        return asked(api, "POST", "/v1/changes", json=body).status_code

    assert told("we move", "2026-11-26T11:30:00Z") == 202
    assert told("Monday's move", "2026-11-26T11:33:00Z") == 409
    assert told("and again", "2026-11-26T11:20:00Z") == 202


def test_a_rule_says_whether_the_creation_or_the_success_is_announced(api: Api) -> None:
    created = sent(api, delivery(None), "deployment")
    assert (created.status_code, created.json()["ignored"]) == (200, [words.other_stage("support/prod", "success")])
    assert sent(api, delivery(None, "acme/early"), "deployment").status_code == 202
    done = sent(api, delivery(repository="acme/early"))
    assert (done.status_code, done.json()["ignored"]) == (200, [words.other_stage("early/prod", "created")])


@pytest.mark.parametrize("state", ["failure", "error", "pending", "in_progress", "inactive", "queued"])
def test_only_a_success_is_announced(api: Api, state: str) -> None:
    answer = sent(api, delivery(state))
    assert (answer.status_code, answer.json()) == (200, {"announced": [], "ignored": [words.NO_SUCCESS]})


@pytest.mark.parametrize("event", ["ping", "push", "", "workflow_run"])
def test_other_events_are_ignored_with_the_reason(api: Api, event: str) -> None:
    answer = sent(api, {"zen": "x"}, event)
    assert (answer.status_code, answer.json()["ignored"]) == (200, [words.other_event(event)])


def test_what_fits_no_rule_or_a_route_never_seen_is_ignored_with_the_reason(api: Api) -> None:
    assert sent(api, delivery(repository="acme/other")).json()["ignored"] == [words.NO_RULE]
    assert sent(api, delivery(environment="staging")).json()["ignored"] == [words.NO_RULE]
    [why] = sent(api, delivery(repository="acme/gone")).json()["ignored"]
    assert "gone/prod was never seen" in why


def test_what_a_payload_says_and_cannot_be_used_is_named_and_the_deploy_is_announced(api: Api) -> None:
    told = sent(api, delivery(payload={"share": 5, "model": ["gpt-5"], "served": None})).json()
    assert len(told["announced"]) == 1
    [model, share] = told["ignored"]
    assert "payload.model: is no text" in model
    assert "payload.share: is no number up to 1" in share


def test_a_canary_says_its_share_and_its_model_in_the_payload(api: Api) -> None:
    sent(api, delivery(environment="canary", payload={"share": "5%", "model": "gpt-5", "served": "gpt-5-0101"}))
    [decision] = written(api, "support/canary")
    assert (decision.share, decision.model) == (0.05, Model(requested="gpt-5", served="gpt-5-0101"))
    assert decided(decision) == "Change to gpt-5-0101 for 5.0% of the exchanges announced by octocat via GitHub"
    sent(api, delivery(environment="canary", id=43, created_at="2026-11-26T10:30:00Z"))
    assert len(written(api, "support/canary")) == 2, "a deploy that names no model is announced, too"


@pytest.mark.parametrize(
    "headers",
    [
        {"x_hub_signature_256": "sha256=" + "0" * 64},
        {"x_hub_signature_256": "sha1=" + "0" * 40},
        {"x_hub_signature_256": ""},
        {"x_hub_signature_256": "sha256=" + "z" * 64},
    ],
)
def test_what_is_not_signed_is_refused_and_slowed_down(api: Api, headers: dict[str, str]) -> None:
    answers = [sent(api, delivery(), **headers) for _ in range(12)]
    assert {one.status_code for one in answers} == {403, 429}
    assert answers[-1].headers["retry-after"]
    assert SECRET not in answers[0].text
    assert written(api, "support/prod") == []
    assert sent(api, delivery()).status_code == 202, "who signs is never slowed down"


def test_a_body_that_was_changed_is_not_signed() -> None:
    body = b'{"a": 1}'
    good = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert is_from_github("s", body, good)
    assert not is_from_github("s", body + b" ", good)
    assert not is_from_github("", body, "sha256=" + hmac.new(b"", body, hashlib.sha256).hexdigest())


def test_without_a_secret_nothing_is_taken(database: Database) -> None:
    answer = sent(api_on(database, Wire()), delivery())
    assert (answer.status_code, "KEELWATCH_WEBHOOK_GITHUB_SECRET" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"{", 422, "body"),
        (b"[]", 422, "body"),
        ({}, 422, "deployment"),
        (delivery(created_at="yesterday"), 422, "deployment.created_at"),
        (b"x" * (1024 * 1024 + 1), 413, "body"),
    ],
)
def test_a_signed_delivery_that_cannot_be_read_is_refused(api: Api, body: Any, status: int, word: str) -> None:
    answer = sent(api, body)
    assert (answer.status_code, answer.json()["detail"].startswith(word)) == (status, True)
    form = sent(api, b"payload=x", content_type="application/x-www-form-urlencoded")
    assert form.status_code == 415


@pytest.mark.parametrize("ts", ["2026-11-26T13:00:01Z", "2025-11-01T00:00:00Z"])
def test_a_time_that_cannot_be_is_refused_as_that_of_an_announcement(api: Api, ts: str) -> None:
    body = delivery()
    body["deployment_status"]["created_at"] = ts
    assert sent(api, body).json()["detail"].startswith("ts: ")
    assert asked(api, "POST", DEPLOY, json={"route": "support/prod", "ts": ts}).json()["detail"].startswith("ts: ")


def test_foreign_text_is_one_bounded_line() -> None:
    assert one_line("a\u202eb\n\x1bc\x00 " + "x" * 900) == "a b c " + "x" * 194
    found = GithubDelivery.model_validate(delivery(ref="r" * 900, payload=["odd"], creator=None))
    deploy = github_deploy("deployment_status", found)
    assert deploy is not None
    assert (len(deploy.version or "") <= 213, deploy.actor, deploy.share) == (True, None, None)
    assert [share_of(one) for one in (0, 1, "100%", "0%", "-5%", "nan", "1e400", [], None)] == [
        *(None, 1.0, 1.0, None, None, None, None, None, None)
    ]


@pytest.mark.parametrize(
    ("payload", "model", "share"),
    [
        ('{"model": "gpt-4", "share": "5%"}', "gpt-4", 0.05),
        ({"model": "gpt-4", "share": 0.05}, "gpt-4", 0.05),
        *((one, None, None) for one in ("", "ship it", '["gpt-4"]', '"{}"', "[" * 100_000, "1" * 5_000, None, 5)),
    ],
)
def test_a_payload_that_is_the_text_of_an_object_says_what_the_object_does(
    payload: object, model: str | None, share: float | None
) -> None:
    deploy = github_deploy("deployment_status", GithubDelivery.model_validate(delivery(payload=payload)))
    assert deploy is not None
    assert (deploy.model, deploy.share) == (model, share)


def test_any_program_with_a_key_tells_of_a_deploy_by_route_or_by_what_was_deployed(api: Api) -> None:
    body = {"route": "support/prod", "model": "gpt-5", "version": "3", "environment": "production", "share": "5%"}
    answer = asked(api, "POST", DEPLOY, json={**body, "ts": "2026-11-26T11:30:00Z"})
    assert answer.status_code == 202
    [decision] = written(api, "support/prod")
    assert (decision.share, decision.reason, decision.actor) == (0.05, "deploy of 3 to production", words.NOBODY)
    again = asked(api, "POST", DEPLOY, json={**body, "ts": "2026-11-26T11:30:00Z"})
    assert again.json() == answer.json()
    matched = {"repository": "acme/bot", "environment": "canary", "actor": "mara"}
    assert asked(api, "POST", DEPLOY, json=matched).json()["announced"][0]["route"] == "support/canary"
    assert asked(api, "POST", DEPLOY, json={"repository": "a/b"}).json()["ignored"] == [words.NO_RULE]


def test_a_version_of_a_model_that_neither_deploy_nor_rule_names_is_said_to_be_left(api: Api) -> None:
    body = {"repository": "acme/bot", "served": "gpt-4-0613"}
    canary = asked(api, "POST", DEPLOY, json={**body, "environment": "canary"}).json()
    assert (len(canary["announced"]), words.SERVED_ALONE in canary["ignored"][0]) == (1, True)
    named = asked(api, "POST", DEPLOY, json={**body, "environment": "production"}).json()
    assert named["ignored"] == []
    assert written(api, "support/prod")[0].model == Model(requested="gpt-4", served="gpt-4-0613")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "route"),
        ({"model": "m"}, "route"),
        ({"route": "UP"}, "route"),
        ({"route": "support/prd"}, "route"),
        ({"route": "support/prod", "share": 0}, "share"),
        ({"route": "support/prod", "share": "half"}, "share"),
        ({"route": "support/prod", "share": 1.5}, "share"),
        ({"route": "support/prod", "model": ""}, "model"),
        ({"route": "support/prod", "model": "\u202e\x1b"}, "model"),
        ({"route": "support/prod", "version": "\x00"}, "version"),
        ({"route": "support/prod", "url": "\x01"}, "url"),
        ({"route": "support/prod", "served": "gpt-5-0101"}, "served"),
        ({"repository": "acme/bot", "environment": "canary", "new": True}, "new"),
        ({"route": "support/prod", "url": "x" * 501}, "url"),
        ({"route": "support/prod", "more": 1}, "more"),
    ],
)
def test_a_field_of_a_deploy_that_cannot_be_used_is_named(api: Api, body: dict[str, Any], field: str) -> None:
    answer = asked(api, "POST", DEPLOY, json=body)
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, field)


def test_only_a_key_that_may_announce_may_tell_of_a_deploy_on_its_own_routes(api: Api) -> None:
    app = application(api)
    viewer, mine = (bearer(key(api.database, role, "support/prod")) for role in ("viewer", "operator"))
    body = {"route": "support/prod", "model": "m", "ts": NOW.isoformat()}
    assert asked(app, "POST", DEPLOY, json=body).status_code == 401
    assert asked(app, "POST", DEPLOY, json=body, headers=viewer).status_code == 403
    assert asked(app, "POST", DEPLOY, json={**body, "route": "support/canary"}, headers=mine).status_code == 403
    theirs = {"repository": "acme/bot", "environment": "canary"}
    assert asked(app, "POST", DEPLOY, json=theirs, headers=mine).json()["ignored"] == [words.NO_RULE]
    assert asked(app, "POST", DEPLOY, json=body, headers=mine).status_code == 202
