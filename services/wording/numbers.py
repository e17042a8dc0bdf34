"""Numbers, rates, times and lists as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.reading import Effect, Unit

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
UNKNOWN: Final = "not known"
_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_UNITS: Final[dict[Unit, str]] = {"pp": " points", "sd": "", "ratio": ""}
_STEPS: Final = (
    (timedelta(days=2), timedelta(days=1), "days"),
    (timedelta(hours=2), timedelta(hours=1), "hours"),
    (timedelta(minutes=2), timedelta(minutes=1), "minutes"),
)


def plural(n: int) -> str:
    """The ending of a noun of which there are `n`."""
    return "" if n == 1 else "s"


def count(n: int, noun: str) -> str:
    """So many of something.

    >>> count(1, "route"), count(1200, "exchange")
    ('1 route', '1,200 exchanges')
    """
    return f"{n:,} {noun}{plural(n)}"


def in_words(n: int) -> str:
    """A small number as a word, a greater one in digits."""
    return _WORDS[n] if 0 <= n < len(_WORDS) else f"{n:,}"


def listed(parts: Sequence[str]) -> str:
    """Several things in one sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence_case(text: str) -> str:
    """The text with its first letter capital, as a sentence begins."""
    return text[:1].upper() + text[1:]


def percent(share: float | None) -> str:
    """A share in percent, to one digit; a smaller one with as many digits as tell it from nothing.

    >>> percent(0.157), percent(0.0), percent(0.00042), percent(None)
    ('15.7%', '0.0%', '0.042%', 'not known')
    """
    if share is None:
        return UNKNOWN
    if abs(share) < 5e-8 or abs(share) >= 0.0005:  # what rounds to nothing, and what one digit says
        return f"{share * 100:.1f}%"
    return f"{float(f'{share * 100:.2g}'):f}".rstrip("0") + "%"


def each(mean: float) -> str:
    """What is counted in an exchange, on average.

    >>> each(2.345)
    '2.35 in each'
    """
    return f"{mean:,.2f} in each"


def interval(low: float | None, high: float | None) -> str:
    """Two shares between which a rate lies; empty where nothing is known.

    >>> interval(0.1, 0.25)
    '10.0% to 25.0%'
    """
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def level(value: float, unit: Unit) -> str:
    """A value of an effect with its unit; rates are in percent.

    >>> level(15.74, "pp"), level(7.43, "sd"), level(3.0, "ratio")
    ('15.7%', '7.4 sd', '3.0x')
    """
    return percent(value / 100) if unit == "pp" else f"{value:.1f}{' sd' if unit == 'sd' else 'x'}"


def change(low: float | None, high: float | None, unit: Unit) -> str:
    """The ends between which a change lies: signed points of a rate, else plain.

    >>> change(-16.1, -11.7, "pp"), change(4.79, 10.08, "sd")
    ('-16.1 to -11.7 points', '4.8 to 10.1')
    """
    if low is None or high is None:
        return UNKNOWN
    sign = "+" if unit == "pp" else ""
    return f"{low:{sign}.1f} to {high:{sign}.1f}{_UNITS[unit]}"


def moved(effect: Effect | None) -> str:
    """A move from before to after: ` from 15.7% to 0.0%`; nothing of a distance, which says nothing to people.

    Before is what was counted in the baseline. Where that alone would tell of no move, or of the opposite one, other
    questions are asked now, and the move is against what was to be expected of them.
    """
    if effect is None or effect.before is None or effect.after is None or effect.unit == "sd":
        return ""
    after = level(effect.after, effect.unit)
    if not asks_otherwise(effect):
        return f" from {level(before_of(effect), effect.unit)} to {after}"
    side = "less" if effect.after < effect.before else "more"
    return f" to {after}: {side} than is usual for the questions that are asked now"


def by_how_much(ratio: float) -> str:
    """How far an amount is from what it was, without its sign.

    >>> by_how_much(0.62), by_how_much(1.38), by_how_much(2.5)
    ('38%', '38%', '150%')
    """
    return f"{abs(ratio - 1) * 100:.0f}%"


def asks_otherwise(effect: Effect | None) -> bool:
    """Whether the rates as counted hide the move: it shows only against what these questions lead to expect."""
    if effect is None or effect.baseline_rate is None or effect.before is None or effect.after is None:
        return False
    return (effect.after - effect.baseline_rate) * (effect.after - effect.before) <= 0


def before_of(effect: Effect) -> float:
    """The value before: a rate as it was counted in the baseline, where it was."""
    assert effect.before is not None
    return effect.before if effect.baseline_rate is None else effect.baseline_rate


def moment(ts: datetime) -> str:
    """A time in full, for places that know no zone of the reader.

    >>> moment(datetime(2026, 11, 4, 9, 5, tzinfo=UTC))
    '4 Nov 2026 09:05 UTC'
    """
    there = ts.astimezone(UTC)
    return f"{there.day} {MONTHS[there.month - 1]} {there.year} {there:%H:%M} UTC"


def short_moment(ts: datetime) -> str:
    """A time in UTC to the minute, without the year and the zone.

    >>> short_moment(datetime(2026, 11, 4, 9, 5, tzinfo=UTC))
    '4 Nov 09:05'
    """
    there = ts.astimezone(UTC)
    return f"{there.day} {MONTHS[there.month - 1]} {there:%H:%M}"


def clock(ts: datetime, now: datetime | None = None) -> str:
    """A time of today as `19:46 UTC`, another with its day: `3 Nov 19:46 UTC`."""
    there = ts.astimezone(UTC)
    today = now is not None and now.astimezone(UTC).date() == there.date()
    return f"{there:%H:%M} UTC" if today else f"{short_moment(ts)} UTC"


def exchange_name(ts: datetime) -> str:
    """What an exchange is called: by its time. Its id stands in Details.

    >>> exchange_name(datetime(2026, 11, 4, 19, 46, 12, tzinfo=UTC))
    'exchange of 19:46:12'
    """
    return f"exchange of {ts.astimezone(UTC):%H:%M:%S}"


def duration(span: timedelta) -> str:
    """How long, in the largest unit of which there are two.

    >>> duration(timedelta(hours=30)), duration(timedelta(seconds=30))
    ('30 hours', 'a moment')
    """
    for least, unit, name in _STEPS:
        if span >= least:
            return f"{span // unit} {name}"
    return "a moment"


def ago(ts: datetime, now: datetime) -> str:
    """How long ago that was.

    >>> ago(datetime(2026, 11, 4, 9, tzinfo=UTC), datetime(2026, 11, 4, 12, tzinfo=UTC))
    '3 hours ago'
    """
    gone = now - ts
    if gone < timedelta(0):
        return "ahead of our clock"
    return "just now" if gone < _STEPS[-1][0] else f"{duration(gone)} ago"


def time_long(hours: float) -> str:
    """How long it still takes: of less than an hour the minutes.

    >>> time_long(1 / 30), time_long(0.999), time_long(8.7), time_long(0)
    ('2 minutes', '1 hour', '9 hours', '1 minute')
    """
    n = max(round(hours * 60), 1)
    return count(n, "minute") if n < 60 else hours_long(hours)


def hours_long(hours: float) -> str:
    """So many hours, as people say them.

    >>> hours_long(1), hours_long(8.7), hours_long(72)
    ('1 hour', '9 hours', '3 days')
    """
    n = max(round(hours), 1)
    return f"{n // 24} days" if n >= 48 else f"{n} hour{plural(n)}"
