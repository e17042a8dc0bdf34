"""What sends scores out as events, where the monitor file says to where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry

from services.errors import InputError
from services.monitor import Monitor
from services.monitor.score_events import ScoreEventsPolicy
from services.monitor.sent_values import SentValue, may_be_sent
from services.observability.metrics import ScoreEventMeters
from services.outbound import Outbound, checked_url
from services.settings import secret
from services.stream.broker import Broker
from services.stream.runner import Companion
from services.stream.score_events import EventSink, OtlpSink, ScoreEventExporter, TopicSink


def score_event_companion(watched: Monitor, broker: Broker, registry: CollectorRegistry) -> Companion | None:
    """The companion; None where scores go nowhere.

    Raises:
        InputError: if a variable that a header is taken from holds nothing that can be sent, or the URL may not be
            called.
    """
    policy = watched.score_events
    if policy is None:
        return None

    def chosen(route: str) -> frozenset[str]:
        held = watched.policy(route)
        return policy.chosen(held.floors, held.objectives)

    return ScoreEventExporter(broker, _sink(policy, watched), chosen, ScoreEventMeters(registry)).run


def _sink(policy: ScoreEventsPolicy, watched: Monitor, ask: Callable[[str], str | None] = secret) -> EventSink:
    if policy.url is None:
        return TopicSink(policy.topic or "")
    headers = {name: _sent(value, ask) for name, value in policy.headers.items()}
    checked_url(policy.url, watched.allow_hosts)
    return OtlpSink(partial(Outbound, policy.url, watched.allow_hosts, connections=1), headers)


def _sent(value: SentValue, ask: Callable[[str], str | None]) -> str:
    if isinstance(value, str):
        return value
    found = ask(value.name)
    if not found or not may_be_sent(found):
        raise InputError(f"{value.name}: holds nothing that score_events can send; set the variable")
    return found
