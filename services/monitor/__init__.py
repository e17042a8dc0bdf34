"""The monitor file: what is watched on which route, how closely, and who is told."""

from services.monitor.file import MonitorError, check, load
from services.monitor.policy import (
    BaselinePolicy,
    Monitor,
    Receiver,
    RoutePolicy,
    Schedule,
    SlackReceiver,
    Target,
)
from services.monitor.problems import Problem

__all__ = [
    "BaselinePolicy",
    "Monitor",
    "MonitorError",
    "Problem",
    "Receiver",
    "RoutePolicy",
    "Schedule",
    "SlackReceiver",
    "Target",
    "check",
    "load",
]
