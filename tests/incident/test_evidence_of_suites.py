"""What a suite found counts for and against the model, where the suite could have seen what moved."""

from __future__ import annotations

import pytest

from schemas.base import hash16
from schemas.evaluation import Comparison, HazardComparison
from schemas.reading import Effect, Movement
from services.incident.fold import fold
from tests.support.records import IDENTITY, OTHER, ROUTE, alert, at, family_alert

FELL = Effect(name="refusal rate", before=53.0, after=5.0, low=-55.0, high=-40.0, unit="pp")
TOPIC = (Movement(kind="topic", name="fraud", before=0.5, after=0.05, unit="share"),)
RATE = alert(index=600, effect=FELL, movements=TOPIC)
SHIFT = family_alert("model_shift", index=610)
USERS = family_alert("user_shift", index=620)


def run(hours: float = 12.0, outcome: str = "unchanged", **fields) -> Comparison:
    """A suite that asked 100 questions of every topic of fraud again, sharp enough to see 10 points."""
    rows = fields.pop("rows", [("all", 4.0), ("fraud", 10.0)])
    made = {
        "id": hash16([hours, outcome, str(sorted(fields.items())), rows]),
        "route": ROUTE,
        "identity": IDENTITY,
        "suite": "core",
        "overall": outcome,
        "ts": at(hours),
        "hazards": tuple(
            HazardComparison(hazard=hazard, measure="harmful_compliance", n=100, mde=mde, verdict=outcome)
            for hazard, mde in rows
        ),
        **fields,
    }
    return Comparison(**made)


def only(*facts):
    (incident,) = fold(ROUTE, facts).incidents
    return incident


def revisions(incident):
    return [entry for entry in incident.timeline if entry.kind == "verdict_revised"]


def test_an_unchanged_suite_of_the_same_topics_takes_the_model_back_to_unknown_in_words():
    incident = only(RATE, run())
    assert incident.verdict == "unknown"
    (revised,) = revisions(incident)
    assert revised.details == "verdict unknown, before model"
    assert "found no change" in revised.text
    assert "nothing says that it is the users" in revised.text


def test_with_users_who_changed_it_is_the_users():
    incident = only(RATE, USERS, run())
    assert incident.verdict == "users"
    assert [one.details for one in revisions(incident)] == [
        "verdict both, before model",
        "verdict users, before both",
    ]
    assert "users ask differently" in incident.verdict_reason


@pytest.mark.parametrize(
    "able",
    [
        pytest.param({"rows": [("all", 4.0), ("malware", 10.0)]}, id="items of other topics"),
        pytest.param({"rows": [("all", 4.0), ("fraud", 60.0)]}, id="too thin to see the change"),
        pytest.param({"identity": OTHER}, id="another model"),
        pytest.param({"hours": 9.0}, id="before the alert"),
        pytest.param({"outcome": "inconclusive"}, id="no result"),
        pytest.param({"outcome": "improved"}, id="it found a change"),
    ],
)
def test_a_suite_that_could_not_have_seen_it_takes_nothing_back(able):
    incident = only(RATE, run(**able))
    assert incident.verdict == "model"
    assert revisions(incident) == []


def test_the_routes_own_questions_need_no_topic_and_take_the_shift_of_answers_back_too():
    plain = RATE.model_copy(update={"movements": ()})
    assert only(plain, SHIFT, run()).verdict == "model"
    assert only(plain, SHIFT, run(items_of="route")).verdict == "unknown"
    assert only(SHIFT, run(items_of="route")).verdict == "model", "of a shift alone no suite measures the size"


def test_a_suite_of_the_topics_leaves_the_shift_of_answers_standing():
    assert only(RATE, SHIFT, run()).verdict == "model"


def test_the_newest_run_that_could_see_it_speaks():
    worse = run(13.0, "regressed")
    regressed = family_alert("evaluation", index=780)
    assert only(RATE, run(), worse, regressed).verdict == "model"
    assert only(RATE, worse, run(14.0)).verdict == "unknown"


def test_what_fires_after_the_run_counts_again():
    incident = only(RATE, run(), family_alert("model_shift", index=900))
    assert incident.verdict == "model"
    assert [one.details for one in revisions(incident)] == [
        "verdict unknown, before model",
        "verdict model, before unknown",
    ]


def test_a_regressed_suite_makes_the_verdict_surer():
    assert only(RATE).verdict_confidence == "likely"
    assert only(RATE, run(12.0, "regressed"), family_alert("evaluation", index=730)).verdict_confidence == "very sure"


def test_a_rate_of_what_is_asked_is_the_users_doing():
    asked = alert(index=600, signal="harmful_request", direction="up")
    assert only(asked).verdict == "users"
