"""Attack waves, escalating conversations, new topics and levels: what fires, what does not, and what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.attack_cluster import AttackCluster
from detectors.escalating_conversation import LIVE, EscalatingConversation
from detectors.novelty import Novelty, lord_level
from detectors.protocol import Finding, Rows
from detectors.score_shift import ScoreShift
from detectors.stats.novelty import fit_novelty
from tests.support import rows as made

RISK = "harmful_request@probability"


def said(detector: Any, rows: Rows, base: Rows | None = None) -> tuple[Any, list[Finding]]:
    """The state after the rows, and all findings."""
    baseline = made.baseline() if base is None else replace(made.baseline(), rows=base)
    artefact = detector.fit(baseline)
    state, found = detector.step(artefact, detector.start(artefact), rows)
    return state, list(found)


def alarms(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.status == "firing" and one.transition]


def attack(n: int = 300, share: float = 0.2, **columns: Any) -> Rows:
    wave = made.rows(n, 31, attacks=share)
    return replace(wave, **columns)


def test_alike_novel_prompts_of_several_users_are_a_wave_and_its_exchanges_are_named() -> None:
    (alarm,) = alarms(said(AttackCluster(), attack())[1])
    assert alarm.exemplars
    assert alarm.direction == "up"
    rows = attack()
    asked = {id: rows.prompt[i].astype(np.float64) for i, id in enumerate(rows.ids)}
    shown = np.array([asked[id] for id in alarm.exemplars])
    assert (shown @ shown.T).min() > 0.8, "what is shown is alike"
    assert alarm.change_point is not None
    assert alarm.change_point.low <= alarm.change_point.event_index <= alarm.change_point.high <= alarm.row


def test_one_client_s_flood_is_no_wave_but_is_told() -> None:
    flood = attack(share=0.5, user=np.full(300, 7, dtype=np.int64))
    found = said(AttackCluster(), flood)[1]
    assert not alarms(found)
    assert any(one.reason and "one client" in one.reason for one in found)


def test_two_users_are_not_several_and_conversations_stand_in_for_users() -> None:
    two = attack(share=0.5, user=np.arange(300, dtype=np.int64) % 2 + 1)
    assert not alarms(said(AttackCluster(), two)[1])
    nobody = attack(share=0.5, user=None, conversation=np.arange(300, dtype=np.int64) // 2 + 1)
    assert alarms(said(AttackCluster(), nobody)[1])


def test_alike_novel_prompts_that_no_signal_calls_an_attack_are_none_and_unscored_ones_may_be() -> None:
    rows = attack()
    harmless = replace(rows, signals={**rows.signals, "harmful_request": np.zeros(len(rows))})
    assert not alarms(said(AttackCluster(), harmless)[1])
    assert alarms(said(AttackCluster(), rows)[1]), "harmful_request was not scored at all: unknown is not harmless"


def test_a_wave_that_is_over_ends() -> None:
    after = made.joined(attack(), made.rows(700, 32))
    found = said(AttackCluster(), after)[1]
    assert [one.status for one in found if one.transition] == ["firing", "quiet"]


def talk(risks: list[float], key: int = 9, n: int = 400) -> Rows:
    """Ordinary turns, in which one conversation has turns of these log-odds of risk."""
    rows = made.rows(n, 41)
    keys, odds = rows.conversations().copy(), rows.signals[RISK].copy()
    for place, risk in enumerate(risks):
        keys[20 + 7 * place] = key
        odds[20 + 7 * place] = 1 / (1 + np.exp(-risk))
    return replace(rows, conversation=keys, signals={**rows.signals, RISK: odds})


def test_a_conversation_whose_turns_are_each_below_a_half_fires_and_its_turns_are_shown() -> None:
    rows = talk([-0.6] * 8)
    assert rows.signals[RISK].max() < 0.5
    (alarm,) = alarms(said(EscalatingConversation(), rows)[1])
    assert set(alarm.exemplars) <= {rows.ids[20 + 7 * place] for place in range(8)}
    assert alarm.effect is not None
    assert alarm.effect.after == 1


def test_no_single_turn_and_no_two_fire_however_risky() -> None:
    assert not alarms(said(EscalatingConversation(), talk([11.0, 11.0]))[1])
    assert alarms(said(EscalatingConversation(), talk([11.0, 11.0, 11.0, 11.0]))[1])


def test_the_same_turns_in_conversations_of_their_own_say_nothing() -> None:
    rows = talk([-0.6] * 8)
    apart = replace(rows, conversation=np.arange(len(rows), dtype=np.int64) + 1)
    state, found = said(EscalatingConversation(), apart)
    assert not alarms(found)
    assert len(state.walks) == LIVE


def test_without_conversations_it_is_blind_and_says_why() -> None:
    (blind,) = said(EscalatingConversation(), replace(made.rows(400, 41), conversation=None))[1]
    assert (blind.status, blind.row, blind.reason) == ("blind", 199, "no exchange carries a conversation")


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_length_of_answers_is_told_as_a_ratio_with_the_amounts(factor: float) -> None:
    chance = np.random.default_rng(3)

    def of(n: int, seed: int, by: float) -> Rows:
        rows = made.rows(n, seed)
        style = rows.style.copy()
        style[:, 0] = np.log1p(by * np.exp(6 + 0.5 * chance.normal(size=n)))
        return replace(rows, style=style)

    found = said(ScoreShift(), of(600, 5, factor), of(600, 6, 1.0))[1]
    (alarm,) = [one for one in alarms(found) if one.stream.signal == "answer_length"]
    assert alarm.direction == ("down" if factor < 1 else "up")
    assert alarm.effect is not None
    assert alarm.effect.after == pytest.approx(factor, rel=0.25)
    (moved,) = alarm.movements
    assert moved.after / moved.before == pytest.approx(factor, rel=0.25)


def test_what_is_not_told_is_no_stream_and_what_is_told_no_longer_is_blind_until_it_is_again() -> None:
    base = made.rows(600, 6)
    silent = replace(base, measures={})
    assert "latency_ms" not in {one.signal for one in ScoreShift().streams(replace(made.baseline(), rows=silent))}
    gone = replace(made.rows(300, 7), measures={"latency_ms": np.full(300, np.nan)})
    found = said(ScoreShift(), made.joined(gone, made.rows(60, 8)), base)[1]
    of_latency = [(one.row, one.status) for one in found if one.stream.signal == "latency_ms" and one.transition]
    assert [status for _, status in of_latency] == ["blind", "quiet"]
    assert of_latency[0][0] == 199


def test_values_that_never_vary_are_blind_with_the_reason() -> None:
    base = replace(made.rows(600, 6), measures={"latency_ms": np.full(600, 100.0)})
    found = said(ScoreShift(), made.rows(60, 8), base)[1]
    (blind,) = [one for one in found if one.status == "blind"]
    assert (blind.stream.signal, blind.reason) == ("latency_ms", "its values never varied in the baseline")


def test_novel_exchanges_are_shown_and_common_ones_are_not() -> None:
    rows = attack(share=0.15)
    chance = np.random.default_rng(5)
    strange = np.flatnonzero(made.rows(300, 31, attacks=0.15).prompt[:, 0] != made.rows(300, 31).prompt[:, 0])
    prompt = rows.prompt.copy()
    prompt[strange] = made._unit(chance.normal(size=(len(strange), made.WIDTH)))
    found = said(Novelty(), replace(rows, prompt=prompt))[1]
    shown = {id for one in found for id in one.exemplars}
    assert shown
    assert len(shown - {rows.ids[i] for i in strange}) <= 0.2 * len(shown) + 1
    quiet = {id for one in said(Novelty(), made.rows(300, 33))[1] for id in one.exemplars}
    assert len(quiet) <= 2


def test_p_values_of_prompts_like_the_baseline_are_at_most_nominal() -> None:
    chance = np.random.default_rng(6)
    cloud = made._unit(chance.normal(size=(1500, 24)) @ made.AXES[:24] + 3 * made.TOPIC[0])
    found = fit_novelty(cloud[:1000])
    assert found is not None
    p = found[0].p_values(found[0].scores(cloud[1000:]))
    assert (p <= 0.05).mean() <= 0.09
    assert (p <= 0.001).mean() <= 0.01


def test_the_levels_of_lord_spend_no_more_than_the_rate_allows() -> None:
    assert sum(lord_level(place, (), 0.1) for place in range(1, 5000)) <= 0.05
    gained = sum(lord_level(place, (10,), 0.1) - lord_level(place, (), 0.1) for place in range(11, 5000))
    assert gained <= 0.05
