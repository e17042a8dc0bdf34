"""That behaviour changed again is told of the alert that stands, and changes nothing of what that says."""

from __future__ import annotations

import pytest

from schemas.base import hash16
from schemas.reading import Effect
from services.alert.core import step
from services.alert.state import AlertState
from tests.support.records import IDENTITY, OTHER, decision, further, reading, shift

FIRING = reading("firing", 1000)


def follow(*inputs):
    return step(AlertState.start(FIRING.route), inputs)


def test_the_alert_that_stands_carries_it_and_stays_what_it_was():
    state, (first, again) = follow(FIRING, further(1500))
    assert (again.fingerprint, again.status, again.severity) == (first.fingerprint, "firing", first.severity)
    assert (again.effect, again.evidence, again.direction) == (first.effect, first.evidence, first.direction)
    assert again.again == further(1500).again
    assert (again.event_index, again.id != first.id) == (1500, True)
    assert state.streams == follow(FIRING)[0].streams
    assert state.active == follow(FIRING)[0].active


def test_it_is_told_once():
    assert len(follow(FIRING, further(1500), further(1500))[1]) == 2
    assert len(follow(FIRING, further(1500), FIRING, further(1500), further(2100))[1]) == 3


def test_at_the_very_exchange_of_its_alert_it_is_another_fact():
    _, alerts = follow(FIRING, further(1000))
    assert len({one.id for one in alerts}) == len(alerts) == 2
    other = further(1000)
    held = other.again.model_copy(update={"reference": hash16("third")})
    _, more = follow(FIRING, further(1000), other.model_copy(update={"again": held, "id": hash16("other")}))
    assert len({one.id for one in more}) == len(more)


def test_a_rate_that_moves_back_is_of_the_alert_of_its_stream_whichever_way_that_moved():
    up = further(1500, direction="up", effect=Effect(name="refusal", before=2.0, after=19.0, unit="pp"))
    _, (first, again) = follow(FIRING, up)
    assert again.direction == first.direction == "down"
    assert again.again.direction == "up"


def test_it_goes_with_the_alert_of_its_own_stream_before_a_graver_one():
    own, other = shift("model_shift", "firing", 900), reading("firing", 1000)
    _, alerts = follow(own, other, further(1500, detector="model_shift", signal=None, direction=None))
    assert alerts[-1].family == "model_shift"
    _, alerts = follow(own, other, further(1500, signal="pii_leak"))
    assert alerts[-1].family == "rate_shift", "the gravest, where its own does not fire"


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param([], id="nothing fires"),
        pytest.param([FIRING, reading("quiet", 1600)], id="it is over"),
        pytest.param([FIRING, decision("false_alarm", 20)], id="a person called it a false alarm"),
        pytest.param([reading("firing", 1000, identity=OTHER)], id="another model's fires"),
        pytest.param([reading("firing", 1000, detector="user_shift", identity=IDENTITY)], id="the users' alert"),
    ],
)
def test_where_no_alert_of_the_model_stands_it_tells_nothing(inputs):
    assert [one for one in follow(*inputs, further(1700))[1] if one.again] == []


def test_what_resolves_later_carries_it_no_more():
    _, alerts = follow(FIRING, further(1500), reading("quiet", 2500))
    assert [(one.status, one.again is None) for one in alerts] == [
        ("firing", True),
        ("firing", False),
        ("resolved", True),
    ]


def test_its_reference_is_no_baseline():
    assert further(1500).evidence.baseline == hash16("second") != FIRING.evidence.baseline
