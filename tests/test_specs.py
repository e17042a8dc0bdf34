"""The specs by name: what is registered, what is planned, and what nobody here knows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.specs import BLIND, EVALUATION, MEASURES, families, family_of, names_of, reference, signal_of, signals
from tests.support.source import ROOT


def test_a_family_that_is_not_known_is_a_rate_that_may_be_grave() -> None:
    made = family_of("slow_poison")
    assert (made.kind, made.severity, made.graver, made.blames) == ("rate", "warning", True, None)
    assert (made.title, made.noun) == ("Slow poison", "slow poison")
    assert made.of_baseline
    assert made.resolves


def test_a_signal_that_is_not_known_is_called_by_its_plain_name() -> None:
    made = signal_of("tone_of_voice")
    assert (made.kind, made.title, made.noun, made.floor) == ("signal", "Tone of voice", "tone of voice rate", None)


def test_what_is_counted_beside_signals_has_its_words_and_no_floor() -> None:
    assert all(signal_of(spec.name) is spec and spec.floor is None and spec.number for spec in MEASURES)
    assert not signals().keys() & {spec.name for spec in MEASURES}


def test_families_are_found_by_what_they_are_made_of() -> None:
    assert names_of("blind") == (BLIND.name,)
    assert names_of("suite") == (EVALUATION.name,)
    kinds = ("shift", "rate", "ceiling", "level", "anomaly", "event", "suite", "blind", "audit")
    assert {name for kind in kinds for name in names_of(kind)} == set(families())


def test_the_reference_says_of_a_signal_of_which_one_alerts_how_severe_that_is() -> None:
    rows = {row.name: row for row in reference()}
    critical = {name for name, row in rows.items() if row.kind == "signal" and row.severity == "critical"}
    assert critical == {name for name, spec in signals().items() if spec.floor == 0 or spec.severity == "critical"}


@pytest.mark.parametrize("asked", ["services.specs", "services.monitor"])
def test_whoever_asks_only_of_signals_loads_neither_numpy_nor_a_matcher(asked: str) -> None:
    program = f"import {asked}, sys; print({{'numpy', 'scipy', 'hyperscan', 'detectors'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
