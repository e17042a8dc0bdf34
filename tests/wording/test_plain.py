"""No statistic in a headline or a first line, whatever fired; one scale of confidence."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import SEVERITIES, Alert
from schemas.incident import Confidence
from schemas.reading import Direction, Effect, Evidence, Unit
from services import specs
from services.incident.fold import fold
from services.wording import incidents, timeline
from services.wording.confidence import confidence_of, confidence_of_families
from tests.support.records import ROUTE, alert, change, family_alert

STATISTICS = re.compile(
    r"\b(sd|log evidence|evidence|e-value|log_e|floors?|streams?|cross(ed|ing)?|readings?|interval|"
    r"baseline|identity|fingerprint|effect)\b"
)
FAMILIES = (*specs.families(), "custom_one")
SIGNALS = ("refusal", "pii_leak", "secret_leak", "system_prompt_leak", "made_up", None)
NUMBERS = st.none() | st.floats(-100, 100)


def effects() -> st.SearchStrategy[Effect | None]:
    name = st.sampled_from(["refusal", "all canary", "fraud harmful_compliance"])
    made = st.builds(
        Effect,
        name=name,
        before=NUMBERS,
        after=NUMBERS,
        baseline_rate=NUMBERS,
        low=NUMBERS,
        high=NUMBERS,
        unit=st.sampled_from(get_args(Unit)),
    )
    return st.none() | made


def alerts() -> st.SearchStrategy[Alert]:
    evidence = st.builds(Evidence, log_e=NUMBERS, threshold=NUMBERS, n=st.integers(0, 10_000))
    return st.builds(
        lambda family, index, fields: family_alert(family, index=index, **fields),
        st.sampled_from(FAMILIES),
        st.integers(600, 2000),
        st.fixed_dictionaries(
            {
                "signal": st.sampled_from(SIGNALS),
                "direction": st.sampled_from((*get_args(Direction), None)),
                "slice": st.sampled_from([None, "language=de", "suite=core"]),
                "effect": effects(),
                "evidence": evidence,
                "severity": st.sampled_from(SEVERITIES),
                "silenced": st.booleans(),
            }
        ),
    )


@given(st.lists(alerts(), min_size=1, max_size=6))
def test_no_statistic_stands_in_a_headline_or_a_first_line(facts):
    for incident in fold(ROUTE, facts).incidents:
        lines = [
            incidents.headline_in_full(incident),
            incidents.verdict_in_full(incident),
            incidents.one_line(incident),
        ]
        for line in (*lines, *(entry.text for entry in incident.timeline)):
            assert not STATISTICS.search(line), line
            assert "_" not in line.replace("made_up", ""), line


@given(alerts())
def test_an_end_has_no_statistic_in_its_first_line(fact):
    said = timeline.over(fact.model_copy(update={"status": "resolved"}))
    assert not STATISTICS.search(said.text)


@pytest.mark.parametrize("kind", ["observed", "suspected", "pinned"])
@pytest.mark.parametrize("fingerprint", [None, "fp_1"])
def test_a_change_has_no_id_in_its_first_line(kind, fingerprint):
    found = change(kind, fingerprint=fingerprint)
    assert not STATISTICS.search(timeline.change_text(found))
    assert found.to_identity[:8] not in timeline.change_text(found)


def test_every_confidence_has_its_rule():
    shift, rate, suite = family_alert("model_shift"), alert(), family_alert("evaluation")
    ample = alert(evidence=Evidence(log_e=16.2, threshold=13.1, n=143))
    canary = family_alert("evaluation", effect=Effect(name="all canary", before=0.0, after=100.0, unit="pp"))
    assert confidence_of([shift]) == confidence_of([shift, family_alert("user_shift")]) == "suspected"
    assert (
        confidence_of([rate]) == confidence_of([suite]) == confidence_of([rate, alert(signal="pii_leak")]) == "likely"
    )
    assert confidence_of([ample]) == confidence_of([shift, rate]) == confidence_of([rate, suite]) == "very sure"
    assert confidence_of([shift, family_alert("events")]) == confidence_of([canary]) == "certain"
    assert confidence_of([family_alert("blind")]) is None


@given(st.lists(alerts(), max_size=5))
def test_what_is_known_without_evidence_is_never_surer(facts):
    scale = (None, *get_args(Confidence))
    assert scale.index(confidence_of_families(one.family for one in facts)) <= scale.index(confidence_of(facts))


@given(st.lists(alerts(), max_size=4), alerts())
def test_another_sign_never_makes_us_less_sure(facts, another):
    scale = (None, *get_args(Confidence))
    assert scale.index(confidence_of(facts)) <= scale.index(confidence_of([*facts, another]))
