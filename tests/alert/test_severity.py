"""Severity of readings, and when an effect lies inside its floor."""

from __future__ import annotations

import pytest

from schemas.reading import Effect
from services.alert.severity import is_inside, is_outside, severity_of, size_of
from tests.support.records import BACK, FELL, SMALL, blind, event, reading, shift


def _pp(low: float, high: float) -> Effect:
    return Effect(name="refusal", before=20.0, after=20.0 + (low + high) / 2, low=low, high=high, unit="pp")


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        pytest.param(shift("model_shift"), "info", id="model_shift alone: info"),
        pytest.param(shift("user_shift"), "info", id="user_shift alone: info"),
        pytest.param(reading(effect=SMALL), "warning", id="a rate beyond its floor: warning"),
        pytest.param(reading(direction="up", effect=_pp(4, 9)), "warning", id="in any direction"),
        pytest.param(reading(effect=FELL), "error", id="by 5x its floor: error"),
        pytest.param(reading(direction="up", effect=_pp(10, 30)), "error", id="exactly 5x upwards: error"),
        pytest.param(reading(effect=_pp(-30, -9.9)), "warning", id="5x by the estimate, not by the near end: warning"),
        pytest.param(reading(effect=_pp(-30, 30)), "warning", id="interval across zero: warning"),
        pytest.param(reading(effect=FELL, floor=None), "warning", id="no floor known: warning"),
        pytest.param(reading(effect=None), "warning", id="no effect known: warning"),
        pytest.param(event(), "critical", id="an event: critical"),
        pytest.param(reading(signal="harmful_compliance", direction="up"), "critical", id="harmful up: critical"),
        pytest.param(reading(signal="harmful_compliance", effect=SMALL), "warning", id="harmful down: a rate"),
        pytest.param(blind(), "warning", id="blind: warning"),
        pytest.param(reading(detector="attack_cluster", signal=None, effect=None), "warning", id="attack cluster"),
    ],
)
def test_severity(said, severity):
    assert severity_of(said) == severity


@pytest.mark.parametrize(
    ("effect", "floor", "n", "inside"),
    [
        pytest.param(BACK, 0.02, 10, True, id="interval inside"),
        pytest.param(SMALL, 0.02, 9999, False, id="interval outside, however long"),
        pytest.param(_pp(-1, 2.5), 0.02, 499, False, id="one end outside"),
        pytest.param(_pp(-1, 2.5), 0.02, 500, True, id="one end outside, the estimate of a window inside"),
        pytest.param(None, 0.02, 499, False, id="no effect, too short"),
        pytest.param(None, 0.02, 500, True, id="no effect, quiet for a window"),
        pytest.param(FELL, None, 500, True, id="no floor, quiet for a window"),
        pytest.param(FELL, None, 50, False, id="no floor, evidence just zeroed"),
        pytest.param(Effect(name="d", low=0.0, high=0.1, unit="sd"), 0.2, 1, True, id="sd are compared as they are"),
    ],
)
def test_inside_the_floor(effect, floor, n, inside):
    assert is_inside(effect, floor, n) is inside


@pytest.mark.parametrize(
    ("effect", "floor", "direction", "outside"),
    [
        (FELL, 0.02, "down", True),
        (FELL, 0.02, None, True),
        (FELL, 0.02, "up", False),
        (BACK, 0.02, None, False),
        (_pp(-30, 30), 0.02, None, False),
        (FELL, None, "down", False),
        (None, 0.02, "down", False),
    ],
)
def test_outside_the_floor(effect, floor, direction, outside):
    assert is_outside(effect, floor, direction) is outside


def test_size_is_the_estimate_else_the_middle_of_the_interval():
    assert size_of(FELL) == pytest.approx(16.7)
    assert size_of(Effect(name="d", low=-3.0, high=-1.0, unit="sd")) == 2.0
    assert size_of(Effect(name="d", unit="sd")) is None
    assert size_of(None) is None
