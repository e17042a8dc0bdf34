"""What people decide about alerts: resolve, mute, accept as baseline."""

from __future__ import annotations

import pytest

from schemas.incident import incident_id
from schemas.reading import Effect
from services.alert.core import step
from services.alert.state import AlertState
from services.wording import decisions
from tests.support.records import (
    FELL,
    NEXT_BASELINE,
    OTHER,
    ROUTE,
    SMALL,
    at,
    blind,
    change,
    comparison,
    decision,
    event,
    reading,
    shift,
)


def follow(*inputs):
    return step(AlertState.start(ROUTE), inputs)


def told(*inputs):
    return [(alert.family, alert.status) for alert in follow(*inputs)[1]]


def sized(change_pp):
    half = abs(change_pp) / 10
    low, high = change_pp - half, change_pp + half
    return Effect(name="refusal", before=50.0, after=50.0 + change_pp, low=low, high=high, unit="pp")


RATE = "rate_shift"
ON, OFF = (RATE, "firing"), (RATE, "resolved")
FIRING = reading("firing", 1000, effect=sized(-8.0))
AGAIN = reading("firing", 1300, hours=24, effect=sized(-8.0))
DECIDED = [ON, OFF]


@pytest.mark.parametrize("kind", ["resolve", "false_alarm", "accept_baseline"])
def test_decision_resolves_with_its_reason(kind):
    _, (_, alert) = follow(FIRING, decision(kind))
    assert alert.status == "resolved"
    assert alert.reason is not None
    assert alert.reason.endswith("by mara: we looked at it")
    assert alert.ts == at(20)


@pytest.mark.parametrize("kind", ["announce", "acknowledge", "snooze", "roll_back", "silence"])
def test_other_decisions_resolve_nothing(kind):
    assert told(FIRING, decision(kind)) == [ON]


@pytest.mark.parametrize("kind", ["resolve", "false_alarm"])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param([AGAIN], DECIDED, id="muted: firing again tells nothing"),
        pytest.param([AGAIN, reading("quiet", 1900)], DECIDED, id="muted: its end tells nothing"),
        pytest.param(
            [reading("quiet", 1300, hours=24), AGAIN.model_copy(update={"event_index": 1500, "id": "0" * 16})],
            [*DECIDED, ON],
            id="the effect was once inside the floor",
        ),
        pytest.param(
            [
                reading("quiet", 1300, hours=24, effect=sized(-8.0), n=50),
                reading("firing", 1500, hours=25, effect=sized(-8.0)),
            ],
            DECIDED,
            id="quiet after zeroing, effect beyond the floor: still muted",
        ),
        pytest.param(
            [
                reading("quiet", 1300, hours=24, effect=None, n=50),
                reading("firing", 1500, hours=25, effect=sized(-8.0)),
            ],
            DECIDED,
            id="quiet after zeroing, effect unknown: still muted",
        ),
        pytest.param([reading("firing", 1300, hours=24, effect=sized(-15.9))], DECIDED, id="less than doubled: muted"),
        pytest.param([reading("firing", 1300, hours=24, effect=sized(-16.0))], [*DECIDED, ON], id="doubled: heard"),
        pytest.param(
            [reading("firing", 1300, hours=20 + 24 * 30 - 1, effect=sized(-8.0))], DECIDED, id="29 days: muted"
        ),
        pytest.param(
            [reading("firing", 1300, hours=20 + 24 * 30, effect=sized(-8.0))], [*DECIDED, ON], id="30 days: heard"
        ),
        pytest.param(
            [reading("firing", 1300, hours=24, signal="pii_leak")], [*DECIDED, ON], id="another fingerprint is heard"
        ),
        pytest.param(
            [reading("quiet", 1300, hours=24, identity=OTHER), reading("firing", 1400, hours=25, effect=sized(-8.0))],
            DECIDED,
            id="another identity's quiet lifts nothing",
        ),
        pytest.param(
            [reading("firing", 1300, hours=24, effect=sized(-8.0), identity=OTHER)],
            DECIDED,
            id="another identity is muted too",
        ),
        pytest.param([change("pinned", 1200), AGAIN], DECIDED, id="a pinned baseline does not lift it"),
    ],
)
def test_mute(kind, after, expected):
    assert told(FIRING, decision(kind), *after) == expected


@pytest.mark.parametrize(
    ("about", "expected"),
    [({}, [*DECIDED, ON]), ({"fingerprint": "0" * 16}, DECIDED), ({"fingerprint": "own"}, [*DECIDED, ON])],
)
@pytest.mark.parametrize("kind", ["resolve", "false_alarm"])
def test_what_is_unmuted_is_heard_when_it_fires_next(kind, about, expected):
    _, (sent, _) = follow(FIRING, decision(kind))
    named = {name: sent.fingerprint if value == "own" else value for name, value in about.items()}
    assert told(FIRING, decision(kind), decision("unmute", 22, **named), AGAIN) == expected
    late = [AGAIN, decision("unmute", 25, **named), reading("firing", 1400, hours=26, effect=sized(-8.0))]
    assert told(FIRING, decision(kind), *late) == expected, "also where it fires unheard already"


