"""What holds for a route: the defaults, and the section of the monitor file whose pattern fits it best."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from services.monitor.deployments import DeployRule
from services.monitor.ingest_rules import IngestRule
from services.monitor.receiver_section import ReceiverPolicy
from services.monitor.score_events import ScoreEventsPolicy
from services.monitor.sent_values import SentValue
from services.monitor.target_api import DEFAULT_API, ApiName
from services.signals.custom.definition import CustomDefinition
from services.signals.own_secret_forms import OwnForm
from services.specs import signals

KeepText = Literal["all", "default", "none"]
UnlistedRoutes = Literal["accept", "refuse"]

AT_ONCE: Final = 1_000_000_000
"""Exchanges that one clock hour may contribute to a trial baseline: as many as come."""
_WILD: Final = re.compile(r"[*?\[]")


def default_floors(own: Iterable[CustomDefinition] = ()) -> dict[str, float]:
    """The floor of every signal that is watched, with those of one's `own`: what has no floor has no stream."""
    specs = (*signals().values(), *(one.spec for one in own))
    return {spec.name: spec.floor for spec in specs if spec.floor is not None}


@dataclass(frozen=True, slots=True)
class BaselinePolicy:
    """When a baseline is pinned: at `size` exchanges, or after `max_days` with at least `min_size`.

    `per_hour` is the most exchanges that one clock hour contributes. With `trial` the first baseline is pinned at
    `min_size` exchanges, however fast they come, and makes way for a full one.
    """

    size: int = 1000
    min_size: int = 300
    max_days: float = 7
    per_hour: int = 84
    trial: bool = False

    @property
    def first(self) -> BaselinePolicy:
        """By what a route's first baseline is learned: in a trial, `min_size` exchanges at once."""
        if not self.trial or self.min_size >= self.size:
            return self
        return replace(self, size=self.min_size, per_hour=AT_ONCE)


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What a million tokens cost that are sent (`input`) and that come back (`output`), in whatever currency."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """What one run may use at most; None is no limit of its own. `cost` is in the currency of the prices."""

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint that suites are run against; the key stays in the environment.

    Attributes:
        api: in whose form it is asked. headers, query: what is sent with every question, by name.
        answer_seconds: how long one answer is waited for; None: as is usual.
        sequential: whether a run that is held against the baseline's stops once that is decided.
        budget: of one run. prices: of its tokens, where they are known.
    """

    url: str
    model: str
    api_key_env: str | None = None
    system_prompt_file: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    api: ApiName = DEFAULT_API
    headers: Mapping[str, SentValue] = field(default_factory=dict)
    query: Mapping[str, SentValue] = field(default_factory=dict)
    answer_seconds: float | None = None
    sequential: bool = True
    budget: SpendingLimit = SpendingLimit()
    prices: TokenPrices | None = None


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """When suites are run by the clock: five cron fields in an IANA time zone, or an interval.

    Attributes:
        overlap: what becomes of a time at which the runs of the one before are not done. catch_up: which missed times
            are run afterwards.
    """

    name: str
    cron: str
    timezone: str = "UTC"
    overlap: Literal["skip", "queue"] = "queue"
    catch_up: Literal["none", "last", "all"] = "last"


@dataclass(frozen=True, slots=True)
class ReaskPolicy:
    """That a route's own questions are asked again.

    Attributes:
        share: of the baseline's exchanges, in (0, 1]; max_items: so many at most.
        daily_budget: questions of a route's own that may be asked on one day (UTC), all runs together.
        judge: the signal whose judge says which of two answers is better; None: nobody does.
    """

    share: float = 0.05
    max_items: int = 200
    daily_budget: int = 400
    judge: str | None = None


PersonRole = Literal["viewer", "operator", "admin"]


