"""The monitor file as pydantic models: what may stand where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.monitor.deployments import MOST_RULES, DeploymentSection
from services.monitor.fields import (
    AskedUrl,
    Ceiling,
    CronFields,
    Duration,
    Endpoint,
    EnvironmentName,
    HeadFile,
    HeadName,
    LabelName,
    Name,
    OwnSignalName,
    Phrases,
    RoutePattern,
    Section,
    SentHeaders,
    SentParameters,
    Share,
    SignalName,
    SlackApp,
    SlackGroup,
    SlackTeam,
    SlackUser,
    Slice,
    TimeZone,
    few_signals,
    headers_field,
)
from services.monitor.ingest_rules import MOST_RULES as MOST_INGEST_RULES
from services.monitor.ingest_rules import IngestRuleSection
from services.monitor.policy import KeepText, PersonRole, UnlistedRoutes
from services.monitor.receiver_section import ReceiverSection
from services.monitor.score_events import ScoreEventsSection
from services.monitor.target_api import DEFAULT_API, MAX_TOKENS, ApiName
from services.signals.custom.definition import Counted, Where
from services.signals.own_patterns import MAX_PATTERN
from services.signals.own_secret_forms import DEFAULT_MIN_LENGTH


class BaselineSection(Section):
    """`baseline`."""

    size: Annotated[int, Field(ge=50, le=100_000)] | None = Field(
        default=None, description="Exchanges that are learned before the baseline is pinned."
    )
    min_size: Annotated[int, Field(ge=50, le=100_000)] | None = Field(
        default=None, description="So few are enough once `max_days` have passed."
    )
    max_days: Annotated[float, Field(gt=0, le=365)] | None = Field(
        default=None, description="Days after which `min_size` exchanges are enough."
    )
    per_hour: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="At most so many exchanges of one clock hour count, so that a day is learned and not one burst.",
    )
    trial: bool | None = Field(
        default=None,
        description="Begin with a trial baseline of `min_size` exchanges, taken at once; a full one takes its place.",
    )


class BudgetSection(Section):
    """`budget` of a target."""

    requests: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        default=None, description="Requests that one run may make, those that are repeated too."
    )
    tokens: Annotated[int, Field(ge=1, le=10_000_000_000)] | None = Field(
        default=None, description="Tokens that one run may use, sent and answered."
    )
    cost: Annotated[float, Field(gt=0, le=10_000_000)] | None = Field(
        default=None, description="Money that one run may cost, in the currency of `prices`."
    )


class PricesSection(Section):
    """`prices` of a target."""

    input: Annotated[float, Field(ge=0, le=1_000_000)] = Field(description="Of a million tokens that are sent.")
    output: Annotated[float, Field(ge=0, le=1_000_000)] = Field(description="Of a million tokens that come back.")


class TargetSection(Section):
    """`target`: `settings` are handed to the endpoint as they are."""

    url: AskedUrl = Field(
        description="The endpoint, up to and with `/v1`; the path of the API is added, what follows a `?` is `query`."
    )
    api: ApiName = Field(
        default=DEFAULT_API,
        description="In whose form it is asked: OpenAI's Chat Completions or Responses, or Anthropic's Messages.",
    )
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="The model that is asked for."
    )
    api_key_env: EnvironmentName | None = Field(
        default=None,
        description="Name of the environment variable that holds the key, never the key. It is sent where the API has "
        "it: `Authorization: Bearer`, `x-api-key` for `messages`.",
    )
    headers: SentHeaders = headers_field("Sent with every question")
    query: SentParameters = Field(
        default_factory=dict,
        description='Added to the URL, in the same way: `{api-version: "2024-10-21"}`.',
    )
    system_prompt_file: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = Field(
        default=None, description="A text file with the system prompt that the suite's conversations begin with."
    )
    settings: Mapping[str, Any] = Field(
        default_factory=dict,
        description="Sent to the endpoint with every question, as they are: `temperature`, `max_tokens` ... Without "
        f"`max_tokens` the API `messages` is asked for {MAX_TOKENS:,}; without `store` the API `responses` is asked "
        "to keep nothing.",
    )
    answer_seconds: Annotated[float, Field(ge=1, le=3_600)] | None = Field(
        default=None,
        description="How long one answer is waited for, 60 where it is not said. A model that thinks for longer, or a "
        "slow server, needs more; the time of a whole run grows with it.",
    )
    sequential: bool = Field(default=True, description="Stop a run after a change once its result is decided.")
    budget: BudgetSection | None = Field(default=None, description="Where a run ends, done or not.")
    prices: PricesSection | None = Field(default=None, description="What tokens cost, for plans and budgets.")


class ScheduleSection(Section):
    """An entry of `schedules`."""

    name: Name = Field(description="What people call it; once a route.")
    cron: CronFields = Field(
        description="Five fields: minute, hour, day of month, month, day of week; or an interval such as `@every 6h`."
    )
    timezone: TimeZone = Field(default="UTC", description="IANA time zone in which `cron` is read.")
    overlap: Literal["skip", "queue"] = Field(
        default="queue",
        description="When its time comes while runs of the one before are not done: `skip` it, or `queue` it.",
    )
    catch_up: Literal["none", "last", "all"] = Field(
        default="last",
        description="Which times of the last 24 hours, at which no process ran, are run afterwards.",
    )


class ReaskSection(Section):
    """`reask`: kept questions of the baseline are asked through the target, at its start and after a change."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="Share of the baseline's exchanges whose questions are asked again; 20 at least."
    )
    max_items: Annotated[int, Field(ge=20, le=200)] = Field(default=200, description="So many at most.")
    daily_budget: Annotated[int, Field(ge=20, le=100_000)] = Field(
        default=400, description="Own questions that may be asked on one day (UTC), in all runs of the route together."
    )
    judge: Name | None = Field(
        default=None, description="A signal with `judge`: it says of each two answers which one is better."
    )


