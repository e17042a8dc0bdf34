"""What people decide: buttons, what follows of them, and what is said once they took effect. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.decision import Decision, DecisionKind, Silence
from schemas.incident import IncidentState, TimelineEntry
from services.wording import nouns, numbers


@dataclass(frozen=True, slots=True)
class DecisionWords:
    """One kind of decision.

    Attributes:
        done: once it took effect, before `by mara`. label: on a button. follows: what the button leads to.
        thanks: what is answered to who pressed it.
    """

    done: str
    label: str
    follows: str
    thanks: str


DECISIONS: Final[Mapping[DecisionKind, DecisionWords]] = {
    "acknowledge": DecisionWords(
        "Acknowledged",
        "Acknowledge",
        "Others see that you look at it; the incident stays open, and is heard of again when it gets worse.",
        "You look at it. The incident stays open.",
    ),
    "snooze": DecisionWords(
        "Snoozed",
        "Snooze",
        "Hidden until the time below has passed, or until it gets worse; then it is open again.",
        "Snoozed. It is open again when the time has passed, or when it gets worse.",
    ),
    "roll_back": DecisionWords(
        "Rolling back to the earlier model",
        "Rolling back",
        "The earlier model returns; the incident stays open until its effect is gone.",
        "Noted that the earlier model returns. The incident stays open until the effect is gone.",
    ),
    "accept_baseline": DecisionWords(
        "Accepted as the new normal",
        "Accept as the new normal",
        "The change is intended: answers since the incident began are normal from now on. It is resolved, leaks and "
        "ceilings aside.",
        "Accepted as the new normal. The incident is resolved, leaks and ceilings aside.",
    ),
    "false_alarm": DecisionWords(
        "Called a false alarm",
        "False alarm",
        "Nothing is wrong: the incident is resolved, and it is heard of again only if the change doubles or returns.",
        "Noted as a false alarm. The incident is resolved.",
    ),
    "silence": DecisionWords(
        "Notifications silenced",
        "Silence notifications",
        "Nobody is notified of this route for the time below. The incident stays open; what still stands at the end is "
        "told then.",
        "Nobody is notified for 24 hours. The incident stays open.",
    ),
    "resolve": DecisionWords(
        "Resolved",
        "Resolve",
        "It was handled: the incident is closed; the same again within 24 hours opens it again.",
        "The incident is resolved.",
    ),
    "end_silence": DecisionWords(
        "Silence ended",
        "End the silence",
        "People are notified again at once: of what still stands, and of what comes.",
        "The silence ends. What still stands is told within a minute.",
    ),
    "comment": DecisionWords(
        "Comment",
        "Comment",
        "Others read what you wrote under Reason on the timeline; nothing else changes.",
        "Your comment stands on the timeline.",
    ),
    "unmute": DecisionWords(
        "Unmuted",
        "Unmute",
        "What was resolved or called a false alarm, and fires on unheard, is heard again.",
        "It is heard again when it fires.",
    ),
    "announce": DecisionWords(
        "Change announced", "Announce a change", "The change shows on the timeline of the route.", "Announced."
    ),
}
"""In the order in which pages offer them."""
OFFERED: Final[tuple[DecisionKind, ...]] = tuple(
    kind for kind in DECISIONS if kind not in ("announce", "end_silence", "comment", "unmute")
)
"""What would do nothing the second time; where it is offered stands for itself."""

UNSAID_REASONS: Final[Mapping[DecisionKind, str]] = {
    "acknowledge": "looking at it",
    "snooze": "later",
    "end_silence": "no longer needed",
}
"""What stands in the timeline where nobody has to say why, and nobody did."""
REASON: Final = "Reason"
WITHOUT_REASON: Final = "Reason, unless you only acknowledge or snooze"
BACK_TO_NORMAL: Final = "back to normal"
OVER: Final = "it is over"
"""Of what ended and does not say why: nothing says that a rate moved back but a rate that did."""
OTHER_WAY: Final = "it moves the other way now"
NEW_BASELINE: Final = "a new normal was set"
BY_ITSELF: Final = "Resolved by itself: no safety rate moved, and nothing new was found for 24 hours"
SNOOZE_ENDED: Final = "Open again: the snooze ended"
GOT_WORSE: Final = "Open again: it got worse"
ALREADY_RESOLVED: Final = "the incident was resolved already"
ALREADY_ACKNOWLEDGED: Final = "it was acknowledged already"
TOO_LATE: Final = "its end has passed: nothing changed"
ONE_OF_ITS_ALERTS: Final = "the rest of the incident stays open"


def all_over(reason: str | None) -> str:
    """That an incident resolved with the last of its alerts, and why that one did."""
    return f"Resolved: nothing that was found goes on ({reason or OVER})"


def silence_for(hours: int) -> str:
    """A button that silences: what it does, and what follows.

    >>> silence_for(4)
    'Silence notifications for 4 hours; the incident stays open'
    """
    return f"Silence notifications for {numbers.hours_long(hours)}; the incident stays open"


def silenced(one: Silence) -> str:
    """Until when nobody is told, by whom and why: `until 29 Nov 2026 18:00 UTC by mara: load test`."""
    who = one.actor if one.ended_by is None else f"{one.actor}, shortened by {one.ended_by}"
    return f"until {numbers.moment(one.until)} by {who}: {one.reason}"


def silenced_route(silences: Sequence[Silence]) -> str:
    """In a few words, for a list: `silenced until 29 Nov 2026 18:00 UTC`, or a part of it."""
    whole = [one for one in silences if one.fingerprint is None]
    if whole:
        return f"silenced until {numbers.moment(max(one.until for one in whole))}"
    return f"{numbers.count(len({one.fingerprint for one in silences}), 'alert')} silenced"


def silenced_already(one: Silence) -> str:
    """That somebody was first to silence the same."""
    told = f"{DECISIONS['silence'].done} until {numbers.moment(one.until)}"
    return f"{one.actor} has decided the same already ({told}, {numbers.moment(one.since)})"


def no_silence(route: str) -> str:
    """That there is nothing to end."""
    return f"no silence of {route} holds that this would end earlier"


def no_mute(route: str) -> str:
    """That there is nothing to have heard again."""
    return f"nothing of {route} that this would unmute is muted"


def decided(decision: Decision) -> str:
    """What somebody decided: `Accepted as the new normal by mara`."""
    return f"{_done(decision)} by {decision.actor}"


def _done(decision: Decision) -> str:
    what = DECISIONS[decision.kind].done
    if decision.kind == "announce" and decision.model is not None:
        part = "" if decision.share is None else f" for {numbers.percent(decision.share)} of the exchanges"
        return f"Change to {nouns.model_name(decision.model)}{part} announced"
    if decision.kind == "end_silence":
        return what if decision.expires is None else f"Silence shortened to {numbers.moment(decision.until)}"
    return f"{what} until {numbers.moment(decision.until)}" if decision.kind in ("snooze", "silence") else what


def answered(kind: DecisionKind, route: str, incident: str, until: datetime | None) -> str:
    """What is said to who decided by command: about which incident, what follows, and until when."""
    thanks = DECISIONS[kind].thanks
    if until is not None:
        thanks = f"{DECISIONS[kind].done} until {numbers.moment(until)}, or until it gets worse; then it is open again."
    return f"{route}, incident {incident}: {thanks}"


def no_incident_so(start: str) -> str:
    """That no incident has an id that begins so, or none that the key sees."""
    return f"incident {start}: no id begins so; the incident's page and messages show it"


def older_api(url: str) -> str:
    """That the API that was asked cannot find incidents for commands."""
    return f"the API at {url} is older than this command, and finds no incident by its id: update it, or decide there"


def many_incidents_so(start: str, found: Sequence[tuple[str, str, str]], more: bool) -> str:
    """That several do: (id, route, state), so that the one that is meant can be named."""
    told = ", ".join(f"{id} ({route}, {state})" for id, route, state in found)
    return f"incident {start}: several ids begin so: {told}{', ...' if more else ''}; give more of the one you mean"


def ended(kind: DecisionKind, actor: str, reason: str) -> str:
    """Why an alert ended by a person's decision: `Accepted as the new normal by mara: we looked at it`."""
    return f"{kind_by(kind, actor)}: {reason}"


