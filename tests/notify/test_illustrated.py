"""The chart in an incident's message: sent once, put in its place, and never in the way of the message."""

from __future__ import annotations

import logging

import pytest

from services.notify.pictures import QUIET, PictureState
from services.store.pictures import MessagePicture, PictureRow, keep_picture
from services.store.tables import table
from services.wording.charts import move
from tests.support.block_kit import texts
from tests.support.notify import MENTION, Clock, bot, outbox, record, sender, states, turns, webhook
from tests.support.rates import minutes
from tests.support.records import NEW, ROUTE, alert, change, decision

FILES = ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def told(database, clock, slack, channel=None, **gallery):
    """A sender, and an incident of which it tells: the refusal rate fell after 16 h."""
    minutes(database)
    record(database, alert(index=990))
    return sender(database, clock, channel or bot(slack), gallery=PictureState(pauses=(0.01, 0.01), **gallery))


def methods(slack) -> list[str]:
    return [call["method"] for call in slack.calls()]


def images(body) -> list[dict]:
    return [block for block in body["blocks"] if block["type"] == "image"]


def test_the_message_comes_first_and_then_shows_its_chart(database, slack, clock) -> None:
    turns(told(database, clock, slack), clock)
    assert methods(slack) == ["chat.postMessage", *FILES, "chat.update"]
    post, _, sent, _, update = slack.accepted()
    assert sent["png"]
    assert images(post) == []
    [image] = images(update)
    assert image["alt_text"].startswith(f"Refusal rate of {ROUTE}: {move(alert(index=990))}")
    assert MENTION in texts(post["blocks"])
    assert MENTION in texts(update["blocks"])
    assert [block for block in update["blocks"] if block["type"] != "image"] == post["blocks"]
    assert states(database) == {"sent"}


def test_a_picture_is_sent_again_only_when_people_would_see_another_one(database, slack, clock) -> None:
    one = told(database, clock, slack)
    turns(one, clock)
    record(database, decision("acknowledge", 17))
    turns(one, clock, 3)
    assert methods(slack)[5:] == ["chat.update", "chat.postMessage"]
    assert images(slack.accepted("chat.update")[-1]) == images(slack.accepted("chat.update")[0])
    record(database, change("suspected", 1000, hours=17.1, model=NEW))
    turns(one, clock, 3)
    assert methods(slack).count("upload") == 2
    assert images(slack.accepted("chat.update")[-1]) != images(slack.accepted("chat.update")[0])


def test_another_process_knows_the_picture(database, slack, clock) -> None:
    turns(told(database, clock, slack), clock)
    record(database, decision("acknowledge", 17))
    turns(sender(database, clock, bot(slack), name="two"), clock)
    assert methods(slack).count("upload") == 1
    assert images(slack.accepted("chat.update")[-1])


def test_without_the_scope_messages_have_no_picture_and_the_log_says_so_once(database, slack, clock, caplog) -> None:
    slack.scopes("chat:write")
    one = told(database, clock, slack)
    with caplog.at_level(logging.WARNING):
        turns(one, clock)
        clock.move(QUIET.total_seconds())
        record(database, decision("acknowledge", 17))
        turns(one, clock, 2)
    assert sum("give the app the scope files:write" in record.message for record in caplog.records) == 1
    assert states(database) == {"sent"}
    assert not any(images(body) for body in slack.accepted() if "blocks" in body)


STEPS = [(mode, step) for mode in ("late", "stall", "limited", "garbage") for step in range(4)]


@pytest.mark.parametrize(("mode", "step"), [*STEPS, ("error", 0), ("hang", 1), ("lost", 3), ("internal_error", 2)])
def test_no_fault_of_a_picture_delays_or_repeats_a_message(database, slack, clock, mode: str, step: int) -> None:
    slack.script("ok", *["ok"] * step, mode)
    one = told(database, clock, slack)
    turns(one, clock)
    assert states(database) == {"sent"}
    record(database, alert(index=990, route="other/prod"))
    turns(one, clock)
    assert states(database) == {"sent"}
    assert len(slack.accepted("chat.postMessage")) == 2


def test_a_vendor_that_is_slow_to_show_a_file_is_asked_again(database, slack, clock) -> None:
    slack.script("ok", "ok", "ok", "ok", "invalid_blocks", "invalid_blocks")
    turns(told(database, clock, slack), clock)
    assert methods(slack) == ["chat.postMessage", *FILES, "chat.update", "chat.update", "chat.update"]
    assert images(slack.accepted("chat.update")[-1])


def test_a_file_that_is_never_shown_is_left_out_and_not_sent_again(database, slack, clock) -> None:
    slack.script("ok", "ok", "ok", "ok", *["invalid_blocks"] * 3)
    one = told(database, clock, slack)
    turns(one, clock)
    record(database, decision("acknowledge", 17))
    turns(one, clock, 2)
    assert methods(slack).count("upload") == 1
    assert images(slack.accepted("chat.update")[-1]) == []


def test_a_file_that_was_deleted_takes_no_word_from_the_message(database, slack, clock) -> None:
    one = told(database, clock, slack)
    turns(one, clock)
    with database.read() as connection:
        [row] = connection.execute(table(PictureRow).select()).all()
    gone = MessagePicture("F99999999", row.key, row.words)
    database.transact(lambda connection: keep_picture(connection, row.receiver, row.incident, gone))
    record(database, decision("acknowledge", 17))
    turns(one, clock)
    update = slack.accepted("chat.update")[-1]
    assert images(update) == []
    assert "acknowledged" in " ".join(texts(update["blocks"]))
    assert states(database) == {"sent"}


def test_a_webhook_and_a_route_without_rates_have_no_picture(database, slack, clock) -> None:
    turns(told(database, clock, slack, webhook(slack)), clock)
    assert methods(slack) == ["secret"]


def test_what_was_not_measured_is_not_drawn(database, slack, clock) -> None:
    record(database, alert(index=990))
    turns(sender(database, clock, bot(slack)), clock)
    assert methods(slack) == ["chat.postMessage"]
    assert len(outbox(database)) == 1
