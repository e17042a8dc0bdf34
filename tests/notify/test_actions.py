"""Presses of buttons: signed or nothing, once, and in words when they come too late. Over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from schemas.decision import Decision
from schemas.incident import Incident
from services.incident.fold import fold
from services.notify.buttons import BUTTONS, Press, RecentKeys, is_signed, press_of, value_of
from services.notify.receivers import slack
from services.notify.receivers.slack_actions import AGAIN, FAILED, NOT_YOU, SlackActions, actor_by_name, router
from services.wording.decisions import DECISIONS
from services.wording.notifications import FOLLOWS, IS_RESOLVED, moved_on, pressed_by
from tests.support.hostile import HOSTILE
from tests.support.records import ROUTE, alert, comparison, decision, family_alert
from tests.support.slack import FakeSlack
from tests.support.streams import until

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PRESSED = NOW - timedelta(seconds=2)
MODEL, RATE = family_alert("model_shift", index=600), alert(index=720)


def incident_of(*facts) -> Incident:
    (made,) = fold(ROUTE, facts).incidents
    return made


class World:
    """An API with the one route, its incident, and what was decided."""

    def __init__(self, fake: FakeSlack) -> None:
        self.fake, self.now, self.found = fake, NOW, incident_of(MODEL, RATE)
        self.decided: list[Decision] = []
        self.fails = False
        self.app = FastAPI()
        self.actor: Any = actor_by_name
        self.actions = SlackActions(SECRET, self._incident, self._decide, lambda: self.now, self._actor)
        self.app.include_router(router(self.actions, lambda url, words: slack.answer(url, words, fake.url)))
        self.url = ""

    def _actor(self, press: Press) -> str | None:
        return self.actor(press)

    async def _incident(self, id: str) -> Incident | None:
        return self.found if self.found.id == id else None

    async def _decide(self, several: Sequence[Decision]) -> None:
        if self.fails:
            raise OSError("the broker is away")
        self.decided += several

    def press(self, kind: str = "acknowledge", **fields: Any) -> dict[str, Any]:
        action = {
            "action_id": f"keelwatch.{kind}",
            "value": value_of(self.found),
            "action_ts": f"{PRESSED.timestamp()}",
        }
        return {
            "type": "block_actions",
            "user": {"id": "U1", "username": "mara"},
            "actions": [{**action, **fields.pop("action", {})}],
            "response_url": f"{self.fake.webhook}/answer",
            **fields,
        }

    def send(self, payload: Any, **change: Any) -> int:
        body = change.get("body", urlencode({"payload": json.dumps(payload)}).encode())
        ts = change.get("ts", str(int(self.now.timestamp())))
        signature = change.get("signature", signed(body, ts))
        headers = {"X-Slack-Request-Timestamp": ts, "X-Slack-Signature": signature}
        return httpx.post(f"{self.url}/slack/actions", content=body, headers=headers, trust_env=False).status_code

    def said(self, n: int) -> list[str]:
        """What people were told, once there are `n` answers."""
        until(lambda: len(self.fake.calls()) >= n, "the person is answered", 10)
        return [call["body"]["text"] for call in self.fake.calls()]


def signed(body: bytes, ts: str) -> str:
    return "v0=" + hmac.new(SECRET.encode(), b"v0:%s:%s" % (ts.encode(), body), hashlib.sha256).hexdigest()


@pytest.fixture
def world(slack: FakeSlack) -> Iterator[World]:
    made = World(slack)
    server = uvicorn.Server(uvicorn.Config(made.app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "the API listens", 10)
    made.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield made
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("kind", [one.kind for one in BUTTONS if one.kind != "silence"])
def test_a_press_is_one_decision_of_what_was_pressed(world: World, kind: str) -> None:
    assert world.send(world.press(kind)) == 200
    (made,) = world.decided
    assert (made.kind, made.route, made.incident, made.ts) == (kind, ROUTE, world.found.id, PRESSED)
    assert (made.actor, made.reason) == ("mara (slack U1)", pressed_by("mara"))
    assert world.said(1)[0] == f"{DECISIONS[made.kind].thanks} {FOLLOWS}"
    world.now += timedelta(seconds=1)
    assert world.send(world.press(kind, action={"action_ts": str(NOW.timestamp())})) == 200
    assert world.said(2)[1] == AGAIN
    assert len(world.decided) == 1


def test_a_silence_is_of_the_incidents_alerts_and_ends_after_a_day(world: World) -> None:
    assert world.send(world.press("silence")) == 200
    assert [one.fingerprint for one in world.decided] == [MODEL.fingerprint, RATE.fingerprint]
    assert {one.expires for one in world.decided} == {PRESSED + timedelta(hours=24)}


def test_the_same_press_elsewhere_has_the_same_id(world: World, slack: FakeSlack) -> None:
    assert world.send(world.press()) == 200
    other = World(slack)
    body = urlencode({"payload": json.dumps(world.press())}).encode()
    ts = str(int(NOW.timestamp()))
    asyncio.run(other.actions.handle(body, ts, signed(body, ts)))
    assert [one.id for one in other.decided] == [one.id for one in world.decided]


def test_a_request_that_is_replayed_does_nothing(world: World) -> None:
    assert [world.send(world.press()), world.send(world.press())] == [200, 200]
    assert len(world.decided) == len(world.said(1)) == 1


def test_a_press_on_what_has_moved_is_told_politely(world: World) -> None:
    stale = world.press("resolve")
    world.found = incident_of(MODEL, RATE, decision("acknowledge", 20))
    assert world.send(stale) == 200
    assert world.said(1)[0] == moved_on("acknowledged")
    world.found = incident_of(MODEL, RATE, decision("resolve", 20))
    world.now += timedelta(seconds=1)
    assert world.send(stale) == 200
    assert world.said(2)[1] == IS_RESOLVED
    assert world.decided == []


def test_news_that_moves_nothing_makes_no_press_stale(world: World) -> None:
    shown = world.press("resolve")
    world.found = incident_of(MODEL, RATE, comparison(hours=13))
    assert world.send(shown) == 200
    assert [one.kind for one in world.decided] == ["resolve"]


def test_what_could_not_be_recorded_is_said_and_can_be_pressed_again(world: World) -> None:
    world.fails = True
    assert world.send(world.press()) == 200
    assert world.said(1) == [FAILED]
    world.fails, world.now = False, NOW + timedelta(seconds=1)
    assert world.send(world.press()) == 200
    assert len(world.decided) == 1


def test_who_may_not_decide_does_not(world: World) -> None:
    world.actor = lambda press: None
    assert world.send(world.press()) == 200
    assert world.said(1) == [NOT_YOU]
    assert world.decided == []


def test_unsigned_old_and_junk_requests_are_refused(world: World) -> None:
    payload, old = world.press(), str(int(NOW.timestamp()) - 301)
    assert world.send(payload, signature="v0=" + "0" * 64) == 401
    assert world.send(payload, signature="") == 401
    assert world.send(payload, ts=old) == 401
    for junk in ("", "abc", "1e9", "-5", "inf", "9" * 30, "1_000"):
        assert world.send(payload, ts=junk) == 401
    assert world.send(None, body=b"payload=" + b"x" * 300_000) == 413
    assert world.decided == []


@pytest.mark.parametrize(
    "body",
    [b"", b"payload", b"payload=", b"payload=%7B", b"payload=[]", b"other=1", b"\xff\xfe", b"payload=" + b"[" * 9000],
)
def test_signed_nonsense_is_a_bad_request(world: World, body: bytes) -> None:
    assert world.send(None, body=body) == 400


@pytest.mark.parametrize(
    "change",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [7]},
        {"action": {"action_id": "keelwatch.roll_back"}},
        {"action": {"action_id": "open"}},
        {"action": {"value": "made up"}},
        {"action": {"value": ["x"]}},
    ],
)
def test_what_is_no_press_of_ours_is_left_alone(world: World, change: dict[str, Any]) -> None:
    assert world.send(world.press(**change)) == 200
    assert world.decided == []


@pytest.mark.parametrize("ts", ["", "x", "1e400", "-1", "99999999999", "0"])
def test_a_press_at_no_time_is_a_bad_request(world: World, ts: str) -> None:
    assert world.send(world.press(action={"action_ts": ts})) == 400


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_only_a_name(slack_less: Any, name: str) -> None:
    payload = slack_less.press(user={"id": name[:5000], "username": name[:5000]})
    made = press_of(urlencode({"payload": json.dumps(payload)}).encode())
    assert isinstance(made, Press)
    said = actor_by_name(made)
    assert said is not None
    assert "\n" not in said
    assert len(said) <= 160
    assert said.encode()


@pytest.fixture
def slack_less() -> World:
    return World(FakeSlack(9, None))  # nothing is sent


def test_an_answer_goes_to_slack_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert world.send(world.press(response_url="http://169.254.169.254/latest")) == 200
    until(lambda: "none of Slack's" in caplog.text, "it is logged", 10)
    assert world.fake.calls() == []


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=80))
def test_no_request_raises(body: bytes, ts: str, signature: str) -> None:
    assert not is_signed(SECRET, body, ts, signature, NOW)
    assert not is_signed("", body, str(int(NOW.timestamp())), signed(body, str(int(NOW.timestamp()))), NOW)


def test_slacks_own_example_is_signed() -> None:
    """The request, secret and signature that Slack's documentation shows."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    when = datetime.fromtimestamp(1531420618, UTC)
    assert is_signed(SECRET, body, "1531420618", signature, when)
    assert not is_signed(SECRET, body + b"x", "1531420618", signature, when)


def test_what_was_seen_is_forgotten_after_a_while() -> None:
    seen = RecentKeys()
    assert [seen.again("a", NOW), seen.again("a", NOW + timedelta(seconds=599))] == [False, True]
    assert not seen.again("a", NOW + timedelta(seconds=601))
    for n in range(20_000):
        seen.again(str(n), NOW + timedelta(seconds=602))
    assert len(seen._at) <= 10_000