def unheard(kind: DecisionKind, actor: str, reason: str, since: datetime, until: datetime) -> str:
    """Why nobody hears of an alert that fires, by whose decision, and when people do again."""
    if kind == "accept_baseline":
        return (
            f"{kind_by(kind, actor)} ({numbers.moment(since)}): {reason}. What is normal is learned anew from there "
            "on; the old normal is what it is held against until then"
        )
    return (
        f"One alert muted since {numbers.moment(since)} by {actor} ({DECISIONS[kind].done}): {reason}. It is heard "
        f"again when the change was gone or has doubled, at the latest {numbers.moment(until)}"
    )


def decision_text(decision: Decision, note: str | None = None) -> str:
    """What somebody decided and why; `note` says why it changed nothing, or what stays."""
    return f"{decided(decision)}: {decision.reason}" + (f" ({note})" if note else "")


def kind_by(kind: DecisionKind, actor: str) -> str:
    """A decision on the axis of time: `Accepted as the new normal by mara`."""
    return f"{DECISIONS[kind].done} by {actor}"


def stays_open(subjects: Sequence[str]) -> str:
    """What a new normal does not make right."""
    one = len(subjects) == 1
    return f"{numbers.listed(subjects)} stay{'s' if one else ''} open until somebody resolves {'it' if one else 'them'}"


def decided_at(decision: Decision) -> str:
    """What somebody decided, and when."""
    return f"{decided(decision)} ({numbers.moment(decision.ts)})"


def happened(entry: TimelineEntry) -> str:
    """What happened to an incident, and when, for somebody whose page is older."""
    return f"{entry.text} ({numbers.moment(entry.ts)})"


def since_opened(told: Sequence[str]) -> str:
    """That a page is older than what happened: nothing is decided on it."""
    return f"since this page was opened: {'; '.join(told[-3:])}. Look at it as it is now, then decide"


def no_incident(route: str) -> str:
    """That there is nothing to decide."""
    return f"no incident of {route} is open"


def still_learning(route: str) -> str:
    """That there is no normal yet that another could replace."""
    return f"{route} has no baseline yet: it is still learning its first one"


def of_another_route(route: str) -> str:
    """That a decision names the wrong incident."""
    return f"the incident is of another route, {route}"


def already(state: IncidentState, actor: str | None, ts: datetime | None) -> str:
    """That an incident is where a decision would bring it."""
    who = "" if actor is None else f" by {actor}"
    return f"the incident was {state} already{who}" + ("" if ts is None else f" ({numbers.moment(ts)})")


def ended_already(one: Decision) -> str:
    """That somebody was first to end an incident."""
    return f"{one.actor} has ended the incident already ({_done(one)}, {numbers.moment(one.ts)})"


def commented_already(one: Decision) -> str:
    """That the same person has just written the same."""
    return f"{one.actor} has written the same already ({numbers.moment(one.ts)})"


def decided_already(one: Decision) -> str:
    """That somebody was first to decide the same."""
    return f"{one.actor} has decided the same already ({_done(one)}, {numbers.moment(one.ts)})"
