"""What is said of an incident: blocks, and the plain text of a notification. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, get_args

from schemas.alert import Severity
from schemas.base import canonical, hash16
from schemas.evaluation import Outcome
from schemas.incident import Incident, TimelineEntry
from services.notify import blocks
from services.notify.blocks import Block
from services.notify.button import BUTTONS, value_of
from services.store.pictures import Pictured

SHOWN_ENTRIES: Final = 6
LISTED: Final = 30
_SHOWN_IDS: Final = 5
_FIRED: Final = ("opened", "alert_fired")
_SHOWN_MOVES: Final = 5
_MARKS: Final[dict[Severity, str]] = {"info": "🔵", "warning": "🟡", "error": "🟠", "critical": "🔴"}


@dataclass(frozen=True, slots=True)
class Message:
    """What a receiver is sent: `text` is what stands in a notification, `blocks` what is shown."""

    blocks: tuple[Block, ...]
    text: str

    @property
    def digest(self) -> str:
        """16 hex of all that is shown."""
        return hash16([canonical(list(self.blocks)).decode(), self.text])

    def bare(self) -> Message:
        """The same without pictures."""
        return replace(self, blocks=tuple(block for block in self.blocks if block["type"] != "image"))


@dataclass(frozen=True, slots=True)
class Look:
    """What depends on the deployment: the address of the API (None: no links), and whether buttons are answered."""

    api_url: str | None = None
    buttons: bool = False

    def page(self, incident: Incident) -> str | None:
        """The address of the incident's page."""
        return None if self.api_url is None else f"{self.api_url}/incidents/{incident.id}"


def of_incident(incident: Incident, look: Look, mention: str | None = None, picture: Pictured | None = None) -> Message:
    """An incident as it stands: what moved, who moved, how sure, what was evaluated and done, and what to do."""
    parts = [
        blocks.header(f"{_MARKS[incident.severity]} {incident.severity}: {incident.route}"),
        *([blocks.mention(mention)] if mention else []),
        blocks.section(incident.headline or "something moved", 600),
        *_moved(incident),
        *([blocks.image(picture.file, picture.words)] if picture and picture.file else []),
        _facts(incident),
        blocks.divider(),
        _timeline(incident.timeline),
        *_buttons(incident, look),
        _foot(incident, look),
    ]
    return Message(tuple(parts), blocks.fallback(in_words(incident)))


def of_entry(text: str, ts: datetime) -> Message:
    """A reply in the incident's thread: one thing that happened."""
    return Message((blocks.rich([_entry(ts, text)]),), blocks.fallback(text))


def of_rise(incident: Incident, text: str, look: Look, mention: str | None = None) -> Message:
    """A reply that the whole channel sees: the incident is worse than what was told before."""
    said = blocks.section(f"{_MARKS[incident.severity]} {text}", 600)
    page = look.page(incident)
    parts = [said, *([blocks.mention(mention)] if mention else []), *([_link(page)] if page else [])]
    return Message(tuple(parts), blocks.fallback(text))


def of_storm(incidents: Sequence[Incident], look: Look, mention: str | None = None) -> Message:
    """One message instead of many: what opened within a minute, each in a line."""
    title = f"{len(incidents)} new incident{'s' * (len(incidents) > 1)} within a minute"
    lines = [_listed(incident, look) for incident in incidents[:LISTED]]
    more = len(incidents) - LISTED
    parts = [
        blocks.header(f"{_MARKS[_worst(incidents)]} {title}"),
        *([blocks.mention(mention)] if mention else []),
        *(blocks.rich([blocks.bullets(lines[i : i + 10])]) for i in range(0, len(lines), 10)),
        *([blocks.section(f"and {more} more: keelwatch incident list")] if more > 0 else []),
    ]
    routes = ", ".join(dict.fromkeys(incident.route for incident in incidents))
    return Message(tuple(parts), blocks.fallback(f"{title}: {routes}"))


def in_words(incident: Incident) -> str:
    """An incident in one line."""
    return f"[{incident.severity}] {incident.headline}; verdict {incident.verdict}; {incident.state}"


def _moved(incident: Incident) -> list[Block]:
    """The alerts that the headline, which tells of the worst, does not: each with before, after and interval."""
    fired = dict.fromkeys(entry.text.split("; ")[0] for entry in incident.timeline if entry.kind in _FIRED)
    others = [text for text in fired if not incident.headline.startswith(text)][-_SHOWN_MOVES:]
    lines = [blocks.line([blocks.literal(text, 240)]) for text in others]
    return [blocks.rich([blocks.bullets(lines)])] if lines else []


