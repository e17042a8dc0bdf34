"""The judge finds every kind of violation that is planted, and none where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.judge import Account, Row, Violation, invalid, judge
from tests.chaos.ledger import Ledger, Sent, check_of, poison, poison_id

IDS = [f"1-r-{n}" for n in range(20)]
DEAD = ["poison-1-0", "poison-1-7"]
SENT = Sent(frozenset([*IDS, *DEAD, "1-r-unknown"]), frozenset([*IDS, *DEAD]))
MINUTE = ("r", "12:00", "who", "", "refusal")


def row(id, check=None, digest=None):
    return Row("r", id, check or check_of(id), digest or f"digest of {id}")


CLEAN = Account(
    rows=[row(id) for id in IDS],
    dead=DEAD,
    dead_counted=2,
    counted={"r": 20},
    detected={"r": 20},
    rollups={MINUTE: (20, 19, 3.5)},
    told={"r": {"incidents": [{"id": "i1", "effect": {"before": 1.0}}], "alerts": []}},
)


def other(**changes):
    return replace(CLEAN, **changes)


def rows(*more, without=()):
    return [one for one in CLEAN.rows if one.id not in without] + list(more)


def less_one(**changes):
    """One row less, as the counts have it: nothing but the set can tell."""
    return other(rows=rows(without=IDS[:1]), counted={"r": 19}, detected={"r": 19}, **changes)


PLANTED = {
    "an accepted exchange has no end": (less_one(), Violation("lost", IDS[0])),
    "another one has its place: the counts agree": (
        other(rows=rows(row("1-r-unknown"), without=IDS[:1])),
        Violation("lost", IDS[0]),
    ),
    "poison has no end": (other(dead=DEAD[1:]), Violation("lost", DEAD[0])),
    "a row that nobody sent": (
        other(rows=rows(row("2-r-0")), counted={"r": 21}, detected={"r": 21}),
        Violation("invented", "2-r-0"),
    ),
    "a dead letter that nobody sent": (other(dead=[*DEAD, "{gibberish"]), Violation("invented", "{gibberish")),
    "its payload is that of another": (
        other(rows=rows(row(IDS[0], check=check_of(IDS[1])), without=IDS[:1])),
        Violation("altered", IDS[0]),
    ),
    "its numbers are others": (
        other(rows=rows(row(IDS[0], digest="x"), without=IDS[:1])),
        Violation("altered", IDS[0]),
    ),
    "two rows": (other(rows=rows(row(IDS[3]))), Violation("counted twice", f"score row of {IDS[3]}")),
    "rollups count one twice": (other(counted={"r": 21}), Violation("counted twice", "rollups of r: 21, not 20")),
    "rollups leave one out": (other(counted={"r": 19}), Violation("lost", "rollups of r: 19, not 20")),
    "rollups of a route nobody sent": (
        other(counted={"r": 20, "s": 1}),
        Violation("counted twice", "rollups of s: 1, not 0"),
    ),
    "detect counts one twice": (other(detected={"r": 21}), Violation("counted twice", "detect of r: 21, not 20")),
    "detect forgot a route": (other(detected={}), Violation("lost", "detect of r: 0, not 20")),
    "a dead letter is counted twice": (
        other(dead_counted=3),
        Violation("counted twice", "dead letters: 3, not 2"),
    ),
    "a good exchange is dead": (less_one(dead=[*DEAD, IDS[0]]), Violation("wrong end", IDS[0])),
    "both scored and dead": (other(dead=[*DEAD, IDS[0]]), Violation("wrong end", IDS[0])),
    "poison is scored": (
        other(rows=rows(row(DEAD[0])), counted={"r": 21}, detected={"r": 21}),
        Violation("wrong end", DEAD[0]),
    ),
    "the sum of a signal is off": (
        other(rollups={MINUTE: (20, 19, 3.5 + 1e-6)}),
        Violation("miscounted", f"{MINUTE}: (20, 19, 3.500001), not (20, 19, 3.5)"),
    ),
    "a minute is missing": (other(rollups={}), Violation("miscounted", f"{MINUTE}: None, not (20, 19, 3.5)")),
    "the incident is there twice": (
        other(told={"r": {"incidents": 2 * CLEAN.told["r"]["incidents"], "alerts": []}}),
        Violation("told otherwise", "alerts or incidents of r"),
    ),
    "there is no incident": (other(told={}), Violation("told otherwise", "alerts or incidents of r")),
    "its numbers differ": (
        other(told={"r": {"incidents": [{"id": "i1", "effect": {"before": 1.0 + 1e-6}}], "alerts": []}}),
        Violation("told otherwise", "alerts or incidents of r"),
    ),
}


def test_what_is_right_is_not_found_wrong():
    assert judge(SENT, CLEAN, CLEAN) == []
    assert judge(SENT, other(dead=[*DEAD, *DEAD]), CLEAN) == [], "a dead letter may be sent again"
    assert judge(SENT, other(rollups={MINUTE: (20, 19, 3.5 + 1e-12)}), CLEAN) == []


def test_an_unknown_outcome_may_have_an_end():
    with_it = other(rows=rows(row("1-r-unknown")), counted={"r": 21}, detected={"r": 21})
    assert judge(SENT, with_it, with_it) == []


@pytest.mark.parametrize(("seen", "violation"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(seen, violation):
    assert violation in judge(SENT, seen, CLEAN)


def test_a_run_whose_faults_did_not_all_fire_is_invalid():
    assert invalid(["a", "a", "b"], ["a", "b", "a"], redelivered=1) == []
    assert invalid(["a", "a", "b"], ["a", "b"], redelivered=1) == ["did not fire: a"]
    assert invalid(["a"], ["a"], redelivered=0) == ["nothing was delivered again"]


def test_the_ledger_is_appended_to_and_says_what_was_written(tmp_path):
    path = tmp_path / "ledger"
    for id in ("one", "two", "three"):
        ledger = Ledger(path)
        ledger.issue(id)
        {"one": ledger.accept, "two": ledger.unknown, "three": lambda _: None}[id](id)
        ledger.close()
    assert ledger.sent() == Sent(frozenset(["one", "two", "three"]), frozenset(["one"]))


def test_poison_says_which_it_is_and_altered_poison_is_not_it():
    _, _, raw = poison("poison-1-7")
    assert poison_id(raw) == "poison-1-7"
    assert poison_id(raw.replace(b"1-7", b"1-8")) != "poison-1-8"
