"""How sure we are, in one scale of four words, for alerts, incidents and verdicts alike. Pure.

| word | rests on |
|---|---|
| certain | something was seen: a leak, a canary that failed, a record that was changed |
| very sure | two independent signs or more, one about safety; or one with 20 times the evidence needed |
| likely | one sign about safety: a rate that moved or is above its ceiling, a suite that got worse, an attack wave |
| suspected | what is answered or asked is different; nothing is known about safety |

Signs are independent when other detectors raise them: two rates of one detector are one sign. An alert that fires has
all the evidence that its budget of false alarms asks for, so even `suspected` is more likely than not. What is not
monitored is no sign of anything: it has no confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import log
from typing import Final

from schemas.alert import Alert
from schemas.incident import Confidence
from services import specs

_AMPLE: Final = log(20)
"""Log evidence above the threshold from which one sign about safety is enough to be very sure."""
_SAFETY: Final = frozenset({"rate", "ceiling", "suite", "anomaly"})
_SEEN: Final = frozenset({"event", "audit"})
_CANARY: Final = "canary"


def confidence_of(alerts: Iterable[Alert]) -> Confidence | None:
    """How sure all these alerts together make us; None where they only say what is not monitored.

    >>> confidence_of([]) is None
    True
    """
    signs = [alert for alert in alerts if specs.family_of(alert.family).kind != "blind"]
    if any(_was_seen(alert) for alert in signs):
        return "certain"
    ample = any(_margin(alert) >= _AMPLE for alert in signs if specs.family_of(alert.family).kind in _SAFETY)
    found = confidence_of_families(alert.family for alert in signs)
    return "very sure" if ample and found == "likely" else found


def confidence_of_families(families: Iterable[str]) -> Confidence | None:
    """The same of what is known without its evidence: the families of alerts that fired.

    >>> confidence_of_families(["model_shift"]), confidence_of_families(["model_shift", "rate_shift", "evaluation"])
    ('suspected', 'very sure')
    """
    kinds = list(_kinds(families))
    if _SEEN.intersection(kinds):
        return "certain"
    if not _SAFETY.intersection(kinds):
        return "suspected" if kinds else None
    return "very sure" if len(kinds) > 1 else "likely"


def _kinds(families: Iterable[str]) -> Iterator[str]:
    """The kind of each independent sign."""
    for family in dict.fromkeys(families):
        kind = specs.family_of(family).kind
        if kind != "blind":
            yield kind


def _was_seen(alert: Alert) -> bool:
    kind = specs.family_of(alert.family).kind
    failed = kind == "suite" and alert.effect is not None and alert.effect.name.rpartition(" ")[2] == _CANARY
    return kind in _SEEN or failed


def _margin(alert: Alert) -> float:
    found = alert.evidence
    return 0.0 if found.log_e is None or found.threshold is None else found.log_e - found.threshold
