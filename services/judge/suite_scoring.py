"""The judge of the monitor file that scores suites: asked one answer at a time, of calls that were taken before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from services.errors import InputError
from services.evaluate.scorer_errors import LabelledSource, ScorerErrors
from services.evaluate.suite_judge import JudgeCallsSpent
from services.judge.agreement import Agreement
from services.judge.panel import JudgePanel, JudgeWorld
from services.signals.custom.definition import CustomDefinition
from services.signals.custom.judge_rule import JudgeRule
from services.signals.protocol import Measurement, ScoredText
from services.wording import signals as words

SECONDS: Final = 60.0
"""How long one answer waits for its judge, at most."""
CHECKED_ON: Final = "judge check"


@dataclass(frozen=True, slots=True)
class PanelSuiteJudge:
    """A judge of a panel as `services.evaluate.suite_judge.SuiteJudge`."""

    definition: CustomDefinition
    rule: JudgeRule
    panel: JudgePanel
    world: JudgeWorld

    @property
    def version(self) -> str:
        """Signal, prompt, model and a hash of what it is asked."""
        return f"{self.definition.spec.name} {self.definition.version}"

    @property
    def errors(self) -> ScorerErrors | None:
        """Of the labelled exchanges that `judge check` asked it about and it said something of."""
        found = self.world.checks.found(self.definition.spec.name, self.definition.version)
        return None if found is None else errors_of_agreement(self.version, found)

    def take(self, calls: int) -> date:
        """Take calls out of the day's; see the protocol."""
        name, most = self.definition.spec.name, self.rule.daily_calls
        if (why := self.panel.refusal(self.definition, self.rule)) is not None:
            raise InputError(words.judge_unusable(name, why))
        if calls > most:
            raise InputError(words.over_daily_calls(name, calls, most))
        today = self.world.clock().date()
        granted = self.world.calls.take(name, calls, most, today)
        if granted < calls:
            self.give_back(granted, today)
            raise JudgeCallsSpent(words.calls_left(name, calls, granted))
        return today

    def give_back(self, calls: int, day: date) -> None:
        """Calls that were taken on a day and not made."""
        self.world.calls.give_back(self.definition.spec.name, calls, day)

    def complied(self, text: ScoredText) -> Measurement:
        """What it says of one answer."""
        return self.panel.ask_taken(self.definition, self.rule, text, SECONDS)


def errors_of_agreement(version: str, found: Agreement) -> ScorerErrors | None:
    """How often a judge finds what people call yes, and passes what they call no; None where either is not known."""
    yes, no = found.both + found.people_alone, found.neither + found.judge_alone
    if not yes or not no:
        return None
    source = LabelledSource(name=CHECKED_ON, events=yes, found=found.both, others=no, passed=found.neither)
    return ScorerErrors(scorer=version, sources=(source,))
