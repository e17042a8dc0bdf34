"""Deploys that webhooks tell of: the reason of an announcement, and why there is none. Pure."""

from __future__ import annotations

from typing import Final

NOT_SET: Final = (
    "no secret of GitHub's webhook is set here: set KEELWATCH_WEBHOOK_GITHUB_SECRET, or name the variable that holds "
    "it in the monitor file (github_secret_env)"
)
NOT_SIGNED: Final = "x-hub-signature-256: not signed with the secret that is set here; give GitHub's webhook the same"
NO_SUCCESS: Final = "the deployment has not succeeded: only one that has is announced"
NO_RULE: Final = "no entry under deployments of the monitor file fits this deploy"
NEEDS_ROUTE: Final = "is missing; name it, or a repository, environment or task that fits an entry under deployments"
NEW_ALONE: Final = "is of a route that is named; name the route, or leave it out"
SERVED_ALONE: Final = "says which version of a model answers; name the model, too"
UNREADABLE: Final = "holds no character that can be read; write a name, or leave it out"
NOBODY: Final = "deploy webhook"
_DEPLOY: Final = "deploy of "
_UNNAMED: Final = "a version that is not named"


def other_event(event: str) -> str:
    """That a delivery tells of no deploy."""
    return f"event {event or 'not named'}: only deployment and deployment_status announce a change"


def other_stage(route: str, wanted: str) -> str:
    """That a rule waits for another step of the same deployment."""
    return f"{route}: its deployments are announced at: {wanted}"


def reason(version: str | None, repository: str | None, environment: str | None, url: str | None) -> str:
    """What was deployed where: `deploy of acme/bot main 0a1b2c to production (https://...)`."""
    what = " ".join(part for part in (repository, version) if part) or _UNNAMED
    where = f" to {environment}" if environment else ""
    return f"{_DEPLOY}{what}{where}{f' ({url})' if url else ''}"


def is_deploy(text: str) -> bool:
    """Whether the reason of an announcement is that of a deploy, so that another text is another deploy.

    >>> is_deploy(reason("v1", None, None, None)), is_deploy("we move on Monday")
    (True, False)
    """
    return text.startswith(_DEPLOY)


def unread(name: str) -> str:
    """That a field of GitHub's payload says nothing.

    >>> unread("share")
    'payload.share: is no number up to 1, and no text such as 5%; it is left out'
    """
    wanted = "no number up to 1, and no text such as 5%" if name == "share" else "no text that can be read"
    return f"payload.{name}: is {wanted}; it is left out"


def not_announced(route: str, why: str) -> str:
    """Why a route that a rule names gets no announcement."""
    return f"{route}: {why}"
