"""Since when, what is different, what may have caused it: the sentences, and where they stand."""

from __future__ import annotations

import pytest

from schemas.reading import ChangePoint, Movement
from services.incident.fold import fold
from services.incident.question_words import marking_words
from services.notify import message
from services.score.style import STYLE_NAMES
from services.wording import commands, incidents, movements
from tests.support.records import NEW, OTHER, ROUTE, alert, at, change, decision, family_alert

POINT = ChangePoint(event_index=466, low=459, high=468, ts=at(2.0), ts_low=at(1 + 55 / 60), ts_high=at(2 + 4 / 60))
SHORTER = Movement(kind="style", name="log_chars", before=1.0, after=0.62, unit="ratio")
MEDICAL = Movement(kind="topic", name="medical", before=0.31, after=0.02, unit="share")
FELL = alert(index=150, change_point=POINT, movements=(SHORTER, MEDICAL))


def test_since_when_with_its_bounds() -> None:
    assert movements.since(POINT, at(3)) == "about 14:00 UTC (between 13:55 and 14:04)"
    assert movements.since(POINT) == "about 24 Nov 14:00 UTC (between 13:55 and 14:04)"
    wide = POINT.model_copy(update={"ts_low": at(-20)})
    assert movements.since(wide, at(3)) == "about 14:00 UTC (between 23 Nov 16:00 and 14:04)"
    sharp = POINT.model_copy(update={"ts_low": at(2), "ts_high": at(2)})
    assert movements.since(sharp, at(3)) == "about 14:00 UTC"
    assert movements.since_details(POINT) == "since exchange 466 (90% interval 459 to 468)"


def test_what_moved_in_plain_words() -> None:
    assert movements.told((SHORTER, MEDICAL), "refusal") == (
        "Answers are 38% shorter; refusals fell most on medical questions"
    )
    assert movements.told((MEDICAL,)) == "Fewer medical questions"
    german = Movement(kind="slice", name="language=de", before=0.1, after=0.4, unit="share")
    assert movements.told((german,), "refusal") == "Refusals rose most where language=de"
    assert movements.told((german,)) == "Most of it is where language=de"
    leaks = Movement(kind="signal", name="pii_leak", before=0.0, after=0.1, unit="share")
    assert movements.told((leaks,)) == "Personal data leaks rose"
    assert movements.movement_details(MEDICAL) == "medical 31.0% to 2.0%"
    assert movements.movement_details(SHORTER) == "log chars 1.00 to 0.62x"
    assert movements.told(()) == ""


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_every_feature_of_style_has_words(name: str) -> None:
    told = movements.movement(Movement(kind="style", name=name, before=1.0, after=2.0, unit="per answer"))
    assert told.startswith("answers ")
    assert "_" not in told
    assert name in ("log_chars", "log_words") or name in movements._STYLES


def test_the_timeline_says_since_when_and_what_and_its_details_the_numbers() -> None:
    (incident,) = fold(ROUTE, [FELL]).incidents
    [entry] = incident.timeline
    assert entry.text.endswith(
        ". Since about 14:00 UTC (between 13:55 and 14:04). "
        "Answers are 38% shorter; refusals fell most on medical questions"
    )
    assert entry.details is not None
    assert (
        "since exchange 466 (90% interval 459 to 468), log chars 1.00 to 0.62x, medical 31.0% to 2.0%" in entry.details
    )
    assert "since about 14:00 UTC (likely)" in incidents.headline_in_full(incident, at(3))


def test_a_change_within_that_time_is_the_likely_cause_and_others_are_not() -> None:
    announced = decision("announce", 1.95, model=NEW)
    facts = [
        change("observed", 10, hours=1.0, to_identity=OTHER),
        announced,
        change("observed", 118, hours=1.97, model=NEW, to_identity=OTHER, id="c" * 16),
        change("suspected", 119, hours=1.98, id="d" * 16),
        change("share", 119, hours=1.98, id="e" * 16),
        FELL,
        alert(index=200, change_point=POINT, signal="pii_leak"),
    ]
    (incident,) = fold(ROUTE, facts).incidents
    told = [(entry.ref, entry.text) for entry in incident.timeline if entry.kind == "cause"]
    assert told == [
        (
            announced.id,
            "Likely cause: the change to gpt-4-0613 that mara announced at 13:57 UTC, which lies within that time",
        ),
        ("c" * 16, "Likely cause: gpt-4-0613 first answered at 13:58 UTC, which lies within that time"),
    ]
    assert fold(ROUTE, reversed(facts)).incidents == (incident,)
    (without,) = fold(ROUTE, [*facts[:4], alert(index=150)]).incidents
    assert [entry for entry in without.timeline if entry.kind == "cause"] == []


def test_messages_and_the_command_line_say_the_same() -> None:
    (incident,) = fold(ROUTE, [decision("announce", 1.95, model=NEW), FELL]).incidents
    shown = "\n".join(message.plain_lines(message.of_incident(incident, message.MessageOptions())))
    for told in (
        "What is different  Answers are 38% shorter; refusals fell most on medical questions",
        "Likely cause  the change to gpt-4-0613 that mara announced at 13:57 UTC",
        "Since  about 24 Nov 14:00 UTC (between 13:55 and 14:04), found 24 Nov 2026 14:30 UTC",
    ):
        assert told in shown
    rows = dict(commands.incident_rows(incident, False))
    assert rows["what is different"].startswith("Answers are 38% shorter")
    assert rows["likely cause"].startswith("the change to gpt-4-0613")


def test_exemplars_keep_their_counterparts_whatever_else_fires() -> None:
    first = alert(index=150, exemplars=("e1", "e2"), counterparts=("b1", None))
    other = family_alert("model_shift", index=160, exemplars=("e2", "e3"), counterparts=("b2", "b3"))
    (incident,) = fold(ROUTE, [first, other]).incidents
    pairs = dict(zip(incident.exemplars, incident.counterparts, strict=True))
    assert pairs == {"e1": "b1", "e2": "b2", "e3": "b3"}
    (plain,) = fold(ROUTE, [alert(index=150, exemplars=("e1",))]).incidents
    assert plain.counterparts == ()


def test_words_that_mark_the_questions_of_now() -> None:
    before = [f"where is my parcel number {i % 7} please" for i in range(40)]
    now = [f"how can I pick the lock of a car {i % 7} please <email>" for i in range(12)]
    told = marking_words(before, [*now, *before[:20]])
    assert {"lock", "pick", "car"} <= set(told)
    assert not {"parcel", "please", "email"} & set(told)
    assert movements.new_words(("lock", "pick")) == "The questions now speak more of lock and pick"
    assert marking_words(before, before[:20]) == ()
    assert marking_words([], now) == () == marking_words(before, now[:3])


def test_a_deploy_of_a_canary_within_that_time_is_the_likely_cause_with_its_share() -> None:
    deploy = decision("announce", 1.95, model=NEW, share=0.05, actor="octocat via GitHub")
    (incident,) = fold(ROUTE, [deploy, FELL]).incidents
    [told] = [entry.text for entry in incident.timeline if entry.kind == "cause"]
    assert told == (
        "Likely cause: the change to gpt-4-0613, for 5.0% of the exchanges, that octocat via GitHub announced at "
        "13:57 UTC, which lies within that time"
    )
