"""The topics as data: name, record, key, the one producer, consumers, partitions, retention, size limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Step = Literal["score", "detect", "evaluate", "alert", "record", "api"]
PUBLISHERS: Final = "publishers"
_DAY: Final = 24
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention_hours` bounds how long text and vectors can stay on the broker."""

    name: str
    records: tuple[str, ...]
    producer: str
    consumers: tuple[Step, ...]
    key: str = "route"
    partitions: int = 6
    retention_hours: int = 7 * _DAY
    max_message_bytes: int = 4 * _MIB

    def dead(self, step: Step) -> str:
        """The topic of what `step` could not read of this one."""
        if step not in self.consumers:
            raise ValueError(f"{step} does not consume {self.name}")
        return f"{self.name}.{step}.dead"


EXCHANGES: Final = Topic("keelwatch.exchanges", ("exchange",), PUBLISHERS, ("score",))
SCORES: Final = Topic("keelwatch.scores", ("score",), "score", ("detect", "record"))
SAMPLES: Final = Topic("keelwatch.samples", ("sample_block",), "score", ("record",))
READINGS: Final = Topic("keelwatch.readings", ("reading",), "detect", ("alert", "record"))
CHANGES: Final = Topic("keelwatch.changes", ("change",), "detect", ("evaluate", "alert", "record"))
DECISIONS: Final = Topic("keelwatch.decisions", ("decision",), "api", ("detect", "evaluate", "alert", "record"))
EVALUATIONS: Final = Topic("keelwatch.evaluations", ("run", "comparison"), "evaluate", ("alert", "record"))
ALERTS: Final = Topic("keelwatch.alerts", ("alert",), "alert", ("record",))

TOPICS: Final = (EXCHANGES, SCORES, SAMPLES, READINGS, CHANGES, DECISIONS, EVALUATIONS, ALERTS)


def dead_topics() -> tuple[Topic, ...]:
    """One dead-letter topic per (topic, consuming step), read by `record` and by people."""
    return tuple(
        Topic(topic.dead(step), ("dead_letter",), step, ("record",), key="none", partitions=1)
        for topic in TOPICS
        for step in topic.consumers
    )
