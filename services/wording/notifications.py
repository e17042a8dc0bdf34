"""What messages say around an incident's sentences, and what is answered to who pressed a button. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.incident import Incident, IncidentState, TimelineEntry
from services.wording import incidents, numbers
from services.wording.evaluations import NOT_RUN
from services.wording.movements import LIKELY_CAUSE

WHO_CHANGED: Final = "Who changed"
SUITES: Final = "Safety suites"
STATE: Final = "State"
SINCE: Final = "Since"
EXAMPLES: Final = "Examples"
SILENCED: Final = "Silenced"
TIMELINE: Final = "Timeline"
OPEN_PAGE: Final = "Open the incident: details, examples and decisions"
OPEN: Final = "open"
CANCEL: Final = "Cancel"

FAILED: Final = "It is not sure that this was recorded; press again in a moment."
NOT_FROM_HERE: Final = (
    "This was pressed in another workspace or at another app than Keelwatch listens to; nothing was changed."
)
GUEST: Final = "Guests, bots and people of other workspaces may not decide; nothing was changed."
WHO_MAY_ALLOW: Final = "Whoever looks after Keelwatch can allow it, by these lines in its monitor file and a restart:"
NOT_KNOWN: Final = "This incident is no longer known here."
IS_RESOLVED: Final = "This incident is resolved already; nothing was changed."
FOLLOWS: Final = "The message follows in a moment."


def header(incident: Incident) -> str:
    """How bad it is, and where."""
    return f"{incident.severity}: {incident.route}"


def since(incident: Incident) -> str:
    """When it began, for people in any zone."""
    return incidents.since_in_full(incident)


def cause(timeline: Sequence[TimelineEntry]) -> str:
    """The newest likely cause; empty where none is known."""
    told = [entry.text for entry in timeline if entry.kind == "cause"]
    return told[-1].removeprefix(f"{LIKELY_CAUSE}: ") if told else ""


def examples(incident: Incident) -> str:
    """How many exchanges show it. Their ids and texts stand on the page."""
    n = len(incident.exemplars)
    return f"{numbers.count(n, 'exchange')}, on the incident's page" if n else "none"


def suites(timeline: Sequence[TimelineEntry]) -> str:
    """The newest comparison of two runs; without one, what became of the newest run."""
    told = [entry for entry in timeline if entry.kind == "evaluation"]
    compared = [entry.text for entry in told if entry.outcome is not None]
    return (compared or [entry.text for entry in told] or [NOT_RUN])[-1]


def timeline_title(earlier: int) -> str:
    """Over the newest entries of a timeline."""
    return f"{TIMELINE}, {earlier:,} earlier left out" if earlier else TIMELINE


def more(n: int) -> str:
    """How many are left out of a list."""
    return f"and {n:,} more"


def storm(n: int) -> str:
    """Over a message that tells of several incidents at once."""
    return f"{numbers.count(n, 'new incident')} within a minute"


def listed(incident: Incident) -> str:
    """An incident in a list under its route's name."""
    return f"{incidents.headline_in_full(incident)}. {incidents.verdict(incident)}; {incident.state}"


def by_command(id: str) -> str:
    """Where to look without an address."""
    return f"Details: keelwatch incident show {id}"


def all_by_command(n: int) -> str:
    """Where to find the incidents that a message leaves out."""
    return f"{more(n)}: keelwatch incident list"


def only_looks(route: str, role: str) -> str:
    """To somebody whose role does not decide."""
    return f"You may look at {route} and not decide (your role is {role}); nothing was changed."


def not_checked(why: str) -> str:
    """That nobody knows who somebody is, so that nothing was done."""
    return (
        f"It could not be checked who you are ({why}); nothing was changed. Press again later, or decide on the page."
    )


def not_allowed(user: str, route: str) -> str:
    """To somebody whom the monitor file does not name, with the line that would."""
    lines = f"    - {{users: [{user}], role: operator, routes: [{route}]}}"
    return _allowing(route, f"slack_access:\n  people:\n{lines}")


def nobody_allowed(user: str, route: str, team: str, app: str) -> str:
    """To the first one who presses, while the monitor file allows nobody, with the lines that would."""
    lines = f"    - {{users: [{user}], role: operator, routes: [{route}]}}"
    return _allowing(route, f"slack_access:\n  team: {team}\n  app: {app}\n  people:\n{lines}")


def _allowing(route: str, lines: str) -> str:
    return f"You may not decide on {route}; nothing was changed. {WHO_MAY_ALLOW}\n```\n{lines}\n```"


def trial_title(receiver: str) -> str:
    """Over a message that tries a receiver."""
    return f"Test of receiver {receiver}"


def trial(receiver: str) -> str:
    """What such a message says."""
    return f"{trial_title(receiver)}: it was asked for by `keelwatch receiver test`, and no incident is behind it."


def instead_of(receiver: str) -> str:
    """In a message to somebody else than usual."""
    return f"Sent here because {receiver} cannot be told"


def moved_on(state: IncidentState) -> str:
    """That a button is older than what happened since."""
    return f"This incident has moved on meanwhile, it is {state} now; look at it and press again."


def pressed_by(name: str) -> str:
    """The reason of a decision that was a press of a button."""
    return f"pressed in Slack by {name}"


def short_time(ts: datetime) -> str:
    """The time of an entry, in UTC."""
    return numbers.short_moment(ts)


def picture(rate: str, where: str, opened_at: datetime) -> str:
    """What a picture shows, for whom it is not shown."""
    return f"{numbers.sentence_case(rate)} of {where}; the incident opened {numbers.moment(opened_at)}"
