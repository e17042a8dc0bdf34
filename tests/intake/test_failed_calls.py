"""A call that failed before anybody answered is no other identity, and no change."""

from __future__ import annotations

from schemas.identity import Model, identity_of
from services.intake.core import IntakeState, step
from services.intake.volatile_fields import Volatility, meant_identity, observe
from services.record.core import additions
from services.replay.scored_rows import learnable
from services.score.blocks import rows_of
from tests.support.blocks import Row, block

ASKED = Model(requested="gpt-4", provider="openai", system_prompt_sha256="a")
SERVED = ASKED.model_copy(update={"served": "gpt-4-0613"})
NEWER = ASKED.model_copy(update={"served": "gpt-4-1106"})
FAILED = ("no_response",)


def taken(*models: tuple[Model, tuple[str, ...]]) -> tuple[IntakeState, list[str], list[bool]]:
    """The identities of rows that come one a block, and which are of nobody that is known."""
    state, who, unserved = IntakeState.start("r"), [], []
    for i, (model, flags) in enumerate(models):
        state, intake = step(state, block([Row(f"e{i}", i, float(i), model=model, flags=flags)], "r"))
        who += intake.identity
        unserved += intake.unserved.tolist()
        assert set(intake.models) == set(intake.identity) - ({who[-1]} if unserved[-1] else set())
    return state, who, unserved


def test_it_was_meant_for_who_answered_such_calls_last() -> None:
    state, who, unserved = taken((SERVED, ()), (ASKED, FAILED), (NEWER, ()), (ASKED, FAILED), (ASKED, FAILED))
    assert who == [identity_of(one) for one in (SERVED, SERVED, NEWER, NEWER, NEWER)]
    assert unserved == [False] * 5
    assert set(state.volatility.identities) == {identity_of(SERVED), identity_of(NEWER)}


def test_nobody_is_known_before_the_first_answer_or_where_the_call_says_something_else() -> None:
    other = ASKED.model_copy(update={"system_prompt_sha256": "b"})
    state, who, unserved = taken((ASKED, FAILED), (SERVED, ()), (other, FAILED), (ASKED, FAILED))
    assert unserved == [True, False, True, False]
    assert who[3] == identity_of(SERVED)
    assert set(state.volatility.identities) == {identity_of(SERVED)}


def test_a_publisher_that_never_names_who_answered_keeps_its_identity() -> None:
    bare = Model(requested="gpt-4")
    _, who, unserved = taken((bare, ()), (SERVED, ()), (bare, FAILED))
    assert (who[2], unserved[2]) == (identity_of(bare), False)


def test_a_failed_call_that_names_who_answered_counts_as_it_says() -> None:
    _, who, unserved = taken((SERVED, ()), (NEWER, FAILED))
    assert (who, unserved) == ([identity_of(SERVED), identity_of(NEWER)], [False, False])


def test_volatile_fields_are_no_reason_to_know_nobody() -> None:
    state = Volatility(("system_prompt_sha256",))
    state, _ = observe(state, SERVED, 0, 0.0)
    failed = ASKED.model_copy(update={"system_prompt_sha256": "of today"})
    assert meant_identity(state, failed) == identity_of(SERVED, state.fields)
    assert meant_identity(state, Model(requested="gpt-5")) is None


def test_an_answer_that_broke_off_is_no_answer_of_rates_and_baselines_and_no_other_identity() -> None:
    broken = ("broken_off",)
    _, who, unserved = taken((SERVED, ()), (ASKED, broken))
    assert (who[1], unserved[1]) == (identity_of(SERVED), False)
    signals = {"refusal": True, "secret_leak": True}
    some = [Row(f"e{i}", i, float(i), flags=flags, signals=signals) for i, flags in enumerate([(), broken, FAILED])]
    _, intake = step(IntakeState.start("r"), block(some, "r"))
    assert intake.rows.answered.tolist() == [True, False, False]
    assert intake.rows.truths("secret_leak").tolist()[:2] == [1.0, 1.0]
    sums = additions(block(some[:2], "r"), step(IntakeState.start("r"), block(some[:2], "r"))[1]).sums
    told = {key[-1]: value for key, value in sums.items()}
    assert told == {"": (2, 1, 1.0), "refusal": (2, 1, 1.0), "secret_leak": (2, 2, 2.0)}
    assert [row.id for row in learnable(rows_of(block(some, "r")))] == ["e0"]
