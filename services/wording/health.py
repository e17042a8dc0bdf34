"""How Keelwatch itself is: what needs somebody, and what became of a replay of dead letters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from services.wording.numbers import count, plural

WELL: Final = "Keelwatch is well"
UNKNOWN: Final = "Keelwatch does not know how it is"


def heading(needs: int) -> str:
    """How many things need somebody."""
    return f"{needs:,} thing{plural(needs)} need{'' if needs > 1 else 's'} attention"


def limits(per_key: int | None, per_route: int | None) -> str:
    """What `ingest_limits` holds for, and what not; empty where there is none.

    >>> limits(None, 3000).partition(";")[0]
    'ingest_limits: each process of the API takes at most 3,000 exchanges a minute of a route'
    """
    bounds = [f"{n:,} exchanges a minute of a {what}" for n, what in ((per_key, "key"), (per_route, "route")) if n]
    if not bounds:
        return ""
    return (
        f"ingest_limits: each process of the API takes at most {' and '.join(bounds)}; what comes by Kafka is not "
        "limited and all of it is scored: the broker's quotas bound who produces"
    )


def decisions_wait(n: int) -> str:
    """Decisions that nobody hears of yet."""
    return f"{count(n, 'decision')} not published yet"


def stuck(why: str) -> str:
    """That the watchdog is about to end the process."""
    return f"the watchdog is about to end this process: {why}"


def not_running(step: str) -> str:
    """A step without a worker, and what to do."""
    if step == "score_events":
        return "nobody sends score_events: start a worker that runs notify, with the same monitor file"
    return f"nobody runs {step}: start a worker for it"


def behind(step: str, waiting: int) -> str:
    """A step that does not keep up."""
    return f"{step} is {count(waiting, 'record')} behind"


def lag_unknown(step: str) -> str:
    """A step of which nobody can say whether it keeps up: that is never well."""
    return f"it is not known how far {step} is behind: the broker does not tell"


def parked(step: str, routes: Sequence[str], waiting: int) -> str:
    """Routes that a step failed on, which nobody watches until it goes on with them, and what to do."""
    which = routes[0] if len(routes) == 1 else f"{routes[0]} and {count(len(routes) - 1, 'more route')}"
    return (
        f"{step} failed on {which}, not monitored since: {count(waiting, 'record')} waiting; the log says why, "
        f"`keelwatch route retry {routes[0]}` takes {'it' if len(routes) == 1 else 'one'} up again"
    )


def not_ready(check: str, why: str) -> str:
    """What keeps the process from its work."""
    return f"this process is not ready: {check}: {why}"


def not_sent(n: int, receiver: str) -> str:
    """Notifications that wait."""
    return f"{count(n, 'notification')} for {receiver} not sent yet"


def given_up(n: int, receiver: str) -> str:
    """Notifications that nobody will get."""
    return f"{count(n, 'notification')} for {receiver} given up"


def closed(receiver: str, why: str) -> str:
    """A receiver that takes nothing until a person mends something, and what that is."""
    return f"{receiver} takes no messages, others are told instead: {why}"


def not_done(n: int, route: str) -> str:
    """Runs of suites that no worker took."""
    return f"{count(n, 'evaluation')} of {route} due and not done"


def failed(n: int, route: str) -> str:
    """Runs of suites without a result."""
    return f"{count(n, 'evaluation')} of {route} did not finish within a week: no result"


def missed(n: int, route: str) -> str:
    """Times of schedules that passed."""
    return f"{count(n, 'evaluation')} of {route} missed within a week"


def replaying(step: str) -> str:
    """That dead letters are on their way."""
    return f"The dead letters of {step} are being sent again."


def replay_failed(step: str, why: str | None) -> str:
    """That they did not all go, and why."""
    return f"The dead letters of {step} were not all sent again: {why}"


def replayed(step: str, sent: int, left: Mapping[str, int]) -> str:
    """That they went, and why some were left."""
    some = "".join(f" {n:,} left: {reason}." for reason, n in sorted(left.items()))
    return f"{count(sent, 'dead letter')} of {step} sent again.{some}"


class UntoldPart(Protocol):
    """What some exchanges do not tell."""

    @property
    def part(self) -> str:
        """What it is."""

    @property
    def exchanges(self) -> int:
        """How many lack it."""

    @property
    def costs(self) -> str:
        """What that costs."""


class SourceReport(Protocol):
    """What came from one source in one format."""

    @property
    def exchanges(self) -> int:
        """How many exchanges."""

    @property
    def missing(self) -> Sequence[UntoldPart]:
        """What they lack."""

    @property
    def not_monitored(self) -> Mapping[str, int]:
        """Kind of what no signal looks at -> exchanges that hold it."""


def missing_parts(told: SourceReport) -> list[str]:
    """What the exchanges of a source lack, with what each costs, and what of them is not monitored."""
    lines = [f"{_share(one.exchanges, told.exchanges)}: {one.part}: {one.costs}" for one in told.missing]
    return lines + [f"not monitored: {kind} in {count(n, 'exchange')}" for kind, n in told.not_monitored.items()]


def _share(n: int, of: int) -> str:
    return "in all" if n >= of else f"in {n:,} of {of:,}"
