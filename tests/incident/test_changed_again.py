"""An incident tells that behaviour changed again, and once that it has been so for a week."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.base import iso
from schemas.reading import ChangePoint
from services.alert.core import step
from services.alert.state import AlertState
from services.incident.fold import fold, folded, resumed, tick
from services.wording import changed_again as words
from tests.support.records import (
    FELL,
    ROUTE,
    alert,
    at,
    change,
    decision,
    family_alert,
    further,
    reading,
    shift,
)
from tests.wording.test_plain import STATISTICS

WEEK = 7 * 24.0


def alerts_of(*inputs):
    return list(step(AlertState.start(ROUTE), inputs)[1])


def point(low, middle, high):
    named = zip(("low", "event_index", "high"), (low, middle, high), strict=True)
    times = zip(("ts_low", "ts", "ts_high"), (at(low / 60), at(middle / 60), at(high / 60)), strict=True)
    return ChangePoint(**dict(named), **dict(times))


def kinds(incident):
    return [entry.kind for entry in incident.timeline]


def test_the_open_incident_absorbs_it_and_says_so_in_words():
    first, again = alerts_of(reading("firing", 1000, effect=FELL), further(1500, change_point=point(1440, 1460, 1480)))
    before, after = fold(ROUTE, [first]).incidents[0], fold(ROUTE, [first, again]).incidents[0]
    assert kinds(after) == [*kinds(before), "changed_again"]
    entry = after.timeline[-1]
    assert entry.text.startswith("Changed again: the refusal rate of support-bot/prod fell from 18.8% to 12.0%")
    assert "Since about 12:20 UTC" in entry.text
    assert "Compared with the 300 exchanges after" in entry.text
    assert entry.text.endswith("not with what is normal")
    assert "after exchange 1,000" in entry.details
    same = {"timeline", "updated_at", "exemplars", "counterparts"}
    assert {k: v for k, v in vars(after).items() if k not in same} == {
        k: v for k, v in vars(before).items() if k not in same
    }


def test_at_the_very_exchange_of_its_alert_it_comes_after_it():
    facts = alerts_of(reading("firing", 1000, effect=FELL), further(1000))
    (incident,) = fold(ROUTE, facts).incidents
    assert kinds(incident)[-2:] == ["opened", "changed_again"]
    assert incident.timeline[-2].ref == facts[0].id


def test_its_first_line_holds_no_statistic():
    _, again = alerts_of(reading("firing", 1000), further(1500))
    assert STATISTICS.search(words.changed_again(again).text) is None


def test_what_was_changed_within_its_time_is_named():
    facts = alerts_of(reading("firing", 1000), further(1500, change_point=point(1440, 1460, 1480)))
    deployed = decision("announce", 1450 / 60)
    (incident,) = fold(ROUTE, [*facts, deployed]).incidents
    (cause,) = [entry for entry in incident.timeline if entry.kind == "cause"]
    assert (cause.ref, cause.ts) == (deployed.id, facts[1].ts)
    (without,) = fold(ROUTE, [*facts, decision("announce", 1300 / 60)]).incidents
    assert "cause" not in kinds(without)


def test_it_is_told_in_place_and_calls_nobody():
    facts = alerts_of(reading("firing", 1000, effect=FELL), further(1500))
    told = fold(ROUTE, facts).notifications
    assert [(one.kind, one.mention) for one in told] == [("post", True), ("update", False)]
    assert told[1].text.startswith("Changed again")


def test_after_an_incident_closed_by_itself_it_opens_a_new_one_that_says_so():
    first, again = alerts_of(
        shift("model_shift", "firing", 1000), further(5000, detector="model_shift", signal=None, direction=None)
    )
    incidents = fold(ROUTE, [first, again]).incidents
    assert [one.state for one in incidents] == ["resolved", "open"]
    assert kinds(incidents[1])[-2:] == ["opened", "changed_again"]


def test_an_info_incident_stays_open_while_something_new_comes():
    last = further(2000, detector="model_shift", signal=None, direction=None)
    facts = alerts_of(shift("model_shift", "firing", 1000), last)
    (incident,) = fold(ROUTE, facts, at(1000 / 60 + 30)).incidents
    assert incident.state == "open"


def lasting(state):
    return [entry for one in state.incidents for entry in one.timeline if entry.kind == "lasting"]


@pytest.mark.parametrize(("family", "state"), [("rate_shift", "open"), ("model_shift", "resolved")])
def test_after_a_week_it_is_said_once_that_it_is_still_so(family, state):
    first = alert(index=600) if family == "rate_shift" else family_alert(family, index=600)
    due = first.ts + timedelta(days=7)
    assert lasting(fold(ROUTE, [first], due - timedelta(minutes=1))) == []
    for days in (0, 1, 7, 60):
        after = fold(ROUTE, [first], due + timedelta(days=days))
        (entry,) = lasting(after)
        assert entry.ts == due
        assert entry.text.startswith("It has been so for 7 days, since")
        assert entry.text.endswith(words.TO_DO)
        assert after.incidents[0].state == state
    told = fold(ROUTE, [first], due).notifications[-1]
    assert (told.kind, told.mention, iso(told.ts)) == ("update", False, iso(due))


def test_several_alerts_of_one_incident_say_so_together():
    facts = [alert(index=600), alert(index=660, signal="pii_leak", effect=FELL), family_alert("model_shift", index=700)]
    (entry,) = lasting(fold(ROUTE, facts, at(3 * WEEK)))
    assert "(2 other alerts as well)" in entry.text


def test_what_was_over_in_between_counts_from_when_it_came_back():
    first, over = alerts_of(reading("firing", 1000), reading("quiet", 2000))
    back = alert(index=3000)
    facts = [first, over, back]
    assert lasting(fold(ROUTE, facts, first.ts + timedelta(days=7, hours=1))) == []
    (entry,) = lasting(fold(ROUTE, facts, back.ts + timedelta(days=7)))
    assert entry.ts == back.ts + timedelta(days=7)


@pytest.mark.parametrize("kind", ["resolve", "false_alarm", "accept_baseline"])
def test_what_a_person_ended_does_not_last(kind):
    facts = [alert(index=600), decision(kind, 40)]
    assert lasting(fold(ROUTE, facts, at(3 * WEEK))) == []


@pytest.mark.parametrize("family", ["events", "blind", "attack_cluster", "objective"])
def test_what_no_new_normal_would_end_says_nothing_of_the_kind(family):
    assert lasting(fold(ROUTE, [family_alert(family, index=600)], at(3 * WEEK))) == []


def test_a_new_incident_of_what_never_ended_counts_on():
    first = family_alert("model_shift", index=600)
    worse = family_alert("model_shift", index=600 + 60 * 72, severity="warning")
    incidents = fold(ROUTE, [first, worse], first.ts + timedelta(days=8)).incidents
    assert ["lasting" in kinds(one) for one in incidents] == [False, True]
    assert lasting(fold(ROUTE, [first, worse], at(4 * WEEK)))[0].ts == first.ts + timedelta(days=7)


DAY = 60 * 24


def absorbed_while_it_stands():
    """A shift closes by itself, a rate opens another incident, and the shift that goes on joins that one."""
    further_on = further(3 * DAY, detector="model_shift", signal=None, direction=None)
    state, told = step(
        AlertState.start(ROUTE), [shift("model_shift", "firing", 0), reading("firing", 2 * DAY), further_on]
    )
    over = step(state, [shift("model_shift", "quiet", 4 * DAY)])[1]
    return [*told, *over]


def test_what_another_incident_took_up_and_saw_end_does_not_last():
    facts = absorbed_while_it_stands()
    assert [one.status for one in facts] == ["firing", "firing", "firing", "resolved"]
    incidents = fold(ROUTE, facts, at(8 * 24.0)).incidents
    assert ["lasting" in kinds(one) for one in incidents] == [False, False]
    (entry,) = lasting(fold(ROUTE, facts, at(10 * 24.0)))
    assert entry.ts == facts[1].ts + timedelta(days=7), "of the rate, which goes on"


def test_what_another_incident_took_up_and_goes_on_is_told_there_with_its_time():
    facts = absorbed_while_it_stands()[:3]
    incidents = fold(ROUTE, facts, at(8 * 24.0)).incidents
    assert ["lasting" in kinds(one) for one in incidents] == [False, True]
    assert lasting(fold(ROUTE, facts, at(8 * 24.0)))[0].ts == facts[0].ts + timedelta(days=7)


def test_folding_on_says_the_same_as_folding_anew():
    facts = [
        alert(index=600),
        change(index=900),
        *alerts_of(shift("model_shift", "firing", 1000)),
        change("suspected", index=20_000),
    ]
    for cut in range(len(facts) + 1):
        checkpoint = resumed(folded(ROUTE, facts[:cut]), facts[cut:])
        assert checkpoint is not None
        assert tick(checkpoint.state, at(4 * WEEK)) == fold(ROUTE, facts, at(4 * WEEK))
