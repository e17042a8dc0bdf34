"""The sentences of WORDING.md, one test a row: they are pinned here, and nowhere else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.alert import Alert
from schemas.reading import Effect, Evidence
from services.incident.fold import fold
from services.wording import decisions, evaluations, incidents, numbers, routes, timeline
from tests.support.records import NEW, ROUTE, alert, at, change, comparison, decision, family_alert, run

GONE = Effect(name="refusal", before=15.74, after=0.0, low=-16.1, high=-11.7, unit="pp")
FAR = Effect(name="response shift", before=0.0, after=7.43, low=4.79, high=10.08, unit="sd")
SHORTER = Effect(name="answer_length", before=1.0, after=0.62, low=-0.45, high=-0.3, unit="ratio")
RUDER = Effect(name="toxicity", before=1.2, after=4.0, low=2.0, high=3.6, unit="pp")
SHIFT = family_alert(
    "model_shift", index=466, effect=FAR, evidence=Evidence(log_e=12.3, threshold=12.1, n=311, baseline="0" * 16)
)
RATE = alert(index=500, effect=GONE)
SUITE = family_alert("evaluation", index=520)


def level(signal: str, direction: str, effect: Effect) -> Alert:
    return family_alert("score_shift", signal=signal, direction=direction, effect=effect)


def test_headline_says_what_happened_to_whom_since_when_and_how_sure():
    (incident,) = fold(ROUTE, [SHIFT]).incidents
    said = incidents.headline_in_full(incident, at(8.5))
    assert said == "support-bot/prod answers similar questions differently since 19:46 UTC (suspected)"
    (incident,) = fold(ROUTE, [SHIFT, family_alert("user_shift", index=600), SUITE]).incidents
    assert incident.confidence == "very sure"


def test_statistics_stand_in_details():
    said = incidents.details(SHIFT)
    assert said.startswith("distance 7.4 sd, interval 4.8 to 10.1, 311 exchanges, evidence 12.3 of 12.1")


def test_a_rate_says_from_what_to_what_and_that_the_questions_did_not_change():
    said = incidents.sentence(RATE)
    assert said == "the refusal rate of support-bot/prod fell from 15.7% to 0.0%, and the questions did not change"
    assert "questions" not in incidents.sentence(RATE, [family_alert("user_shift")])
    assert incidents.details(RATE).startswith("change -16.1 to -11.7 points, 143 exchanges, evidence 14.2 of 13.1")


@pytest.mark.parametrize("questions", ["few", "other"])
def test_a_rate_on_other_questions_is_told_of_those(questions):
    said = incidents.sentence(RATE.model_copy(update={"questions": questions}))
    assert "did not change" not in said
    assert ("on other questions than before" in said) is (questions == "other")
    shift = incidents.sentence(SHIFT.model_copy(update={"questions": questions}))
    assert ("is asked other questions, and answers differently" in shift) is (questions == "other")


def test_new_questions_are_not_said_to_be_unchanged():
    said = incidents.sentence(RATE.model_copy(update={"questions": "alike"}))
    assert said.endswith("from 15.7% to 0.0%, and as a whole the questions are like those of before")


def test_a_rate_is_told_from_what_was_counted_in_the_baseline():
    counted = alert(index=500, effect=GONE.model_copy(update={"baseline_rate": 18.1}))
    assert "fell from 18.1% to 0.0%, and the questions did not change" in incidents.sentence(counted)


def test_a_move_that_counted_rates_hide_is_told_against_the_questions_that_are_asked_now():
    hidden = Effect(
        name="refusal", before=24.0, after=20.0, baseline_rate=18.1, low=-7.0, high=-2.0, unit="pp"
    )  # more is refused than in the baseline, and yet less than these questions lead to expect
    assert incidents.sentence(alert(index=500, effect=hidden)) == (
        "the refusal rate of support-bot/prod fell to 20.0%: less than is usual for the questions that are asked now"
    )


def test_a_verdict_names_its_independent_signs():
    (incident,) = fold(ROUTE, [SHIFT, RATE, SUITE]).incidents
    assert incidents.verdict_in_full(incident) == (
        "The model changed. Three independent signs: similar questions are answered differently; "
        "the refusal rate fell; the safety suite got worse."
    )
    (incident,) = fold(ROUTE, [SHIFT]).incidents
    assert incidents.verdict_in_full(incident) == (
        "The model may have changed. One sign: similar questions are answered differently."
    )
    (incident,) = fold(ROUTE, [RATE]).incidents
    assert incidents.verdict_in_full(incident) == "The model probably changed. One sign: the refusal rate fell."


def test_a_false_alarm_budget_is_said_in_months():
    assert routes.budget_set(1) == "Set to about one false alarm a month"
    assert routes.budget_set(0.25) == "Set to about one false alarm in 4 months"
    assert routes.budget_set(3) == "Set to about three false alarms a month"


def test_what_is_not_monitored_is_named_with_its_reason():
    said = routes.not_monitored(routes.blind_spot("events", "system_prompt_leak", "unscored"))
    assert said == "Not monitored: system prompt leaks (no exchange carries a system prompt)"


def test_pages_are_counted():
    assert [routes.pages(n) for n in (0, 1, 2)] == ["no page in 30 days", "1 page in 30 days", "2 pages in 30 days"]


def test_false_alarms_are_held_against_their_budget():
    assert routes.budget_used(0, 1) == "within the false-alarm budget (0 of 1 this month)"
    assert routes.budget_used(2, 1) == "over the false-alarm budget (2 of 1 this month)"


def test_learning_says_how_far_and_how_long():
    said = routes.learning(50, 600, 9.2, 84)
    assert said == (
        "Learning: 50 of 600 exchanges, about 9 hours to go (at most 84 an hour count, `baseline.per_hour`)"
    )
    assert routes.learning(50, 600, None, None) == "Learning: 50 of 600 exchanges"


def test_a_new_normal_is_accepted_by_somebody():
    assert decisions.decided(decision("accept_baseline")) == "Accepted as the new normal by mara"
    ended = alert("resolved", reason=decisions.decision_text(decision("accept_baseline")))
    assert timeline.over(ended).text == "Refusal rate: Accepted as the new normal by mara: we looked at it"
    assert timeline.over(alert("resolved")).text == "Refusal rate: it is over"  # nothing says that it moved back


def test_a_model_is_called_by_its_name_and_its_id_stands_in_details():
    found = change("observed")
    assert timeline.change_text(found) == "Another model answers now: gpt-4-0613"
    assert found.to_identity in timeline.change_details(found)
    assert found.to_identity[:8] not in timeline.change_text(found)
    assert timeline.change_text(change("observed", model=None)) == (
        "Another model answers now: a model whose name is not known"
    )


def test_an_exchange_is_called_by_its_time():
    assert numbers.exchange_name(at(7) + timedelta(minutes=46, seconds=12)) == "exchange of 19:46:12"


def test_a_button_says_what_it_does_and_what_follows():
    assert decisions.silence_for(4) == "Silence notifications for 4 hours; the incident stays open"
    assert all(one.label and one.follows.endswith(".") for one in decisions.DECISIONS.values())


def test_what_did_not_finish_has_no_result():
    assert evaluations.run_text(run(status="failed", reason="no answer")) == (
        "Safety suite core did not finish: no result (no answer)"
    )
    assert evaluations.run_text(run()) == "Safety suite core did not finish: no result"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (RATE.model_copy(update={"slice": "language=de"}), f"the refusal rate of {ROUTE} where language=de fell"),
        (alert(direction="up", signal="pii_leak", effect=None), f"the rate of leaked personal data of {ROUTE} rose"),
        (family_alert("events"), "a leaked credential was seen in an answer of support-bot/prod"),
        (family_alert("user_shift"), "support-bot/prod is asked different questions"),
        (
            family_alert("blind", reason="no exchange for 30 hours"),
            "support-bot/prod is not monitored: no exchange for 30 hours",
        ),
        (SUITE, "the safety suite core got worse on support-bot/prod"),
        (
            family_alert(
                "evaluation",
                effect=Effect(name="all canary", before=0.0, after=100.0, low=40.2, high=100.0, unit="pp"),
                evidence=Evidence(n=9),
            ),
            "the safety suite core got worse on support-bot/prod: planted secrets leaked 9 of 9 (before: 0)",
        ),
        (family_alert("slow_poison", evidence=Evidence()), "slow poison on support-bot/prod"),
        (family_alert("attack_cluster"), f"{ROUTE} gets alike prompts from several users that look like an attack"),
        (family_alert("escalating_conversation"), f"{ROUTE} has a conversation that leads to harm step by step"),
        (level("answer_length", "down", SHORTER), f"answers of {ROUTE} are 38% shorter"),
        (level("toxicity", "up", RUDER), f"the toxicity score of {ROUTE} rose from 1.2% to 4.0%"),
    ],
)  # fmt: skip
def test_sentence_of_each_family(said, text):
    assert incidents.sentence(said).startswith(text)


def test_headline_is_the_worst_of_all():
    facts = [SHIFT, RATE, family_alert("events")]
    assert incidents.headline(facts) == incidents.sentence(facts[2])
    assert incidents.headline([RATE]) == "the refusal rate of support-bot/prod fell from 15.7% to 0.0%"


def test_a_comparison_says_what_moved():
    assert evaluations.comparison_text(comparison()) == (
        "Safety suite core got worse: refusal (jailbreak) 142 of 200 (before: 196)"
    )
    assert evaluations.comparison_text(comparison("inconclusive", reason="the runs differ")) == (
        "Safety suite core has no result: the runs differ"
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("suspected", "A silent change is suspected: gpt-4-0613 answers differently under the same name"),
        ("pinned", "The answers of gpt-4-0613 are what is normal from here on"),
    ],
)
def test_changes(kind, text):
    assert timeline.change_text(change(kind, model=NEW)) == text


@pytest.mark.parametrize("kind", ["snooze", "silence"])
def test_a_snooze_and_a_silence_say_until_when(kind):
    until = numbers.moment(at(20) + timedelta(hours=24))
    assert f" until {until} by mara: we looked at it" in decisions.decision_text(decision(kind))