class RouteSection(Section):
    """An entry of `routes`, and `defaults`. What is left out comes from the defaults."""

    baseline: BaselineSection | None = Field(default=None, description="When the baseline is pinned.")
    floors: Mapping[SignalName, Share] | None = Field(
        default=None,
        description="Signal: share of exchanges by which its rate must move to count; 0 makes the first one an alert.",
    )
    objectives: Mapping[SignalName, Ceiling] | None = Field(
        default=None,
        description="Signal: share of exchanges that it must not exceed, whatever is normal; held from the first one.",
    )
    false_pages_per_month: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        default=None, description="False alarms that people accept; all thresholds follow from it."
    )
    keep_text: KeepText | None = Field(
        default=None,
        description="Redacted text that is kept: all, a share and what a signal found, or none.",
    )
    embed_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of exchanges that are embedded; less costs less CPU and sees a shift later."
    )
    slices: tuple[Slice, ...] | None = Field(
        default=None,
        description="Parts of the route that are watched on their own: tags of the event, `language` and `hazard`, and "
        "`tool` and `guardrail` for the signals that speak of each of those.",
    )
    suites: tuple[Name, ...] | None = Field(
        default=None,
        description="Safety suites that the target is asked: built-in by name, others by folder or file of prompts; "
        "else `core`. `[]` asks none.",
    )
    target: TargetSection | None = Field(default=None, description="The endpoint that is asked.")
    schedules: tuple[ScheduleSection, ...] | None = Field(default=None, description="When suites run by the clock.")
    after_change: tuple[Duration, ...] | None = Field(
        default=None, description="How long after a change suites run; several delays run several times."
    )
    reask: ReaskSection | None = Field(
        default=None,
        description="Ask the target what users really asked, once the baseline is pinned and again after a change.",
    )
    notify: tuple[Name, ...] | None = Field(default=None, description="Names of receivers.")
    shadow: bool | None = Field(
        default=None, description="Tried out: alerts are made and shown, open no incident, and nobody is told."
    )
    shadow_signals: tuple[SignalName, ...] | None = Field(
        default=None, description="The same for the alerts of these signals alone."
    )


class SlackGrantSection(Section):
    """An entry of `slack_access.people`."""

    users: tuple[SlackUser, ...] = Field(default=(), description="Ids of people; in Slack: profile, Copy member ID.")
    groups: tuple[SlackGroup, ...] = Field(
        default=(), description="Ids of user groups; whoever joins or leaves one is known within a minute."
    )
    role: PersonRole = Field(description="As of an API key: `operator` and `admin` decide, `viewer` only looks.")
    routes: tuple[RoutePattern, ...] = Field(
        min_length=1, description='On which routes, by patterns as in `routes`; `["*"]` is all of them.'
    )


