"""What one value of the monitor file may be: durations, zones, names, patterns of routes, ids of Slack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from services.monitor import cron
from services.monitor.own_heads import headed
from services.monitor.problems import suggestion
from services.monitor.sent_values import checked_header, checked_parameter, checked_value
from services.signals.custom.definition import PREFIX
from services.specs import FORMER, TOPIC, dimensions, signals

MONITORED_SIGNALS: Final = frozenset(signals())
"""Signals that this version scores."""
CATEGORIES: Final = frozenset(spec.name for spec in signals().values() if spec.category)
"""Slices that are no tag: what a signal says that an exchange is of."""

T = TypeVar("T", bound=Mapping[str, Any])

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PATTERN: Final = re.compile(r"[a-z0-9._/*?-]{1,200}", re.ASCII)
_MENTION: Final = re.compile(r"<(?:!subteam\^[A-Z0-9]+|!here|!channel|!everyone|@[UW][A-Z0-9]+)>", re.ASCII)
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]{1,39}", re.ASCII)
_OWN_SIGNAL: Final = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
MOST_SIGNALS: Final = 50
MOST_VALUES: Final = 32
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
    named = CATEGORIES | dimensions() | {TOPIC}
    if name not in named and not _SLICE.fullmatch(name):
        known = ", ".join(sorted(named))
        raise ValueError(f"must be {known} or tags.NAME, for example tags.locale")
    return name


def _signal(name: str) -> str:
    known = (signals().keys() | set(FORMER)) - CATEGORIES
    if name.startswith(PREFIX) and _OWN_SIGNAL.fullmatch(name.removeprefix(PREFIX)):
        return name  # whether the file defines it is seen when all of it is read
    if name not in known:
        raise ValueError(f"unknown signal{suggestion(name, known)}")
    return name


def _headed(name: str) -> str:
    if name not in headed():
        raise ValueError(f"no signal with a head of its own{suggestion(name, headed())}")
    return name


def _label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError("must be 2-40 lower-case letters, digits and underscores, for example acme_key")
    return name


def _own_signal(name: str) -> str:
    if not _OWN_SIGNAL.fullmatch(name):
        raise ValueError(
            "must be 1-41 lower-case letters, digits and underscores, beginning with a letter, such as competitor_named"
        )
    return name


def few_signals(found: T) -> T:
    """As many signals of its own as a file may define, or a ValueError."""
    if len(found) > MOST_SIGNALS:
        raise ValueError(f"defines {len(found)} signals; at most {MOST_SIGNALS}, join keywords into one signal")
    return found


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


def _asked_url(url: str) -> str:
    """The URL of a target: what stands behind its path would come before the path that is added."""
    parts = urlsplit(_endpoint(url))
    if parts.query:
        raise ValueError("must not hold a query; write what follows the ? under query")
    if parts.fragment:
        raise ValueError("must not hold a #; remove what follows it")
    return url


def headers_field(when: str) -> Any:
    """The field of headers that are sent `when` that says, of every section that has one; its type is `SentHeaders`."""
    return Field(
        default_factory=dict,
        description=f"{when}: name to text, or to `{{env: NAME}}`, an environment variable; keys always by variable.",
    )


def few_values(found: T) -> T:
    """As many headers or parameters as a target may have, each name once, or a ValueError."""
    if len(found) > MOST_VALUES:
        raise ValueError(f"has {len(found)} entries; at most {MOST_VALUES}")
    names = [name.lower() for name in found]
    if second := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise ValueError(f"names {second} twice, in upper and lower case; keep one")
    return found


def is_mention(text: str) -> bool:
    """Whether it is mentions as Slack writes them, with spaces between, and nothing else."""
    words = text.split(" ")
    return len(words) <= 5 and all(_MENTION.fullmatch(word) for word in words)


def _mention(text: str) -> str:
    if not is_mention(text):
        raise ValueError("must be mentions as Slack writes them, such as <!subteam^S123>, <@U123> or <!here>")
    return text


def _slack_id(kinds: str, what: str, example: str) -> Callable[[str], str]:
    """A check that a text is an id as Slack gives it, which begins with one of the capitals `kinds`."""
    form = re.compile(rf"[{kinds}][A-Z0-9]{{1,30}}", re.ASCII)

    def checked(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"must be the id of {what} as Slack shows it, such as {example}, not its name")
        return text

    return checked


EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=100)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
AskedUrl = Annotated[str, AfterValidator(_asked_url)]
HeaderName = Annotated[str, AfterValidator(checked_header)]
ParameterName = Annotated[str, AfterValidator(checked_parameter)]
ConfiguredValue = Annotated[
    Any, PlainValidator(checked_value), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})
]
SentHeaders = Annotated[Mapping[HeaderName, ConfiguredValue], AfterValidator(few_values)]
SentParameters = Annotated[Mapping[ParameterName, ConfiguredValue], AfterValidator(few_values)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Mention = Annotated[str, AfterValidator(_mention)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@/-]*$", max_length=100)]
HeadName = Annotated[str, AfterValidator(_headed)]
HeadFile = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
OwnSignalName = Annotated[str, AfterValidator(_own_signal)]
Phrases = tuple[str, ...]
LabelName = Annotated[str, AfterValidator(_label)]
Share = Annotated[float, Field(ge=0, le=1)]
Ceiling = Annotated[float, Field(gt=0, le=1)]
SignalName = Annotated[str, AfterValidator(_signal)]
Slice = Annotated[str, AfterValidator(_slice)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
CronFields = Annotated[str, AfterValidator(cron.checked)]
RoutePattern = Annotated[str, AfterValidator(_pattern)]
SlackUser = Annotated[str, AfterValidator(_slack_id("UW", "a person", "U0123ABCD"))]
SlackGroup = Annotated[str, AfterValidator(_slack_id("S", "a user group", "S0123ABCD"))]
SlackTeam = Annotated[str, AfterValidator(_slack_id("T", "a workspace", "T0123ABCD"))]
SlackApp = Annotated[str, AfterValidator(_slack_id("A", "an app", "A0123ABCD"))]


class Section(BaseModel):
    """A mapping of the monitor file: strict, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
