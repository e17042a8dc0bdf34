"""A route or signal that is tried out: its alerts are made and kept, and no person hears of them."""

from __future__ import annotations

import pytest

from services.alert.core import step
from services.alert.state import AlertState
from services.incident.fold import fold
from services.monitor import RoutePolicy
from tests.support.records import ROUTE, at, blind, reading

SHADOW = RoutePolicy(shadow=True).shadows
REFUSAL = RoutePolicy(shadow_signals=("refusal",)).shadows
OPEN = RoutePolicy().shadows


@pytest.mark.parametrize("shadows", [SHADOW, REFUSAL])
def test_an_alert_in_shadow_fires_and_resolves_without_an_incident(shadows):
    inputs = [reading("firing", 1000), reading("quiet", 1600)]
    state, alerts = step(AlertState.start(ROUTE), inputs, None, shadows)
    assert [(alert.status, alert.shadow) for alert in alerts] == [("firing", True), ("resolved", True)]
    assert state.groups == ()
    derived = fold(ROUTE, alerts, at(2000))
    assert (derived.incidents, derived.notifications) == ((), ())


def test_other_signals_of_the_route_are_heard():
    _, alerts = step(
        AlertState.start(ROUTE), [reading("firing", 1000)], None, RoutePolicy(shadow_signals=("x",)).shadows
    )
    assert [alert.shadow for alert in alerts] == [False]


def test_what_leaves_shadow_while_it_fires_is_told_and_can_resolve():
    state, first = step(AlertState.start(ROUTE), [reading("firing", 1000)], None, SHADOW)
    state, second = step(state, [reading("firing", 1050), reading("firing", 1100)], None, OPEN)
    assert [(alert.status, alert.shadow) for alert in second] == [("firing", False)]
    state, third = step(state, [reading("quiet", 1700)], None, OPEN)
    assert [(alert.status, alert.shadow) for alert in third] == [("resolved", False)]
    (incident,) = fold(ROUTE, [*first, *second, *third], at(2000)).incidents
    assert (incident.state, incident.opened_event_index) == ("resolved", 1050)


def test_what_people_know_of_is_not_put_into_shadow():
    state, first = step(AlertState.start(ROUTE), [reading("firing", 1000)], None, OPEN)
    state, second = step(state, [reading("firing", 1050)], None, SHADOW)
    state, third = step(state, [reading("quiet", 1700)], None, SHADOW)
    assert second == ()
    assert [(alert.status, alert.shadow) for alert in third] == [("resolved", False)]
    (incident,) = fold(ROUTE, [*first, *third], at(2000)).incidents
    assert incident.state == "resolved"


def test_watchdogs_have_no_shadow():
    route = "_keelwatch/stream"
    _, alerts = step(AlertState.start(route), [blind(signal="not_scored", route=route)], None, SHADOW)
    assert [alert.shadow for alert in alerts] == [False]
