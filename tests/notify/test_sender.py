"""From the outbox to Slack: what is sent in which order, and when it counts as sent. On both databases."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from sqlalchemy import update

from services.store.deliveries import OutboxRow
from services.store.incidents import IncidentRow
from services.store.tables import table
from tests.support.block_kit import texts
from tests.support.notify import (
    MENTION,
    Clock,
    bot,
    opening,
    outbox,
    record,
    rest,
    rows,
    sender,
    shift,
    states,
    turns,
    webhook,
)
from tests.support.records import ROUTE, alert, at, family_alert


def mentions(body) -> bool:
    return MENTION in texts(body["blocks"])


def test_one_message_an_incident_updated_in_place_with_its_thread(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    turns(one, clock)
    record(database, *rest(ROUTE))
    turns(one, clock)
    calls = [(call["method"], call["body"].get("reply_broadcast")) for call in slack.calls()]
    assert calls == [
        ("chat.postMessage", None),
        ("chat.update", None),
        ("chat.postMessage", True),
        ("chat.postMessage", False),  # the message shows it already: what waits is told as the incident stands
    ]
    post, update, loud, quiet = slack.accepted()
    assert [mentions(body) for body in (post, update, loud, quiet)] == [False, False, True, False]
    assert "acknowledged" in " ".join(texts(update["blocks"]))
    assert loud["thread_ts"] == quiet["thread_ts"] == update["ts"]
    assert {(row.state, row.error) for row in outbox(database)} == {("sent", None)}
    assert all(row.sent == Clock().now or row.sent > Clock().now for row in outbox(database))
    turns(one, clock, 3)
    assert len(slack.calls()) == 4


def test_an_incident_that_opens_loud_mentions_in_its_message(database, slack) -> None:
    clock = Clock()
    record(database, alert(index=720))
    turns(sender(database, clock, bot(slack)), clock)
    (post,) = slack.accepted()
    assert mentions(post)


def test_a_webhook_posts_anew_for_a_rise_and_nothing_else(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, webhook(slack))
    record(database, *shift(ROUTE))
    turns(one, clock)
    assert [mentions(body) for body in slack.accepted()] == [False, True]
    assert [call["method"] for call in slack.calls()] == ["secret", "secret"]
    assert states(database) == {"sent"}


def test_more_than_ten_new_incidents_a_minute_are_one_message(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *(alert(index=700 + n, route=f"bot/{n}") for n in range(14)))
    turns(one, clock)
    (storm,) = slack.accepted()
    said = " ".join(texts(storm["blocks"]))
    assert "14 new incidents within a minute" in said
    assert all(f"bot/{n}" in said for n in range(14))
    assert mentions(storm)
    record(database, *(alert(index=700 + n, route=f"late/{n}") for n in range(2)))
    turns(one, clock, 50)
    assert len(slack.accepted()) == 1, "a storm has one message a minute"
    turns(one, clock, 15)
    singles = slack.accepted("chat.postMessage")[1:]
    assert len(singles) == 2, "the storm is over: each has its message again"
    record(database, family_alert("events", index=800, route="bot/3"))
    turns(one, clock)
    update, rise = slack.accepted()[-2:]
    assert "bot/5" in " ".join(texts(update["blocks"])), "the list stays a list"
    assert rise["thread_ts"] == update["ts"]
    assert rise["reply_broadcast"] is True
    assert states(database) == {"sent"}


def test_ten_in_a_minute_are_no_storm_and_the_eleventh_is(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *(alert(index=700 + n, route=f"bot/{n}") for n in range(10)))
    turns(one, clock)
    assert len(slack.accepted("chat.postMessage")) == 10
    record(database, alert(index=700, route="bot/more"))
    turns(one, clock)
    assert "1 new incident" in slack.accepted()[-1]["text"]
    assert "bot/more" in slack.accepted()[-1]["text"]


def test_each_receiver_has_its_own_and_one_in_trouble_does_not_hold_the_other(database, slack) -> None:
    clock = Clock()
    good, other = bot(slack), webhook(slack)
    one = sender(database, clock, other, good)
    record(database, *opening(ROUTE))
    slack.script("error")
    turns(one, clock, 1)
    assert len(slack.accepted()) == 1
    assert states(database) == {"pending"}, "sent is what all have"
    turns(one, clock, 3)
    assert states(database) == {"sent"}
    assert sorted(call["method"] for call in slack.calls() if call["accepted"]) == ["chat.postMessage", "secret"]
    assert {row.receiver for row in rows(database)} == {"default", "other-1"}


def test_what_slack_never_shows_is_given_up_after_a_day(database, slack, caplog) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    slack.script(*["invalid_blocks"] * 300)
    turns(one, clock, 95, seconds=900)
    assert states(database) == {"pending"}
    turns(one, clock, 5, seconds=900)
    assert states(database) == {"failed"}
    assert "1 notifications given up after a day: invalid_blocks" in caplog.text


def test_what_slack_cannot_show_is_sent_as_plain_text(database, slack) -> None:
    clock = Clock()
    record(database, *opening(ROUTE))
    slack.script("invalid_blocks")
    turns(sender(database, clock, bot(slack)), clock)
    (body,) = slack.accepted()
    assert "blocks" not in body
    assert ROUTE in body["text"]
    assert states(database) == {"sent"}


def test_one_message_that_we_fail_on_does_not_stop_the_others(database, slack, caplog) -> None:
    clock, broken = Clock(), bot(slack)
    post = broken.post

    async def failing(message):
        if "bot/bad" in message.text:
            raise KeyError("a fault of ours")
        return await post(message)

    broken.post = failing
    one = sender(database, clock, broken)
    record(database, *opening("bot/bad"), *opening("bot/good", index=700))
    turns(one, clock, 3)
    assert ["bot/good" in body["text"] for body in slack.accepted()] == [True]
    assert "a fault of ours in a message to receiver default" in caplog.text
    assert {row.error for row in rows(database)} == {None, "a fault of ours: KeyError"}
    broken.post = post
    turns(one, clock, 2, seconds=900)
    assert states(database) == {"sent"}


def test_a_message_that_was_deleted_is_posted_anew(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    turns(one, clock)
    slack.forget_messages()
    record(database, *rest(ROUTE))
    turns(one, clock)
    first, again, reply = slack.accepted("chat.postMessage")
    assert mentions(again), "the rise is told, whatever became of the message"
    assert not mentions(first)
    assert reply["thread_ts"] != first.get("ts")
    assert states(database) == {"sent"}


def test_what_is_withdrawn_before_it_was_sent_is_not_sent(database, slack) -> None:
    """A fact that came late makes another incident the first: the one that nobody heard of is gone."""
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, alert(index=720))
    slack.script("error")
    turns(one, clock)
    before = {row.id for row in outbox(database)}
    record(database, alert(index=700))
    assert not before & {row.id for row in outbox(database)}
    turns(one, clock, 120)
    told = slack.accepted("chat.postMessage")
    assert all("exchange 720" not in str(list(texts(body["blocks"]))) for body in told[:1])
    assert {row.state for row in rows(database)} == {"sent"}, "nothing of what was withdrawn is left behind"


def test_what_was_not_confirmed_is_reported(database, slack, caplog) -> None:
    clock, registry = Clock(), CollectorRegistry()
    one = sender(database, clock, bot(slack), registry=registry)
    record(database, *opening(ROUTE))
    slack.script(*["not_in_channel"] * 5)
    turns(one, clock, 4, seconds=60)
    assert "not confirmed" not in caplog.text
    assert "invite the app to the channel" in caplog.text
    turns(one, clock, 4, seconds=60)
    assert caplog.text.count("is not confirmed by receiver default since 2026-12-01 00:00 UTC: not_in_channel") == 1
    assert registry.get_sample_value("keelwatch_unconfirmed_incidents") == 1
    turns(one, clock, 90, seconds=60)
    assert states(database) == {"sent"}
    assert registry.get_sample_value("keelwatch_unconfirmed_incidents") == 0
    assert registry.get_sample_value("keelwatch_notifications_total", {"receiver": "default", "outcome": "sent"}) == 1


def test_after_a_day_it_is_given_up_with_the_reason(database, slack, caplog) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *shift(ROUTE))
    slack.script(*["channel_not_found"] * 98)
    turns(one, clock, 95, seconds=900)
    assert states(database) == {"pending"}
    turns(one, clock, 3, seconds=900)
    assert states(database) == {"failed"}
    assert all(
        "default: channel_not_found: name a channel that exists" in str(row.error) for row in outbox(database)[:1]
    )
    assert "3 notifications given up after a day" in caplog.text
    assert at(0) < clock.now


def test_a_row_of_the_outbox_that_cannot_be_read_fails_alone(database, slack, caplog) -> None:
    """One that was changed by hand, or by a release that this one does not know."""
    clock = Clock()
    record(database, *opening(ROUTE))
    record(database, *opening("other/prod"))
    with database.write() as connection:
        connection.execute(
            update(table(OutboxRow))
            .where(table(OutboxRow).c.route == ROUTE)
            .values(payload='{"severity":"(erased)","mention":true,"text":"t","fired":"(erased)"}')
        )
    one = sender(database, clock, bot(slack))
    turns(one, clock, 70)
    assert len(slack.accepted()) == 1
    assert states(database) == {"sent", "failed"}
    assert "a notification is sent to nobody" in caplog.text


def test_an_incident_that_cannot_be_read_keeps_no_other_from_being_told(database, slack) -> None:
    clock = Clock()
    record(database, *opening(ROUTE))
    record(database, *opening("other/prod"))
    with database.write() as connection:
        connection.execute(
            update(table(IncidentRow)).where(table(IncidentRow).c.route == ROUTE).values(payload='{"x": 1}')
        )
    turns(sender(database, clock, bot(slack)), clock, 5)
    assert len(slack.accepted()) == 1
    assert "other/prod" in slack.accepted()[0]["text"]
    assert states(database) == {"sent", "pending"}