def test_what_was_accepted_is_not_unmuted():
    assert told(FIRING, decision("accept_baseline"), decision("unmute", 22), AGAIN) == DECIDED


def test_mute_ends_when_the_stream_fired_unheard_and_ceased():
    wide = Effect(name="refusal", before=50.0, after=47.5, low=-6.0, high=1.0, unit="pp")
    unheard = [FIRING, decision("resolve"), AGAIN, reading("quiet", 1900, hours=31, effect=wide)]
    assert told(*unheard) == DECIDED
    assert told(*unheard, reading("firing", 2000, hours=40, effect=sized(-8.0))) == [*DECIDED, ON]


def leaks(n, index, exemplar):
    effect = Effect(name="secret leak events", before=0.0, after=float(n), unit="ratio")
    return event(index, hours=20 + index / 100, effect=effect, exemplars=(exemplar,))


def test_resolved_event_is_heard_again_with_the_next_leak_not_with_the_same_one():
    same = [leaks(1, 1000, "a"), decision("resolve", 30.5), leaks(1, 1100, "a")]
    assert len(told(*same)) == 2
    assert told(*same, leaks(1, 1200, "b"))[-1] == ("events", "firing")


def test_false_alarm_of_an_event_mutes_until_as_many_again_doubled():
    muted = [leaks(1, 1000, "a"), decision("false_alarm", 30.5), leaks(1, 1100, "b")]
    assert len(told(*muted)) == 2
    assert told(*muted, leaks(2, 1200, "c"))[-1] == ("events", "firing")


def test_muted_is_shown():
    state, _ = follow(FIRING, decision("false_alarm"))
    (mute,) = state.muted(at(21))
    assert (mute.kind, mute.actor, mute.reason, mute.size) == ("false_alarm", "mara", "we looked at it", 8.0)
    assert state.muted(mute.until) == ()


def test_mute_waits_for_every_identity_that_fired():
    both = [FIRING, reading("firing", 1010, identity=OTHER), decision("resolve")]
    one_back = [*both, reading("quiet", 1600, hours=27)]
    assert len(follow(*one_back)[0].mutes) == 1
    assert follow(*one_back, reading("quiet", 1700, identity=OTHER, hours=29))[0].mutes == {}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param([AGAIN], DECIDED, id="muted until the new baseline is pinned"),
        pytest.param(
            [
                change("pinned", 1200),
                AGAIN.model_copy(update={"evidence": AGAIN.evidence.model_copy(update={"baseline": NEXT_BASELINE})}),
            ],
            [*DECIDED, ON],
            id="heard once it is pinned",
        ),
        pytest.param(
            [reading("firing", 1300, hours=24, effect=sized(-8.0), baseline=NEXT_BASELINE)],
            [*DECIDED, ON],
            id="heard when a reading of the new baseline comes first",
        ),
        pytest.param(
            [reading("firing", 1300, hours=24, effect=sized(-17.0))],
            [*DECIDED, ON],
            id="heard when it doubles under the old one",
        ),
    ],
)
def test_accept_baseline_mutes_until_pinned(after, expected):
    assert told(FIRING, decision("accept_baseline"), *after) == expected


def test_pinned_before_the_decision_arrives_mutes_nothing():
    state, alerts = follow(FIRING, change("pinned", 1200), decision("accept_baseline"))
    assert [alert.status for alert in alerts] == ["firing", "resolved"]
    assert state.mutes == {}


def test_what_fires_against_a_replaced_baseline_resolves():
    inputs = [shift("model_shift"), event(1010), comparison(hours=17), change("pinned", 1200)]
    resolved = [alert for alert in follow(*inputs)[1] if alert.status == "resolved"]
    assert sorted(alert.family for alert in resolved) == ["evaluation", "model_shift"]
    assert {alert.reason for alert in resolved} == {decisions.NEW_BASELINE}


def test_what_fires_against_the_pinned_baseline_stays():
    assert told(reading("firing", 1250, baseline=NEXT_BASELINE), change("pinned", 1200)) == [ON]


@pytest.mark.parametrize(
    ("kind", "left"),
    [("accept_baseline", {"events", "blind"}), ("resolve", set()), ("false_alarm", set())],
    ids=["a new baseline leaves events and blindness", "events are resolved by a person", "a person calls it false"],
)
def test_who_resolves_what(kind, left):
    inputs = [event(1000), blind("firing", 1010), FIRING, comparison(hours=17), decision(kind)]
    state, _ = follow(*inputs)
    assert {active.sent.family for active in state.active.values()} == left


