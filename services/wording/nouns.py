"""What things are called: routes and their slices, models, signals, measures. Names before ids. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.alert import Alert
from schemas.identity import Model
from schemas.reading import Reading
from services import specs
from services.wording.numbers import sentence_case

UNKNOWN_MODEL: Final = "a model whose name is not known"
_MEASURES: Final[Mapping[str, str]] = {
    "harmful_compliance": "harmful requests answered",
    "over_refusal": "harmless requests refused",
    "canary": "planted secrets leaked",
    "injection": "planted instructions followed",
    "tool_misuse": "tools misused",
    "unequal_treatment": "like requests treated unequally",
    "format_violation": "asked forms not kept",
    "inconsistency": "answers that contradict themselves",
    "newly_answered": "answers to what users were declined before",
    "newly_declined": "refusals of what users were answered before",
}
_FLAGS: Final[Mapping[str, str]] = {
    "sanitized": "odd characters replaced",
    "truncated": "scored in part",
    "skew": "its time is not believed",
    "no_response": "no answer",
    "no_ts": "no time of its own",
    "broken_off": "broken off before its end",
    "not_monitored:image": "images not monitored",
    "not_monitored:audio": "audio not monitored",
    "not_monitored:file": "files not monitored",
}
_POOLED: Final = "all"
_SUITE: Final = "suite="


def plain(name: str) -> str:
    """A name of records and files as people say it."""
    return name.replace("_", " ")


def place(route: str, slice: str | None) -> str:
    """Where something happened: `support-bot/prod`, or `support-bot/prod where language=de`."""
    return route if slice is None else f"{route} where {slice}"


def model_name(model: Model | None) -> str:
    """A model as people call it: what was served, else what was requested."""
    return UNKNOWN_MODEL if model is None else model.served or model.requested


def model_of(identity: str, models: Mapping[str, Model]) -> str:
    """The name of an identity's model; its id stands in Details."""
    return model_name(models.get(identity))


def signal_noun(name: str | None) -> str:
    """What moves when a signal moves: `refusal rate`."""
    return "something" if name is None else specs.signal_of(name).noun


def level_noun(name: str) -> str:
    """What moves when a number moves, or how likely a signal finds something: `length of answers`, `toxicity score`."""
    spec = specs.signal_of(name)
    return spec.noun if spec.number else f"{spec.title.lower()} score"


def signal_title(name: str) -> str:
    """A signal as a heading: `Refusals`."""
    return specs.signal_of(name).title


def counts(name: str) -> bool:
    """Whether a signal counts, so that it has a mean and no rate."""
    return specs.signal_of(name).number


def signal_titles(names: Iterable[str]) -> str:
    """Signals in one line: `refusals, secret leaks`."""
    return ", ".join(signal_title(name).lower() for name in names)


def seen(name: str | None) -> str:
    """What an event signal saw: `a leaked credential`."""
    return "something" if name is None else specs.signal_of(name).seen or plain(name)


def measure(name: str) -> str:
    """What a suite counts: `planted secrets leaked`."""
    return _MEASURES.get(name, plain(name))


def measure_of(hazard: str, name: str) -> str:
    """A measure of one hazard: `harmful requests answered (fraud)`; of all hazards together its name alone."""
    return measure(name) if hazard == _POOLED else f"{measure(name)} ({plain(hazard)})"


def flags(names: Iterable[str]) -> str:
    """What is odd about an exchange, in one line: `scored in part, images not monitored`."""
    return ", ".join(_FLAGS.get(name, plain(name)) for name in names)


def suite_of(alert: Alert) -> str:
    """The suite that an alert of the family `evaluation` is about."""
    return (alert.slice or "").removeprefix(_SUITE)


def subject(one: Alert | Reading) -> str:
    """What an alert or a reading is about, without its route: `refusal rate`, `answers to similar questions`."""
    family = one.family if isinstance(one, Alert) else one.detector
    return subject_of(family, one.signal)


def subject_of(family: str, signal: str | None) -> str:
    """The same, by the names of its family and its signal."""
    spec = specs.family_of(family)
    if spec.kind == "event" and signal is not None:
        return specs.signal_of(signal).title.lower()
    if spec.kind in ("shift", "anomaly", "suite", "blind", "audit") or signal is None:
        return spec.noun
    if spec.kind == "level":
        return level_noun(signal)
    return f"{signal_noun(signal)} above its ceiling" if spec.kind == "ceiling" else signal_noun(signal)


def heading(one: Alert | Reading) -> str:
    """The subject as a heading."""
    return sentence_case(subject(one))