@dataclass(frozen=True, slots=True)
class SlackGrant:
    """What some people may by the buttons in Slack: a role of the API's keys, on routes by globs.

    Attributes:
        users, groups: ids as Slack gives them; a person is meant who is one, or in one.
    """

    users: frozenset[str]
    groups: tuple[str, ...]
    role: PersonRole
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Exchanges a minute that the API takes of one key and of one route; None is any number."""

    per_key: int | None = None
    per_route: int | None = None


@dataclass(frozen=True, slots=True)
class SlackAccess:
    """Whose presses count: of people of one workspace, at one app. Who has no grant may nothing.

    Attributes:
        team, app: ids of the workspace and the app. token_env: variable with the token that looks people up.
    """

    team: str
    app: str
    token_env: str
    grants: tuple[SlackGrant, ...] = ()


@dataclass(frozen=True, slots=True)
class RailPolicy:
    """One rail of another library: a validator of Guardrails AI, or a flow of a folder of NeMo Guardrails.

    Attributes:
        text: which one it looks at; a flow at `response` sees the prompt too.
        validator: `package.module.Class`; arguments: what it is made with, as JSON. mends: a failure that comes with a
            mended text is `modified`, not `blocked`.
        folder, flow: of NeMo Guardrails.
    """

    name: str
    text: Literal["prompt", "response"]
    validator: str | None = None
    arguments: str = "{}"
    mends: bool = False
    folder: str | None = None
    flow: str | None = None


@dataclass(frozen=True, slots=True)
class GuardrailPolicy:
    """Rails that are run beside those that events report.

    Attributes:
        python: of the environment that has their libraries.
        hosts: what they may connect to. environment: variables that they are given. seconds: for each exchange.
        share: of exchanges that they are run over.
    """

    python: str
    rails: tuple[RailPolicy, ...]
    hosts: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    seconds: float = 2.0
    share: float = 1.0


DEFAULT_SUITES: Final = ("core",)
"""What a target is asked that names no suite."""


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """All that the monitor file decides about one route.

    Attributes:
        floors: signal -> share of exchanges by which its rate must move to count; 0 makes the signal an event.
        objectives: signal -> rate that it must not exceed, in (0, 1], whatever is normal.
        false_pages_per_month: the budget B of the route.
        embed_share: share of exchanges that are embedded, in (0, 1].
        suites: what the target is asked, `core` when the file names none; empty: nothing.
        reask: whether, and how many of, the route's own questions are asked again; None: not.
        after_change: delays after a change at which suites are run; at once when the file names none.
        notify: names of receivers.
        shadow: whether all alerts of the route are made and shown without telling anybody; shadow_signals: those of
            these signals alone.
    """

    baseline: BaselinePolicy = BaselinePolicy()
    floors: Mapping[str, float] = field(default_factory=default_floors)
    objectives: Mapping[str, float] = field(default_factory=dict)
    false_pages_per_month: float = 1.0
    keep_text: KeepText = "default"
    embed_share: float = 1.0
    slices: tuple[str, ...] = ()
    suites: tuple[str, ...] = DEFAULT_SUITES
    target: Target | None = None
    schedules: tuple[SchedulePolicy, ...] = ()
    after_change: tuple[timedelta, ...] = (timedelta(0),)
    reask: ReaskPolicy | None = None
    notify: tuple[str, ...] = ()
    shadow: bool = False
    shadow_signals: tuple[str, ...] = ()

    def shadows(self, signal: str | None) -> bool:
        """Whether an alert of the signal (None: of none) is in shadow."""
        return self.shadow or signal in self.shadow_signals


@dataclass(frozen=True, slots=True)
class Monitor:
    """The monitor file, with the defaults merged into every section.

    Attributes:
        routes: pattern -> policy.
        allow_hosts: private or loopback hosts that may be called.
        unlisted_routes: what becomes of exchanges of routes that fit no pattern. max_routes: so many of those may be.
        slack_access: who may decide in Slack; None: nobody.
        guardrails: rails that are run over every exchange; None: those that events report are all.
        multilingual: whether answers in other languages are read by the multilingual tier.
        secret_forms: forms of keys of one's own that count as credentials, beside the built-in ones.
        heads: signal -> file of the head by which it scores.
        signals: those of one's own; their floors stand in every policy.
        ingest: which route an exchange is of that names none. ingest_limits: how much the API takes.
        deployments: which deploys are changes of which route. github_secret_env: variable with the webhook's secret.
        score_events: where scores go as events; None: nowhere.
    """

    defaults: RoutePolicy = RoutePolicy()
    routes: Mapping[str, RoutePolicy] = field(default_factory=dict)
    receivers: Mapping[str, ReceiverPolicy] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()
    unlisted_routes: UnlistedRoutes = "accept"
    max_routes: int = 1024
    slack_access: SlackAccess | None = None
    guardrails: GuardrailPolicy | None = None
    multilingual: bool = False
    secret_forms: tuple[OwnForm, ...] = ()
    heads: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[CustomDefinition, ...] = ()
    ingest: tuple[IngestRule, ...] = ()
    ingest_limits: IngestLimits = IngestLimits()
    deployments: tuple[DeployRule, ...] = ()
    github_secret_env: str | None = None
    score_events: ScoreEventsPolicy | None = None

    def lists(self, route: str) -> bool:
        """Whether a pattern of the file fits the route."""
        return any(fnmatchcase(route, pattern) for pattern in self.routes)

    def policy(self, route: str) -> RoutePolicy:
        """The policy of the one pattern that fits `route` best, else the defaults.

        In a pattern `*` stands for any characters, also `/`. A pattern without wildcards beats all others; then
        the longest text before the first wildcard wins, then the longest pattern, then the alphabet. Sections do
        not add up: only the winner and the defaults count.
        """
        fitting = [pattern for pattern in self.routes if fnmatchcase(route, pattern)]
        return self.routes[max(fitting, key=_specificity)] if fitting else self.defaults


def default_policy(_route: str) -> RoutePolicy:
    """What holds for every route where there is no monitor file."""
    return RoutePolicy()


def _specificity(pattern: str) -> tuple[bool, int, int, str]:
    wild = _WILD.search(pattern)
    return wild is None, wild.start() if wild else len(pattern), len(pattern), pattern
