"""When an alert fires, escalates and resolves without anyone deciding anything."""

from __future__ import annotations

import pytest

from schemas.alert import fingerprint_of
from schemas.reading import Effect
from services.alert.core import step
from services.alert.state import AlertState
from services.wording import decisions
from tests.support.records import (
    BACK,
    FELL,
    IDENTITY,
    OTHER,
    ROUTE,
    SMALL,
    at,
    blind,
    change,
    comparison,
    event,
    reading,
    run,
    shift,
)


def follow(*inputs):
    """The alerts of these inputs as (family, status), and the state after them."""
    state, alerts = step(AlertState.start(ROUTE), inputs)
    return state, alerts


def told(*inputs):
    return [(alert.family, alert.status) for alert in follow(*inputs)[1]]


FIRING, QUIET = reading("firing", 1000), reading("quiet", 1600)
RATE = "rate_shift"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param([FIRING], [(RATE, "firing")], id="an alert fires while a stream fires"),
        pytest.param([FIRING, reading("firing", 1050)], [(RATE, "firing")], id="a periodic word tells nothing"),
        pytest.param([FIRING, FIRING, FIRING], [(RATE, "firing")], id="a redelivered one tells nothing"),
        pytest.param(
            [FIRING, QUIET], [(RATE, "firing"), (RATE, "resolved")], id="it resolves when the stream is quiet"
        ),
        pytest.param(
            [FIRING, QUIET, FIRING, QUIET], [(RATE, "firing"), (RATE, "resolved")], id="redelivered pairs tell nothing"
        ),
        pytest.param(
            [FIRING, QUIET, reading("firing", 2000)],
            [(RATE, "firing"), (RATE, "resolved"), (RATE, "firing")],
            id="it comes back",
        ),
        pytest.param(
            [FIRING, reading("firing", 1010, identity=OTHER), QUIET],
            [(RATE, "firing")],
            id="it fires while any identity's stream fires",
        ),
        pytest.param(
            [FIRING, reading("firing", 1010, identity=OTHER), QUIET, reading("quiet", 1700, identity=OTHER)],
            [(RATE, "firing"), (RATE, "resolved")],
            id="it resolves when none does",
        ),
        pytest.param(
            [FIRING, reading("quiet", 1600, direction=None)],
            [(RATE, "firing"), (RATE, "resolved")],
            id="quiet without a direction",
        ),
        pytest.param(
            [FIRING, reading("quiet", 1600, signal="pii_leak")], [(RATE, "firing")], id="another signal's quiet"
        ),
        pytest.param(
            [FIRING, reading("quiet", 1600, effect=FELL)],
            [(RATE, "firing")],
            id="quiet with an effect beyond the floor is no return",
        ),
        pytest.param(
            [FIRING, reading("quiet", 1090, effect=SMALL.model_copy(update={"high": 1.0}), n=90)],
            [(RATE, "firing")],
            id="quiet after zeroing, before a window was seen, is no return",
        ),
        pytest.param([FIRING, reading("blind", 1600)], [(RATE, "firing")], id="blind never resolves an alert"),
        pytest.param([FIRING, reading("learning", 1600)], [(RATE, "firing")], id="learning resolves nothing"),
        pytest.param([reading("blind", 1000)], [], id="a detector's blindness opens no alert"),
        pytest.param([reading("learning", 100), reading("quiet", 900)], [], id="learning and quiet open none"),
        pytest.param([blind()], [("blind", "firing")], id="the route's blindness opens one"),
        pytest.param([blind("blind")], [], id="blindness that is only shown opens none"),
        pytest.param(
            [blind(), blind("quiet", 1001)], [("blind", "firing"), ("blind", "resolved")], id="data ends blindness"
        ),
        pytest.param(
            [event(), event(1050), event(1900)], [("events", "firing")], id="at most one alert per event signal"
        ),
        pytest.param(
            [event(), reading("quiet", 1600, detector="events", signal="secret_leak", n=600)],
            [("events", "firing")],
            id="quiet does not resolve an event",
        ),
        pytest.param([comparison()], [("evaluation", "firing")], id="a regressed suite fires"),
        pytest.param(
            [comparison("inconclusive"), comparison("unchanged"), comparison("improved")],
            [],
            id="other outcomes do not",
        ),
        pytest.param(
            [comparison(hours=18), comparison("unchanged", hours=42)],
            [("evaluation", "firing")],
            id="a comparison resolves nothing",
        ),
        pytest.param([run(), change(), change("suspected")], [], id="runs and changes fire nothing"),
    ],
)
def test_transitions(inputs, expected):
    assert told(*inputs) == expected


