"""Schedules in words: what the scheduler does is what people read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor import cron
from services.wording.schedules import cron_in_words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 6 * * 0-7", "At 06:00"),
        ("0 6 * * 5/2", "At 06:00, only on Friday and Sunday"),
        ("0 9-17 * * 1-5", "At 0 minutes past the hour, between 09:00 and 17:59, Monday through Friday"),
        ("30 2 1 1,7 *", "At 02:30, on day 1 of the month, only in January and July"),
        ("0 0 13 * 5", "At 00:00, on day 13 of the month, or on Friday"),
        ("0 0 1 * 1-2", "At 00:00, on day 1 of the month, or on Monday and Tuesday"),
        ("0 0 1-31 * 5", "At 00:00"),
        ("0 0 */2 * 1", "At 00:00, every 2 days, only on Monday"),
    ],
)
def test_a_schedule_in_words(expression: str, words: str) -> None:
    assert cron_in_words(expression) == words


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number, step = st.integers(low, high), st.integers(1, 70)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    start = st.one_of(st.just("*"), number.map(str), span)
    one = st.one_of(start, st.tuples(start, step).map(lambda pair: f"{pair[0]}/{pair[1]}"))
    return st.lists(one, min_size=1, max_size=3).map(",".join)


@given(st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join))
def test_every_schedule_has_words(expression: str) -> None:
    assert cron_in_words(cron.checked(expression)).isprintable()
