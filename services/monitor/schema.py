"""The monitor file as pydantic models: what may stand where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.monitor import cron
from services.monitor.policy import KeepText, default_floors
from services.monitor.problems import suggestion
from services.specs import PLANNED

MONITORED_SIGNALS: Final = frozenset(default_floors())
"""Signals that this version scores."""
PLANNED_SLICES: Final = frozenset({"hazard", "language"})

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PATTERN: Final = re.compile(r"[a-z0-9._/*?-]{1,200}", re.ASCII)
_MENTION: Final = re.compile(r"<(?:!subteam\^[A-Z0-9]+|!here|!channel|!everyone|@[UW][A-Z0-9]+)>", re.ASCII)
_SLICE: Final = re.compile(r"tags\.[^\s.][^\s]{0,99}")


def _duration(value: Any) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a number with s, m, h or d, for example 0m, 1h, 24h or 7d")
    delay = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if delay > timedelta(days=365):
        raise ValueError("must be at most 365d")
    return delay


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"not an IANA time zone{_nearest_zone(name)}") from None
    return name


@cache
def _nearest_zone(name: str) -> str:
    found = suggestion(name, available_timezones())
    return found if "did you mean" in found else ", for example Europe/Berlin"


def _slice(name: str) -> str:
    if name not in PLANNED_SLICES and not _SLICE.fullmatch(name):
        raise ValueError("must be hazard, language or tags.NAME, for example tags.locale")
    return name


def _signal(name: str) -> str:
    known = MONITORED_SIGNALS | {spec.name for spec in PLANNED}
    if name not in known:
        raise ValueError(f"unknown signal{suggestion(name, known)}")
    return name


def _pattern(pattern: str) -> str:
    if not _PATTERN.fullmatch(pattern):
        raise ValueError("a route pattern is 1-200 characters of [a-z0-9._/-] with * and ?")
    return pattern


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, credentials = parts.hostname, parts.username or parts.password
        _ = parts.port
    except ValueError:
        host, credentials, parts = None, None, urlsplit("")
    if credentials:
        raise ValueError("must not hold user or password; name the environment variable in api_key_env")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a URL such as https://api.example.com/v1")
    return url


def is_mention(text: str) -> bool:
    """Whether it is mentions as Slack writes them, with spaces between, and nothing else."""
    words = text.split(" ")
    return len(words) <= 5 and all(_MENTION.fullmatch(word) for word in words)


def _mention(text: str) -> str:
    if not is_mention(text):
        raise ValueError("must be mentions as Slack writes them, such as <!subteam^S123>, <@U123> or <!here>")
    return text


EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=100)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@/-]*$", max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
SignalName = Annotated[str, AfterValidator(_signal)]
Slice = Annotated[str, AfterValidator(_slice)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Section(BaseModel):
    """A mapping of the monitor file: strict, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BaselineSection(Section):
    """`baseline`."""

    size: Annotated[int, Field(ge=50, le=100_000)] | None = None
    min_size: Annotated[int, Field(ge=50, le=100_000)] | None = None
    max_days: Annotated[float, Field(gt=0, le=365)] | None = None
    per_hour: Annotated[int, Field(ge=1, le=100_000)] | None = None


class TargetSection(Section):
    """`target`: `settings` are handed to the endpoint as they are."""

    url: Annotated[str, AfterValidator(_endpoint)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    api_key_env: EnvironmentName | None = None
    system_prompt_file: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)


class ScheduleSection(Section):
    """An entry of `schedules`."""

    name: Name
    cron: Annotated[str, AfterValidator(cron.checked)]
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"


class RouteSection(Section):
    """An entry of `routes`, and `defaults`. What is left out comes from the defaults."""

    baseline: BaselineSection | None = None
    floors: Mapping[SignalName, Share] | None = None
    false_pages_per_month: Annotated[float, Field(gt=0, le=1000)] | None = None
    keep_text: KeepText | None = None
    embed_share: Annotated[float, Field(gt=0, le=1)] | None = None
    slices: tuple[Slice, ...] | None = None
    suites: tuple[Name, ...] | None = None
    target: TargetSection | None = None
    schedules: tuple[ScheduleSection, ...] | None = None
    after_change: tuple[Duration, ...] | None = None
    notify: tuple[Name, ...] | None = None


class SlackSection(Section):
    """`slack` of a receiver."""

    channel: Annotated[str, StringConstraints(pattern=r"^[#CGD][^\s]{1,80}$")]
    token_env: EnvironmentName
    mention: Annotated[str, AfterValidator(_mention)] | None = None


class ReceiverSection(Section):
    """An entry of `receivers`."""

    slack: SlackSection


class MonitorFile(Section):
    """The whole file."""

    defaults: RouteSection = RouteSection()
    allow_hosts: tuple[Annotated[str, StringConstraints(min_length=1, max_length=253)], ...] = ()
    routes: Mapping[Annotated[str, AfterValidator(_pattern)], RouteSection] = Field(default_factory=dict)
    receivers: Mapping[Name, ReceiverSection] = Field(default_factory=dict)
