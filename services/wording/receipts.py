"""What commands say that they have done: counts, names and where to look next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.wording import numbers

NO_DEAD_LETTER: Final = "no dead letter"
NO_SCHEDULE: Final = "no schedule yet"
NO_KEY: Final = "no key yet: the API answers everybody, on this machine alone"
STOPPED: Final = "stopped"
TOPICS_WRONG: Final = "some topics are not as they should be: `keelwatch topics check` names them"
OWN_SUITES: Final = "the route's"
SCHEDULE_COLUMNS: Final = (
    *("route", "name", "cron", "time zone", "suites", "stands in", "overlap, catch-up", "next", "last", "missed"),
)


def topics_made(made: int, there: int) -> str:
    """Topics that were made, and those that were there before."""
    return f"{numbers.count(made, 'topic')} made, {there:,} were there"


def topics_new(made: int) -> str:
    """Topics that were made on the way."""
    return f"{numbers.count(made, 'topic')} made"


def topics_right(n: int) -> str:
    """That nothing is wrong with any of them."""
    return f"all {n:,} topics are as they must be"


def adopted(topic: str, routes: int) -> str:
    """A topic that was made anew and is accepted."""
    return f"{topic}: accepted anew for {numbers.count(routes, 'route')}"


def published(sent: int, acknowledged: int, failed: int) -> str:
    """What became of a file that was sent."""
    return f"sent {sent:,}, acknowledged {acknowledged:,}, failed {failed:,}"


def kept_to_send_again(n: int, file: str, command: str) -> str:
    """Where the lines are that the broker did not acknowledge."""
    return (
        f"{numbers.count(n, 'line')} not acknowledged: written to {file}. `{command}` sends them again; one that is on "
        "the topic all the same is told by its id, if it has one."
    )


def not_kept(why: str, spans: str) -> str:
    """Which lines they are, where no file could be made of them."""
    return f"{why}. Not acknowledged: lines {spans}"


def times(n: int, reason: str) -> str:
    """How often something was so."""
    return f"{n:,} x {reason}"


def captured(n: int, topic: str, file: str) -> str:
    """Records of a topic that are in a file."""
    return f"{numbers.count(n, 'record')} of {topic} written to {file}"


def sent_again(n: int) -> str:
    """Dead letters on their way once more."""
    return f"{numbers.count(n, 'dead letter')} sent again"


def left(n: int, reason: str) -> str:
    """What was not."""
    return f"{n:,} left: {reason}"


def taken_in(events: int, dead: int, duplicates: int) -> str:
    """What a replay has read."""
    counts = [(events, "exchange"), (dead, "dead letter"), (duplicates, "duplicate")]
    return ", ".join(numbers.count(n, noun) for n, noun in counts)


def scored(n: int, dead: int) -> str:
    """What was measured of a file."""
    return f"{numbers.count(n, 'exchange')} scored, {numbers.count(dead, 'dead letter')}"


def written(n: int, file: str) -> str:
    """Exchanges that are in a file."""
    return f"{numbers.count(n, 'exchange')} written to {file}"


def no_such_incident(decision: str, route: str, incident: str | None) -> str:
    """A decision that names what never was: a slip in the file must not look like a quiet route."""
    return f"warning: {decision}: {route} has no incident {incident}"


def usable(what: str, more: str = "") -> str:
    """A file that can be used as it is."""
    return f"{what}: can be used{more}"


def warnings(n: int) -> str:
    """How much there is to look at all the same."""
    return f", {numbers.count(n, 'warning')}" if n else ""


def scheduled(route: str, suites: Sequence[str] | None, cron: str, timezone: str) -> str:
    """A schedule that was added."""
    return f"{route} runs {', '.join(suites) if suites else 'its suites'} at {cron} {timezone}"


def unscheduled(route: str, name: str) -> str:
    """One that was removed."""
    return f"{route} has no schedule {name} any more"


def key_made(role: str, routes: Sequence[str], until: str | None) -> str:
    """What a new key may do, and that it is shown once."""
    ends = "" if until is None else f" until {until}"
    return f"{role} of {', '.join(routes)}{ends}. Keep it: it is not shown again."


def key_revoked(name: str, id: str, now: bool) -> str:
    """A key that is worth nothing any more."""
    return f"{name} ({id}) {'is revoked' if now else 'was revoked already'}"


def starting(page: str) -> str:
    """What `up` does first, and where people look."""
    return (
        f"starting a worker of all steps: {page}/ has the pages and the API once {page}/readyz says so, in some "
        "seconds; Ctrl-C ends all"
    )


def started_again(why: str, seconds: float) -> str:
    """A worker that ended, and when it is started again."""
    return f"{why}: started again in {seconds:g} s; the broker keeps what is not done"


def broker_gone(remedy: str) -> str:
    """That the embedded broker has ended."""
    return f"the embedded broker has ended, and what was not done is lost; {remedy}"


def broker_full(resident: float, remedy: str) -> str:
    """That the embedded broker is ended: it takes too much memory."""
    return (
        f"the embedded broker takes {resident / 1e9:.1f} GB, and forgets nothing: ends here, and what was not done is "
        f"lost; {remedy}"
    )


def broker_fills(resident: float, most: float, remedy: str) -> str:
    """That it will be."""
    return f"the embedded broker takes {resident / 1e9:.1f} GB; at {most / 1e9:.1f} GB everything ends; {remedy}"


def embedded_broker(address: str, most: float, remedy: str) -> str:
    """What an embedded broker is."""
    return (
        f"embedded broker on {address}, for one machine and for trying out: all that it holds is in memory, and gone "
        f"when this ends; at {most / 1e9:.1f} GB it is ended; {remedy}"
    )
