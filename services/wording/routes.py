"""How a route stands: what is monitored and what is not, how far it has learned, its budget of false alarms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from schemas.reading import ReadingStatus, Unit
from services import specs
from services.wording import nouns, numbers, onboarding

WATCHED: Final[Mapping[str, str]] = {"blind": "not monitored", "learning": "learning", "watching": "monitored"}
"""How a route is watched, on its badge."""
STATES: Final[Mapping[str, str]] = {
    "incident": "open incident",
    "blind": "not all monitored",
    "learning": "learning",
    "watching": "monitored",
}
"""What a list of routes can be narrowed down to."""
_UNSCORED: Final = "unscored"
REASONS: Final[Mapping[str, str]] = {
    _UNSCORED: "the last exchanges could not be scored",
    "too few": "too few exchanges were learned to compare with",
    "prompts unlike the baseline": "users ask what was never asked while learning",
    "too few different answers in the baseline": "the answers that were learned are all alike",
    "too few different prompts in the baseline": "the questions that were learned are all alike",
}
"""Reasons of detectors, in the words of people."""
NO_REASON: Final = "the reason is not known"
STATUSES: Final[Mapping[ReadingStatus, str]] = {
    "firing": "changed",
    "blind": "not monitored",
    "learning": "learning",
    "quiet": "no change",
}
NO_EXCHANGE: Final = "No exchange has arrived on this route yet"
NOTHING_FOUND: Final = "No change found among what is monitored"
UNTIL_LEARNED: Final = "Until then no rate is compared with anything. A leaked credential is told at once."


def reason(given: str | None, signal: str | None = None) -> str:
    """Why something is not monitored."""
    if given is None:
        return NO_REASON
    missing = specs.signal_of(signal).unscored if signal is not None and given == _UNSCORED else ""
    return missing or REASONS.get(given, given)


def not_monitored(spot: str) -> str:
    """What is not monitored, and why: `Not monitored: system prompt leaks (no exchange carries a system prompt)`."""
    return f"Not monitored: {spot}"


def learns_anew(reason: str) -> str:
    """That streams learn beside a baseline, and see nothing until then.

    >>> learns_anew("refusal is measured in a new way; learning 120 of 1,000")
    'Not monitored: refusal is measured in a new way; learning 120 of 1,000'
    """
    return not_monitored(reason)


def blind_spot(detector: str, signal: str | None, given: str | None, parts: int = 1) -> str:
    """What is not monitored, and why, for lists; of a whole route the reason alone."""
    why = reason(given, signal)
    if specs.family_of(detector).kind == "blind":
        return why
    some = "" if parts == 1 else f", in {parts} parts of the route"
    return f"{nouns.subject_of(detector, signal)} ({why}{some})"


def parked(route: str, step: str, why: str, n: int, beyond: int = 0) -> str:
    """That a step fails on a route: nobody looked at what waits, and somebody must do something.

    >>> parked("bot/prod", "detect", "ValueError", 12)
    'detect fails on it (ValueError): 12 records wait; mend it, then run `keelwatch route retry bot/prod`'
    """
    lost = f", {beyond:,} more found no room and are dead letters" if beyond else ""
    waits = f"{numbers.count(n, 'record')} wait{'s' if n == 1 else ''}{lost}"
    return f"{step} fails on it ({why}): {waits}; mend it, then run `keelwatch route retry {route}`"


def retried(route: str, steps: Sequence[tuple[str, int]]) -> str:
    """What was asked for."""
    told = ", ".join(f"{step} ({numbers.count(n, 'record')})" for step, n in steps)
    return f"{route} is tried again by {told}: `keelwatch route retry` says so again when it still fails"


NOT_PARKED: Final = "no step fails on this route: nothing waits"


def silent_for(silent: timedelta) -> str:
    """That nothing arrives, and for how long."""
    return f"no exchange for {numbers.duration(silent)}"


def last_exchange(clock: datetime, now: datetime) -> str:
    """How long ago the last exchange arrived."""
    return f"The last exchange arrived {numbers.ago(clock, now)}."


def provider_event(moved: int, of: int, model: str, since: datetime, still: Sequence[str]) -> str:
    """The same model that moved on several routes, and which models did not.

    >>> from datetime import UTC
    >>> provider_event(4, 5, "gpt-4-0613", datetime(2026, 11, 4, 14, tzinfo=UTC), ["claude-3-opus", "claude-3-haiku"])
    '4 of 5 routes on gpt-4-0613 moved since 4 Nov 14:00 UTC; claude routes did not'
    """
    own = _model_family(model)
    others = dict.fromkeys(_model_family(name) if _model_family(name) != own else name for name in still)
    names = [*others][:_MOST_MODELS]
    calm = f"; {numbers.listed(names)} routes did not" if names else ""
    return f"{moved:,} of {numbers.count(of, 'route')} on {model} moved since {numbers.short_moment(since)} UTC{calm}"


def _model_family(name: str) -> str:
    """The maker's name for a family of models: what stands before the first number or stroke.

    >>> _model_family("gpt-4-0613"), _model_family("anthropic/claude-3-opus")
    ('gpt', 'claude')
    """
    return name.rpartition("/")[2].partition("-")[0] or name


_MOST_MODELS: Final = 3
SHADOW: Final = "Its alerts run in shadow: they are made and shown, and nobody is told."


def moved_unheard(subject: str, why: str | None) -> str:
    """That something is different of which no incident tells, and by whose decision that is so, where it is known."""
    told = f"{numbers.sentence_case(subject)} changed, and no incident is open"
    return told if why is None else f"{told}. {why}"


def times_seen(n: float) -> str:
    """How often something was seen that must not happen once."""
    return f"seen {n:,.0f} time{numbers.plural(round(n))}"


def change(low: float | None, high: float | None, unit: Unit) -> str:
    """How far something moved, for Details."""
    if low is None or high is None:
        return f"change {numbers.UNKNOWN}"
    return f"change {numbers.change(low, high, unit)} (95% interval)"


def learning(learned: int, of: int, hours: float | None = None, per_hour: int | None = None) -> str:
    """How far a route has learned what is normal; `hours` is how long it will still take, where that is known."""
    told = f"Learning: {learned:,} of {numbers.count(of, 'exchange')}"
    if hours is None:
        return told
    limit = "" if per_hour is None else f" (at most {per_hour:,} an hour count, `baseline.per_hour`)"
    return f"{told}, about {numbers.time_long(hours)} to go{limit}"


def learning_pace(rate: float, counted: float, limit: int | None, ends: datetime, *, early: bool = False) -> str:
    """Why learning takes as long as it does, and when it ends at the present rate of so many exchanges an hour.

    `limit` is `baseline.per_hour` where it keeps exchanges from counting, `early` whether `baseline.max_days` end it.

    >>> from datetime import UTC
    >>> learning_pace(12, 12, None, datetime(2026, 11, 4, 9, 5, tzinfo=UTC))
    'It goes as fast as exchanges arrive, now about 12 an hour. At this rate it ends about 4 Nov 09:05 UTC.'
    """
    if limit is not None:
        told = (
            f"About {_an_hour(rate)} arrive, and about {_an_hour(counted)} count: at most {limit:,} of one clock hour "
            "(`baseline.per_hour`), so that what is normal is learned over many hours and not from one burst."
        )
    else:
        told = f"It goes as fast as exchanges arrive, now about {_an_hour(rate)}."
    why = ": after `baseline.max_days` it takes fewer exchanges" if early else ""
    return f"{told} At this rate it ends about {numbers.short_moment(ends)} UTC{why}."


def _an_hour(rate: float) -> str:
    """So many an hour, so many a day where that is less than one.

    >>> _an_hour(1234.5), _an_hour(0.5)
    ('1,234 an hour', '12 a day')
    """
    return f"{rate:,.0f} an hour" if rate >= 1 else f"{max(rate * 24, 1):,.0f} a day"


def trial_offer(n: int) -> str:
    """How it would go sooner, and what that costs."""
    return (
        f"To begin with {n:,} exchanges, as fast as they come: `baseline: {{trial: true}}` for this route in the "
        "monitor file. Small changes stay unseen until the full baseline takes its place."
    )


def budget_set(a_month: float) -> str:
    """What the detectors are set to.

    >>> budget_set(1)
    'Set to about one false alarm a month'
    """
    if a_month >= 1:
        n = round(a_month)
        return f"Set to about {numbers.in_words(n)} false alarm{numbers.plural(n)} a month"
    return f"Set to about one false alarm in {1 / a_month:.0f} months" if a_month > 0 else "Set to no false alarm"


def budget_used(used: int, a_month: float) -> str:
    """False alarms of the last 30 days against the budget."""
    where = "over" if used > a_month else "within"
    return f"{where} the false-alarm budget ({used} of {a_month:g} this month)"


def pages(n: int) -> str:
    """How often people were paged."""
    return f"{n:,} page{numbers.plural(n)} in 30 days" if n else "no page in 30 days"


def fleet_heading(routes: int, with_incident: int) -> str:
    """All routes in one line: how many have an open incident."""
    some = numbers.count(routes, "route")
    if not routes:
        return onboarding.WAITING
    if not with_incident:
        return f"No open incident on {some}"
    return f"{with_incident:,} of {some} {'has' if with_incident == 1 else 'have'} an open incident"


def fleet_summary(blind: int, learning: int, watching: int) -> str:
    """How the routes are watched, in one line; that none has an incident does not say that all are seen."""
    told = [_are(watching, "monitored"), _are(learning, "learning"), _are(blind, "not monitored, or only in part")]
    return ", ".join(one for one in told if one)


def traffic(most: int, hours: int) -> str:
    """What a row of bars shows, an hour each."""
    return f"exchanges an hour, over {hours} hours: at most {most:,}"


def rate_of(n: int, scored: int, unscored: float | None) -> str:
    """What a rate rests on."""
    if not n:
        return "nothing scored"
    share = f", {numbers.percent(unscored)} could not be scored" if unscored else ""
    return f"{scored:,} scored{share}"


def _are(n: int, word: str) -> str:
    return f"{n:,} {'is' if n == 1 else 'are'} {word}" if n else ""


def never_seen(route: str, near: Sequence[str], *, may_be_new: bool = True) -> str:
    """That a route was never heard of, which one may be meant, and what to do if it is none of those.

    >>> never_seen("support/prd", ["support/prod"])
    'support/prd was never seen, and the monitor file does not list it: did you mean support/prod? For a new route say \
so: --new, or in the API new: true'
    """
    meant = f": did you mean {' or '.join(near)}?" if near else "."
    remedy = "For a new route say so: --new, or in the API new: true"
    if not may_be_new:
        remedy = "Name one that GET /v1/routes lists, send its first exchange, or list it in the monitor file"
    return f"{route} was never seen, and the monitor file does not list it{meant} {remedy}"
