"""`POST /v1/webhooks/...`: deploys become announced changes, told by GitHub or by any program with a key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError

from schemas.base import Part, Timestamp, iso
from schemas.exchange import ToldRoute
from schemas.identity import Model
from services.api.auth.authentication import Throttle
from services.api.auth.authorization import Guard, Principal, needs, who
from services.api.decision_outbox import DecisionWriter
from services.api.github_deployments import (
    EVENTS,
    Deploy,
    GithubDelivery,
    github_deploy,
    is_from_github,
    is_signature,
    one_line,
    share_of,
)
from services.api.http.body import BodyBudget, read_body, read_model
from services.api.http.problems import Problem, ProblemBody, problem_of_violation
from services.api.known_routes import check_route_known
from services.api.resources.decisions import POST_RESPONSES, DecisionDraft, actor_of, check_may_write, completed
from services.monitor import Monitor
from services.monitor.deployments import DeployRule
from services.store.decisions import StaleDecision
from services.store.engine import Database
from services.wording import deploys as words

GITHUB_BYTES: Final = 1024 * 1024
_LINE: Final = 200
_GITHUB: Final = Principal("GitHub", "operator")


def _share(value: Any) -> Any:
    return value if value is None else (share_of(value) or value)


Line = Annotated[str, StringConstraints(min_length=1, max_length=_LINE, strip_whitespace=True)]


class DeployNotice(Part):
    """A deploy. With `route` it is announced there, else on every route whose entry under `deployments` fits.

    `share` makes it a canary: a number up to 1, or text such as `5%`. Sent again with the same `ts` it is the same one.
    """

    route: ToldRoute | None = None
    repository: Line | None = None
    environment: Line | None = None
    task: Line | None = None
    model: Line | None = None
    served: Line | None = None
    version: Line | None = None
    ts: Timestamp | None = None
    url: Annotated[str, StringConstraints(max_length=500)] | None = None
    share: Annotated[Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(_share)] = None
    actor: Line | None = None
    new: bool = False


class DeployAnnounced(BaseModel):
    """One announcement that was written, and will be published."""

    route: str
    id: str
    ts: str


class DeployReceipt(BaseModel):
    """What became of a deploy."""

    announced: list[DeployAnnounced]
    ignored: list[str] = Field(description="Why nothing, or not everything, was announced.")


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What the webhooks work with. `secret` of GitHub's; None refuses every delivery of it."""

    decisions: DecisionWriter
    database: Database
    watched: Monitor
    secret: str | None = None
    throttle: Throttle = field(default_factory=Throttle)

    async def announce(self, deploy: Deploy, rules: Sequence[DeployRule], caller: Principal) -> DeployReceipt:
        """Announce a deploy on the routes of the rules that fit it.

        Raises:
            Problem: 422 if its time cannot be; 503 if the database does not answer.
        """
        fitting = [rule for rule in rules if rule.fits(deploy.repository, deploy.environment, deploy.task)]
        receipt = DeployReceipt(announced=[], ignored=[] if fitting else [words.NO_RULE])
        for rule in fitting:
            if deploy.stage not in (None, rule.at):
                receipt.ignored.append(words.other_stage(rule.route, rule.at))
            elif not caller.sees(rule.route):
                receipt.ignored.append(words.NO_RULE)
            else:
                await self._on(receipt, rule.route, replace(deploy, model=rule.model or deploy.model), caller)
        return receipt

    async def _on(self, receipt: DeployReceipt, route: str, deploy: Deploy, caller: Principal) -> None:
        try:
            await check_route_known(self.database, self.watched, caller, route)
        except Problem as unknown:
            if unknown.status != 422:
                raise
            receipt.ignored.append(str(unknown.detail))
            return
        try:
            receipt.announced.append(await self.write(route, deploy, caller))
            receipt.ignored.extend(words.not_announced(route, words.unread(name)) for name in deploy.unread)
            if deploy.served is not None and deploy.model is None:
                receipt.ignored.append(words.not_announced(route, f"served: {words.SERVED_ALONE}"))
        except StaleDecision as stale:
            receipt.ignored.append(words.not_announced(route, str(stale)))

    async def write(self, route: str, deploy: Deploy, caller: Principal) -> DeployAnnounced:
        """Write the announcement of a deploy on one route.

        Raises:
            StaleDecision: if the same was announced. Problem: 422 if its time cannot be.
        """
        model = None if deploy.model is None else Model(requested=deploy.model, served=deploy.served)
        reason = words.reason(deploy.version, deploy.repository, deploy.environment, deploy.url)
        draft = DecisionDraft(
            kind="announce",
            route=route,
            model=model,
            reason=reason,
            ts=deploy.ts,
            share=deploy.share,
            actor=actor_of(deploy.actor or (None if caller.name else words.NOBODY), caller),
        )
        decision = completed(draft, self.decisions.clock(), named=False)
        return DeployAnnounced(route=route, id=await self.decisions.decide(decision), ts=iso(decision.ts))


