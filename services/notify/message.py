"""What is sent of an incident: blocks, the plain text of a notification, and lines for terminals. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from schemas.alert import Severity
from schemas.base import canonical, hash16
from schemas.decision import Silence
from schemas.incident import Incident, TimelineEntry
from services.notify import block_kit
from services.notify.block_kit import Block
from services.notify.buttons import BUTTONS, value_of
from services.notify.incident_event import EventOccasion, IncidentEvent, event_of
from services.store.pictures import MessagePicture
from services.wording import movements
from services.wording import notifications as words
from services.wording.decisions import silenced
from services.wording.incidents import headline_in_full, one_line, state, title, verdict_in_full

SHOWN_ENTRIES: Final = 6
LISTED: Final = 30
_FIRED: Final = ("opened", "alert_fired", "changed_again", "lasting")
_SHOWN_MOVES: Final = 5
_MARKS: Final[dict[Severity, str]] = {"info": "🔵", "warning": "🟡", "error": "🟠", "critical": "🔴"}


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """What a receiver is sent: `text` is what stands in a notification, `blocks` what is shown.

    `event` is the same for programs, where a channel takes events.
    """

    blocks: tuple[Block, ...]
    text: str
    event: IncidentEvent | None = None

    @property
    def digest(self) -> str:
        """16 hex of all that is shown."""
        return hash16([canonical(list(self.blocks)).decode(), self.text])

    def bare(self) -> RenderedMessage:
        """The same without pictures."""
        return replace(self, blocks=tuple(block for block in self.blocks if block["type"] != "image"))

    def unmentioned(self) -> RenderedMessage:
        """The same without a call for people."""
        return replace(self, blocks=tuple(block for block in self.blocks if not block_kit.is_calling(block)))

    def plain(self) -> RenderedMessage:
        """Its text alone."""
        return replace(self, blocks=())


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What depends on the deployment: the address of the API (None: no links), and whether buttons are answered."""

    api_url: str | None = None
    buttons: bool = False

    def page(self, incident: Incident) -> str | None:
        """The address of the incident's page."""
        return None if self.api_url is None else f"{self.api_url}/incidents/{incident.id}"


def of_incident(
    incident: Incident,
    look: MessageOptions,
    mention: str | None = None,
    picture: MessagePicture | None = None,
    silences: Sequence[Silence] = (),
    instead_of: str | None = None,
) -> RenderedMessage:
    """An incident as it stands: what moved, who moved, how sure, what was evaluated and done, and what to do.

    `silences` are those that hold on it; `instead_of` is the receiver that could not be told of it.
    """
    parts = [
        block_kit.header(f"{_MARKS[incident.severity]} {words.header(incident)}"),
        *([block_kit.mention(mention)] if mention else []),
        *([block_kit.context(words.instead_of(instead_of))] if instead_of else []),
        block_kit.section(headline_in_full(incident), 600),
        *_others(incident),
        *([block_kit.image(picture.file, picture.words)] if picture and picture.file else []),
        _facts(incident, silences),
        block_kit.divider(),
        _timeline(incident.timeline),
        *_buttons(incident, look, silences),
        _foot(incident, look),
    ]
    return RenderedMessage(tuple(parts), block_kit.fallback(one_line(incident)))


def with_event(
    message: RenderedMessage,
    incident: Incident,
    look: MessageOptions,
    occasion: EventOccasion,
    silences: Sequence[Silence] = (),
) -> RenderedMessage:
    """The message of an incident, with what programs are told of it."""
    return replace(message, event=event_of(incident, occasion, fact_rows(incident, silences), look.page(incident)))


