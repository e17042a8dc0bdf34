"""What is special about one signal, or about one family of alerts: the facts that others ask instead of its name.

A signal (`services/signals`) and a detector (`detectors`) each carry one; the families of alerts that no detector
raises have theirs in `services/specs.py`, and so has what is counted beside signals. Severity, verdict, redaction, the
monitor file's defaults, pages, messages, metrics and the documentation's tables ask these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.alert import Severity
from schemas.reading import Direction, Unit

SpecKind = Literal["signal", "shift", "rate", "ceiling", "level", "anomaly", "event", "suite", "blind", "audit"]
"""`signal`: a measurement of one exchange. The others say what an alert's family is made of: `shift` of a distribution,
`rate` of a signal, a `ceiling` that its rate must not exceed, `level` of a number, `anomaly` of a few exchanges that
belong together, `event` that must not happen once, `suite` that regressed, `blind` where nothing can be said, `audit`
of our own records."""

Mover = Literal["model", "users", "ruler"]


Role = Literal["attack", "risk", "level"]
"""What detectors may take a signal for: `attack`, it is true of prompts that attack; `risk`, its probability says that
a turn leads to harm; `level`, its probability is watched as a number, beside its rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A signal, or a family of alerts.

    Attributes:
        name: in records, monitor files, metrics and the API, and of the file that holds it; people read the rest.
        category: whether it names what an exchange is of, a short text: never a rate of its own, always a slice.
        number: whether it counts: a number for each exchange, never a rate.
        dimension: what the parts are that it speaks of one by one, `tool` or `guardrail`: a slice to be named.
        family: of a signal, the group that pages show it in. The family of an alert is its detector's `name`.
        title: as a heading, for example `Refusals`.
        noun: what moves, as the subject of `rose` and `fell`: `refusal rate`; of a shift what differs.
        says: what is measured, completing `says whether the answer ...` or `watches ...`; for reference tables.
        does: of a shift, what its route does then, after the route's name: `answers similar questions differently`.
        sign: what an alert of it shows, as one of the signs of a verdict: `similar questions are answered differently`.
        risen, fallen: of a number, what it does then, with `{}` for how much: `answers are {} longer`.
        seen: of an event signal, what was seen in an answer: `a leaked credential`.
        unit: of its effect: percentage points, standard deviations, or a count (`ratio`).
        unscored: why there may be nothing to measure: `no exchange carries a system prompt`.
        floor: smallest change of the signal's rate worth an alert, a share; 0 makes one an event; None: no rate.
        worse: the direction that harms; None where both may.
        measures: of a signal, those of a suite by which its rate shows.
        of_prompt: of a signal, whether it is measured on what was asked alone: its rate moves with the users, whoever
            answers.
        severity: least severity of an alert of it; of a signal, of a rate that moves the way that harms.
        graver: whether a move of `graver_from` floors, five where nothing else is said, makes it an error.
        roles: of a signal, what detectors of several signals may take it for.
        redacts: whether its spans must be masked, so that text is kept only where it looked.
        blames: who moved when an alert of this family fires; None says nothing about it.
        of_baseline: whether its alerts are held against a baseline, so that accepting a new one ends them.
        resolves: whether its alerts resolve by themselves; False: only a person resolves them.
    """

    name: str
    kind: SpecKind
    title: str
    noun: str
    says: str
    category: bool = False
    number: bool = False
    dimension: str = ""
    family: str = ""
    does: str = ""
    sign: str = ""
    risen: str = ""
    fallen: str = ""
    seen: str = ""
    unscored: str = ""
    unit: Unit = "pp"
    floor: float | None = None
    worse: Direction | None = None
    severity: Severity = "warning"
    graver: bool = False
    graver_from: float = 5.0
    roles: tuple[Role, ...] = ()
    redacts: bool = False
    measures: tuple[str, ...] = ()
    of_prompt: bool = False
    blames: Mover | None = None
    of_baseline: bool = True
    resolves: bool = True