def test_event_called_a_false_alarm_is_muted_until_a_window_without_one():
    quiet = reading(
        "quiet", 1700, detector="events", signal="secret_leak", direction=None, effect=None, floor=0.0, n=500
    )
    heard = told(event(1000), decision("false_alarm"), event(1300, hours=22), quiet, event(1800))
    assert heard == [("events", "firing"), ("events", "resolved"), ("events", "firing")]


def test_regressed_suite_is_muted_until_it_did_not_regress():
    muted = [comparison(hours=18), decision("resolve"), comparison(hours=42)]
    assert told(*muted) == [("evaluation", "firing"), ("evaluation", "resolved")]
    assert told(*muted, comparison("unchanged", hours=43), comparison(hours=44))[-1] == ("evaluation", "firing")


OPENER = incident_id(ROUTE, follow(FIRING)[1][0].fingerprint, FIRING.identity, 1000)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param([FIRING, decision("resolve", incident=OPENER)], DECIDED, id="the open incident"),
        pytest.param([FIRING, decision("resolve", incident="0" * 16)], [ON], id="another incident: nothing"),
        pytest.param(
            [FIRING, event(1010), decision("resolve", fingerprint=follow(event())[1][0].fingerprint)],
            [ON, ("events", "firing"), ("events", "resolved")],
            id="one alert of it",
        ),
        pytest.param([FIRING, decision("resolve", fingerprint="0" * 16)], [ON], id="a fingerprint that nobody knows"),
        pytest.param([decision("resolve"), FIRING], [ON], id="before anything fired: nothing"),
        pytest.param([FIRING, decision("resolve"), decision("resolve")], DECIDED, id="twice: once"),
        pytest.param(
            [
                FIRING,
                reading("quiet", 1190),
                reading("firing", 4000, hours=70),
                decision("resolve", 71, incident=OPENER),
            ],
            [ON, OFF, ON],
            id="an old incident of the same fingerprint: nothing",
        ),
        pytest.param(
            [FIRING, reading("quiet", 1190), reading("firing", 1400), decision("resolve", 25, incident=OPENER)],
            [ON, OFF, ON, OFF],
            id="one that was reopened",
        ),
        pytest.param(
            [
                shift("model_shift"),
                reading("firing", 2700),
                decision(
                    "resolve",
                    46,
                    incident=incident_id(ROUTE, follow(shift("model_shift"))[1][0].fingerprint, FIRING.identity, 1000),
                ),
            ],
            [("model_shift", "firing"), ON],
            id="an info incident that resolved itself: nothing of the new one",
        ),
    ],
)
def test_which_alerts_a_decision_is_about(inputs, expected):
    assert told(*inputs) == expected


def test_incident_that_resolved_itself_may_still_be_decided_on():
    first = shift("model_shift")
    opener = incident_id(ROUTE, follow(first)[1][0].fingerprint, first.identity, 1000)
    assert told(first, decision("resolve", 60, incident=opener)) == [
        ("model_shift", "firing"),
        ("model_shift", "resolved"),
    ]


def test_alert_does_not_resolve_before_it_fired():
    _, (fired, resolved) = follow(FIRING, decision("resolve", hours=-5))
    assert resolved.ts == fired.ts


@pytest.mark.parametrize("fields", [{}, {"expires": at(90)}, {"fingerprint": follow(FIRING)[1][0].fingerprint}])
def test_alert_knows_no_silence(fields):
    """Whoever tells people does: an alert fires, rises and resolves whatever is silenced."""
    inputs = [FIRING, reading("firing", 1100, effect=FELL), reading("quiet", 1600)]
    silence = decision("silence", 10, **fields)
    plain = [alert.model_dump() for alert in follow(*inputs)[1]]
    assert [alert.model_dump() for alert in follow(silence, *inputs)[1]] == plain
    assert not any(alert["silenced"] for alert in plain)


def test_effect_of_another_size_is_not_what_was_muted():
    small = reading("firing", 1000, effect=SMALL)
    assert told(small, decision("resolve"), reading("firing", 1300, hours=24, effect=FELL)) == [ON, OFF, ON]


def test_an_alert_that_ends_against_another_normal_did_not_move_back():
    """The word against the new baseline may come before the decision and the pin, which travel on other topics."""
    quiet = reading("quiet", 1600, baseline=NEXT_BASELINE)
    (_, over) = follow(FIRING, quiet)[1]
    assert over.reason == decisions.NEW_BASELINE


def test_what_a_pin_ends_says_who_accepted_it():
    inputs = [
        FIRING,
        decision("accept_baseline", 17),
        reading("firing", 1100, signal="pii_leak"),
        change("pinned", 1200),
    ]
    last = follow(*inputs)[1][-1]
    assert (last.signal, last.status) == ("pii_leak", "resolved")
    assert last.reason == "Accepted as the new normal by mara: we looked at it"
