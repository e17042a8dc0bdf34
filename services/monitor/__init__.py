"""The monitor file: what is watched on which route, how closely, and who is told."""

from services.monitor.loader import MonitorError, check, load
from services.monitor.policy import (
    BaselinePolicy,
    GuardrailPolicy,
    IngestLimits,
    Monitor,
    RailPolicy,
    ReaskPolicy,
    RoutePolicy,
    SchedulePolicy,
    SlackAccess,
    SlackGrant,
    SpendingLimit,
    Target,
    TokenPrices,
)
from services.monitor.problems import MonitorProblem
from services.monitor.receiver_section import (
    OpsgenieReceiver,
    PagerDutyReceiver,
    ReceiverPolicy,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)

__all__ = [
    "BaselinePolicy",
    "GuardrailPolicy",
    "IngestLimits",
    "Monitor",
    "MonitorError",
    "MonitorProblem",
    "OpsgenieReceiver",
    "PagerDutyReceiver",
    "RailPolicy",
    "ReaskPolicy",
    "ReceiverPolicy",
    "RoutePolicy",
    "SchedulePolicy",
    "SlackAccess",
    "SlackGrant",
    "SlackReceiver",
    "SpendingLimit",
    "Target",
    "TeamsReceiver",
    "TokenPrices",
    "WebhookReceiver",
    "check",
    "load",
]
