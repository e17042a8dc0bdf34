"""Five cron fields: what is a time and what is not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.cron import checked


@pytest.mark.parametrize(
    "expression",
    [
        "0 6 * * 1",
        "*/5 * * * *",
        "0,30 8-18/2 1-15 JAN-mar,12 mon-fri",
        "59 23 31 12 7",
        "0 0 29 2 *",
        "5/10 * * * sun",
        " 0  6 * * 1 ",
        "0 0 31 2,3 *",
        "0 0 31 2 1",
    ],
)
def test_times(expression: str) -> None:
    assert checked(expression) == expression


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "5 fields"),
        ("@weekly", "five fields"),
        ("0 6 * * 1 2026", "5 fields"),
        ("60 * * * *", "minute: must be"),
        ("* 24 * * *", "hour: must be"),
        ("* * 0 * *", "day of month: must be"),
        ("* * * 13 *", "month: must be"),
        ("* * * * 8", "day of week: must be"),
        ("* * * foo *", "month: must be"),
        ("* * * * 5-1", "a range must go up"),
        ("*/0 * * * *", "above 0"),
        ("*/ * * * *", "above 0"),
        ("1-2-3 * * * *", "minute: must be"),
        ("1, * * * *", "minute: must be"),
        ("-1 * * * *", "minute: must be"),
        ("² * * * *", "minute: must be"),
        ("99999999999999999999 * * * *", "minute: must be"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6 *", "never comes"),
    ],
)
def test_no_times(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked(expression)


@given(st.lists(st.text("0123456789*/-,monJAN ", max_size=6), min_size=5, max_size=5).map(" ".join))
def test_any_text_is_accepted_or_refused(expression: str) -> None:
    with contextlib.suppress(ValueError):
        assert checked(expression) == expression
