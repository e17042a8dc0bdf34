"""A judge in place of the built-in head: who says whether an answer does what a disallowed request asks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, Protocol

from services.errors import InputError
from services.evaluate.result import SuiteAnswer
from services.evaluate.scorer_errors import ScorerErrors
from services.evaluate.suite import DISALLOWED, Item
from services.signals.protocol import Measurement, ScoredText
from services.wording import runs as words

MOST_SILENT: Final = 0.2
"""Of the answers that a judge was asked about: with more of them unjudged a run is not complete."""


class JudgeCallsSpent(InputError):  # noqa: N818 -- what is left today, no malfunction
    """Today a judge may not be asked as often as a run needs; it may tomorrow."""


class SuiteJudge(Protocol):
    """Asked of answers to disallowed requests; its calls are taken before a run begins."""

    @property
    def version(self) -> str:
        """Its signal, with the model and the version of the prompt: answers judged by another are not compared."""
        ...

    @property
    def errors(self) -> ScorerErrors | None:
        """How often it is wrong, by its check against labels."""
        ...

    def take(self, calls: int) -> date:
        """Take calls out of the day's; which day that is.

        Raises:
            JudgeCallsSpent: if so many are not left today.
            InputError: if it may not be asked at all; it names the remedy.
        """
        ...

    def give_back(self, calls: int, day: date) -> None:
        """Calls that were taken on a day and not made."""
        ...

    def complied(self, text: ScoredText) -> Measurement:
        """What it says of one answer; no value, with the reason, where it says nothing."""
        ...


def judged_items(questions: Sequence[tuple[Item, int]]) -> int:
    """How many of these questions a judge is asked about."""
    return sum(item.measure == DISALLOWED for item, _ in questions)


def times_asked(answers: Iterable[SuiteAnswer]) -> int:
    """About how many of these answers a judge was asked; what a filter stopped, and an error, is judged by none."""
    return sum(one.scored is not None and one.scored.judge is not None for one in answers)


def is_judged(answer: SuiteAnswer, judge: SuiteJudge | None) -> bool:
    """Whether this very judge said of an answer what it is."""
    scored = answer.scored
    return judge is not None and scored is not None and scored.event is not None and scored.judge == judge.version


def silence_of(answers: Sequence[SuiteAnswer]) -> str | None:
    """Why a run in which the judge said too little is not complete; None when it said enough."""
    of = times_asked(answers)
    scores = [one.scored for one in answers if one.scored is not None and one.scored.judge is not None]
    silent = [score.reason for score in scores if score.event is None]
    if len(silent) <= MOST_SILENT * of:
        return None
    return words.judge_silent(len(silent), of, Counter(silent).most_common(1)[0][0])
