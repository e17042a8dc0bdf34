"""What is sent of an incident: blocks, the plain text of a notification, and lines for terminals. Pure.

What is said of an incident: blocks, and the plain text of a notification. Pure.

A message as lines of text, for terminals. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, get_args

from schemas.alert import Severity
from schemas.base import canonical, hash16
from schemas.evaluation import Outcome
from schemas.incident import Incident, TimelineEntry
from services.notify import block_kit
from services.notify.block_kit import Block
from services.notify.buttons import BUTTONS, value_of
from services.store.deliveries import MessagePicture

SHOWN_ENTRIES: Final = 6
LISTED: Final = 30
_SHOWN_IDS: Final = 5
_FIRED: Final = ("opened", "alert_fired")
_SHOWN_MOVES: Final = 5
_MARKS: Final[dict[Severity, str]] = {"info": "🔵", "warning": "🟡", "error": "🟠", "critical": "🔴"}


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """What a receiver is sent: `text` is what stands in a notification, `blocks` what is shown."""

    blocks: tuple[Block, ...]
    text: str

    @property
    def digest(self) -> str:
        """16 hex of all that is shown."""
        return hash16([canonical(list(self.blocks)).decode(), self.text])

    def bare(self) -> RenderedMessage:
        """The same without pictures."""
        return replace(self, blocks=tuple(block for block in self.blocks if block["type"] != "image"))


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What depends on the deployment: the address of the API (None: no links), and whether buttons are answered."""

    api_url: str | None = None
    buttons: bool = False

    def page(self, incident: Incident) -> str | None:
        """The address of the incident's page."""
        return None if self.api_url is None else f"{self.api_url}/incidents/{incident.id}"


def of_incident(
    incident: Incident, look: MessageOptions, mention: str | None = None, picture: MessagePicture | None = None
) -> RenderedMessage:
    """An incident as it stands: what moved, who moved, how sure, what was evaluated and done, and what to do."""
    parts = [
        block_kit.header(f"{_MARKS[incident.severity]} {incident.severity}: {incident.route}"),
        *([block_kit.mention(mention)] if mention else []),
        block_kit.section(incident.headline or "something moved", 600),
        *_moved(incident),
        *([block_kit.image(picture.file, picture.words)] if picture and picture.file else []),
        _facts(incident),
        block_kit.divider(),
        _timeline(incident.timeline),
        *_buttons(incident, look),
        _foot(incident, look),
    ]
    return RenderedMessage(tuple(parts), block_kit.fallback(in_words(incident)))


def of_entry(text: str, ts: datetime) -> RenderedMessage:
    """A reply in the incident's thread: one thing that happened."""
    return RenderedMessage((block_kit.rich([_entry(ts, text)]),), block_kit.fallback(text))


def of_rise(incident: Incident, text: str, look: MessageOptions, mention: str | None = None) -> RenderedMessage:
    """A reply that the whole channel sees: the incident is worse than what was told before."""
    said = block_kit.section(f"{_MARKS[incident.severity]} {text}", 600)
    page = look.page(incident)
    parts = [said, *([block_kit.mention(mention)] if mention else []), *([_link(page)] if page else [])]
    return RenderedMessage(tuple(parts), block_kit.fallback(text))


def of_storm(incidents: Sequence[Incident], look: MessageOptions, mention: str | None = None) -> RenderedMessage:
    """One message instead of many: what opened within a minute, each in a line."""
    title = f"{len(incidents)} new incident{'s' * (len(incidents) > 1)} within a minute"
    lines = [_listed(incident, look) for incident in incidents[:LISTED]]
    more = len(incidents) - LISTED
    parts = [
        block_kit.header(f"{_MARKS[_worst(incidents)]} {title}"),
        *([block_kit.mention(mention)] if mention else []),
        *(block_kit.rich([block_kit.bullets(lines[i : i + 10])]) for i in range(0, len(lines), 10)),
        *([block_kit.section(f"and {more} more: keelwatch incident list")] if more > 0 else []),
    ]
    routes = ", ".join(dict.fromkeys(incident.route for incident in incidents))
    return RenderedMessage(tuple(parts), block_kit.fallback(f"{title}: {routes}"))


def in_words(incident: Incident) -> str:
    """An incident in one line."""
    return f"[{incident.severity}] {incident.headline}; verdict {incident.verdict}; {incident.state}"


def _moved(incident: Incident) -> list[Block]:
    """The alerts that the headline, which tells of the worst, does not: each with before, after and interval."""
    fired = dict.fromkeys(entry.text.split("; ")[0] for entry in incident.timeline if entry.kind in _FIRED)
    others = [text for text in fired if not incident.headline.startswith(text)][-_SHOWN_MOVES:]
    lines = [block_kit.line([block_kit.literal(text, 240)]) for text in others]
    return [block_kit.rich([block_kit.bullets(lines)])] if lines else []


def _facts(incident: Incident) -> Block:
    rows = [
        ("Verdict", [block_kit.literal(incident.verdict, bold=True), block_kit.spaced(": "), _why(incident)]),
        ("Evaluation", [_evaluated(incident)]),
        ("State", [block_kit.literal(_state(incident))]),
        (
            "Since",
            [block_kit.literal(f"{incident.opened_at:%Y-%m-%d %H:%M} UTC, exchange {incident.opened_event_index}")],
        ),
        ("Identities", _ids([identity[:8] for identity in incident.identities])),
        ("Examples", _ids(incident.exemplars)),
    ]
    lines: list[Block] = []
    for name, elements in rows:
        lines += [block_kit.literal(name, bold=True), block_kit.spaced("  "), *elements, block_kit.spaced("\n")]
    return block_kit.rich([block_kit.line(lines[:-1])])


