"""`score_events` of the monitor file: where the scores of live traffic go as OpenTelemetry events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.topics import TOPICS
from services.monitor.fields import Endpoint, Section, SentHeaders, SignalName, headers_field
from services.monitor.sent_values import SentValue

DEAD: Final = ".dead"


def _foreign(topic: str) -> str:
    if topic in {one.name for one in TOPICS} or topic.endswith(DEAD):
        raise ValueError("is a topic of Keelwatch's own records; name another, such as keelwatch.score-events")
    return topic


EventTopic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=249), AfterValidator(_foreign)]


class ScoreEventsSection(Section):
    """`score_events`: every score of live traffic, as an event `gen_ai.evaluation.result` without text."""

    topic: EventTopic | None = Field(
        default=None, description="A topic of the same broker, which must be there: OTLP JSON, keyed by route."
    )
    url: Endpoint | None = Field(
        default=None,
        description="An endpoint of OTLP over HTTP, with its path: `https://collector.example.com/v1/logs`; a private "
        "one stands under `allow_hosts`.",
    )
    headers: SentHeaders = headers_field("Sent to the endpoint")
    signals: tuple[SignalName, ...] = Field(
        default=(), description="Whose scores; else of every signal that has a floor or an objective on the route."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.topic is None) == (self.url is None):
            raise ValueError("give either topic or url")
        if self.headers and self.url is None:
            raise ValueError("headers are sent to a url, and there is none; remove them")
        return self


@dataclass(frozen=True, slots=True)
class ScoreEventsPolicy:
    """Where scores go: to a `topic` of the broker, or to a `url` with `headers`; those of `signals`, or of the watched.

    >>> ScoreEventsPolicy(topic="scores").chosen({"refusal": 0.02}, {})
    frozenset({'refusal'})
    """

    topic: str | None = None
    url: str | None = None
    headers: Mapping[str, SentValue] = field(default_factory=dict)
    signals: tuple[str, ...] = ()

    def chosen(self, floors: Mapping[str, float], objectives: Mapping[str, float]) -> frozenset[str]:
        """The signals of a route with these floors and objectives."""
        return frozenset(self.signals or (*floors, *objectives))


def score_events_policy(section: ScoreEventsSection) -> ScoreEventsPolicy:
    """What a section says."""
    return ScoreEventsPolicy(section.topic, section.url, dict(section.headers), section.signals)
