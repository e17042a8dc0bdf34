"""What a workspace forbids, locks or archives: told otherwise, to somebody else, and never at the cost of the others.

The cases `slack-mention-restricted` and `slack-thread-locked` of the field, and their kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from services.api.resources.health import health_report
from services.notify.receivers.slack_errors import SLACK_ERRORS, meaning_of
from services.wording import health, notifications
from tests.support.api import NOW, Wire, api_on
from tests.support.block_kit import texts
from tests.support.notify import MENTION, Clock, bot, opening, record, rest, rows, sender, states, turns, webhook
from tests.support.records import ROUTE, alert, family_alert

LOCKED = ("restricted_action_thread_locked", "cannot_reply_to_message")
CRITICAL = family_alert("events", index=800, route="other/critical")


def mentions(body: Mapping[str, Any]) -> bool:
    return MENTION in texts(body["blocks"])


def of(slack, route: str) -> list[dict[str, Any]]:
    return [body for body in slack.accepted("chat.postMessage") if route in str(body)]


def test_a_mention_that_is_forbidden_is_left_out_and_logged(database, slack, caplog) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, alert(index=720), CRITICAL)
    slack.script("restricted_action")
    turns(one, clock)
    refused, told, critical = [call["body"] for call in slack.calls()]
    assert [mentions(body) for body in (refused, told, critical)] == [True, False, False]
    assert [block for block in refused["blocks"] if block in told["blocks"]] == told["blocks"], "nothing else is lost"
    assert "restricted_action: an admin of the workspace forbids it): sent again without the mention" in caplog.text
    assert states(database) == {"sent"}


def test_a_mention_in_a_rise_that_is_forbidden_is_left_out_too(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    turns(one, clock)
    record(database, alert(index=610))
    slack.script("ok", "restricted_action")
    turns(one, clock)
    rise = slack.accepted("chat.postMessage")[-1]
    assert (rise["reply_broadcast"], mentions(rise)) == (True, False)
    assert states(database) == {"sent"}


@pytest.mark.parametrize("code", LOCKED)
def test_a_rise_that_a_thread_does_not_take_is_a_new_message_at_once(database, slack, code: str) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    turns(one, clock)
    record(database, alert(index=610), CRITICAL)
    slack.script("ok", code)
    turns(one, clock)
    first, rise = of(slack, ROUTE)
    assert "thread_ts" not in rise
    assert mentions(rise)
    assert not mentions(first)
    assert len(of(slack, "other/critical")) == 1, "nobody waited"
    assert states(database) == {"sent"}


@pytest.mark.parametrize("code", [LOCKED[0], "some_new_error"])
def test_what_is_no_rise_is_shown_by_the_message_alone_where_its_thread_is_locked(database, slack, code: str) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE), alert(index=610))
    turns(one, clock)
    n = len(slack.accepted("chat.postMessage"))
    record(database, rest(ROUTE)[1])
    slack.script("ok", *[code] * 2)
    turns(one, clock)
    assert "cknowledged" in " ".join(texts(slack.accepted("chat.update")[-1]["blocks"]))
    assert len(slack.accepted("chat.postMessage")) == n, "no flood of new messages"
    assert states(database) == {"sent"}


@pytest.mark.parametrize("code", ["is_archived", "cant_update_message"])
def test_a_message_whose_place_is_gone_is_posted_anew_at_once(database, slack, code: str) -> None:
    """Its channel was archived, and another one has the name now."""
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *opening(ROUTE))
    turns(one, clock)
    record(database, alert(index=610))
    slack.script(code)
    turns(one, clock)
    assert [mentions(body) for body in of(slack, ROUTE)] == [False, True]
    assert states(database) == {"sent"}


@pytest.mark.parametrize("code", ["is_archived", "invalid_auth"])
def test_when_a_channel_takes_nothing_the_next_receiver_is_told_and_health_shows_it(database, slack, code) -> None:
    clock = Clock()
    first, second = bot(slack), webhook(slack)
    one = sender(database, clock, second, first)  # the default receiver, and the route's own one
    own = one._receivers.policy(ROUTE).__class__(notify=("other-1",))
    object.__setattr__(one._receivers, "policy", lambda route: own)
    record(database, *opening(ROUTE))
    slack.script(code)
    turns(one, clock, 2)
    record(database, CRITICAL)
    turns(one, clock, 2)
    assert [call["method"] for call in slack.calls()] == ["chat.postMessage", "secret", "secret"]
    told = [" ".join(texts(body["blocks"])) for body in slack.accepted()]
    assert ["other/critical" in text for text in told] == [False, True]
    assert all(notifications.instead_of("other-1") in text for text in told)
    assert any(health.closed("other-1", code) in need for need in _needs(database))

    turns(one, clock, 2, seconds=900)  # it was mended: it has its own again, and health is well
    assert {row.state for row in rows(database)} == {"sent"}
    assert _needs(database) == []


def test_where_all_are_told_already_nobody_is_told_twice(database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack), webhook(slack))
    record(database, *opening(ROUTE))
    slack.script("is_archived", "is_archived")
    turns(one, clock, 3)
    assert len(rows(database)) == 2
    assert {row.instead_of for row in rows(database)} == {None}


def test_what_nobody_knows_of_concerns_one_message_alone_and_is_told_to_the_next(database, slack) -> None:
    clock = Clock()
    refusing = bot(slack)
    post = refusing.post

    async def picky(message):
        if "bot/bad" in message.text:
            slack.script("some_new_error")
        return await post(message)

    refusing.post = picky
    one = sender(database, clock, webhook(slack), refusing)
    own = one._receivers.policy(ROUTE).__class__(notify=("other-1",))
    object.__setattr__(one._receivers, "policy", lambda route: own)
    record(database, *opening("bot/bad"), CRITICAL)
    turns(one, clock, 3)
    assert len(of(slack, "other/critical")) == 1
    [instead] = slack.accepted("secret")
    assert "bot/bad" in instead["text"]
    assert "blocks" not in slack.calls()[1]["body"], "its plainest form was tried"


def test_the_table_says_for_each_error_what_is_done() -> None:
    assert all(meaning.remedy for meaning in SLACK_ERRORS.values() if meaning.reach in ("closed", "mention"))
    assert meaning_of("is_archived", placed=True).reach == "gone"
    assert meaning_of("invalid_auth", placed=True).reach == "closed"
    assert meaning_of("never heard of", placed=False).reach == "message"


def _needs(database) -> list[str]:
    """What health says of the receivers."""
    api = api_on(database, Wire())
    asyncio.run(api.health.survey.look_at_database())
    told = health_report(api.health, lambda route: True, NOW)
    return [need for need in told.needs if "other-1" in need]
