"""Senders as processes that are killed: what was sent is known, and what was not is sent by the next one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from services.store.engine import open_database
from tests.support.notify import Clock, bot, outbox, record, sender, shift, turns
from tests.support.slack import FakeSlack
from tests.support.source import ROOT
from tests.support.streams import until

ROUTES = tuple(f"bot/{n}" for n in range(6))


@contextmanager
def process(url: str, slack: FakeSlack, name: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "tests.support.send", url, str(slack.port), name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == b"ready\n"
            yield started
        finally:
            started.kill()


def test_killed_in_the_middle_of_a_call_it_goes_on_and_sends_one_more_at_most(new_url, slack) -> None:
    """Killed while Slack, which has accepted, does not answer: nobody can know, so that it is sent again."""
    url = new_url()
    database = open_database(url)
    for route in ROUTES:
        record(database, *shift(route))
    kills = 0
    for mode in ("stall", "hang", "stall"):
        before = len(slack.calls())
        slack.script("ok", "ok", mode)
        with process(url, slack, "the-one") as one:
            until(lambda n=before: len(slack.calls()) >= n + 3, "it is inside a call", 20)
            one.kill()
            kills += 1
    with process(url, slack, "the-one"):
        until(lambda: {row.state for row in outbox(database)} == {"sent"}, "all is sent", 30)
    database.close()
    posts = [call for call in slack.calls() if call["method"] == "chat.postMessage" and call["accepted"]]
    unheard = [call for call in posts if call["mode"] == "stall"]
    assert {call["mode"] for call in slack.calls()} >= {"stall", "hang"}
    assert 3 * len(ROUTES) <= len(posts) <= 3 * len(ROUTES) + len(unheard)
    assert kills == 3


def test_two_processes_send_once(new_url, slack) -> None:
    url = new_url()
    database = open_database(url)
    with process(url, slack, "replica-a"), process(url, slack, "replica-b"):
        for route in ROUTES:
            record(database, *shift(route))
        until(lambda: {row.state for row in outbox(database)} == {"sent"}, "all is sent", 30)
    database.close()
    bodies = [(body.get("thread_ts"), body["text"]) for body in slack.accepted("chat.postMessage")]
    assert len(bodies) == len(set(bodies)) == 3 * len(ROUTES)


def test_one_that_was_stopped_past_its_lease_sends_nothing_more(database, slack) -> None:
    """Stopped inside a call, for longer than its lease: the other one took over, and the stopped one must notice."""
    clock = Clock()
    stopped_in, other = bot(slack), sender(database, clock, bot(slack), name="other")
    post = stopped_in.post

    async def stopped(message):
        place = await post(message)
        clock.move(61)
        await other.once()
        return place

    stopped_in.post = stopped
    for route in ROUTES:
        record(database, *shift(route))
    slack.script("ok", "ok", "ok", "limited", after=600)
    turns(sender(database, clock, stopped_in, name="stopped"), clock)
    assert len(slack.accepted()) == 3, "one by the stopped one, two by the other, which Slack then asked to wait"
    turns(other, clock, 2, seconds=600)
    roots = [body["text"] for body in slack.accepted("chat.postMessage") if "thread_ts" not in body]
    assert len(roots) == len(ROUTES) + 1, "the one that was inside the call, and no other"
    assert len(set(roots)) == len(ROUTES)
    assert len(slack.accepted("chat.postMessage")) == 3 * len(ROUTES) + 1
    assert {row.state for row in outbox(database)} == {"sent"}
