"""Every spec by name: of signals, of detectors, and of the families of alerts that no detector raises. Pure.

Whoever wants to know something of one signal or detector asks here, and names none: tests/architecture holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

from schemas.alert import Severity, rank
from schemas.reading import Unit
from schemas.spec import Mover, Spec, SpecKind
from services.signals import SIGNALS
from services.signals.custom.definition import PREFIX

EVALUATION: Final = Spec(
    name="evaluation",
    kind="suite",
    title="Safety suites",
    noun="safety suite",
    says="a suite that regressed against the baseline's run",
    sign="the safety suite got worse",
    severity="error",
    blames="model",
    resolves=False,
)
BLIND: Final = Spec(
    name="blind",
    kind="blind",
    title="Not monitored",
    noun="monitoring",
    says="what cannot be seen: no data, nothing scored, a flood of dead letters",
    of_baseline=False,
)
AUDIT: Final = Spec(
    name="audit",
    kind="audit",
    title="Audit log",
    noun="audit log",
    says="records that are not as they were written",
    severity="error",
    of_baseline=False,
    resolves=False,
)
RULER: Final = Spec(
    name="instrument_shift",
    kind="shift",
    title="Our own measurement",
    noun="our measurement",
    says="the scorers themselves: a new version, and what it does to the anchors",
    does="is measured differently: our own scorers changed",
    sign="our own scorers changed",
    severity="info",
    blames="ruler",
    of_baseline=False,
)
LEARNING: Final = "baseline"
VOLATILE: Final = "identity"
"""What stands in a reading's field `detector` where it tells of a baseline's progress, and of a field of the model that
changes all the time: neither ever fires."""
COVERAGE_GAP: Final = "coverage_gap"
"""The same of a reading that tells how much of what users ask no suite asks: it informs, and never fires."""
TOPIC: Final = "topic"
"""The slice of which no signal and no tag tells: the cluster of the baseline's prompts."""
HELD: Final = "ceiling"
"""What stands in the field `signal` of a reading of `LEARNING` where a ceiling holds the baseline back."""


MEASURES: Final = (
    Spec(
        name="answer_length",
        kind="signal",
        title="Length of answers",
        noun="length of answers",
        says="has how many characters",
        number=True,
        risen="answers of {} are {} longer",
        fallen="answers of {} are {} shorter",
    ),
    Spec(
        name="latency_ms",
        kind="signal",
        title="Latency",
        noun="time to answer",
        says="took how many milliseconds",
        number=True,
        risen="answers of {} take {} longer",
        fallen="answers of {} take {} less time",
        unscored="no exchange carries its latency",
    ),
    Spec(
        name="input_tokens",
        kind="signal",
        title="Tokens of questions",
        noun="tokens of questions",
        says="was asked with how many tokens",
        number=True,
        risen="questions to {} have {} more tokens",
        fallen="questions to {} have {} fewer tokens",
        unscored="no exchange carries its usage",
    ),
    Spec(
        name="output_tokens",
        kind="signal",
        title="Tokens of answers",
        noun="tokens of answers",
        says="has how many tokens",
        number=True,
        risen="answers of {} have {} more tokens",
        fallen="answers of {} have {} fewer tokens",
        unscored="no exchange carries its usage",
    ),
)
"""What is counted of an exchange that no signal says: its levels are watched, and no monitor file names them."""


FORMER: Final = ("novelty",)
"""Names that monitor files were told to give floors to before what they mean was watched without one."""


class ReferenceRow(NamedTuple):
    """A row of the reference tables: what stands in them of a signal or of a family of alerts.

    `severity` is the least of an alert of it, `floor` the default of a signal's rate.
    """

    name: str
    kind: SpecKind
    title: str
    says: str
    unit: Unit
    floor: float | None
    severity: Severity
    redacts: bool


def reference() -> tuple[ReferenceRow, ...]:
    """A row of every signal, then of every family of alerts, in the order of the registries."""
    return tuple(_row(spec) for spec in (*signals().values(), *families().values()))


@cache
def signals() -> Mapping[str, Spec]:
    """The spec of every signal, by its name, in the order of the registry."""
    return {one.spec.name: one.spec for one in SIGNALS}


@cache
def dimensions() -> frozenset[str]:
    """What the parts are that signals speak of one by one (`tool`, `guardrail`): slices that a route may name."""
    return frozenset(spec.dimension for spec in signals().values() if spec.dimension)


@cache
def roles() -> Mapping[str, tuple[str, ...]]:
    """Role -> the signals that detectors may take for it, in the order of the registry."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spec in signals().items():
        for role in spec.roles:
            found[role] = (*found.get(role, ()), name)
    return found


@cache
def families() -> Mapping[str, Spec]:
    """The spec of every family of alerts, by the name of the family; detectors of other distributions too."""
    from detectors import registered  # noqa: PLC0415 -- numpy and scipy, and who asks only of signals needs neither

    return {spec.name: spec for spec in (*(one.spec for one in registered()), EVALUATION, BLIND, AUDIT, RULER)}


def names_of(kind: SpecKind) -> tuple[str, ...]:
    """The families of alerts that are of this kind."""
    return tuple(name for name, spec in families().items() if spec.kind == kind)


def family_of(name: str) -> Spec:
    """The spec of an alert's family. One that is not known here counts as a rate that may be grave: never harmless."""
    if (known := families().get(name)) is not None:
        return known
    plain = _plain(name)
    return Spec(name=name, kind="rate", title=plain.capitalize(), noun=plain, says=plain, graver=True)


def mover_of(family: str, signal: str | None) -> Mover | None:
    """Who moved when an alert of this family fires for this signal: a rate of what was asked is the users' doing.

    >>> mover_of("rate_shift", "refusal"), mover_of("rate_shift", "harmful_request")
    ('model', 'users')
    """
    blamed = family_of(family).blames
    asked = signal is not None and signal_of(signal).of_prompt
    return "users" if blamed == "model" and asked else blamed


def of_new(family: str) -> bool:
    """Whether it is a rate of questions that the baseline does not have."""
    spec = family_of(family)
    return spec.kind == "rate" and spec.blames == "users"


def know_own(own: Iterable[Spec]) -> None:
    """From now on, know these specs beside the registry's: the signals that this process's monitor file defines.

    Called once, where a process reads its file; what was known before is forgotten.
    """
    _own.clear()
    _own.update({spec.name: spec for spec in own})


_own: Final[dict[str, Spec]] = {}


def signal_of(name: str) -> Spec:
    """The spec of a signal, also of one of the monitor file.

    One that is not known here, of an older or newer version, is called by its plain name.
    """
    if (known := signals().get(name) or _measures().get(name) or _own.get(name)) is not None:
        return known
    plain = _plain(name)
    return Spec(name=name, kind="signal", title=plain.capitalize(), noun=f"{plain} rate", says=plain)


@cache
def _measures() -> Mapping[str, Spec]:
    return {spec.name: spec for spec in MEASURES}


def _row(spec: Spec) -> ReferenceRow:
    return ReferenceRow(
        spec.name, spec.kind, spec.title, spec.says, spec.unit, spec.floor, _least_severity(spec), spec.redacts
    )


def _least_severity(spec: Spec) -> Severity:
    """Of a signal of which a single one alerts, that of the family which watches it."""
    watchers = names_of("event") if spec.kind == "signal" and spec.floor == 0 else ()
    return max((spec.severity, *(family_of(name).severity for name in watchers)), key=rank)


def _plain(name: str) -> str:
    return name.removeprefix(PREFIX).replace("_", " ")
