"""Why an incident fired, and what would have to be true for it to be a false alarm. Plain words first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from schemas.alert import Alert
from schemas.change import Change
from schemas.incident import Incident
from services import specs
from services.wording import incidents, nouns, numbers

FIRES: Final = "fires"
EVIDENCE: Final = "evidence, of what it takes to fire"
EVIDENCE_HEAD: Final = ("time (UTC)", "what", "evidence of needed")
WON: Final = "What won"
FALSE: Final = "For this to be a false alarm, one of these would have to be true"
WANTED: Final = "If the change is wanted, it is no false alarm: accept it as the new normal."
_MOST_DIGITS: Final = 50.0
_VERBS: Final = {"up": "had risen", "down": "had fallen", None: "had changed"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """An incident explained.

    Attributes:
        seen: what happened, and who changed. won: a sentence for each sign, with its numbers in `details`.
        otherwise: what would have to be true for a false alarm.
    """

    seen: str
    won: tuple[tuple[str, str], ...]
    otherwise: tuple[str, ...]


def explain(incident: Incident, alerts: Sequence[Alert], pinned: Change | None = None) -> Explanation:
    """The explanation of an incident by its alerts, held against the baseline that `pinned` tells of."""
    signs = [alert for alert in alerts if specs.family_of(alert.family).kind != "blind"]
    return Explanation(
        f"{incidents.headline_in_full(incident)}. {incidents.verdict_in_full(incident)}",
        tuple((_won(alert), incidents.details(alert)) for alert in signs),
        tuple(dict.fromkeys(_otherwise(incident, signs, pinned))),
    )


def evidence_line(alert: Alert) -> str:
    """What a line of the picture is about."""
    return nouns.place(nouns.subject(alert), alert.slice)


def evidence_summary(shares: Iterable[tuple[str, float]]) -> str:
    """The picture in a sentence: how much evidence each sign has of what it takes."""
    told = [f"{name} {share:.0%}" for name, share in shares]
    return f"Evidence of what it takes to fire, at its greatest: {', '.join(told)}." if told else "No evidence is kept."


def _won(alert: Alert) -> str:
    kind = specs.family_of(alert.family).kind
    if kind == "event":
        return f"{numbers.sentence_case(nouns.seen(alert.signal))} was seen in an answer: one is enough"
    if kind == "suite":
        return f"{numbers.sentence_case(incidents.sentence(alert))}: the same questions were asked before and after"
    told = f"Bets that the {_what(alert)} {_VERBS[alert.direction]} won"
    log_e = alert.evidence.log_e
    if log_e is None:
        return told
    return f"{told}: without a change they win as much at most once in {_seldom(log_e)} exchanges"


def _what(alert: Alert) -> str:
    subject = nouns.subject(alert)
    name = subject if alert.signal is not None else subject.removeprefix("the ")
    return nouns.place(name, alert.slice)


def _seldom(log_e: float) -> str:
    """How seldom, to two digits; beyond what people can picture in words."""
    if log_e > _MOST_DIGITS:
        return "more than a trillion"
    n = exp(max(log_e, 0.0))
    return f"{float(f'{n:.2g}'):,.0f}"


def _otherwise(incident: Incident, signs: Sequence[Alert], pinned: Change | None) -> Iterator[str]:
    kinds = {specs.family_of(alert.family).kind for alert in signs}
    betting = [alert for alert in signs if alert.evidence.log_e is not None]
    if betting:
        yield _chance(betting, pinned)
        yield _untypical(pinned)
    if "rate" in kinds:
        names = numbers.listed(sorted({nouns.signal_noun(one.signal) for one in signs if one.signal is not None}))
        yield f"The answers are misread: what counts towards the {names} does not. {_examples(incident)}"
    if kinds & {"rate", "shift"} and incident.verdict in ("model", "both"):
        yield (
            "The questions changed in a way that does not show beside the questions that were learned, so that it only "
            "looks as if the model had"
        )
    if "event" in kinds:
        yield f"What was seen is no real value: a placeholder, or what the user had said. {_examples(incident)}"
    if "suite" in kinds:
        yield (
            "The suite did not ask what answers on this route: another endpoint, other settings, another system prompt"
        )


def _chance(betting: Sequence[Alert], pinned: Change | None) -> str:
    best = max(alert.evidence.log_e or 0.0 for alert in betting)
    facts = None if pinned is None else pinned.pinning
    least = "" if facts is None or not facts.streams else f" ({numbers.count(facts.streams, 'test')} share the budget)"
    both = " for each sign at the same time" if len(betting) > 1 else ""
    return f"Chance alone: an accident of one in {_seldom(best)} exchanges{both}{least}"


def _untypical(pinned: Change | None) -> str:
    if pinned is None or pinned.pinning is None:
        return "What was learned is not what is normal: a holiday, a test, one customer"
    n, when = numbers.count(pinned.pinning.n, "exchange"), numbers.moment(pinned.ts)
    return f"The {n} learned until {when} are not what is normal: a holiday, a test, one customer"


def _examples(incident: Incident) -> str:
    n = len(incident.exemplars)
    return f"Read the {numbers.count(n, 'example')}" if n else "No example is kept"
