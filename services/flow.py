"""The table of steps, and the chain of one route's cores that replay and the stream both run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.reading import Reading
from schemas.score import ScoreBlock
from schemas.topics import TOPICS, dead_topics
from services.alert.core import step as alert_step
from services.alert.state import AlertState
from services.detect.core import step as detect_step
from services.detect.state import DetectionPlan, DetectState


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One step of the flow. The runner of the stream starts any subset of them."""

    name: str
    what: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the topics that it reads, those of dead letters too."""
        return tuple(topic.name for topic in (*TOPICS, *dead_topics()) if self.name in topic.consumers)


STEPS: Final = (
    FlowStep("score", "decode, identity, signals, embedding; then redact"),
    FlowStep("detect", "every route held against its pinned baseline"),
    FlowStep("evaluate", "suites run against the changed model, compared with the baseline's run"),
    FlowStep("alert", "readings, evaluations and decisions become transitions"),
    FlowStep("record", "everything becomes rollups, samples and incidents in the database"),
    FlowStep("notify", "incidents told in Slack, from the database's outbox"),
    FlowStep("api", "what people see and decide"),
)


def topics_of(step: str) -> tuple[str, ...]:
    """Names of the topics that a step reads."""
    (known,) = (one for one in STEPS if one.name == step)
    return known.reads


@dataclass(frozen=True, slots=True)
class RouteFlow:
    """The states of one route in all the cores that it passes between its scores and its alerts."""

    detect: DetectState
    alert: AlertState

    @classmethod
    def start(cls, route: str) -> RouteFlow:
        """A route that was never seen."""
        return cls(DetectState.start(route), AlertState.start(route))


@dataclass(frozen=True, slots=True)
class RouteOutput:
    """What the cores of one route said of a batch, in order."""

    readings: tuple[Reading, ...]
    changes: tuple[Change, ...]
    alerts: tuple[Alert, ...]


def advance(plan: DetectionPlan, flow: RouteFlow, item: ScoreBlock | Decision) -> tuple[RouteFlow, RouteOutput]:
    """Take a block of scores or a decision of one route through detect and alert."""
    detect, output = detect_step(plan, flow.detect, [item])
    inputs: list[Reading | Change | Decision] = [item] if isinstance(item, Decision) else []
    inputs += _in_order(output.readings, output.changes)
    alert, alerts = alert_step(flow.alert, inputs, None, plan.policy.shadows)
    return RouteFlow(detect, alert), RouteOutput(output.readings, output.changes, alerts)


def _in_order(readings: Sequence[Reading], changes: Sequence[Change]) -> list[Reading | Change]:
    """By exchange; at one exchange the readings come first, since changes follow from them."""
    return sorted([*readings, *changes], key=lambda record: record.event_index)