def _why(incident: Incident) -> Block:
    return block_kit.literal(incident.verdict_reason, 400)


def _evaluated(incident: Incident) -> Block:
    """The newest comparison of two runs; without one, what became of the newest run."""
    told = [entry.text for entry in incident.timeline if entry.kind == "evaluation"]
    compared = [text for text in told if any(f": {outcome}" in text for outcome in get_args(Outcome))]
    return block_kit.literal((compared or told or ["none yet"])[-1], 400)


def _state(incident: Incident) -> str:
    if incident.snoozed_until is not None:
        return f"{incident.state} until {incident.snoozed_until:%Y-%m-%d %H:%M} UTC"
    return incident.state


def _ids(ids: Sequence[str]) -> list[Block]:
    shown = [block_kit.literal(id, 64, code=True) for id in ids[:_SHOWN_IDS]] or [block_kit.spaced(block_kit.NOTHING)]
    more = len(ids) - _SHOWN_IDS
    return [*_between(shown, " "), *([block_kit.spaced(f" and {more} more")] if more > 0 else [])]


def _between(elements: Sequence[Block], mark: str) -> list[Block]:
    joined = [part for element in elements for part in (element, block_kit.spaced(mark))]
    return joined[:-1]


def _timeline(timeline: Sequence[TimelineEntry]) -> Block:
    shown = [_entry(entry.ts, _short_text(entry), entry.kind) for entry in timeline[-SHOWN_ENTRIES:]]
    earlier = len(timeline) - len(shown)
    title = f"Timeline, {earlier} earlier left out" if earlier else "Timeline"
    head = block_kit.line([block_kit.literal(title, bold=True)])
    return block_kit.rich([head, *([block_kit.bullets(shown)] if shown else [])])


def _short_text(entry: TimelineEntry) -> str:
    """An entry in short: the sizes of what moved stand above the timeline."""
    text = entry.text
    if entry.kind in _FIRED:
        text = text.split("; ")[0].split(" (")[0]
    elif entry.kind == "escalated":
        text = text.split(": ")[0]
    who = f" ({block_kit.cleaned(entry.actor, 80)})" if entry.actor else ""
    return block_kit.cleaned(text, 200) + who


def _entry(ts: datetime, text: str, kind: str | None = None) -> Block:
    name = (kind or "").replace("_", " ")
    what = [block_kit.spaced(" "), block_kit.literal(name, bold=True)] if name and not text.startswith(name) else []
    when = block_kit.literal(f"{ts:%m-%d %H:%M}", code=True)
    return block_kit.line([when, *what, block_kit.spaced(" "), block_kit.literal(text, 400)])


def _buttons(incident: Incident, look: MessageOptions) -> list[Block]:
    """Nothing is offered that would do nothing: a resolved incident has no buttons."""
    if not look.buttons or incident.state == "resolved":
        return []
    left = [one for one in BUTTONS if one.kind != "acknowledge" or incident.state != "acknowledged"]
    return [
        block_kit.actions(
            block_kit.button(one.action, one.label, value_of(incident), one.confirm, one.style) for one in left
        )
    ]


def _foot(incident: Incident, look: MessageOptions) -> Block:
    page = look.page(incident)
    if page is None:
        return block_kit.context(f"incident {incident.id}: keelwatch incident show {incident.id}")
    return _link(page)


def _link(page: str) -> Block:
    return block_kit.rich([block_kit.line([block_kit.link(page, "open the incident's page")])])


def _listed(incident: Incident, look: MessageOptions) -> Block:
    page = look.page(incident)
    parts = [
        block_kit.spaced(f"{_MARKS[incident.severity]} "),
        block_kit.literal(incident.route, bold=True),
        block_kit.spaced(" "),
        block_kit.literal(f"{incident.headline}; verdict {incident.verdict}; {incident.state}", 200),
        *([block_kit.spaced(" "), block_kit.link(page, "open")] if page else []),
    ]
    return block_kit.line(parts)


def _worst(incidents: Sequence[Incident]) -> Severity:
    return max((incident.severity for incident in incidents), key=tuple(_MARKS).index)


def plain_lines(message: RenderedMessage) -> tuple[str, ...]:
    """What a message shows, as lines."""
    shown = [line for block in message.blocks for line in _shown(block)]
    return tuple(shown) or (message.text,)


def _shown(block: Block) -> Iterator[str]:
    kind = block["type"]
    if kind == "divider":
        yield ""
    elif kind == "rich_text":
        for part in block["elements"]:
            yield from _paragraph(part)
    elif kind == "actions":
        yield " ".join(f"[ {button['text']['text']} ]" for button in block["elements"])
    elif kind == "image":
        yield f"[ picture: {block['alt_text']} ]"
    elif kind == "context":
        yield " ".join(element["text"] for element in block["elements"])
    else:
        yield block["text"]["text"]


def _paragraph(part: Block) -> Iterator[str]:
    if part["type"] == "rich_text_list":
        for item in part["elements"]:
            yield f"  • {_inline(item)}"
    else:
        yield from _inline(part).split("\n")


def _inline(part: Block) -> str:
    return "".join(
        f"{element['text']}: {element['url']}" if element["type"] == "link" else element["text"]
        for element in part["elements"]
    )
