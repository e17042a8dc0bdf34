"""Slack's buttons as a part of the API: who may press, what a press does, what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import FastAPI

from schemas.decision import Decision
from schemas.incident import Incident
from services.api.app import Api
from services.api.auth.api_key import may, sees
from services.monitor import Monitor, SlackAccess
from services.notify.press_access import RoleRules
from services.notify.receivers import slack
from services.notify.receivers.slack import SlackBot
from services.notify.receivers.slack_actions import Permit, SlackActions, TooLate, router
from services.notify.receivers.slack_people import PressPermission, SlackPeople
from services.settings import Settings, secret
from services.store import incidents, slack_requests
from services.store.decisions import StaleDecision

LOOKUP_SECONDS: Final = 2.0
"""How long Slack may take to say who somebody is: whoever pressed is answered within three seconds."""


def slack_answer(settings: Settings) -> Callable[[str, str], Awaitable[None]]:
    """What says words to the person who pressed a button, at the address that came with the press."""
    return lambda url, words: slack.answer(url, words, settings.slack_api_url)


def slack_actions(settings: Settings, watched: Monitor) -> Callable[[FastAPI, Api], None] | None:
    """What adds `/slack/actions` to the API; None without KEELWATCH_SLACK_SIGNING_SECRET."""
    signing = settings.slack_signing_secret
    if signing is None:
        return None
    permission = press_permission(settings, watched.slack_access)

    def extend(app: FastAPI, api: Api) -> None:
        app.include_router(router(actions_of(signing.get_secret_value(), api, permission), slack_answer(settings)))

    return extend


def press_permission(settings: Settings, access: SlackAccess | None) -> PressPermission:
    """Who may press: people of the monitor file, with the roles and globs of the API's keys."""
    token = None if access is None else secret(access.token_env)
    people = None if token is None else SlackPeople(SlackBot(token, "", settings.slack_api_url, LOOKUP_SECONDS))
    return PressPermission(access, people, RoleRules(may, sees))


def actions_of(secret: str, api: Api, permit: Permit) -> SlackActions:
    """What presses do: decisions of the API, which knows whether they come too late."""

    async def incident(id: str) -> Incident | None:
        return await asyncio.to_thread(api.database.query, incidents.get, id)

    async def decide(several: Sequence[Decision]) -> None:
        try:
            await api.decisions.decide_all(several)
        except StaleDecision as stale:
            raise TooLate(str(stale)) from None

    async def take(signature: str) -> bool:
        work = lambda connection: slack_requests.take(connection, signature, api.decisions.clock())  # noqa: E731
        return await asyncio.to_thread(api.database.transact, work)

    return SlackActions(secret, incident, decide, api.decisions.clock, permit, take)