def _facts(incident: Incident) -> Block:
    rows = [
        ("Verdict", [blocks.literal(incident.verdict, bold=True), blocks.spaced(": "), _why(incident)]),
        ("Evaluation", [_evaluated(incident)]),
        ("State", [blocks.literal(_state(incident))]),
        ("Since", [blocks.literal(f"{incident.opened_at:%Y-%m-%d %H:%M} UTC, exchange {incident.opened_event_index}")]),
        ("Identities", _ids([identity[:8] for identity in incident.identities])),
        ("Examples", _ids(incident.exemplars)),
    ]
    lines: list[Block] = []
    for name, elements in rows:
        lines += [blocks.literal(name, bold=True), blocks.spaced("  "), *elements, blocks.spaced("\n")]
    return blocks.rich([blocks.line(lines[:-1])])


def _why(incident: Incident) -> Block:
    return blocks.literal(incident.verdict_reason, 400)


def _evaluated(incident: Incident) -> Block:
    """The newest comparison of two runs; without one, what became of the newest run."""
    told = [entry.text for entry in incident.timeline if entry.kind == "evaluation"]
    compared = [text for text in told if any(f": {outcome}" in text for outcome in get_args(Outcome))]
    return blocks.literal((compared or told or ["none yet"])[-1], 400)


def _state(incident: Incident) -> str:
    if incident.snoozed_until is not None:
        return f"{incident.state} until {incident.snoozed_until:%Y-%m-%d %H:%M} UTC"
    return incident.state


def _ids(ids: Sequence[str]) -> list[Block]:
    shown = [blocks.literal(id, 64, code=True) for id in ids[:_SHOWN_IDS]] or [blocks.spaced(blocks.NOTHING)]
    more = len(ids) - _SHOWN_IDS
    return [*_between(shown, " "), *([blocks.spaced(f" and {more} more")] if more > 0 else [])]


def _between(elements: Sequence[Block], mark: str) -> list[Block]:
    joined = [part for element in elements for part in (element, blocks.spaced(mark))]
    return joined[:-1]


def _timeline(timeline: Sequence[TimelineEntry]) -> Block:
    shown = [_entry(entry.ts, _said(entry), entry.kind) for entry in timeline[-SHOWN_ENTRIES:]]
    earlier = len(timeline) - len(shown)
    title = f"Timeline, {earlier} earlier left out" if earlier else "Timeline"
    head = blocks.line([blocks.literal(title, bold=True)])
    return blocks.rich([head, *([blocks.bullets(shown)] if shown else [])])


def _said(entry: TimelineEntry) -> str:
    """An entry in short: the sizes of what moved stand above the timeline."""
    text = entry.text
    if entry.kind in _FIRED:
        text = text.split("; ")[0].split(" (")[0]
    elif entry.kind == "escalated":
        text = text.split(": ")[0]
    who = f" ({blocks.cleaned(entry.actor, 80)})" if entry.actor else ""
    return blocks.cleaned(text, 200) + who


def _entry(ts: datetime, text: str, kind: str | None = None) -> Block:
    name = (kind or "").replace("_", " ")
    what = [blocks.spaced(" "), blocks.literal(name, bold=True)] if name and not text.startswith(name) else []
    when = blocks.literal(f"{ts:%m-%d %H:%M}", code=True)
    return blocks.line([when, *what, blocks.spaced(" "), blocks.literal(text, 400)])


def _buttons(incident: Incident, look: Look) -> list[Block]:
    """Nothing is offered that would do nothing: a resolved incident has no buttons."""
    if not look.buttons or incident.state == "resolved":
        return []
    left = [one for one in BUTTONS if one.kind != "acknowledge" or incident.state != "acknowledged"]
    return [
        blocks.actions(blocks.button(one.action, one.label, value_of(incident), one.confirm, one.style) for one in left)
    ]


def _foot(incident: Incident, look: Look) -> Block:
    page = look.page(incident)
    if page is None:
        return blocks.context(f"incident {incident.id}: keelwatch incident show {incident.id}")
    return _link(page)


def _link(page: str) -> Block:
    return blocks.rich([blocks.line([blocks.link(page, "open the incident's page")])])


def _listed(incident: Incident, look: Look) -> Block:
    page = look.page(incident)
    parts = [
        blocks.spaced(f"{_MARKS[incident.severity]} "),
        blocks.literal(incident.route, bold=True),
        blocks.spaced(" "),
        blocks.literal(f"{incident.headline}; verdict {incident.verdict}; {incident.state}", 200),
        *([blocks.spaced(" "), blocks.link(page, "open")] if page else []),
    ]
    return blocks.line(parts)


def _worst(incidents: Sequence[Incident]) -> Severity:
    return max((incident.severity for incident in incidents), key=tuple(_MARKS).index)
