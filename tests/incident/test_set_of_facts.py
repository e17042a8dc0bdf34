"""Incidents are a function of the set of facts; and alert and incident agree on what belongs together."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import SEVERITIES, Alert
from schemas.incident import Incident
from schemas.reading import Reading
from services.alert.core import step
from services.alert.grouping import lapse
from services.alert.state import AlertState
from services.incident.fold import fold, folded, resumed, tick
from tests.support.records import (
    FELL,
    IDENTITY,
    NEW,
    OTHER,
    ROUTE,
    SMALL,
    alert,
    at,
    blind,
    change,
    comparison,
    decision,
    event,
    family_alert,
    reading,
    run,
    shift,
)

FAMILIES = st.sampled_from(["model_shift", "user_shift", "events", "evaluation", "blind", "instrument_shift"])
STATUS = st.sampled_from(["firing", "firing", "resolved"])
DECISIONS = st.sampled_from(
    [
        "announce",
        "acknowledge",
        "snooze",
        "accept_baseline",
        "false_alarm",
        "roll_back",
        "silence",
        "end_silence",
        "comment",
        "unmute",
        "resolve",
    ]
)
MINUTES = st.integers(0, 60 * 24 * 6)
IDS = st.sampled_from([None, None, "0" * 16, fold(ROUTE, [alert(index=60)]).incidents[0].id])


@st.composite
def rate_alerts(draw):
    severity = draw(st.sampled_from(["warning", "error"]))
    return alert(
        draw(STATUS), draw(st.sampled_from([60, 120, 600, 3000])), severity=severity, silenced=draw(st.booleans())
    )


@st.composite
def decisions(draw):
    hours = draw(MINUTES) / 60
    expires = draw(st.sampled_from([None, at(hours + 5)]))
    model = draw(st.sampled_from([None, NEW]))
    return decision(draw(DECISIONS), hours, incident=draw(IDS), expires=expires, model=model)


FACTS = st.one_of(
    rate_alerts(),
    st.builds(family_alert, FAMILIES, STATUS, MINUTES),
    decisions(),
    st.builds(change, st.sampled_from(["observed", "suspected", "pinned"]), MINUTES),
    st.builds(lambda minutes: run(minutes / 60), MINUTES),
    st.builds(
        lambda overall, minutes: comparison(overall, minutes / 60), st.sampled_from(["regressed", "unchanged"]), MINUTES
    ),
)
SETS = st.lists(FACTS, max_size=14)


@given(SETS, st.integers(0, 200), st.data())
@settings(max_examples=200)
def test_order_and_repetition_of_facts_change_nothing(facts, hours, data):
    again = data.draw(
        st.permutations(facts + data.draw(st.lists(st.sampled_from(facts), max_size=5) if facts else st.just([])))
    )
    assert fold(ROUTE, again, at(hours)) == fold(ROUTE, facts, at(hours))


def test_two_forms_of_one_fact_give_the_same_whichever_comes_first():
    heard, silenced = alert(index=60), alert(index=60, silenced=True)
    assert heard.id == silenced.id
    assert fold(ROUTE, [heard, silenced]) == fold(ROUTE, [silenced, heard])


@given(SETS, st.integers(0, 200))
@settings(max_examples=200)
def test_every_prefix_of_time_keeps_the_rules(facts, hours):
    severities: dict[str, int] = {}
    for now in range(0, 170, 10):
        state = fold(ROUTE, [fact for fact in facts if fact.ts <= at(now)], at(now))
        assert sum(incident.state != "resolved" for incident in state.incidents) <= 1
        assert len({incident.id for incident in state.incidents}) == len(state.incidents)
        assert len({told.id for told in state.notifications}) == len(state.notifications)
        for incident in state.incidents:
            rank = SEVERITIES.index(incident.severity)
            assert rank >= severities.get(incident.id, 0)
            severities[incident.id] = rank
            _is_sound(incident)


def _is_sound(incident: Incident) -> None:
    times = [entry.ts for entry in incident.timeline]
    assert times == sorted(times)
    assert incident.updated_at == times[-1]
    assert (incident.resolved_at is None) == (incident.state != "resolved")
    assert (incident.snoozed_until is None) == (incident.state != "snoozed")
    assert Incident.decode(incident.encode()) == incident


MANY = st.lists(
    st.one_of(FACTS, st.builds(family_alert, st.just("user_shift"), STATUS, st.integers(0, 240))), max_size=24
)


@given(MANY, st.data(), st.integers(0, 200))
@settings(max_examples=200)
def test_facts_folded_piece_by_piece_give_the_same_bytes_in_any_order(facts, data, hours):
    """What record does with a checkpoint: newer facts are folded on top of it, older ones begin from scratch."""
    facts = [fact for n, fact in enumerate(facts) if all(fact.id != other.id for other in facts[:n])]
    arriving = data.draw(st.one_of(st.permutations(facts), st.just(sorted(facts, key=lambda fact: fact.ts))))
    checkpoint, known = folded(ROUTE, []), []
    while len(known) < len(arriving):
        piece = arriving[len(known) : len(known) + data.draw(st.integers(1, 4))]
        known += piece
        checkpoint = resumed(checkpoint, piece) or folded(ROUTE, known)
        whole = fold(ROUTE, known, at(hours))
        state = tick(checkpoint.state, at(hours))
        assert [one.encode() for one in state.incidents] == [one.encode() for one in whole.incidents]
        assert state == whole


@given(SETS)
@settings(max_examples=150)
def test_what_has_happened_stays_on_the_timeline(facts):
    known: dict[str, tuple[object, ...]] = {}
    for now in range(0, 170, 13):
        for incident in fold(ROUTE, [fact for fact in facts if fact.ts <= at(now)], at(now)).incidents:
            told = tuple(entry for entry in incident.timeline if "comes and goes" not in entry.text)
            before = known.get(incident.id, ())
            assert told[: len(before)] == before
            known[incident.id] = told


def test_a_flapping_alert_is_one_line_of_the_timeline():
    facts = [family_alert("model_shift", "firing" if i % 2 == 0 else "resolved", i * 5) for i in range(401)]
    [incident] = fold(ROUTE, facts).incidents
    lines = [entry for entry in incident.timeline if "comes and goes" in entry.text]
    assert len(incident.timeline) < 20
    assert [entry.kind for entry in lines] == ["reopened"]
    assert "back 200 times" in lines[0].text
    assert (incident.state, incident.updated_at) == ("open", facts[-1].ts)
    [over] = fold(ROUTE, facts[:-1]).incidents
    assert (over.state, over.timeline[-1].kind, over.resolved_at) == ("resolved", "resolved", facts[-2].ts)
    told = fold(ROUTE, [one.model_copy(update={"severity": "warning"}) for one in facts]).notifications
    assert sum(one.mention for one in told) == 4, "the first time and three returns call people; then it is one message"
    assert told[-1].kind == "update"
    later = family_alert("model_shift", "firing", 401 * 5 + 120)
    gone = family_alert("model_shift", "resolved", 401 * 5)
    [again] = fold(ROUTE, [*facts, gone, later]).incidents
    assert [entry.kind for entry in again.timeline[-2:]] == ["reopened", "alert_fired"], "after a pause it is told anew"


READINGS = {
    "rate": lambda status, i, who, effect: reading(status, i, identity=who, effect=effect),
    "pii": lambda status, i, who, effect: reading(status, i, signal="pii_leak", identity=who, effect=effect),
    "model": lambda status, i, who, effect: shift("model_shift", status, i, identity=who),
    "users": lambda status, i, who, effect: shift("user_shift", status, i),
    "event": lambda status, i, who, effect: event(i, identity=who),
    "blind": lambda status, i, who, effect: blind(status, i),
    "suite": lambda status, i, who, effect: comparison("regressed", i / 60),
}


@st.composite
def streams(draw):
    """Readings, comparisons and decisions of one route, in the order of their times."""
    made = []
    for minutes in sorted(draw(st.sets(st.integers(0, 60 * 24 * 5), min_size=1, max_size=18))):
        kind = draw(st.sampled_from(["rate", *READINGS, "decision"]))
        if kind == "decision":
            made.append(decision(draw(DECISIONS), minutes / 60))
            continue
        status, who = draw(st.sampled_from(["firing", "quiet"])), draw(st.sampled_from([IDENTITY, OTHER]))
        effect = None if status == "quiet" else draw(st.sampled_from([SMALL, FELL]))
        made.append(READINGS[kind](status, minutes, who, effect))
    return made


@given(streams())
@settings(max_examples=300)
def test_alert_and_incident_agree_which_incident_is_open(inputs):
    """Decisions reach exactly the alerts of the incident that they name, because both cores hold the same groups."""
    state, facts = AlertState.start(ROUTE), []
    for item in inputs:
        state, alerts = step(state, [item])
        facts += [*alerts, *([] if isinstance(item, Reading) else [item])]
        folded = fold(ROUTE, facts, item.ts)
        here = [(group.id, set(group.firing)) for group in lapse(state.groups, item.ts) if group.resolved_at is None]
        there = [(folded.open.incident.id, set(folded.open.firing))] if folded.open else []
        assert here == there


@given(streams())
@settings(max_examples=150)
def test_after_resolve_nothing_fires(inputs):
    last = decision("resolve", 24 * 6)
    state, alerts = step(AlertState.start(ROUTE), [*inputs, last])
    assert state.active == {}
    facts = [*alerts, last, *(item for item in inputs if isinstance(item, type(last)))]
    assert all(incident.state == "resolved" for incident in fold(ROUTE, facts).incidents)
    assert all(isinstance(made, Alert) for made in alerts)
