"""A route whose model changes twice, from scores to the incident: what is told of the second change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from detectors.model_shift import ModelShift
from detectors.rate_shift import RateShift
from schemas.alert import Alert
from schemas.decision import Decision
from schemas.identity import Model
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.incident.fold import fold
from services.monitor import BaselinePolicy, RoutePolicy
from tests.detect.test_second_reference import SECOND, TWICE
from tests.support.blocks import ROUTE, START, blocks

PLAN = DetectionPlan(
    (ModelShift(), RateShift()),
    RoutePolicy(baseline=BaselinePolicy(size=150, min_size=100), floors={"refusal": 0.02}),
)


@pytest.fixture(scope="module")
def facts():
    """All that the incident of the route is made of; the second change was announced."""
    at = START + timedelta(seconds=86.4 * SECOND)
    announced = Decision(kind="announce", route=ROUTE, actor="ana", reason="deploy", ts=at, model=Model(requested="b"))
    flow, found = RouteFlow.start(ROUTE), [announced]
    for one in blocks(TWICE):
        flow, out = advance(PLAN, flow, one)
        found += [*out.changes, *out.alerts]
    return found


def test_its_one_incident_says_that_it_changed_again_and_what_was_done_then(facts):
    (incident,) = fold(ROUTE, facts).incidents
    told = [entry for entry in incident.timeline if entry.kind == "changed_again"]
    assert len(told) == 1
    assert told[0].text.startswith("Changed again: ")
    causes = [entry.text for entry in incident.timeline if entry.kind == "cause" and "ana announced" in entry.text]
    assert len(causes) == 1


def test_what_the_alert_says_of_the_baseline_is_what_it_said_before(facts):
    alerts = [fact for fact in facts if isinstance(fact, Alert)]
    (again,) = [one for one in alerts if one.again is not None]
    before = [one for one in alerts if one.fingerprint == again.fingerprint and one.again is None]
    assert (again.effect, again.evidence, again.change_point) == (
        before[-1].effect,
        before[-1].evidence,
        before[-1].change_point,
    )
    assert again.again.evidence.baseline != again.evidence.baseline


def test_a_replay_tells_the_same_to_the_last_byte(facts):
    once = [incident.encode() for incident in fold(ROUTE, facts).incidents]
    assert once == [incident.encode() for incident in fold(ROUTE, reversed(facts)).incidents]
