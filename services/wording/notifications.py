"""What messages say around an incident's sentences, and what is answered to who pressed a button. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.incident import Incident, IncidentState, TimelineEntry
from services.wording import incidents, numbers
from services.wording.evaluations import NOT_RUN

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
NOT_YOU: Final = "You may not decide on this route; ask for the role of an operator."
AGAIN: Final = "This was pressed already."
NOT_KNOWN: Final = "This incident is no longer known here."
IS_RESOLVED: Final = "This incident is resolved already; nothing was changed."
FOLLOWS: Final = "The message follows in a moment."


def header(incident: Incident) -> str:
    """How bad it is, and where."""
    return f"{incident.severity}: {incident.route}"


def since(incident: Incident) -> str:
    """When it began, for people in any zone."""
    return numbers.moment(incident.opened_at)


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
