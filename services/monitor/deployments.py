"""`deployments` of the monitor file: which deploys mean that another model answers on which route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.exchange import Route
from services.monitor.fields import Section

DeployedAt = Literal["created", "success"]
Matched = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
MOST_RULES = 200


class DeployMatchSection(Section):
    """`match` of an entry of `deployments`: what is named must all be so; upper and lower case are the same."""

    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$")] | None = (
        Field(default=None, description="Such as `acme/bot`.")
    )
    environment: Matched | None = Field(default=None, description="Such as `production`.")
    task: Matched | None = Field(default=None, description="GitHub's `task`, which is `deploy` unless it is given.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.repository is None and self.environment is None and self.task is None:
            raise ValueError("name at least one of repository, environment and task: else every deploy would fit")
        return self


class DeploymentSection(Section):
    """An entry of `deployments`."""

    match: DeployMatchSection = Field(description="Which deploys it is about.")
    route: Route = Field(description="The route on which another model answers from then on.")
    model: Matched | None = Field(
        default=None, description="The model's name; else what the deploy says, else it is not known."
    )
    at: DeployedAt = Field(
        default="success",
        description="Of GitHub's deployments: announced when one has succeeded, or already when it is `created`.",
    )


@dataclass(frozen=True, slots=True)
class DeployRule:
    """Deploys of a repository, environment and task (None: of any) are changes of the `route`."""

    route: str
    repository: str | None = None
    environment: str | None = None
    task: str | None = None
    model: str | None = None
    at: DeployedAt = "success"

    def fits(self, repository: str | None, environment: str | None, task: str | None) -> bool:
        """Whether a deploy is one of them; what it does not say fits no rule that names it.

        >>> rule = DeployRule("bot/prod", "acme/bot", "production")
        >>> rule.fits("Acme/Bot", "production", None), rule.fits("acme/bot", None, "deploy")
        (True, False)
        """
        wanted = ((self.repository, repository), (self.environment, environment), (self.task, task))
        return all(one is None or (has is not None and one.casefold() == has.casefold()) for one, has in wanted)


def deploy_rule(section: DeploymentSection) -> DeployRule:
    """The rule of an entry."""
    return DeployRule(section.route, **section.match.model_dump(), model=section.model, at=section.at)
