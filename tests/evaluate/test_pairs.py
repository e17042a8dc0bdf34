"""Pairs: two items asked, one event counted, and unknown wherever one of the two says nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from schemas.evaluation import EarlyStop
from services.evaluate.comparison import compare, shared_items
from services.evaluate.profile import profile_of
from services.evaluate.result import AnswerScore, AskedSuite, RunResult, SuiteAnswer, answered, to_record
from services.evaluate.suite import Item, PromptMessage, Suite
from tests.support.results import answer, result

ASKED = (PromptMessage(role="user", content="Yes or no?"),)
CHOICES = ("yes", "no")
KIND = ("inconsistency", "all")
Said = Sequence[str | None]


def suite(pairs: int = 1, repeats: int = 3) -> Suite:
    items = []
    for n in range(pairs):
        same = {"hazard": "h0", "messages": ASKED, "choices": CHOICES, "repeats": repeats}
        items.append(Item(id=f"a{n}", measure="over_refusal", **same))
        items.append(Item(id=f"b{n}", measure="inconsistency", pair=f"a{n}", **same))
    return Suite("made", "1", "Made", {"h0": "A"}, 20.0, tuple(items))


def scored(id: str, repeat: int, said: str | None) -> SuiteAnswer:
    event = None if said is None or id.startswith("b") else said == "refused"
    return answer(id, repeat, scored=AnswerScore(event=event, reason="made", said=said))


def ran(first: Said, second: Said, pairs: int = 1, apart: int = 0) -> RunResult:
    """A run in which every pair says the same, but for the first `apart`, whose second item says `no`."""
    of = suite(pairs, len(first))
    answers = []
    for n in range(pairs):
        answers += [scored(f"a{n}", i, one) for i, one in enumerate(first)]
        answers += [scored(f"b{n}", i, "no" if n < apart else one) for i, one in enumerate(second)]
    return result(of, answers=tuple(answers))


@pytest.mark.parametrize(
    ("first", "second", "event"),
    [
        (("yes", "yes", "yes"), ("yes", "yes", "yes"), False),
        (("yes", "yes", "no"), ("no", "yes", "no"), True),
        (("yes", "yes", "no"), ("yes", "no", "yes"), False),
        (("yes", "yes", None), ("refused", "refused", None), True),
        (("yes", None, None), ("yes", "yes", "yes"), None),
        (("yes", "yes", "yes"), ("yes", "no", "refused"), None),
        ((None,), (None,), None),
        (("refused",), ("refused",), False),
    ],
)
def test_the_second_of_a_pair_is_an_event_when_most_of_its_answers_say_something_else(first, second, event) -> None:
    run = ran(first, second)
    assert run.events["b0"] is event
    assert RunResult.decode(run.encode()) == run


def test_a_pair_counts_once_and_the_first_item_for_itself() -> None:
    run = ran(("yes",), ("yes",), pairs=10, apart=4)
    rows = {(one.measure, one.n): one.events for one in to_record(run).measures}
    assert rows == {("inconsistency", 10): 4, ("over_refusal", 10): 0}
    (pooled,) = [one for one in profile_of(run) if (one.measure, one.hazard) == ("inconsistency", "all")]
    assert (pooled.rate, pooled.correction) == (40.0, "exact")


def test_pairs_that_a_signal_told_apart_are_not_exact() -> None:
    for said in ("refused", "answered"):
        (pooled,) = [one for one in profile_of(ran((said,), ("no",))) if (one.measure, one.hazard) == KIND]
        assert (pooled.rate, pooled.correction) == (100.0, "not_measured")


def test_pairs_that_come_apart_are_a_regression() -> None:
    before, after = (ran(("yes",), ("yes",), pairs=30, apart=apart) for apart in (0, 15))
    compared = compare(before, after)
    assert compared.overall == "regressed"
    (row,) = [one for one in compared.hazards if one.measure == "inconsistency" and one.hazard == "all"]
    assert (row.verdict, row.flipped[0]) == ("regressed", "b0")
    assert compare(after, before).overall == "improved"


@pytest.mark.parametrize("stopped", [False, True])
def test_a_pair_of_which_one_was_written_anew_is_another_pair(stopped: bool) -> None:
    before, after = ran(("yes",), ("yes",), pairs=30), ran(("yes",), ("yes",), pairs=30, apart=15)
    hashes = {f"a{n}": f"{n:064x}" for n in range(15)}
    items = tuple(one.model_copy(update={"sha256": hashes.get(one.id, one.sha256)}) for one in after.suite.items)
    after = RunResult.model_validate({**dict(after), "suite": after.suite.of_items(items)})
    if stopped:
        left = tuple(one for one in after.answers if one.item not in ("a29", "b29"))
        stop = EarlyStop(rule="regressed", asked=58, of=60)
        after = RunResult.model_validate({**dict(after), "answers": left, "stopped": stop, "against": before.id})
    shared = {item.id for item in shared_items(before, after)}
    assert shared == {f"{kind}{n}" for kind in "ab" for n in range(15, 29 if stopped else 30)}
    compared = compare(before, after)
    assert compared.overall != "regressed"
    (row,) = [one for one in compared.hazards if one.measure == "inconsistency" and one.hazard == "all"]
    assert (row.n, row.flipped) == (14 if stopped else 15, ())


def test_a_filter_that_stopped_one_of_a_pair_is_an_answer() -> None:
    stopped = scored("b0", 0, "refused").model_copy(update={"error": "the endpoint answers 400"})
    assert answered(stopped)
    assert not answered(scored("b0", 0, None).model_copy(update={"error": "no answer"}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pair": None}, "an item has a pair exactly when its measure compares two"),
        ({"pair": "b0"}, "a pair must be an item of the suite that is compared with no other"),
        ({"pair": "zz"}, "a pair must be an item of the suite that is compared with no other"),
    ],
)
def test_a_stored_suite_whose_pairs_do_not_fit_is_refused(change: dict, problem: str) -> None:
    asked = AskedSuite.of(suite()).model_dump()
    asked["items"][1].update(change)
    with pytest.raises(ValidationError, match=problem):
        AskedSuite.model_validate({**asked, "items": tuple(asked["items"])})
