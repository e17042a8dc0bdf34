"""Buttons in Slack as decisions, where a press can be verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import FastAPI

from schemas.decision import Decision
from schemas.incident import Incident
from services.api.app import Api
from services.bootstrap.notifying import answer
from services.notify.slack_actions import Actions, TooLate, router
from services.settings import Settings
from services.store.decisions import Stale


def slack_actions(settings: Settings) -> Callable[[FastAPI, Api], None] | None:
    """What adds `/slack/actions` to the API; None without KEELWATCH_SLACK_SIGNING_SECRET."""
    secret = settings.slack_signing_secret
    if secret is None:
        return None

    def extend(app: FastAPI, api: Api) -> None:
        app.include_router(router(actions_of(secret.get_secret_value(), api), answer(settings)))

    return extend


def actions_of(secret: str, api: Api) -> Actions:
    """What presses do: decisions of the API, which knows whether they come too late."""

    async def incident(id: str) -> Incident | None:
        return await asyncio.to_thread(api.repository.incident, id)

    async def decide(decision: Decision) -> None:
        try:
            await api.decisions.decide(decision)
        except Stale as stale:
            raise TooLate(str(stale)) from None

    return Actions(secret, incident, decide, api.decisions.clock)