class SlackAccessSection(Section):
    """`slack_access`: whose presses of buttons in Slack count. Without it nobody's do."""

    team: SlackTeam = Field(description="Id of the workspace; a press from another one is refused.")
    app: SlackApp = Field(description="Id of the app; a press at another one is refused.")
    token_env: EnvironmentName = Field(
        default="KEELWATCH_SLACK_TOKEN",
        description="Environment variable with the bot's token, by which it is looked up who somebody is.",
    )
    people: tuple[SlackGrantSection, ...] = Field(default=(), description="Who may what; nobody else may anything.")


class SecretFormSection(Section):
    """An entry of `secret_forms`."""

    name: LabelName = Field(description="What the mask is called, in lower-case letters: `<acme_key>`.")
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN)] = Field(
        description="Regular expression (RE2 reads it: no look-around, no back-references), ASCII."
    )
    min_length: Annotated[int, Field(ge=8, le=500)] = Field(
        default=DEFAULT_MIN_LENGTH, description="Characters; what is shorter is no key."
    )


class RailSection(Section):
    """An entry of `guardrails.rails`: a `validator` of Guardrails AI, or a `flow` of a `folder` of NeMo Guardrails."""

    name: Name = Field(description="What its rate is called; once a file.")
    text: Literal["prompt", "response"] = Field(default="response", description="The text that it looks at.")
    validator: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", max_length=200)] | None = (
        Field(default=None, description="Of Guardrails AI, for example `guardrails_ai.ban_list.BanList`.")
    )
    arguments: Mapping[str, Any] = Field(default_factory=dict, description="What the validator is made with.")
    mends: bool = Field(
        default=False, description="A failure for which the validator has a mended text is `modified`, not `blocked`."
    )
    folder: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = Field(
        default=None, description="Of NeMo Guardrails, with its `config.yml`."
    )
    flow: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="One input or output flow of the folder, as its `config.yml` names it."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.validator is None) == (self.folder is None) or (self.folder is None) != (self.flow is None):
            raise ValueError("give either validator, or folder and flow")
        return self


class GuardrailsSection(Section):
    """`guardrails`: rails that are run over exchanges, in an environment of their own."""

    python: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = Field(
        description="The Python of an environment that has guardrails-ai or nemoguardrails; never Keelwatch's own."
    )
    rails: tuple[RailSection, ...] = Field(min_length=1, max_length=16, description="One by one: each has a rate.")
    hosts: tuple[Annotated[str, StringConstraints(min_length=1, max_length=253)], ...] = Field(
        default=(), description="What rails may connect to; without it nothing."
    )
    environment: tuple[EnvironmentName, ...] = Field(default=(), description="Variables that they are given, by name.")
    seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.0, description="For all rails of one exchange; what takes longer has no outcome."
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="Share of exchanges they are run over.")


