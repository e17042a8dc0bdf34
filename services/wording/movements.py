"""Since when something is so, what moved within it, and what is likely to have caused it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.incident import Incident
from schemas.reading import ChangePoint, Movement
from services.wording import nouns, numbers

MOST_TOLD: Final = 3
LIKELY_CAUSE: Final = "Likely cause"
WHAT_CHANGED: Final = "What is different"
NOW: Final = "Now"
BEFORE: Final = "Before: the most similar earlier question"
TEXT_NOT_KEPT: Final = "text not kept"
NO_COUNTERPART: Final = "No similar question of before is known."
NEW_WORDS: Final = "The questions now speak more of"
_LENGTHS: Final = ("log_chars", "log_words", "length", "words", "characters")
_STYLES: Final[Mapping[str, str]] = {
    "word_length": "letters in a word",
    "sentence_length": "words in a sentence",
    "line_length": "words in a line",
    "capitals": "capital letters",
    "digits": "digits",
    "non_ascii": "letters of other scripts",
    "refusals": "phrases of refusal",
    "hedges": "cautious phrases",
    "contrasts": "objections",
    "first_person": "mentions of itself",
    "second_person": "words to the reader",
    "bullets": "bullet points",
    "numbered": "numbered points",
    "bold": "words in bold",
    "headings": "headings",
    "code_fences": "blocks of code",
    "questions": "questions back",
    "exclamations": "exclamation marks",
    "commas": "commas",
    "full_stops": "full stops",
    "colons": "colons",
    "dashes": "dashes",
    "parentheses": "parentheses",
    "quotes": "quotation marks",
    "option_letter": "bare letters of an option",
    "opens_apology": "apologies at the beginning",
    "ends_sentence": "complete last sentences",
    "ends_question": "questions at the end",
}


def since(point: ChangePoint, now: datetime | None = None) -> str:
    """When it seems to have begun, and between when.

    `about 14:02 UTC (between 13:55 and 14:04)`; of another day, or of ends that lie on two days, with the day.
    """
    low, high = (numbers.clock(ts, point.ts).removesuffix(" UTC") for ts in (point.ts_low, point.ts_high))
    about = f"about {numbers.clock(point.ts, now)}"
    return about if low == high else f"{about} (between {low} and {high})"


def since_details(point: ChangePoint) -> str:
    """The same in exchanges."""
    return f"since exchange {point.event_index:,} (90% interval {point.low:,} to {point.high:,})"


def movement(moved: Movement, signal: str | None = None) -> str:
    """One thing that moved; `signal` is what its alert is about.

    >>> movement(Movement(kind="style", name="log_chars", before=1.0, after=0.62, unit="ratio"))
    'answers are 38% shorter'
    >>> movement(Movement(kind="style", name="bullets", before=0.2, after=1.4, unit="per answer"))
    'answers have more bullet points'
    """
    grew = moved.after > moved.before
    if moved.kind == "style":
        return _style(moved, grew)
    if moved.kind == "signal":
        return f"{nouns.signal_title(moved.name).lower()} {'rose' if grew else 'fell'}"
    where = f"where {moved.name}" if moved.kind == "slice" else f"on {moved.name} questions"
    if signal is not None:
        return f"{nouns.signal_title(signal).lower()} {'rose' if grew else 'fell'} most {where}"
    if moved.kind == "topic" and moved.unit == "share":
        return f"{'more' if grew else 'fewer'} {moved.name} questions"
    return f"most of it is {where}"


def movement_details(moved: Movement) -> str:
    """Its numbers.

    >>> movement_details(Movement(kind="topic", name="medical", before=0.31, after=0.02, unit="share"))
    'medical 31.0% to 2.0%'
    """
    name = nouns.plain(moved.name) if moved.kind in ("style", "signal") else moved.name
    if moved.unit == "share":
        return f"{name} {numbers.percent(moved.before)} to {numbers.percent(moved.after)}"
    unit = "x" if moved.unit == "ratio" else " per answer"
    return f"{name} {moved.before:.2f} to {moved.after:.2f}{unit}"


def told(moved: Sequence[Movement], signal: str | None = None) -> str:
    """The first few, as one sentence without its stop; empty where nothing is known."""
    return numbers.sentence_case("; ".join(dict.fromkeys(movement(one, signal) for one in moved[:MOST_TOLD])))


def of_alert(alert: Alert) -> str:
    """What follows the sentence of an alert: since when, and what moved."""
    parts = [] if alert.change_point is None else [f"Since {since(alert.change_point, alert.ts)}"]
    parts += [told(alert.movements, alert.signal)] if alert.movements else []
    return "".join(f". {one}" for one in parts)


def details_of_alert(alert: Alert) -> Iterable[str]:
    """The numbers of the same."""
    if alert.change_point is not None:
        yield since_details(alert.change_point)
    yield from map(movement_details, alert.movements)


def of_incident(incident: Incident) -> str:
    """What moved, in a sentence without its stop."""
    return told(incident.movements, incident.signals[0] if incident.signals else None)


def cause(found: Change | Decision, point: ChangePoint) -> str:
    """What lies within the time in which the change seems to have been."""
    when = numbers.clock(found.ts, point.ts)
    return f"{LIKELY_CAUSE}: {_event(found)} at {when}, which lies within that time"


def _event(found: Change | Decision) -> str:
    if isinstance(found, Decision):
        name = "" if found.model is None else f" to {nouns.model_name(found.model)}"
        part = "" if found.share is None else f", for {numbers.percent(found.share)} of the exchanges,"
        return f"the change{name}{part} that {found.actor} announced"
    if found.kind == "pinned":
        return "a new normal was set"
    if found.fingerprint is not None and found.from_identity == found.to_identity:
        return f"a new version behind {nouns.model_name(found.model)} first answered"
    return f"{nouns.model_name(found.model)} first answered"


def around(messages: int, calls: int) -> str:
    """What stands around question and answer.

    >>> around(3, 1), around(0, 0)
    ('Conversation: 3 messages, 1 tool call', 'How it ended')
    """
    told = [numbers.count(n, noun) for n, noun in ((messages, "message"), (calls, "tool call")) if n]
    return f"Conversation: {', '.join(told)}" if told else "How it ended"


def new_words(words: Sequence[str]) -> str:
    """What marks the questions that are asked now, against those of the baseline."""
    return f"{NEW_WORDS} {numbers.listed(words)}" if words else ""


def _style(moved: Movement, grew: bool) -> str:
    if moved.name in _LENGTHS:
        part = abs(moved.after / moved.before - 1) if moved.unit == "ratio" and moved.before else 0.0
        by = f"{part:.0%} " if part >= 0.01 else ""
        return f"answers are {by}{'longer' if grew else 'shorter'}"
    return f"answers have {'more' if grew else 'fewer'} {_STYLES.get(moved.name, nouns.plain(moved.name))}"
