"""When a worker that ended is started again: a pure policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BAD_INPUT: Final = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a supervisor is.

    Attributes:
        first, longest: seconds before a restart, doubled from failure to failure. healthy: a worker that ran as long
            was well, and the count begins anew. most: failures in a row after which it is given up.
    """

    first: float = 0.5
    longest: float = 30.0
    healthy: float = 60.0
    most: int = 10


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after `after` seconds; it is the failure number `failures` in a row."""

    after: float
    failures: int
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End, with this exit code."""

    code: int
    why: str


def decide(policy: Policy, failures: int, code: int, ran: float) -> Restart | GiveUp:
    """What follows when a worker ended with `code` (negative: by that signal) after `ran` seconds.

    `failures` is how many in a row there were before. Only what a person must mend is not tried again: bad input.
    """
    if code == BAD_INPUT:
        return GiveUp(BAD_INPUT, "the worker cannot run like this")
    failures = 1 if ran >= policy.healthy else failures + 1
    why = f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}"
    if failures > policy.most:
        return GiveUp(1, f"{why}, {failures} times in a row, each within {policy.healthy:g} s: given up")
    return Restart(min(policy.first * 2.0 ** (failures - 1), policy.longest), failures, why)
