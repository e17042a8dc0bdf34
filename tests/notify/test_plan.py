"""The rules: what is sent for which notification, when it is a storm, how long to wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.notify import delivery_rules
from services.notify.delivery_rules import Opening, Post, ThreadReply, Update
from services.notify.receivers.http_post import refusal
from services.outbound import HttpReply
from tests.support.records import at


@pytest.mark.parametrize(
    ("kind", "mention", "told", "bot", "webhook"),
    [
        ("post", False, False, (Post(False),), (Post(False),)),
        ("post", True, False, (Post(True),), (Post(True),)),
        ("update", False, True, (Update(), ThreadReply(False)), ()),
        ("broadcast", True, True, (Update(), ThreadReply(True)), (Post(True),)),
        ("broadcast", True, False, (Post(True),), (Post(True),)),  # its post was given up
        ("update", False, False, (Post(False),), (Post(False),)),
        ("post", True, True, (Update(), ThreadReply(True)), (Post(True),)),  # an earlier alert came later
        ("post", False, True, (Update(), ThreadReply(False)), ()),
    ],
)
def test_what_a_notification_asks_for(kind, mention, told, bot, webhook) -> None:
    assert delivery_rules.steps(kind, mention, told=told, in_place=True) == bot
    assert delivery_rules.steps(kind, mention, told=told, in_place=False) == webhook


def test_a_quiet_one_edits_what_is_there_and_rings_nobody() -> None:
    assert delivery_rules.steps("update", False, told=True, in_place=True, quiet=True) == (Update(),)
    assert delivery_rules.steps("update", False, told=True, in_place=False, quiet=True) == ()
    assert delivery_rules.steps("update", False, told=False, in_place=True, quiet=True) == ()


@pytest.mark.parametrize(
    ("kind", "mention", "fired", "worst", "heard"),
    [
        ("update", False, "warning", None, ("broadcast", True)),  # the worse ones were kept from this receiver
        ("update", False, "warning", "info", ("broadcast", True)),
        ("update", False, "warning", "warning", ("update", False)),
        ("update", False, "info", None, ("update", False)),
        ("post", False, "error", None, ("post", True)),
        ("broadcast", True, "warning", "critical", ("broadcast", True)),
        ("update", False, None, None, ("update", False)),
    ],
)
def test_how_loud_one_is_depends_on_what_was_heard(kind, mention, fired, worst, heard) -> None:
    assert delivery_rules.as_heard(kind, mention, fired, worst) == heard


def openings(n: int, storm: bool = False, minutes: float = 0.0) -> list[Opening]:
    return [Opening(at(minutes / 60), storm)] * n


@pytest.mark.parametrize(
    ("recent", "waiting", "minutes", "how"),
    [
        ([], 10, 0, "each"),
        ([], 11, 0, "list"),
        (openings(9), 1, 0.5, "each"),
        (openings(10), 1, 0.5, "list"),
        (openings(10), 1, 1, "each"),
        (openings(14, storm=True), 1, 0.5, at(1 / 60)),
        (openings(14, storm=True), 30, 1, "list"),
        (openings(14, storm=True), 2, 1, "each"),
    ],
)
def test_more_than_ten_a_minute_are_a_storm(recent, waiting, minutes, how) -> None:
    assert delivery_rules.opening(recent, waiting, at(minutes / 60)) == how


def test_pauses_double_up_to_half_a_minute_and_what_is_asked_is_done_at_least() -> None:
    assert [delivery_rules.pause(n).total_seconds() for n in (1, 2, 3, 6, 60)] == [1, 2, 4, 30, 30]
    assert delivery_rules.pause(1, after=2.5) == timedelta(seconds=2.5)
    assert delivery_rules.pause(9, after=2.5) == timedelta(seconds=30)
    assert delivery_rules.pause(1, slow=True) == timedelta(minutes=15)
    assert delivery_rules.pause(1, after=2.5, slow=True) == timedelta(minutes=15)


@pytest.mark.parametrize("said", ["0", "-5", "1e-300", "0.0001", "Tue, 01 Dec 2020 00:00:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_for_no_pause_has_the_usual_one(said: str, status: int) -> None:
    trouble = refusal(HttpReply(status, {"retry-after": said}, b""), at(0) + timedelta(days=2000))
    assert trouble is not None
    assert [delivery_rules.pause(n, after=trouble.after).total_seconds() for n in (1, 2, 3, 60)] == [1, 2, 4, 30]


def test_a_day_is_enough() -> None:
    assert not delivery_rules.is_given_up(at(0), at(23.99))
    assert delivery_rules.is_given_up(at(0), at(24))