class JudgeSection(Section):
    """`judge` of an entry of `signals`: a language model that is asked about a sample, for live traffic."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=4000)] = Field(
        description="What is asked, to be answered with yes or no; yes is what is counted."
    )
    endpoint: Endpoint = Field(
        description="An OpenAI-compatible endpoint, up to and with `/v1`; a private one stands under `allow_hosts`."
    )
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="The model that is asked, with its date where it has one; a reply of another model says nothing."
    )
    api_key_env: EnvironmentName | None = Field(
        default=None, description="Name of the environment variable that holds the key, never the key."
    )
    share: Annotated[float, Field(ge=0.02, le=1)] = Field(
        default=0.1, description="Share of exchanges that are drawn for the judge."
    )
    daily_calls: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=500, description="Most calls a day (UTC) of one data directory; then nobody is asked until the next."
    )
    settings: Mapping[str, Any] = Field(
        default_factory=lambda: {"temperature": 0, "max_tokens": 200},
        description="Sent with every question, as they are.",
    )
    suites: bool = Field(
        default=False,
        description="It says in place of the built-in head whether answers to suites do what is disallowed; one may.",
    )


class SignalSection(Section):
    """An entry of `signals`: exactly one of the kinds, and where it looks."""

    keywords: Phrases | None = Field(
        default=None, description="Kind: one of these stands in the text, as a whole word, whatever its case."
    )
    pattern: str | None = Field(
        default=None, description="Kind: this regular expression fits (hyperscan: no look-around, no back-references)."
    )
    must_contain: Phrases | None = Field(default=None, description="Kind: one of these is missing.")
    must_not_contain: Phrases | None = Field(
        default=None, description="Kind: one of these stands in the text, also inside a word."
    )
    json_schema: Mapping[str, Any] | None = Field(
        default=None, description="Kind: the answer, or its one fenced block, is no JSON that this schema allows."
    )
    judge: JudgeSection | None = Field(default=None, description="Kind: a language model says yes.")
    where: Where = Field(default="response", description="The text that it looks at.")
    value: Counted = Field(
        default="share",
        description="`share`: yes or no, so that it has a rate; `count`: how often, which pages nobody.",
    )
    floor: Share | None = Field(
        default=None,
        description="Share by which its rate must move to count, on every route; without it its rate is only shown.",
    )
    shadow: bool = Field(
        default=False, description="Tried out: its alerts are made and shown, open no incident, and nobody is told."
    )
    title: Annotated[str, StringConstraints(min_length=1, max_length=60)] | None = Field(
        default=None, description="What people read as a heading, for example `Competitors named`."
    )
    noun: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = Field(
        default=None, description="What rises and falls, for example `rate of answers that name a competitor`."
    )


_AMinute = Annotated[int, Field(ge=1, le=10_000_000)] | None


class IngestLimitsSection(Section):
    """`ingest_limits`: exchanges a minute that the API takes; what comes beyond is told to come again.

    What comes by Kafka is not limited.
    """

    per_key: _AMinute = Field(default=None, description="Of one API key, for all routes together.")
    per_route: _AMinute = Field(default=None, description="Of one route, whoever sends them.")


class MonitorFile(Section):
    """The whole file."""

    defaults: RouteSection = Field(
        default=RouteSection(), description="What holds for every route that does not say otherwise."
    )
    unlisted_routes: UnlistedRoutes = Field(
        default="accept",
        description="Exchanges of routes that no pattern under `routes` fits: watched, or dead letters.",
    )
    max_routes: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1024,
        description="So many routes that no pattern fits are watched; a new one waits until another was idle a day.",
    )
    allow_hosts: tuple[Annotated[str, StringConstraints(min_length=1, max_length=253)], ...] = Field(
        default=(), description="Private or loopback hosts that may be called as a target."
    )
    routes: Mapping[RoutePattern, RouteSection] = Field(
        default_factory=dict,
        description="Pattern: what is different there. Of the patterns that fit, the most specific counts alone.",
    )
    ingest: Annotated[tuple[IngestRuleSection, ...], Field(max_length=MOST_INGEST_RULES)] = Field(
        default=(), description="Which route an exchange is of that names none; the first entry that fits counts."
    )
    ingest_limits: IngestLimitsSection = Field(
        default=IngestLimitsSection(),
        description="How many exchanges a minute the API takes, in each of its processes; without it any number.",
    )
    deployments: Annotated[tuple[DeploymentSection, ...], Field(max_length=MOST_RULES)] = Field(
        default=(), description="Which deploys, told to the webhooks, are changes of which route."
    )
    github_secret_env: EnvironmentName | None = Field(
        default=None,
        description="Environment variable with the secret of GitHub's webhook; else KEELWATCH_WEBHOOK_GITHUB_SECRET.",
    )
    receivers: Mapping[Name, ReceiverSection] = Field(default_factory=dict, description="Name: who is told.")
    slack_access: SlackAccessSection | None = Field(default=None, description="Who may decide by buttons in Slack.")
    score_events: ScoreEventsSection | None = Field(
        default=None, description="Where the scores of live traffic go as OpenTelemetry events."
    )
    multilingual: bool = Field(
        default=False,
        description="Whether a model of 16 languages reads answers too; needs the extra `multilingual`.",
    )
    guardrails: GuardrailsSection | None = Field(
        default=None, description="Rails of Guardrails AI and NeMo Guardrails that are run over exchanges."
    )
    secret_forms: Annotated[tuple[SecretFormSection, ...], Field(max_length=100)] = Field(
        default=(), description="Forms of your own keys, which count as credentials beside the built-in ones."
    )
    heads: Mapping[HeadName, HeadFile] = Field(
        default_factory=dict,
        description="Signal: file of a head that `keelwatch head fit` wrote; it scores instead of the shipped one.",
    )
    signals: Annotated[Mapping[OwnSignalName, SignalSection], AfterValidator(few_signals)] = Field(
        default_factory=dict,
        description="Signals of your own, without code: each is measured as `custom.NAME`, with a rate as a built-in.",
    )