def test_fingerprint_and_fields_come_from_the_reading():
    _, (alert,) = follow(reading(slice="tags.locale=de", exemplars=("a", "b")))
    assert alert.fingerprint == fingerprint_of(ROUTE, RATE, "refusal", None, "tags.locale=de", "down")
    assert (alert.event_index, alert.identities, alert.exemplars) == (1000, (IDENTITY,), ("a", "b"))
    assert (alert.effect, alert.floor, alert.severity, alert.silenced) == (SMALL, 0.02, "warning", False)


def test_other_stream_other_alert():
    fields = [{}, {"signal": "pii_leak"}, {"slice": "language=de"}, {"hazard": "S1"}, {"direction": "up"}]
    prints = {follow(reading(**field))[1][0].fingerprint for field in fields}
    assert len(prints) == len(fields)


def test_rise_of_severity_is_told_once_and_severity_never_falls():
    risen, more = reading("firing", 1050, effect=FELL), reading("firing", 1100, effect=FELL)
    _, alerts = follow(FIRING, risen, more, reading("firing", 1150, effect=SMALL), QUIET)
    assert [(alert.status, alert.severity, alert.event_index) for alert in alerts] == [
        ("firing", "warning", 1000),
        ("firing", "error", 1050),
        ("resolved", "error", 1600),
    ]


def test_it_is_told_again_when_it_is_known_what_the_questions_are_and_the_first_clear_word_stands():
    words = (None, "few", "few", "alike", None, "few", "same", "other", "alike", "same")
    said = [reading("firing", 1000 + 50 * i, questions=word) for i, word in enumerate(words)]
    _, alerts = follow(*said[1:])
    assert [(alert.questions, alert.event_index) for alert in alerts] == [
        ("few", 1050),
        ("alike", 1150),
    ]
    _, alerts = follow(*said[:3])
    assert [(alert.questions, alert.event_index) for alert in alerts] == [(None, 1000)]


def test_resolved_carries_the_effect_that_returned_and_the_reason_in_words():
    _, (_, alert) = follow(
        FIRING, reading("firing", 1010, identity=OTHER), reading("quiet", 1599, identity=OTHER), QUIET
    )
    assert alert.effect == BACK
    assert alert.reason == decisions.BACK_TO_NORMAL
    assert alert.identities == (IDENTITY, OTHER)
    assert (alert.event_index, alert.ts) == (1600, QUIET.ts)


def test_turning_round_ends_the_old_direction_after_the_new_one_fires():
    up = Effect(name="refusal", before=18.8, after=30.0, low=4.0, high=9.0, unit="pp")
    _, alerts = follow(FIRING, reading("firing", 1300, direction="up", effect=up))
    assert [(a.direction, a.status) for a in alerts] == [("down", "firing"), ("up", "firing"), ("down", "resolved")]


def test_comparison_borrows_the_last_event_index_and_its_own_time():
    _, alerts = follow(reading("quiet", 1234), comparison(hours=30))
    (alert,) = alerts
    assert (alert.event_index, alert.ts, alert.severity) == (1234, at(30), "error")
    assert alert.slice == "suite=core"
    assert alert.effect is not None
    assert (alert.effect.name, alert.effect.before, alert.effect.after) == ("jailbreak refusal", 98.0, 71.0)


def test_comparison_without_numbers_still_fires():
    _, (alert,) = follow(comparison(hazards=()))
    assert alert.effect is None
    assert alert.evidence.n == 0


def test_ids_are_made_of_inputs():
    first, second = follow(FIRING, QUIET)[1], follow(reading("quiet", 10), FIRING, QUIET)[1]
    assert [alert.id for alert in first] == [alert.id for alert in second]
    assert len({alert.id for alert in first}) == 2


def test_redelivered_comparison_has_the_same_id_whatever_came_between():
    early, late = follow(comparison())[1], follow(reading("quiet", 500), comparison())[1]
    assert early[0].id == late[0].id


def test_readings_of_a_route_that_starts_anew_count():
    _, alerts = follow(FIRING, QUIET, reading("firing", 5, hours=900))
    assert [alert.status for alert in alerts] == ["firing", "resolved", "firing"]


def test_user_shift_speaks_of_the_route():
    _, (alert,) = follow(shift("user_shift"))
    assert alert.identities == ()


def test_memory_of_idle_streams_is_bounded():
    inputs = []
    for i in range(700):
        identity = f"{i:016x}"
        inputs += [reading("firing", 2 * i, identity=identity), reading("quiet", 2 * i + 1, identity=identity)]
    state, _ = follow(*inputs)
    assert len(state.streams) == 512