def of_trial(receiver: str, event: IncidentEvent) -> RenderedMessage:
    """What somebody sends who tries a receiver."""
    parts = (block_kit.header(words.trial_title(receiver)), block_kit.section(event.text))
    return RenderedMessage(parts, block_kit.fallback(event.text), event)


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
    heading = words.storm(len(incidents))
    lines = [_listed(incident, look) for incident in incidents[:LISTED]]
    more = len(incidents) - LISTED
    parts = [
        block_kit.header(f"{_MARKS[_worst(incidents)]} {heading}"),
        *([block_kit.mention(mention)] if mention else []),
        *(block_kit.rich([block_kit.bullets(lines[i : i + 10])]) for i in range(0, len(lines), 10)),
        *([block_kit.section(words.all_by_command(more))] if more > 0 else []),
    ]
    routes = ", ".join(dict.fromkeys(incident.route for incident in incidents))
    return RenderedMessage(tuple(parts), block_kit.fallback(f"{heading}: {routes}"))


def _others(incident: Incident) -> list[Block]:
    """What was found beside the headline, which tells of the worst."""
    told = title(incident)
    fired = dict.fromkeys(entry.text for entry in incident.timeline if entry.kind in _FIRED)
    others = [text for text in fired if not text.startswith(told)][-_SHOWN_MOVES:]
    lines = [block_kit.line([block_kit.literal(text, 240)]) for text in others]
    return [block_kit.rich([block_kit.bullets(lines)])] if lines else []


def fact_rows(incident: Incident, silences: Sequence[Silence]) -> tuple[tuple[str, str], ...]:
    """What is known beside the headline: name and words, as every receiver shows them."""
    return (
        (words.WHO_CHANGED, verdict_in_full(incident)),
        *(((movements.WHAT_CHANGED, movements.of_incident(incident)),) if incident.movements else ()),
        *(((movements.LIKELY_CAUSE, cause),) if (cause := words.cause(incident.timeline)) else ()),
        (words.SUITES, words.suites(incident.timeline)),
        (words.STATE, state(incident)),
        (words.SINCE, words.since(incident)),
        (words.EXAMPLES, words.examples(incident)),
        *((words.SILENCED, silenced(one)) for one in silences[:1]),
    )


def _facts(incident: Incident, silences: Sequence[Silence]) -> Block:
    lines: list[Block] = []
    for name, text in fact_rows(incident, silences):
        lines += [block_kit.literal(name, bold=True), block_kit.spaced("  "), block_kit.literal(text, 400)]
        lines.append(block_kit.spaced("\n"))
    return block_kit.rich([block_kit.line(lines[:-1])])


def _timeline(timeline: Sequence[TimelineEntry]) -> Block:
    shown = [_entry(entry.ts, entry.text) for entry in timeline[-SHOWN_ENTRIES:]]
    head = block_kit.line([block_kit.literal(words.timeline_title(len(timeline) - len(shown)), bold=True)])
    return block_kit.rich([head, *([block_kit.bullets(shown)] if shown else [])])


def _entry(ts: datetime, text: str) -> Block:
    when = block_kit.literal(words.short_time(ts), code=True)
    return block_kit.line([when, block_kit.spaced(" "), block_kit.literal(text, 400)])


def _buttons(incident: Incident, look: MessageOptions, silences: Sequence[Silence]) -> list[Block]:
    """Nothing is offered that would do nothing: a resolved incident has no buttons, an end needs a silence."""
    if not look.buttons or incident.state == "resolved":
        return []
    vain = {"end_silence" if not silences else "silence", *(["acknowledge"] * (incident.state == "acknowledged"))}
    left = [one for one in BUTTONS if one.kind not in vain]
    return [
        block_kit.actions(
            block_kit.button(one.action, one.label, value_of(incident), one.confirm, one.style) for one in left
        )
    ]


def _foot(incident: Incident, look: MessageOptions) -> Block:
    page = look.page(incident)
    if page is None:
        return block_kit.context(words.by_command(incident.id))
    return _link(page)


def _link(page: str) -> Block:
    return block_kit.rich([block_kit.line([block_kit.link(page, words.OPEN_PAGE)])])


def _listed(incident: Incident, look: MessageOptions) -> Block:
    page = look.page(incident)
    parts = [
        block_kit.spaced(f"{_MARKS[incident.severity]} "),
        block_kit.literal(incident.route, bold=True),
        block_kit.spaced(" "),
        block_kit.literal(words.listed(incident), 300),
        *([block_kit.spaced(" "), block_kit.link(page, words.OPEN)] if page else []),
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
