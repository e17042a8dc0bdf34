"""Calls of a judge on one day: granted, counted, and given back by whoever does not make them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from services.judge.daily_calls import DailyCalls

DAY = date(2026, 11, 30)


def test_calls_that_are_given_back_may_be_made_by_others(tmp_path: Path) -> None:
    calls = DailyCalls(tmp_path / "calls.json")
    assert calls.take("helpful", 30, 20, DAY) == 20
    assert calls.take("helpful", 1, 20, DAY) == 0
    calls.give_back("helpful", 20, DAY)
    assert calls.take("helpful", 20, 20, DAY) == 20
    calls.give_back("helpful", 50, DAY)
    assert calls.take("helpful", 30, 20, DAY) == 20, "never more than a day's"


def test_what_was_never_granted_cannot_be_given_back(tmp_path: Path) -> None:
    calls = DailyCalls(tmp_path / "calls.json")
    calls.give_back("helpful", 5, DAY)
    assert calls.take("helpful", 5, 3, DAY) == 3


def test_a_run_that_ends_after_midnight_gives_nothing_back_on_the_new_day(tmp_path: Path) -> None:
    calls, later = DailyCalls(tmp_path / "calls.json"), DAY + timedelta(days=1)
    assert calls.take("helpful", 20, 20, DAY) == 20
    assert calls.take("helpful", 15, 20, later) == 15
    calls.give_back("helpful", 18, DAY)
    assert calls.take("helpful", 20, 20, later) == 5
