"""Deliveries of GitHub's webhook: who signed them, and which deploy they tell of. Pure.

https://docs.github.com/webhooks/webhook-events-and-payloads (deployment, deployment_status) and
https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from schemas.base import Timestamp
from services.monitor.deployments import DeployedAt

EVENTS: Final = ("deployment", "deployment_status")
SUCCESS: Final = "success"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SIGNATURE: Final = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)
_LONGEST: Final = 200
_LONGEST_URL: Final = 500


def is_signature(text: str) -> bool:
    """Whether a header has the form of a signature."""
    return _SIGNATURE.fullmatch(text) is not None


def is_from_github(secret: str, body: bytes, signature: str) -> bool:
    """Whether the raw body was signed with the secret (`X-Hub-Signature-256`); junk is simply not."""
    if not secret or not is_signature(signature):
        return False
    wanted = b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(wanted, signature.encode())


Word = Annotated[str, StringConstraints(max_length=10_000)]


class _Part(BaseModel):
    """A part of what GitHub sends: what is not asked for is left."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Named(_Part):
    login: Word


class _Repository(_Part):
    full_name: Word


class _Deployment(_Part):
    id: Annotated[int, Field(ge=0, le=2**63)]
    sha: Word = ""
    ref: Word = ""
    task: Word = "deploy"
    environment: Word = ""
    payload: Any = None
    creator: _Named | None = None
    created_at: Timestamp


class _Status(_Part):
    state: Word
    created_at: Timestamp
    environment_url: Word | None = None
    target_url: Word | None = None


class GithubDelivery(_Part):
    """The body of a `deployment` or a `deployment_status`."""

    action: Word = "created"
    deployment: _Deployment
    deployment_status: _Status | None = None
    repository: _Repository

    @field_validator("deployment_status", mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        return value or None


@dataclass(frozen=True, slots=True)
class Deploy:
    """A deploy that somebody told of, in one line each.

    Attributes:
        stage: of GitHub's, whether it is created or has succeeded; None is a deploy that is out.
        share: of a canary. version: what was deployed. unread: fields of GitHub's payload that cannot be used.
    """

    ts: datetime | None
    repository: str | None = None
    environment: str | None = None
    task: str | None = None
    stage: DeployedAt | None = None
    model: str | None = None
    served: str | None = None
    share: float | None = None
    version: str | None = None
    url: str | None = None
    actor: str | None = None
    unread: tuple[str, ...] = ()


def github_deploy(event: str, found: GithubDelivery) -> Deploy | None:
    """The deploy of a delivery; None for a status that is no success."""
    one, status = found.deployment, found.deployment_status
    if event == "deployment":
        stage: DeployedAt = "created"
        ts, url = one.created_at, None
    elif status is None or status.state != SUCCESS:
        return None
    else:
        stage, ts, url = "success", status.created_at, status.environment_url or status.target_url
    said = _said(one.payload)
    return Deploy(
        ts=ts,
        repository=one_line(found.repository.full_name),
        environment=one_line(one.environment) or None,
        task=one_line(one.task) or None,
        stage=stage,
        model=_text(said, "model"),
        served=_text(said, "served"),
        share=share_of(said.get("share")),
        version=" ".join(part for part in (one_line(one.ref), one_line(one.sha)[:12]) if part) or None,
        url=one_line(url or "", _LONGEST_URL) or None,
        actor=None if one.creator is None else one_line(one.creator.login) or None,
        unread=tuple(_unread(said)),
    )


def _unread(said: dict[str, Any]) -> Iterator[str]:
    """Fields that are given, and from which nothing can be read."""
    for name in ("model", "served"):
        if said.get(name) is not None and _text(said, name) is None:
            yield name
    if said.get("share") is not None and share_of(said["share"]) is None:
        yield "share"


def _said(payload: object) -> dict[str, Any]:
    """What a deployment says of itself: an object, or its text, as GitHub's API takes and delivers both.

    >>> _said('{"share": "5%"}'), _said({"share": 1}), _said('"text"'), _said("{"), _said([])
    ({'share': '5%'}, {'share': 1}, {}, {}, {})
    """
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return {}
    return payload if isinstance(payload, dict) else {}


def share_of(value: object) -> float | None:
    """A share in (0, 1], given as a number or as `5%`; None for anything else.

    >>> share_of("5%"), share_of(0.5), share_of("all"), share_of(True)
    (0.05, 0.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        text = str(value).strip()[:40]
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
    return number if 0 < number <= 1 else None


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Foreign text as a part of a line: without control characters, cut."""
    return " ".join(_CONTROL.sub(" ", text).split())[:longest].strip()


def _text(said: dict[str, Any], name: str) -> str | None:
    value = said.get(name)
    return one_line(value) or None if isinstance(value, str) else None
