"""Buttons in Slack as decisions, where a press can be verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

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
        async def incident(id: str) -> Incident | None:
            return await asyncio.to_thread(api.repository.incident, id)

        async def decide(decision: Decision) -> None:
            try:
                await api.decisions.decide(decision)
            except Stale as stale:
                raise TooLate(str(stale)) from None

        actions = Actions(secret.get_secret_value(), incident, decide, lambda: datetime.now(UTC))
        app.include_router(router(actions, answer(settings)))

    return extend
