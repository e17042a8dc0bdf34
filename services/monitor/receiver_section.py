"""`receivers` of the monitor file: who is told of incidents, by which vendor, and from which severity on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.alert import Severity
from services.monitor.fields import (
    ConfiguredValue,
    Endpoint,
    EnvironmentName,
    HeaderName,
    Mention,
    Section,
    few_values,
)
from services.monitor.sent_values import SentValue

PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
OPSGENIE_URL: Final = "https://api.opsgenie.com/v2/alerts"

ReceiverSeverity = Literal["info", "warning", "error", "critical"]


class SlackSection(Section):
    """`slack` of a receiver."""

    channel: Annotated[str, StringConstraints(pattern=r"^[#CGD][^\s]{1,80}$")] = Field(
        description="Name or id of the channel."
    )
    token_env: EnvironmentName = Field(
        description="Name of the environment variable that holds the bot's token, never the token."
    )
    mention: Mention | None = Field(default=None, description="Who is called at a rise to warning or above.")


class WebhookSection(Section):
    """`webhook` of a receiver."""

    url: Endpoint | None = Field(
        default=None,
        description="Where each notification is posted as JSON; a private host stands under `allow_hosts`.",
    )
    url_env: EnvironmentName | None = Field(
        default=None, description="Environment variable that holds the URL, where the URL itself is a secret."
    )
    secret_env: EnvironmentName = Field(
        description="Environment variable with the secret that requests are signed with, never the secret."
    )
    headers: Annotated[Mapping[HeaderName, ConfiguredValue], AfterValidator(few_values)] = Field(
        default_factory=dict,
        description="Sent with every request: name to text, or to `{env: NAME}`, an environment variable; keys always "
        "by variable.",
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give either url or url_env")
        return self


class PagerDutySection(Section):
    """`pagerduty` of a receiver."""

    routing_key_env: EnvironmentName = Field(
        description="Environment variable with the integration key of a service (Events API v2), never the key."
    )
    url: Endpoint = Field(
        default=PAGERDUTY_URL,
        description="Where events go; in the EU `https://events.eu.pagerduty.com/v2/enqueue`.",
    )


class OpsgenieSection(Section):
    """`opsgenie` of a receiver."""

    api_key_env: EnvironmentName = Field(
        description="Environment variable with the key of an API integration, never the key."
    )
    url: Endpoint = Field(
        default=OPSGENIE_URL, description="Where alerts are; in the EU `https://api.eu.opsgenie.com/v2/alerts`."
    )


class TeamsSection(Section):
    """`teams` of a receiver."""

    url_env: EnvironmentName = Field(
        description="Environment variable with the URL of a workflow (*When a Teams webhook request is received*), "
        "which is a secret."
    )


class ReceiverSection(Section):
    """An entry of `receivers`: exactly one kind, and from which severity on it is told."""

    slack: SlackSection | None = Field(default=None, description="Kind: a channel that a bot posts to.")
    webhook: WebhookSection | None = Field(default=None, description="Kind: any program that takes signed JSON.")
    pagerduty: PagerDutySection | None = Field(default=None, description="Kind: a service of PagerDuty.")
    opsgenie: OpsgenieSection | None = Field(default=None, description="Kind: an integration of Opsgenie.")
    teams: TeamsSection | None = Field(default=None, description="Kind: a channel or chat of Microsoft Teams.")
    severity: ReceiverSeverity | None = Field(
        default=None,
        description="Incidents are told from this severity on; else `warning` where people are paged "
        "(`pagerduty`, `opsgenie`), `info` elsewhere.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(_given(self)) != 1:
            raise ValueError(f"give exactly one of {', '.join(_KINDS)}")
        return self


@dataclass(frozen=True, slots=True)
class SlackReceiver:
    """A Slack channel; the token stays in the environment."""

    channel: str
    token_env: str
    mention: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """A program that takes JSON, at `url` or at what the variable `url_env` holds; the secret is in the environment."""

    secret_env: str
    url: str | None = None
    url_env: str | None = None
    headers: Mapping[str, SentValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PagerDutyReceiver:
    """A service of PagerDuty; its integration key stays in the environment."""

    routing_key_env: str
    url: str = PAGERDUTY_URL


@dataclass(frozen=True, slots=True)
class OpsgenieReceiver:
    """An integration of Opsgenie; its key stays in the environment."""

    api_key_env: str
    url: str = OPSGENIE_URL


@dataclass(frozen=True, slots=True)
class TeamsReceiver:
    """A channel or chat of Microsoft Teams, at what the variable `url_env` holds."""

    url_env: str


ReceiverKind = SlackReceiver | WebhookReceiver | PagerDutyReceiver | OpsgenieReceiver | TeamsReceiver

_KINDS: Final[Mapping[str, type[Any]]] = {
    "slack": SlackReceiver,
    "webhook": WebhookReceiver,
    "pagerduty": PagerDutyReceiver,
    "opsgenie": OpsgenieReceiver,
    "teams": TeamsReceiver,
}
_PAGES: Final = (PagerDutyReceiver, OpsgenieReceiver)


@dataclass(frozen=True, slots=True)
class ReceiverPolicy:
    """Who is told, and of incidents from which severity on."""

    kind: ReceiverKind
    severity: Severity = "info"

    @property
    def name(self) -> str:
        """The kind, as the monitor file has it."""
        return next(name for name, kind in _KINDS.items() if isinstance(self.kind, kind))

    @property
    def url(self) -> str | None:
        """The address in the monitor file that will be called; None where there is none."""
        return getattr(self.kind, "url", None)


def receiver_policy(section: ReceiverSection) -> ReceiverPolicy:
    """What a section says.

    >>> receiver_policy(ReceiverSection(pagerduty=PagerDutySection(routing_key_env="PD_KEY"))).severity
    'warning'
    """
    (name,) = _given(section)
    given = getattr(section, name)
    kind = _KINDS[name](**{key: getattr(given, key) for key in type(given).model_fields})
    return ReceiverPolicy(kind, section.severity or ("warning" if isinstance(kind, _PAGES) else "info"))


def _given(section: ReceiverSection) -> list[str]:
    return [name for name in _KINDS if getattr(section, name) is not None]
