"""What the command line says of routes, incidents, runs, baselines and the demonstration. Pure.

What a command is for, its options and what must be mended in its input stand where the command is; what it has done
is said by `receipts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.evaluation import HazardComparison, Outcome
from schemas.incident import Incident
from services.wording import evaluations, incidents, movements, notifications, nouns, numbers, routes

NO_INCIDENT: Final = "no incident"
NO_BASELINE: Final = "nothing has learned yet what is normal"
NO_RUN: Final = "no run is stored yet"
NONE_WAITS: Final = "no run is due or under way"
NO_RECEIVER: Final = "the monitor file names no receiver: the environment's is told, or the terminal"
NO_SILENCE: Final = "no silence: people are told of every alert"
ALL_ALERTS: Final = "all alerts"
SILENCE_COLUMNS: Final = ("silence", "route", "what", "until", "kept back", "by", "reason")
MUTE_COLUMNS: Final = ("route", "alert", "since it was", "at the latest until", "by", "reason")
NO_MUTE: Final = "nothing is muted: people are told of whatever fires"
RECEIVER_COLUMNS: Final = ("receiver", "kind", "from severity", "routes")
ROUTE_COLUMNS: Final = ("route", "status", "exchanges", "learned", "not monitored")
BASELINE_COLUMNS: Final = ("route", "model", "learned by", "exchanges", "rates", "false alarms")
RUN_COLUMNS: Final = ("run", "route", "suite", "asked for by", "ended", "status")
MEASURE_COLUMNS: Final = ("measure, and by hazard", "found", "items", "rate", "corrected")


ROUTE_LIST_COLUMNS: Final = ("route", "in the monitor file", "last exchange")
NO_ROUTE: Final = "no route yet"
NEVER: Final = "none yet"


def silenced(id: str, until: datetime | None) -> str:
    """A silence that was made, and its end where it is told: the default one was not typed by anybody."""
    return f"silenced: {id}" + ("" if until is None else f" until {numbers.moment(until)}")


def accepted(receiver: str, answer: str) -> str:
    """That a receiver took a message, and what it answered."""
    return f"{receiver}: accepted{f' ({answer})' if answer else ''}"


def not_accepted(receiver: str, why: str) -> str:
    """That it did not."""
    return f"{receiver}: not accepted: {why}"


def stands_in(channel: str, message: str) -> str:
    """Where a message stands."""
    return f"message {message} in {channel}"


def no_text(option: str) -> str:
    """That what somebody typed are bytes that are no text."""
    return f"{option}: holds bytes that are not UTF-8; write it again in a terminal that is set to UTF-8"


def places(unlisted: int, most: int) -> str:
    """How many routes that the monitor file does not list there are, of how many there may be."""
    return f"{unlisted:,} of at most {most:,} routes that the monitor file does not list"


def about_to_delete(route: str) -> str:
    """What would go."""
    return f"all that is stored of {route} would go: what it learned, its incidents, samples, runs and schedules"


def deleted(route: str, rows: int, tables: int) -> str:
    """What went."""
    return f"{route} is deleted: {numbers.count(rows, 'row')} of {numbers.count(tables, 'table')}"


def not_monitored(spots: Sequence[tuple[str, str | None, str | None]]) -> str:
    """What is not monitored on a route, of (detector, signal, reason), each once."""
    return ", ".join(dict.fromkeys(routes.blind_spot(*spot) for spot in spots)) or "-"


def unheard(route: str, why: str) -> str:
    """Why nobody hears of something that fires on a route."""
    return f"{route}: {why}"


def volatile(route: str, field: str) -> str:
    """A field that tells no models of a route apart: people would look for the changes that it hides."""
    return f"{route}: model.{field} is another one all the time, so it no longer tells one model from another"


def incident_rows(incident: Incident, verbose: bool) -> tuple[tuple[str, str], ...]:
    """What stands under an incident's headline; ids only with `verbose`."""
    n = len(incident.exemplars)
    rows = [
        ("who changed", incidents.verdict_in_full(incident)),
        ("severity", f"{incident.severity}: {incidents.SEVERITIES[incident.severity]}"),
        ("state", incidents.state(incident)),
        ("since", incidents.since_in_full(incident)),
        *((("what is different", movements.of_incident(incident)),) if incident.movements else ()),
        *((("likely cause", cause),) if (cause := notifications.cause(incident.timeline)) else ()),
        ("verdict", incident.verdict),
        ("examples", ", ".join(incident.exemplars) if verbose and n else numbers.count(n, "exchange")),
    ]
    if verbose:
        rows += [("models", ", ".join(incident.identities) or "none"), ("detectors", ", ".join(incident.families))]
    return tuple(rows)


