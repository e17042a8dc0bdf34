"""Every spec by name: of signals, of detectors, and of the families of alerts that no detector raises. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from detectors import registered
from schemas.spec import Spec
from services.signals import SIGNALS

EVALUATION: Final = Spec(
    name="evaluation",
    kind="suite",
    family="evaluation",
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
    family="blind",
    title="Not monitored",
    noun="monitoring",
    says="what cannot be seen: no data, nothing scored, a flood of dead letters",
    of_baseline=False,
)
RULER: Final = Spec(
    name="instrument_shift",
    kind="shift",
    family="instrument_shift",
    title="Our own measurement",
    noun="our measurement",
    says="the scorers themselves, on frozen exchanges",
    sign="the scorers answer differently on frozen exchanges",
    unit="sd",
    blames="ruler",
)


@cache
def families() -> Mapping[str, Spec]:
    """The spec of every family of alerts, by the name of the family; detectors of other distributions too."""
    return {spec.family: spec for spec in (*(one.spec for one in registered()), EVALUATION, BLIND, RULER)}


@cache
def signals() -> Mapping[str, Spec]:
    """The spec of every signal, by its name, in the order of the registry."""
    return {one.spec.name: one.spec for one in SIGNALS}


def family_of(name: str) -> Spec:
    """The spec of an alert's family. One that is not known here counts as a rate that may be grave: never harmless."""
    plain = _plain(name)
    made = Spec(name=name, kind="rate", family=name, title=plain.capitalize(), noun=plain, says=plain, graver=True)
    return families().get(name, made)


def signal_of(name: str) -> Spec:
    """The spec of a signal. One that is not known here, of an older or newer version, is called by its plain name."""
    plain = _plain(name)
    made = Spec(name=name, kind="signal", family="other", title=plain.capitalize(), noun=f"{plain} rate", says=plain)
    return signals().get(name, made)


def _plain(name: str) -> str:
    return name.replace("_", " ")
