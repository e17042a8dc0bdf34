"""Who may decide in Slack: people whom the monitor file names, of its workspace, at its app, once a request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from services.api.auth.api_key import may, sees
from services.monitor import SlackAccess, SlackGrant
from services.monitor.loader import examine
from services.notify.buttons import BUTTONS, ButtonValue, Press, value_of
from services.notify.press_access import RoleRules, refusal_of_place
from services.notify.receivers.slack import SlackBot
from services.notify.receivers.slack_actions import SlackResponse
from services.notify.receivers.slack_people import KEPT_SECONDS, PressPermission, SlackPeople
from services.store import slack_requests
from services.store.engine import Database
from services.wiring.slack_presses import actions_of
from services.wording import notifications as words
from tests.support.api import NOW, recorded
from tests.support.fake_slack import TOKEN
from tests.support.pressing import SECRET, Seat, World, pressed, world
from tests.support.records import ROUTE, alert
from tests.support.slack import APP, TEAM, FakeSlack, member

GUEST_FLAGS = [{"is_restricted": True}, {"is_ultra_restricted": True}, {"is_bot": True}, {"deleted": True}]
GUEST_FLAGS += [{"is_stranger": True}, {"team_id": "T0OTHER"}, {"is_restricted": None}]


def grants(*some: tuple[str, str, str, tuple[str, ...]]) -> SlackAccess:
    """`(users, groups, role, routes)` each, ids with spaces between."""
    made = (SlackGrant(frozenset(u.split()), tuple(g.split()), role, routes) for u, g, role, routes in some)
    return SlackAccess(TEAM, APP, "KEELWATCH_SLACK_TOKEN", tuple(made))


ON_CALL = grants(("U1", "", "operator", ("support-bot/*",)), ("U2", "", "viewer", ("*",)), ("", "S1", "admin", ("*",)))


class Slack:
    """A workspace, and what the people in it press."""

    def __init__(self, there: World, fake: FakeSlack, access: SlackAccess | None = ON_CALL) -> None:
        self.there, self.fake, self.tick, self.n = there, fake, 0.0, 0
        people = SlackPeople(SlackBot(TOKEN, "", fake.url), lambda: self.tick)
        self.permit = PressPermission(access, people, RoleRules(may, sees))

    def press(self, user: str = "U1", kind: str = "accept_baseline", **change: Any) -> SlackResponse:
        self.n += 1
        now = NOW + timedelta(seconds=self.n)
        action = {"value": value_of(self.there.incident()), "action_ts": f"{now.timestamp()}"}
        payload = pressed({**action, "action_id": f"keelwatch.{kind}"}, user=user, home=change.pop("home", TEAM))
        return self.send(urlencode({"payload": json.dumps({**payload, **change})}).encode(), self.there.seats[0])

    def send(self, body: bytes, seat: Seat) -> SlackResponse:
        ts = str(int(NOW.timestamp()))
        mac = hmac.new(SECRET.encode(), b"v0:%s:%s" % (ts.encode(), body), hashlib.sha256).hexdigest()
        return asyncio.run(actions_of(SECRET, seat.api, self.permit).handle(body, ts, f"v0={mac}"))

    def written(self) -> list[tuple[str, str]]:
        return [(one.kind, one.actor) for one in self.there.written()]


@pytest.fixture
def there(new_url) -> Iterator[World]:
    with world(new_url()) as made:
        recorded(made.database, alert("firing", 300))
        yield made


@pytest.fixture
def workspace(there: World, slack: FakeSlack) -> Slack:
    slack.people(*(member(id) for id in ("U1", "U2", "U3", "U4")), S1=["U4"])
    return Slack(there, slack)


def test_who_is_named_decides(workspace: Slack) -> None:
    said = workspace.press("U1")
    assert (said.status, workspace.written()) == (200, [("accept_baseline", "mara (slack U1)")])


def test_who_is_in_a_group_decides_until_a_minute_after_leaving_it(workspace: Slack) -> None:
    workspace.press("U4", "acknowledge")
    workspace.fake.people(member("U4"), S1=[])
    workspace.press("U4", "resolve")
    workspace.tick = KEPT_SECONDS
    assert workspace.press("U4", "false_alarm").words == words.not_allowed("U4", ROUTE)
    assert {kind for kind, _ in workspace.written()} <= {"acknowledge", "resolve"}
    asked = [call["method"] for call in workspace.fake.calls()]
    assert asked.count("usergroups.users.list") == asked.count("users.info") == 2, "answers are kept for a minute"


def test_nobody_decides_by_default_and_is_told_what_to_configure(
    there: World, slack: FakeSlack, tmp_path: Path
) -> None:
    said = Slack(there, slack, None).press("U1").words
    assert said is not None
    assert there.written() == []
    told = said.split("```")[1]
    monitor, problems = examine(told, "k.yaml")
    assert (problems, monitor is not None and monitor.slack_access) == (
        (),
        SlackAccess(TEAM, APP, "KEELWATCH_SLACK_TOKEN", (SlackGrant(frozenset({"U1"}), (), "operator", (ROUTE,)),)),
    )


def test_who_is_not_named_is_told_the_line_and_who_only_looks_the_role(workspace: Slack) -> None:
    assert workspace.press("U3").words == words.not_allowed("U3", ROUTE)
    assert workspace.press("U2").words == words.only_looks(ROUTE, "viewer")
    assert workspace.written() == []


def test_a_grant_on_other_routes_is_none_here(there: World, slack: FakeSlack) -> None:
    slack.people(member("U1"))
    elsewhere = Slack(there, slack, grants(("U1", "", "admin", ("sales/*", "support-bot"))))
    assert elsewhere.press("U1").words == words.not_allowed("U1", ROUTE)
    assert there.written() == []


def test_another_workspace_or_app_decides_nothing(workspace: Slack) -> None:
    changes: list[dict[str, Any]] = [{"team": {"id": "T0OTHER"}}, {"team": None}, {"api_app_id": "A0OTHER"}]
    changes += [{"api_app_id": 7}, {"home": "T0OTHER"}, {"home": ""}]
    for change in changes:
        assert workspace.press("U1", **change).words in (words.NOT_FROM_HERE, words.GUEST), change
    assert workspace.written() == []
    assert workspace.fake.calls() == []


def test_guests_and_strangers_decide_nothing_though_they_are_named(workspace: Slack) -> None:
    for flags in GUEST_FLAGS:
        workspace.fake.people(member("U1") | flags)
        assert workspace.press("U1").words == words.GUEST, flags
        workspace.tick += KEPT_SECONDS
    assert workspace.written() == []


@pytest.mark.parametrize("user", ["", "u1", "U1 `x`", "U1\n- {users: [U9]}", "x" * 5000, "U" * 40])
def test_what_is_no_id_is_nobody_and_is_not_repeated(user: str) -> None:
    press = Press(BUTTONS[0], ButtonValue("", "", ""), user, "mara", TEAM, TEAM, APP, NOW, "")
    assert refusal_of_place(press, None, ROUTE) == words.NOT_FROM_HERE


def test_what_cannot_be_looked_up_is_refused_and_can_be_pressed_again(workspace: Slack) -> None:
    for mode in ("error", "limited", "garbage", "lost", "invalid_auth", "user_not_found"):
        workspace.fake.script(mode)
        said = workspace.press("U1").words
        assert said is not None
        assert said.startswith("It could not be checked who you are ("), mode
    assert workspace.written() == []
    workspace.press("U1")
    assert workspace.written() == [("accept_baseline", "mara (slack U1)")]


def test_a_scope_that_is_missing_is_named_and_so_is_a_token(workspace: Slack, there: World) -> None:
    workspace.fake.scopes("chat:write", "users:read")
    assert "give the app the scope usergroups:read" in str(workspace.press("U4").words)
    workspace.permit = PressPermission(ON_CALL, None, RoleRules(may, sees))
    assert "KEELWATCH_SLACK_TOKEN is not set" in str(workspace.press("U1").words)
    assert workspace.written() == []


def test_a_request_that_is_replayed_is_refused_by_every_process(workspace: Slack, there: World) -> None:
    action = {"value": value_of(there.incident()), "action_ts": f"{NOW.timestamp()}", "action_id": "keelwatch.silence"}
    body = urlencode({"payload": json.dumps(pressed(action))}).encode()
    assert [workspace.send(body, seat).status for seat in (*there.seats, there.seats[0])] == [200, 409, 409]
    assert len(workspace.written()) == 1


def test_a_request_is_remembered_for_longer_than_it_counts_and_then_forgotten(database: Database) -> None:
    later = NOW + timedelta(minutes=10)
    taken = [database.transact(lambda to, at=at: slack_requests.take(to, "v0=a", at)) for at in (NOW, later)]
    taken += [database.transact(lambda to: slack_requests.take(to, "v0=a", NOW + timedelta(minutes=16)))]
    assert taken == [True, False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slack_access: {team: T1X, people: []}", "k.yaml:1: error: slack_access.app: is missing here"),
        (
            "slack_access:\n  team: acme\n  app: A1X",
            "k.yaml:2: error: slack_access.team: must be the id of a workspace as Slack shows it, such as T0123ABCD",
        ),
        (
            "slack_access:\n  team: T1X\n  app: A1X\n  people:\n    - {user: [U1X], role: operator, routes: [a]}",
            "k.yaml:5: error: slack_access.people[0].user: unknown key; did you mean users?",
        ),
        (
            "slack_access:\n  team: T1X\n  app: A1X\n  people:\n    - {users: [mara], role: operator, routes: [a]}",
            "k.yaml:5: error: slack_access.people[0].users[0]: must be the id of a person as Slack shows it",
        ),
        (
            "slack_access:\n  team: T1X\n  app: A1X\n  people:\n    - {users: [U1X], role: ingest, routes: [a]}",
            "k.yaml:5: error: slack_access.people[0].role: must be 'viewer', 'operator' or 'admin'",
        ),
        (
            "slack_access:\n  team: T1X\n  app: A1X\n  people:\n    - {users: [U1X], role: admin, routes: []}",
            "k.yaml:5: error: slack_access.people[0].routes: must not be empty",
        ),
        (
            "slack_access:\n  team: T1X\n  app: A1X\n  people:\n    - {role: admin, routes: [a]}",
            "k.yaml:5: warning: slack_access.people[0]: names nobody; list ids under users or groups",
        ),
    ],
)
def test_a_mistake_in_the_monitor_file_is_named_with_its_line(text: str, said: str) -> None:
    [problem] = examine(text, "k.yaml")[1]
    assert str(problem).startswith(said)
