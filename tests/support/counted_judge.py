"""A judge of suites within the test's process: it counts what was taken of it, and what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from services.errors import InputError
from services.evaluate.suite_judge import JudgeCallsSpent
from services.signals.protocol import Measurement, ScoredText

DAY = date(2026, 11, 24)


@dataclass
class CountedJudge:
    """Says what `says` does of a text, and counts what was taken and what was asked."""

    says: Callable[[str], bool | None] = lambda _: False
    version: str = "custom.complied 1"
    usable: bool = True
    errors: None = None
    most: int = 1_000
    taken: int = 0
    asked: int = 0

    def take(self, calls: int) -> date:
        if not self.usable:
            raise InputError("its judge was not checked")
        if calls > self.most:
            raise JudgeCallsSpent("too few are left today")
        self.taken += calls
        return DAY

    def give_back(self, calls: int, day: date) -> None:
        assert day == DAY
        self.taken -= calls

    def complied(self, text: ScoredText) -> Measurement:
        self.asked += 1
        value = self.says(text.response)
        return Measurement(value, reason=None if value is not None else "timeout")
