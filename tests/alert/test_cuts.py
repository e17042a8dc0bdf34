"""The path does not depend on how its input is cut, on repetition, or on how its state was stored."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.alert.core import step
from services.alert.state import AlertState
from services.store.codec import pack, unpack
from tests.support.records import (
    FELL,
    IDENTITY,
    OTHER,
    ROUTE,
    SMALL,
    at,
    change,
    comparison,
    decision,
    event,
    reading,
    shift,
)

STATUS = st.sampled_from(["firing", "firing", "quiet", "blind"])
WHO = st.sampled_from([IDENTITY, OTHER])


KINDS = ("rate", "rate", "model", "users", "event", "suite", "decision", "pinned", "silence")
DECIDED = st.sampled_from(["resolve", "false_alarm", "accept_baseline", "snooze"])
MAKERS = {
    "rate": lambda draw, i, hours: reading(
        draw(STATUS), i, hours=hours, identity=draw(WHO), effect=draw(st.sampled_from([SMALL, FELL, None]))
    ),
    "model": lambda draw, i, hours: shift("model_shift", draw(STATUS), i, hours=hours, identity=draw(WHO)),
    "users": lambda draw, i, hours: shift("user_shift", draw(STATUS), i, hours=hours),
    "event": lambda draw, i, hours: event(i, hours=hours),
    "suite": lambda draw, i, hours: comparison(draw(st.sampled_from(["regressed", "unchanged"])), hours=hours),
    "pinned": lambda draw, i, hours: change("pinned", i, hours=hours),
    "silence": lambda draw, i, hours: decision("silence", hours, expires=at(hours + 10)),
    "decision": lambda draw, i, hours: decision(draw(DECIDED), hours),
}


@st.composite
def streams(draw):
    """Inputs of one route at rising event indexes and times."""
    indexes = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=25)))
    pace = draw(st.sampled_from([1 / 60, 0.5]))
    return [MAKERS[draw(st.sampled_from(KINDS))](draw, i, i * pace) for i in indexes]


@given(streams(), st.data())
@settings(max_examples=150)
def test_any_cut_gives_the_same(inputs, data):
    whole_state, whole = step(AlertState.start(ROUTE), inputs)
    state, parts, left = AlertState.start(ROUTE), (), inputs
    while left:
        n = data.draw(st.integers(1, len(left)))
        state, alerts = step(state, left[:n])
        state = unpack(AlertState, pack(state))
        parts, left = parts + alerts, left[n:]
    assert parts == whole
    assert state == whole_state


@given(streams())
@settings(max_examples=100)
def test_each_input_twice_gives_the_same(inputs):
    twice = [item for item in inputs for _ in range(2)]
    assert step(AlertState.start(ROUTE), twice)[1] == step(AlertState.start(ROUTE), inputs)[1]


@given(st.lists(st.tuples(STATUS, WHO, st.sampled_from([SMALL, FELL])), min_size=1, max_size=20), st.data())
@settings(max_examples=150)
def test_readings_fed_again_change_nothing(words, data):
    inputs = [reading(status, i, identity=who, effect=effect) for i, (status, who, effect) in enumerate(words)]
    state, _ = step(AlertState.start(ROUTE), inputs)
    again = inputs[data.draw(st.integers(0, len(inputs) - 1)) :]
    after, alerts = step(state, again)
    assert alerts == ()
    assert after == state


@given(streams())
@settings(max_examples=150)
def test_alerts_alternate_and_severity_never_falls_while_firing(inputs):
    firing: dict[str, str] = {}
    order = ["info", "warning", "error", "critical"]
    for alert in step(AlertState.start(ROUTE), inputs)[1]:
        before = firing.pop(alert.fingerprint, None)
        if alert.status == "resolved":
            assert before == alert.severity
            continue
        assert before is None or order.index(before) < order.index(alert.severity)
        firing[alert.fingerprint] = alert.severity
