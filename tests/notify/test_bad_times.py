"""Slack answers 429, 500, too late, not at all, or garbage: nothing is dropped, and hardly anything comes twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import ExitStack

import pytest

from services.store.engine import Database, open_database
from services.wording.decisions import DECISIONS
from tests.support.block_kit import texts
from tests.support.notify import Clock, bot, record, sender, shift, states, turns, webhook
from tests.support.slack import FakeSlack

ACCEPTED_UNHEARD = ("late", "lost", "garbage")
BAD = ("limited", "error", "hang", *ACCEPTED_UNHEARD)
ROUTES = tuple(f"bot/{n}" for n in range(8))


def script(slack: FakeSlack, seed: int) -> Counter[str]:
    """Three of four calls go wrong."""
    chance = random.Random(seed)
    modes = [chance.choice(["ok", *BAD]) if chance.random() < 0.87 else "ok" for _ in range(60)]
    slack.script(*modes)
    return Counter(modes)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_dropped_and_only_what_was_not_heard_comes_twice(database: Database, slack, seed: int) -> None:
    """A minute of faults, in the time that the sender sees; eight incidents with three notifications each."""
    clock = Clock()
    one = sender(database, clock, bot(slack))
    planned = script(slack, seed)
    assert all(planned[mode] for mode in BAD)
    for route in ROUTES:
        record(database, *shift(route))
    turns(one, clock, 900)
    calls = slack.calls()
    assert states(database) == {"sent"}
    assert {call["mode"] for call in calls} >= set(BAD), "a planned fault did not happen"
    posts = [call for call in calls if call["method"] == "chat.postMessage" and call["accepted"]]
    unheard = [call for call in posts if call["mode"] in ACCEPTED_UNHEARD]
    assert len(posts) == 3 * len(ROUTES) + len(unheard)
    _each_thread_in_order(posts)


def _each_thread_in_order(posts) -> None:
    for route in ROUTES:
        root = [call["answer"]["ts"] for call in posts if _opens(call, route)]
        replies = [call["body"]["text"] for call in posts if call["body"].get("thread_ts") == root[-1]]
        rise, seen = dict.fromkeys(replies)
        assert rise.startswith("[warning]")
        assert seen.startswith(DECISIONS["acknowledge"].done)
        assert replies == sorted(replies, key=[rise, seen].index), "an answer came before the one before it"


def _opens(call, route: str) -> bool:
    return "thread_ts" not in call["body"] and f": {route}" in " ".join(texts(call["body"]["blocks"][:1]))


def test_a_webhook_that_fails_loses_nothing_either(database: Database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, webhook(slack))
    slack.script("limited", "error", "lost", "hang", "ok", "late")
    for route in ROUTES[:3]:
        record(database, *shift(route))
    turns(one, clock, 60)
    accepted = [call for call in slack.calls() if call["accepted"]]
    assert states(database) == {"sent"}
    assert len(accepted) == 2 * 3 + sum(call["mode"] in ACCEPTED_UNHEARD for call in accepted)


def test_as_long_as_slack_asks_nothing_is_sent(database: Database, slack) -> None:
    clock = Clock()
    one = sender(database, clock, bot(slack))
    record(database, *shift("bot/a"))
    slack.script("limited", after=40)
    turns(one, clock, 40)
    assert len(slack.calls()) == 1
    turns(one, clock, 2)
    assert states(database) == {"sent"}


def test_two_senders_on_one_database_send_once(new_url, slack) -> None:
    """Both work at the same time, in threads of the same loop, each with connections of its own."""
    url, clock = new_url(), Clock()
    with ExitStack() as stack:
        bases = [open_database(url) for _ in range(2)]
        for base in bases:
            stack.callback(base.close)
        both = [sender(base, clock, bot(slack), name=f"replica-{n}") for n, base in enumerate(bases)]
        for route in ROUTES:
            record(bases[0], *shift(route))

        async def work() -> None:
            for _ in range(20):
                await asyncio.gather(*(one.once() for one in both))
                clock.move(1)

        asyncio.run(work())
        assert states(bases[0]) == {"sent"}
    bodies = [(body.get("thread_ts"), body["text"]) for body in slack.accepted("chat.postMessage")]
    assert len(bodies) == len(set(bodies)) == 3 * len(ROUTES)
