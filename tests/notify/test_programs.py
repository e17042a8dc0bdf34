"""Programs that are told of incidents: what a webhook and PagerDuty get, when it counts as sent, what is refused."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest

from schemas.incident import TimelineEntry
from services.monitor import RoutePolicy
from services.notify.buttons import BUTTONS
from services.notify.channel import DEFAULT, Channel, NotAccepted, Receiver, Receivers
from services.notify.incident_event import EventOccasion, actions_of, trial_event
from services.notify.message import (
    MessageOptions,
    RenderedMessage,
    of_entry,
    of_incident,
    of_rise,
    of_storm,
    of_trial,
    with_event,
)
from services.notify.receivers.http_post import HttpAddress
from services.notify.receivers.opsgenie import Opsgenie
from services.notify.receivers.pagerduty import PagerDuty, without_key
from services.notify.receivers.teams import Teams, card_of
from services.notify.receivers.webhook import Webhook, signature
from services.notify.sender import Sender
from tests.notify.test_message import hostile, incident
from tests.support.databases import on_sqlite
from tests.support.fake_programs import ROUTING_KEY, SECRET
from tests.support.hostile import HOSTILE
from tests.support.notify import LOOK, Clock, bot, opening, outbox, record, rest, rows, sender, shift, states, turns
from tests.support.programs import HOST, FakePrograms
from tests.support.records import ROUTE, alert, at, decision, family_alert
from tests.support.source import ROOT

LINKS = ("WWW.evil.example wWw.evil.example", "https:///evil.example/////x", "@" * 5_000)
LINKED = re.compile(r"//|www\.|@[\w@]", re.IGNORECASE)
CONTROL = re.compile("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def webhook(programs: FakePrograms, clock: Clock, **more) -> Webhook:
    return Webhook(programs.address("webhook", clock=clock), SECRET, **more)


def pagerduty(programs: FakePrograms, clock: Clock, key: str = ROUTING_KEY) -> PagerDuty:
    return PagerDuty(programs.address("pagerduty", clock=clock), key)


def opsgenie(programs: FakePrograms, clock: Clock, key: str = ROUTING_KEY) -> Opsgenie:
    address = HttpAddress(programs.url("opsgenie").partition("?")[0], (HOST,), clock=clock)
    return Opsgenie(address, key)


def from_severity(database, clock: Clock, channel: Channel, severity) -> Sender:
    receivers = Receivers({DEFAULT: Receiver(channel, None, severity)}, lambda route: RoutePolicy())
    return Sender(database, receivers, "one", look=LOOK, clock=clock)


def told(made, **occasion) -> RenderedMessage:
    given = {"id": "n1", "at": at(1), "what": "it rose", **occasion}
    return with_event(of_incident(made, LOOK), made, LOOK, EventOccasion(**given))


def trouble(channel: Channel, message: RenderedMessage | None = None) -> NotAccepted:
    with pytest.raises(NotAccepted) as caught:
        asyncio.run(channel.post(message or told(incident())))
    return caught.value


@on_sqlite
def test_a_webhook_gets_each_notification_as_signed_json(database, programs) -> None:
    clock = Clock()
    record(database, *shift(ROUTE))
    turns(sender(database, clock, webhook(programs, clock, headers={"X-Team": "safety"})), clock)
    calls = programs.calls()
    assert [(call["body"]["event"], call["body"]["loud"]) for call in calls] == [
        ("opened", False),
        ("raised", True),
        ("updated", False),
    ]
    assert all(call["accepted"] for call in calls), "the signature is verified over what was sent"
    assert states(database) == {"sent"}
    one, ids = calls[1], {row.id for row in outbox(database)}
    assert {call["body"]["id"] for call in calls} == ids
    assert one["headers"]["idempotency-key"] == one["body"]["id"]
    assert (one["headers"]["keelwatch-event"], one["headers"]["x-team"]) == ("raised", "safety")
    body = one["body"]
    assert body["url"] == f"{LOOK.api_url}/incidents/{body['incident']}"
    assert (body["route"], body["severity"], body["status"]) == (ROUTE, "warning", "acknowledged")
    assert body["verdict"] == "model"
    assert body["text"].startswith("[warning] ")
    assert {"Who changed", "Since", "State"} <= {fact["name"] for fact in body["facts"]}


def test_what_the_documentation_verifies_with_takes_ours_alone() -> None:
    page = (ROOT / "docs" / "receivers.md").read_text(encoding="utf-8")
    defined: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], defined)  # as people copy it
    now, is_ours = int(time.time()), defined["is_ours"]
    signed = signature(SECRET.encode(), now, b"{}")
    assert is_ours(SECRET, signed, b"{}")
    assert not is_ours(SECRET, signed, b"{ }")
    assert not is_ours("another", signed, b"{}")
    assert not is_ours(SECRET, signature(SECRET.encode(), now - 4000, b"{}"), b"{}"), "too old"


@on_sqlite
def test_a_request_that_was_not_answered_is_sent_again_with_the_same_key(database, programs) -> None:
    clock = Clock()
    record(database, *opening(ROUTE))
    programs.script("late", "lost", "error")
    turns(sender(database, clock, webhook(programs, clock)), clock, 12)
    assert [call["mode"] for call in programs.calls()] == ["late", "lost", "error", "ok"]
    assert len({call["headers"]["idempotency-key"] for call in programs.calls()}) == 1
    assert len({call["headers"]["keelwatch-signature"] for call in programs.calls()}) == 4, (
        "each is signed when it goes"
    )
    assert states(database) == {"sent"}
    assert [row.attempts for row in rows(database)] == [4]


@on_sqlite
@pytest.mark.parametrize(("mode", "seconds"), [("limited", 7), ("dated", 7), ("busy", 9)])
def test_a_program_that_asks_to_wait_is_waited_for(database, programs, mode, seconds) -> None:
    clock = Clock()
    one = sender(database, clock, webhook(programs, clock))
    record(database, *opening(ROUTE))
    programs.script(mode)
    turns(one, clock, seconds)
    assert len(programs.calls()) == 1
    turns(one, clock, 1)
    assert [call["mode"] for call in programs.calls()] == [mode, "ok"]
    assert states(database) == {"sent"}


@on_sqlite
def test_many_new_incidents_are_events_of_their_own_for_a_program(database, programs) -> None:
    clock = Clock()
    record(database, *(alert(index=700 + n, route=f"bot/{n}") for n in range(14)))
    turns(sender(database, clock, webhook(programs, clock)), clock)
    assert {body["route"] for body in programs.accepted()} == {f"bot/{n}" for n in range(14)}
    assert len(programs.accepted()) == 14
    assert states(database) == {"sent"}


@on_sqlite
def test_pagerduty_follows_the_incident(database, programs) -> None:
    clock = Clock()
    one = from_severity(database, clock, pagerduty(programs, clock), "warning")
    record(database, *opening(ROUTE))
    turns(one, clock)
    assert programs.calls() == [], "an incident of severity info pages nobody"
    assert states(database) == {"sent"}
    record(database, alert(index=610, route=ROUTE))
    turns(one, clock)
    record(database, decision("acknowledge", 11, route=ROUTE))
    turns(one, clock)
    record(database, decision("resolve", 12, route=ROUTE))
    turns(one, clock)
    events = programs.accepted()
    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    (key,) = {event["dedup_key"] for event in events}
    payload = events[0]["payload"]
    assert (payload["severity"], payload["source"], payload["class"]) == ("warning", ROUTE, "model")
    assert events[0]["links"][0]["href"] == events[0]["client_url"] == f"{LOOK.api_url}/incidents/{key}"
    assert states(database) == {"sent"}


def test_news_of_an_open_incident_that_call_nobody_are_no_event_for_pagerduty() -> None:
    def actions(made, **occasion):
        event = told(made, **occasion).event
        assert event is not None
        return actions_of(event)

    opened, snoozed, resolved = (incident(state=state) for state in ("open", "snoozed", "resolved"))
    assert actions(opened) == ("trigger",)
    assert actions(opened, told=True) == ()
    assert actions(opened, told=True, loud=True) == ("resolve", "trigger")
    assert actions(snoozed) == ("trigger", "acknowledge")
    assert actions(snoozed, told=True, loud=True) == ("acknowledge",)
    assert actions(resolved) == actions(resolved, told=True) == ("resolve",)
    woken = incident(state="open", timeline=(TimelineEntry(ts=at(1), kind="woken", text="the snooze is over"),))
    assert actions(woken, told=True) == ("resolve", "trigger")
    assert actions(woken, told=True, at=at(2)) == actions(woken, told=True, silenced=True) == ()


@on_sqlite
@pytest.mark.parametrize("channel", [pagerduty, opsgenie])
def test_somebody_who_acknowledged_is_paged_when_it_gets_worse(database, programs, channel) -> None:
    """An alert that is open there takes a second trigger in silence: it is resolved first."""
    clock = Clock()
    one = from_severity(database, clock, channel(programs, clock), "warning")
    for fact in (
        alert(index=610, route=ROUTE),
        decision("acknowledge", 11, route=ROUTE),
        family_alert("events", index=700, route=ROUTE),
    ):
        record(database, fact)
        turns(one, clock)
    assert programs.done() == ["page", "acknowledge", "resolve", "page"]
    assert states(database) == {"sent"}


def test_what_was_acknowledged_before_it_was_told_is_told_and_acknowledged(database, programs) -> None:
    clock = Clock()
    one = from_severity(database, clock, pagerduty(programs, clock), "warning")
    record(database, alert(index=610, route=ROUTE))
    programs.script("busy")
    turns(one, clock)
    record(database, decision("snooze", 11, expires=at(12) + timedelta(microseconds=123_457), route=ROUTE))
    turns(one, clock, 12)
    assert programs.done() == ["page", "acknowledge", "acknowledge"]
    record(database, alert(index=800, route=ROUTE, signal="refusal_strict"))
    turns(one, clock)
    assert programs.done()[3:] == ["resolve", "page"], "its snooze ended"
    assert states(database) == {"sent"}


@on_sqlite
def test_a_receiver_of_graver_incidents_is_told_when_one_rises(database, programs, slack) -> None:
    """A Slack channel has a severity too; in a storm the lesser ones are left out."""
    clock = Clock()
    one = from_severity(database, clock, bot(slack), "warning")
    record(database, *opening(ROUTE), *(alert(index=700 + n, route=f"bot/{n}") for n in range(12)))
    turns(one, clock, 3)
    (storm,) = slack.accepted()
    assert ROUTE not in storm["text"]
    record(database, *rest(ROUTE))
    turns(one, clock, 70)
    assert [body["text"].count(ROUTE) for body in slack.accepted("chat.postMessage") if "thread_ts" not in body] == [
        0,
        1,
    ]
    assert states(database) == {"sent"}


def test_who_is_told_instead_hears_of_every_severity_where_there_is_one() -> None:
    grave, all = Receiver(bot_of_nobody(), None, "critical"), Receiver(bot_of_nobody())
    policy = RoutePolicy(notify=("a", "pager"))
    told_of_all = Receivers({"a": all, "pager": grave, DEFAULT: all}, lambda route: policy)
    assert told_of_all.instead_of("a", ROUTE, ()) == DEFAULT
    assert told_of_all.instead_of("a", ROUTE, {DEFAULT}) == "pager"
    assert Receivers({"a": all}, lambda route: policy).instead_of("a", ROUTE, ()) is None


def bot_of_nobody() -> Webhook:
    return Webhook(HttpAddress("https://nobody.example"), SECRET)


def test_what_a_program_answers_says_whom_it_concerns(programs) -> None:
    for mode, reach, words in (
        ("401", "closed", "401 with application/json; check its secret"),
        ("404", "closed", "check its address"),
        ("410", "closed", "check its address"),
        ("redirect", "closed", "a redirect, which is not followed"),
        ("400", "message", "400 with application/json"),
        ("413", "message", "413 with application/json"),
        ("500", "receiver", "the message may have arrived"),
        ("408", "receiver", "the message may have arrived"),
        ("lost", "receiver", "the message may have arrived"),
    ):
        programs.script(mode)
        found = trouble(webhook(programs, Clock()))
        assert (found.reach, found.slow) == (reach, reach != "receiver"), mode
        assert words in str(found), mode
        assert "secret" not in str(found).replace("check its secret", ""), "the path of a webhook is one"


def test_a_host_that_may_not_be_called_is_not(programs) -> None:
    found = trouble(Webhook(HttpAddress(programs.url("webhook")), SECRET))
    assert (found.reach, programs.calls()) == ("closed", [])
    assert "list it under allow_hosts" in str(found)


def test_a_wrong_key_closes_pagerduty_and_a_bad_event_does_not(programs) -> None:
    wrong = trouble(pagerduty(programs, Clock(), "R-wrong"))
    assert (wrong.reach, "check its integration key" in str(wrong)) == ("closed", True)
    assert "R-wrong" not in str(wrong)
    programs.script("400")
    assert trouble(pagerduty(programs, Clock())).reach == "message"


def test_the_status_of_an_answer_counts_though_its_body_cannot_be_read(programs) -> None:
    """A body that is no JSON, too long, compressed or cut off says nothing of whether the message was taken."""
    programs.script("garbage", "bomb", "packed", "cut")
    answers = [asyncio.run(pagerduty(programs, Clock()).post(told(incident(state="open")))).answer for _ in range(4)]
    assert answers == ["200 with text/html", *["202 with text/html"] * 3]


@on_sqlite
def test_a_refused_event_is_not_sent_again_in_another_form(database, programs) -> None:
    clock = Clock()
    record(database, *opening(ROUTE))
    programs.script("400")
    turns(sender(database, clock, webhook(programs, clock)), clock, 5)
    assert len(programs.calls()) == 1
    assert states(database) == {"pending"}
    turns(sender(database, clock, webhook(programs, clock)), clock, 2, seconds=900)
    assert states(database) == {"sent"}


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS])
def test_hostile_text_is_one_line_without_addresses_or_mentions(text: str) -> None:
    message = told(hostile(text), what=text)
    event = message.event
    assert event is not None
    body = event.as_object()
    ours = {"url", "at", "opened_at"}
    shown = [body["text"], body["what"], *(fact["text"] for fact in body["facts"])]
    assert json.loads(json.dumps(body)) == body
    assert event.headline
    assert {key for key, value in body.items() if "//" in str(value)} <= ours
    for one in shown:
        assert not CONTROL.search(one)
        assert not LINKED.search(one)
        assert len(one) <= 1000


def test_a_trial_is_marked_and_leaves_nothing_open(programs) -> None:
    message = of_trial("pager", trial_event("test-1", at(0), "Test of receiver pager", None))
    place = asyncio.run(pagerduty(programs, Clock()).post(message))
    assert place.answer == "202 with application/json: Event processed"
    assert [event["event_action"] for event in programs.accepted()] == ["trigger", "resolve"]
    asyncio.run(webhook(programs, Clock()).post(message))
    assert programs.accepted()[-1]["event"] == "test"


@pytest.mark.parametrize("channel", [pagerduty, opsgenie])
def test_a_trial_that_could_not_be_closed_says_what_stays_open(programs, channel) -> None:
    programs.script("ok", "429")
    message = of_trial("pager", trial_event("test-1", at(0), "Test of receiver pager", None))
    found = trouble(channel(programs, Clock()), message)
    assert "429 with application/json: too many messages; the alert test-1 stays open there" in str(found)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (f"{ROUTING_KEY} is none", "KEY is none"),
        (f"'{ROUTING_KEY.upper()}'", "'KEY'"),
        (f"{ROUTING_KEY[:12]}... {ROUTING_KEY[-8:]}", "KEY... KEY"),
        (f"x{ROUTING_KEY[3:20]}{ROUTING_KEY}x", "xKEYx"),
        (f"{ROUTING_KEY[:7]} İ{ROUTING_KEY}", f"{ROUTING_KEY[:7]} İKEY"),
    ],
)
def test_our_key_is_not_shown_where_it_is_echoed(words: str, shown: str) -> None:
    assert without_key(words, ROUTING_KEY) == shown
    assert without_key("abc ABC", "abc") == "KEY KEY", "a short one, as a whole"


@on_sqlite
def test_opsgenie_follows_the_incident(database, programs) -> None:
    clock = Clock()
    one = from_severity(database, clock, opsgenie(programs, clock), "warning")
    record(database, *opening(ROUTE), alert(index=610, route=ROUTE))
    turns(one, clock)
    record(database, decision("acknowledge", 11, route=ROUTE))
    turns(one, clock)
    record(database, decision("resolve", 12, route=ROUTE))
    turns(one, clock)
    created, *later = programs.calls()
    alias = created["body"]["alias"]
    assert [call["path"] for call in later] == [
        f"/opsgenie/in/{alias}/acknowledge?identifierType=alias",
        f"/opsgenie/in/{alias}/close?identifierType=alias",
    ]
    assert (created["body"]["priority"], created["body"]["entity"]) == ("P3", ROUTE)
    assert f"{LOOK.api_url}/incidents/{alias}" in created["body"]["description"]
    assert all(call["accepted"] for call in programs.calls())
    assert states(database) == {"sent"}


def test_opsgenie_with_a_wrong_key_is_closed_and_a_trial_leaves_nothing_open(programs) -> None:
    wrong = trouble(opsgenie(programs, Clock(), "wrong"))
    assert (wrong.reach, "check its secret" in str(wrong)) == ("closed", True)
    message = of_trial("ops", trial_event("test-1", at(0), "Test of receiver ops", None))
    assert asyncio.run(opsgenie(programs, Clock()).post(message)).answer == "202 with application/json"
    assert programs.calls()[-1]["path"].startswith("/opsgenie/in/test-1/close")


@on_sqlite
def test_teams_gets_a_card_for_a_new_incident_and_for_a_rise(database, programs) -> None:
    clock = Clock()
    record(database, *shift(ROUTE))
    turns(sender(database, clock, Teams(programs.address("teams", clock=clock))), clock)
    cards = [body["attachments"][0]["content"] for body in programs.accepted()]
    assert len(cards) == len(programs.calls()) == 2
    assert {card["actions"][0]["url"].rpartition("/")[0] for card in cards} == {f"{LOOK.api_url}/incidents"}
    said = card_text(cards[1])
    assert "warning: support-bot/prod" in said
    assert "Who changed" in said
    labels = {one.label for one in BUTTONS}
    assert not any(line.strip("[ ]").startswith(tuple(labels)) for line in said.splitlines()), (
        "buttons are answered in Slack alone"
    )
    assert "subteam" not in said, "a mention of Slack is none of Teams"
    assert states(database) == {"sent"}


def card_text(card) -> str:
    return "\n".join("".join(run["text"] for run in block["inlines"]) for block in card["body"])


def test_a_storm_in_teams_is_one_card_within_its_size(programs) -> None:
    storm = of_storm([incident(headline="é" * 900)] * 45, LOOK)
    asyncio.run(Teams(programs.address("teams")).post(storm))
    (card,) = [body["attachments"][0]["content"] for body in programs.accepted()]
    assert "45 new incidents within a minute" in card_text(card)
    asyncio.run(Teams(programs.address("teams")).post(storm.plain()))
    assert ROUTE in card_text(programs.accepted()[-1]["attachments"][0]["content"])


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS])
def test_hostile_text_is_no_markup_link_or_mention_in_teams(text: str) -> None:
    """A run of rich text is shown as it is; what a client makes links of by itself does not stand in one."""
    made = hostile(text)
    messages = [of_incident(made, LOOK), of_entry(text, at(0)), of_rise(made, text, LOOK), of_storm([made], LOOK)]
    for card in map(card_of, [*messages, *(one.plain() for one in messages)]):
        assert {element["type"] for element in card["body"]} == {"RichTextBlock"}
        assert "entities" not in json.dumps(card)
        assert not LINKED.search(card_text(card))
        assert {action["url"] for action in card.get("actions", ())} <= {f"{LOOK.api_url}/incidents/{made.id}"}


def test_no_page_no_link() -> None:
    made = incident()
    event = with_event(of_incident(made, LOOK), made, MessageOptions(), EventOccasion("n", at(0), "x")).event
    assert event is not None
    assert event.url is None
