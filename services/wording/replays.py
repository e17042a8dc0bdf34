"""What replays of scored exchanges say: pages gained and lost, the budget, drills, baselines of a file. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.wording import nouns, numbers

SCORE_FIRST: Final = "`keelwatch score FILE --vectors --out SCORES` makes them of exchanges"
PAGE_COLUMNS: Final = ("", "when", "route", "what happened")
GAINED, LOST, MOVED, KEPT = "gained", "lost", "moved", "same"


def unread(path: str, why: str) -> str:
    """A file that cannot be read."""
    return f"{path}: {why}; name a JSONL file of score lines: {SCORE_FIRST}"


def empty(path: str) -> str:
    """A file without a line."""
    return f"{path}: holds no score line; {SCORE_FIRST}"


def not_scored(where: str, path: str) -> str:
    """A line of another kind."""
    return f"{where}: is no score line; {SCORE_FIRST.replace('FILE', path)}"


def neither(what: str) -> str:
    """What is neither a file nor a route."""
    return f"{what}: is no file, and no route of this database; `keelwatch route list` names its routes"


def needs_database(what: str, why: str) -> str:
    """What is no file, where there is no database in which it might be a route."""
    return f"{what}: is no file; as a route it needs a database: {why}"


def nothing_stored(route: str) -> str:
    """A route without exchanges."""
    return f"{route}: no scored exchange of it is stored; publish some, or name a file of score lines"


def several_routes(names: Sequence[str]) -> str:
    """A file that cannot be of one route."""
    return f"the file holds {len(names)} routes ({', '.join(names[:3])}); name one with its score lines alone"


def no_baseline(route: str, learned: int, size: int) -> str:
    """A route that still learns."""
    return (
        f"{route}: has no baseline yet, {learned:,} of {size:,} exchanges are learned; wait, or make one with "
        "`keelwatch baseline build`"
    )


def too_few(route: str, learned: int, least: int, per_hour: int) -> str:
    """A baseline that cannot be made of so little."""
    return (
        f"{route or 'the file'}: {learned:,} exchanges count towards a baseline, at least {least:,} are needed "
        f"(baseline.min_size; at most {per_hour:,} of one clock hour count, baseline.per_hour); bring more"
    )


def too_few_clean(route: str, n: int, least: int) -> str:
    """Too little to draw from."""
    return (
        f"{route}: {n:,} exchanges are answered, embedded and of no open question, at least {least:,} are needed; "
        "wait for more traffic, or say of its incidents which were false alarms"
    )


def pages(n: int, since: datetime | None) -> str:
    """How often people would have been called."""
    when = "" if since is None else f" since {numbers.moment(since)}"
    return f"{numbers.count(n, 'page')}{when}" if n else f"no page{when}"


def compared(before: int, after: int, gained: int, lost: int, moved: int, kept: int, exchanges: int) -> str:
    """How the pages of two configurations differ, in one line."""
    same = f"{kept:,} as before"
    parts = [f"{n:,} {what}" for n, what in ((gained, GAINED), (lost, LOST), (moved, MOVED)) if n]
    found = ", ".join([*parts, same]) if parts else "none gained, lost or moved"
    return f"{pages(after, None)} instead of {before:,} in {exchanges:,} exchanges: {found}"


def later(before: datetime, after: datetime, exchanges: int) -> str:
    """How a page moved."""
    if exchanges == 0:
        return "at the same exchange"
    way = "later" if exchanges > 0 else "earlier"
    return f"{numbers.count(abs(exchanges), 'exchange')} ({numbers.duration(abs(after - before))}) {way}"


def now_as(severity: str) -> str:
    """Another severity than before."""
    return f"now {severity}"


def bad_shift(text: str) -> str:
    """A shift in another form."""
    return (
        f"--shift {text}: write SIGNAL=+POINTSpp or SIGNAL=-POINTSpp (refusal=-10pp), or length=-PERCENT% "
        "(length=-30%) for shorter answers"
    )


def no_such_signal(name: str, known: Sequence[str]) -> str:
    """A signal that these exchanges do not have."""
    return f"--shift {name}: these exchanges have no such yes-or-no signal; they have {', '.join(known)}"


def impossible_shift(shift: str, before: float) -> str:
    """A rate that cannot move so far."""
    return f"--shift {shift}: the rate is {numbers.percent(before)} and cannot move so far; name a smaller shift"


def drilled(route: str, name: str, by: float, before: float | None, after: float | None, draws: int) -> str:
    """What was tried."""
    if before is None or after is None:
        what = f"answers {abs(by) * 100:g}% {'shorter' if by < 0 else 'longer'}"
    else:
        what = f"{nouns.signal_noun(name)} from {numbers.percent(before)} to {numbers.percent(after)}"
    return f"{route}: {what}, in {draws:,} draws of its own exchanges"


def within(n: int, per_day: float | None) -> str:
    """So many exchanges, and how long that is today."""
    if per_day is None or per_day <= 0:
        return numbers.count(n, "exchange")
    return f"{numbers.count(n, 'exchange')} (about {_long(timedelta(days=n / per_day))} at today's traffic)"


def would_be_seen(median: int, most: int | None, per_day: float | None) -> str:
    """When a shift would be noticed."""
    late = "" if most is None else f", in 9 of 10 cases within {within(most, per_day)}"
    return f"would be seen after about {within(median, per_day)}{late}"


def would_page(median: int | None, most: int | None, per_day: float | None) -> str:
    """When people would be called about it."""
    if median is None:
        return "nobody would be called about it: no safety rate moved enough"
    late = "" if most is None else f", in 9 of 10 cases within {numbers.count(most, 'exchange')}"
    return f"people would be called after about {within(median, per_day)}{late}"


def not_seen(times: int, draws: int, most: int, per_day: float | None) -> str:
    """A shift that is too small."""
    return f"would not be seen within {within(most, per_day)} in {times:,} of {draws:,} draws"


def larger(shift: str, median: int, per_day: float | None) -> str:
    """What would be seen instead."""
    return f"{shift} would be seen after about {within(median, per_day)}"


NOTHING_SEEN: Final = "nor would a larger one of this kind be: is the signal watched on this route (`floors`)?"


def budget(pages: float, per_day: float | None) -> str:
    """What a route may do."""
    traffic = "" if per_day is None else f", at {per_day:,.0f} exchanges a day"
    return f"set to about {_times(pages, 'false alarm')} a month{traffic}"


def replayed(alarms: int, exchanges: int, allowed: float, high: float, per_month: float | None) -> str:
    """What the clean exchanges did as they came."""
    told = f"replayed: {_times(alarms, 'false alarm')} in {exchanges:,} clean exchanges; {allowed:.2g} would be allowed"
    if exchanges == 0:
        return "replayed: no clean exchange since the baseline"
    least = "" if per_month is None else f". With 95% certainty at most {per_month * high / exchanges:.2g} a month"
    return told + least


def tightened(alarms: int, exchanges: int, allowed: float, share: tuple[float, float, float]) -> str:
    """What many draws at a tighter budget did."""
    low, at, high = share
    return (
        f"drawn at random, at one false alarm in 1,000 exchanges so that they can be counted: {alarms:,} in "
        f"{exchanges:,} exchanges, {allowed:.0f} allowed: {at:.0%} of the budget ({low:.0%} to {high:.0%})"
    )


def within_budget(high: float, low: float) -> str:
    """The verdict on a budget, from the interval of what was spent of it."""
    if high <= 1:
        return "within the false-alarm budget"
    if low > 1:
        return "over the false-alarm budget: the exchanges are not alike over time; look at slices and daily cycles"
    return "not known whether within the budget: too few exchanges; --exchanges measures more"


def left_out(n: int) -> str:
    """Exchanges of which nobody has said what they are."""
    return f"{numbers.count(n, 'exchange')} of incidents that nobody called a false alarm are left out"


def has_baseline(route: str) -> str:
    """A route whose baseline a person must move."""
    return f"{route}: has a baseline already; accept another one in its incident, or delete the route first"


def other_model(route: str, name: str, answers: Sequence[str]) -> str:
    """A file of another model."""
    return f"{route}: {numbers.listed(answers)} answers there, the file is of {name}; bring exchanges of the same model"


def several_models(found: Sequence[tuple[str, int]]) -> str:
    """A file of more than one model."""
    told = numbers.listed([f"{name} ({n:,})" for name, n in found])
    return f"--from: holds exchanges of {told}; keep those of one model: a baseline is of one"


def other_scorer(name: str, learned: str, here: str) -> str:
    """Scores of another version."""
    return (
        f"--from: {name} was scored by {learned}, here it is {here}, and numbers of two versions are not compared; "
        "score the exchanges again with `keelwatch score --vectors`"
    )


def given(route: str, n: int, model: str) -> str:
    """A route that begins with a baseline."""
    return (
        f"{route} is held against {numbers.count(n, 'exchange')} of {model} from its next exchange on; "
        "`keelwatch baseline show` shows it then"
    )


def nothing_imported(path: str, formats: Sequence[str]) -> str:
    """A file of which no line could be read."""
    return f"{path}: holds no exchange of a known format ({', '.join(formats)}); docs/publish.md shows one"


def imported(n: int, dead: int, path: str) -> str:
    """What an import wrote."""
    lost = f"; {numbers.count(dead, 'line')} could not be read" if dead else ""
    return f"{numbers.count(n, 'exchange')} written to {path}{lost}"


def _times(n: float, noun: str) -> str:
    if n == 1:
        return f"one {noun}"
    return f"no {noun}" if n == 0 else f"{n:g} {noun}s"


def _long(span: timedelta) -> str:
    minutes = span / timedelta(minutes=1)
    if minutes < 90:
        return f"{max(round(minutes), 1):.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