def more_details(id: str) -> str:
    """Where the numbers are."""
    return f"Numbers and ids: keelwatch incident show {id} --verbose"


def listed(incident: Incident) -> str:
    """What follows the severity of an incident in a list."""
    told = f"{incident.state}  {numbers.short_moment(incident.opened_at)}  {incident.route}"
    return f"{told}  {incidents.verdict(incident)}"


def rates(found: Mapping[str, float]) -> str:
    """The rates of a baseline."""
    shown = {name: rate for name, rate in found.items() if not nouns.counts(name)}
    return ", ".join(f"{nouns.signal_noun(name)} {numbers.percent(rate)}" for name, rate in shown.items())


def one_in(exchanges: float) -> str:
    """How seldom all that is monitored on a route gives a false alarm."""
    return f"about one in {exchanges:,.0f} exchanges"


def run_told(suite: str, version: str, answers: int, model: str, result: str) -> str:
    """What came of a run."""
    return f"suite {suite} {version}, {numbers.count(answers, 'answer')} of {model}: {result}"


def waiting_run(id: str, route: str, suite: str, cause: str, stands: str) -> str:
    """A run that is not done: what asked for it, and what it waits for."""
    return f"{id} {route} {suite} ({cause}): {stands}"


def run_status(status: str, reason: str | None) -> str:
    """What became of a run, in a table."""
    if status in ("incomplete", "failed"):
        return evaluations.no_result(reason)
    return status if reason is None else f"{status}: {reason}"


def answered_differently(row: HazardComparison, what: str, ids: Sequence[str]) -> str:
    """Which questions were answered worse, or better."""
    return f"{nouns.measure(row.measure)}, {what}: {', '.join(ids)}"


def shows(row: HazardComparison) -> str:
    """What so many questions can tell at all."""
    return evaluations.seen(row.measure, row.n, None if row.mde is None else row.mde / 100)


def overall(outcome: Outcome) -> str:
    """The line that programs read of `eval compare`."""
    return f"overall: {outcome}"


def all_runs(page: str) -> str:
    """The demonstration's first line."""
    return f"broker, simulated model and worker run; pages at {page}/"


def answered(customers: int, hours: float, again: bool) -> str:
    """That the simulated bot has answered."""
    who = "it" if again else "a support bot"
    return f"{who} has answered {customers:,} customers within {numbers.hours_long(hours)}"


def learned(route: str, n: int) -> str:
    """That the demonstration knows what is normal."""
    return f"learned from {numbers.count(n, 'exchange')}: this is how {route} answers normally"


def suite_asked(suite: str, result: str) -> str:
    """That a suite asked the simulated model."""
    return f"the safety suite {suite} asked the model itself: {result}"


REPLACED: Final = "the model is replaced behind its name; it refuses less and leaks a key. Nobody tells Keelwatch"
SUSPECTED: Final = "Keelwatch suspects a silent change, and asks the safety suite again"
DONE: Final = "done: one incident, one message"
IN_SLACK: Final = "the message in Slack, as it would look"


def stays_up(page: str) -> str:
    """Where to look while the demonstration waits."""
    return f"Everything stays up: open {page}/ ; Ctrl-C ends it."
