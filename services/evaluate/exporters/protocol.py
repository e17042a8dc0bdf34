"""What an exporter is, and what each of them needs of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.evaluate.result import AskedItem, RunResult, SuiteAnswer


class RunExporter(Protocol):
    """One format in which runs leave.

    Attributes:
        name: what `--to` says. ending: of its files. several: whether a file may hold more than one run.
    """

    @property
    def name(self) -> str:
        """What `--to` says."""

    @property
    def ending(self) -> str:
        """How its files end."""

    @property
    def several(self) -> bool:
        """Whether a file may hold more than one run."""

    def export(self, found: Sequence[RunResult]) -> bytes:
        """The file that holds these runs; the same runs are the same bytes."""


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """An item of a run as all formats see it.

    Attributes:
        event: of the item, by more than half of its answers; None is unknown, and never passed.
        answers: those that came, by repeat. reason: why it is what it is, in words.
    """

    item: AskedItem
    event: bool | None
    answers: tuple[SuiteAnswer, ...]
    reason: str

    @property
    def answered(self) -> bool:
        """Whether the endpoint answered it at all."""
        return any(answer.error is None for answer in self.answers)


def items_of_run(run: RunResult) -> Iterator[ExportedItem]:
    """Every item of the suite, those too that were not asked."""
    events = run.events
    answers: dict[str, list[SuiteAnswer]] = {item.id: [] for item in run.suite.items}
    for answer in run.answers:
        answers[answer.item].append(answer)
    for item in run.suite.items:
        came = tuple(sorted(answers[item.id], key=lambda answer: answer.repeat))
        yield ExportedItem(item, events[item.id], came, _reason(came, events[item.id], item.pair is not None))


def _reason(answers: Sequence[SuiteAnswer], event: bool | None, paired: bool) -> str:
    """What the scorer said of an answer that is like the item; of an unanswered one, why."""
    alike = [one.scored.reason for one in answers if one.scored is not None and (paired or one.scored.event == event)]
    return next(iter(alike), next((one.error for one in answers if one.error is not None), ""))


def answer_event(answer: SuiteAnswer, item: AskedItem, events: Mapping[str, bool | None]) -> bool | None:
    """Whether one answer is an event; an answer of a pair is one when its item is."""
    if item.pair is not None:
        return events[item.id]
    return None if answer.scored is None else answer.scored.event