def router(hooks: Webhooks, guard: Guard, budget: BodyBudget) -> APIRouter:
    """The path for programs with a key that `guard` lets operate."""
    made = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/deploy",
        status_code=202,
        operation_id="tellDeploy",
        summary="Tell of a deploy",
        openapi_extra=_BODY,
        responses={**POST_RESPONSES, 202: {"model": DeployReceipt}},
    )
    async def deployed(request: Request) -> Response:
        """Announce the change that a deploy is, on the route that it names or on those whose `deployments` fit."""
        caller = who(request)
        with budget.share() as share:
            notice = await read_model(request, share, DeployNotice)
        deploy = _deploy(notice)
        if notice.route is None:
            if notice.new:
                raise Problem.of_field("new", words.NEW_ALONE)
            if not (notice.repository or notice.environment or notice.task):
                raise Problem.of_field("route", words.NEEDS_ROUTE)
            return _answer(await hooks.announce(deploy, hooks.watched.deployments, caller))
        if deploy.served is not None and deploy.model is None:
            raise Problem.of_field("served", words.SERVED_ALONE)
        check_may_write(caller, notice.route)
        if not notice.new:
            await check_route_known(hooks.database, hooks.watched, caller, notice.route)
        try:
            return _answer(DeployReceipt(announced=[await hooks.write(notice.route, deploy, caller)], ignored=[]))
        except StaleDecision as stale:
            raise Problem(409, str(stale)) from None

    return made


def github_router(hooks: Webhooks, budget: BodyBudget) -> APIRouter:
    """The path for GitHub, which signs what it sends."""
    made = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    @made.post(
        "/github",
        status_code=202,
        operation_id="takeGithubDelivery",
        summary="Take a delivery of GitHub's webhook",
        responses={
            200: {"model": DeployReceipt, "description": "Nothing is announced; ignored says why."},
            202: {"model": DeployReceipt},
            403: {"model": ProblemBody, "description": "Not signed with the secret that is set here."},
            429: {"model": ProblemBody, "description": "Too many deliveries that nobody signed."},
            **{status: POST_RESPONSES[status] for status in (413, 422, 503)},
        },
    )
    async def delivered(request: Request) -> Response:
        """Events `deployment` and `deployment_status`, signed over the raw body; others are ignored with the reason.

        The same delivery, sent again, is the same announcement.
        """
        if not hooks.secret:
            raise Problem(403, words.NOT_SET)
        signature = request.headers.get("x-hub-signature-256", "")
        if not is_signature(signature):  # before anything is read
            raise _unsigned(hooks, request)
        with budget.share() as share:
            raw = await read_body(request, share, GITHUB_BYTES)
            if not is_from_github(hooks.secret, raw, signature):
                raise _unsigned(hooks, request)
            event = one_line(request.headers.get("x-github-event", ""))
            if event not in EVENTS:
                return _answer(DeployReceipt(announced=[], ignored=[words.other_event(event)]))
            delivery = _delivery(request, raw)
        deploy = github_deploy(event, delivery)
        if deploy is None:
            return _answer(DeployReceipt(announced=[], ignored=[words.NO_SUCCESS]))
        return _answer(await hooks.announce(deploy, hooks.watched.deployments, _GITHUB))

    return made


def _unsigned(hooks: Webhooks, request: Request) -> Problem:
    """The refusal of what nobody signed: a client that goes on is slowed down."""
    client = request.client.host if request.client else ""
    wait = hooks.throttle.failed(client, asyncio.get_running_loop().time())
    return Problem.later(words.NOT_SIGNED, 429, ceil(wait)) if wait else Problem(403, words.NOT_SIGNED)


def _delivery(request: Request, raw: bytes) -> GithubDelivery:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "content-type: must be application/json; choose it in the settings of GitHub's webhook")
    try:
        return GithubDelivery.model_validate_json(raw)
    except ValidationError as error:
        raise problem_of_violation(error) from None


def _deploy(notice: DeployNotice) -> Deploy:
    def line(name: str) -> str | None:
        text: str | None = getattr(notice, name)
        told = None if text is None else one_line(text, 500)
        if text and not told:
            raise Problem.of_field(name, words.UNREADABLE)
        return told or None

    return Deploy(
        ts=notice.ts,
        repository=line("repository"),
        environment=line("environment"),
        task=line("task"),
        model=line("model"),
        served=line("served"),
        share=notice.share,
        version=line("version"),
        url=line("url"),
        actor=line("actor"),
    )


def _answer(receipt: DeployReceipt) -> Response:
    return JSONResponse(receipt.model_dump(), 202 if receipt.announced else 200)


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/DeployNotice"},
                "example": {
                    "route": "support-bot/prod",
                    "model": "gpt-4-0613",
                    "version": "2026.11.3",
                    "environment": "production",
                    "url": "https://ci.example.com/deploys/42",
                    "share": 0.05,
                    "actor": "mara",
                },
            }
        },
    }
}
