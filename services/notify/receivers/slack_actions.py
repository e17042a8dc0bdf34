"""`POST /slack/actions`: Slack tells of a press, and is answered within its three seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fastapi import APIRouter, BackgroundTasks, Request, Response

from schemas.decision import Decision
from schemas.incident import Incident
from services.notify.block_kit import cleaned
from services.notify.buttons import Press, RecentKeys, decisions_of, is_signed, press_of, too_late
from services.wording.notifications import AGAIN, FAILED, FOLLOWS, NOT_YOU

LOG: Final = logging.getLogger("keelwatch.notify")
MOST_BYTES: Final = 256 * 1024
SECONDS: Final = 2.5


class TooLate(Exception):  # noqa: N818 -- a state of the world
    """A decision would change nothing; the text says why, for the person who pressed."""


@dataclass(frozen=True, slots=True)
class SlackResponse:
    """The status for Slack, and what is said to the person, if anything, at the address of the press."""

    status: int
    words: str | None = None
    url: str = ""


def actor_by_name(press: Press) -> str | None:
    """The actor that stands on the timeline: the name of whoever could press. None would refuse."""
    return f"{cleaned(press.name, 80)} (slack {cleaned(press.user, 40)})"


@dataclass(slots=True)
class SlackActions:
    """Turns signed presses into decisions.

    Attributes:
        secret: the app's signing secret. incident: the incident of an id, as it stands.
        decide: records what a press decides, all or nothing; raises TooLate with the reason if it changes nothing.
        clock: the wall clock. actor: who that is for us; None refuses.
    """

    secret: str
    incident: Callable[[str], Awaitable[Incident | None]]
    decide: Callable[[Sequence[Decision]], Awaitable[None]]
    clock: Callable[[], datetime]
    actor: Callable[[Press], str | None] = actor_by_name
    _requests: RecentKeys = field(default_factory=RecentKeys)
    _presses: RecentKeys = field(default_factory=RecentKeys)

    async def handle(self, body: bytes, timestamp: str, signature: str) -> SlackResponse:
        """The answer to one request, whatever it holds."""
        now = self.clock()
        if not is_signed(self.secret, body, timestamp, signature, now):
            return SlackResponse(401)
        if self._requests.again(signature, now):
            return SlackResponse(200)
        try:
            press = press_of(body)
        except ValueError:
            return SlackResponse(400)
        return SlackResponse(200) if press is None else SlackResponse(200, await self._pressed(press, now), press.url)

    async def _pressed(self, press: Press, now: datetime) -> str:
        actor = self.actor(press)
        if actor is None:
            return NOT_YOU
        key = f"{press.value.nonce}:{press.button.kind}"
        if self._presses.again(key, now):
            return AGAIN
        try:
            async with asyncio.timeout(SECONDS):
                words = await self._decided(press, actor)
        except TooLate as late:
            self._presses.forget(key)
            return str(late)
        except Exception as error:
            self._presses.forget(key)
            LOG.error("a press was not recorded: %s", type(error).__name__)
            return FAILED
        if words is None:
            return f"{press.button.done} {FOLLOWS}"
        self._presses.forget(key)
        return words

    async def _decided(self, press: Press, actor: str) -> str | None:
        """Record the decisions; why not, if they come too late."""
        incident = await self.incident(press.value.incident)
        late = too_late(press, incident)
        if late is None and incident is not None:
            await self.decide(decisions_of(press, incident, actor))
        return late


def router(actions: SlackActions, answer: Callable[[str, str], Awaitable[None]]) -> APIRouter:
    """The route `/slack/actions`; `answer` says words to the person behind an address."""
    routes = APIRouter()

    @routes.post("/slack/actions", status_code=200, response_class=Response)
    async def slack_actions(request: Request, later: BackgroundTasks) -> Response:
        """A press of a button in Slack, signed by Slack."""
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        headers = request.headers
        said = await actions.handle(
            body, headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        )
        if said.words is not None and said.url:
            later.add_task(_answer_later, answer, said.url, said.words)
        return Response(status_code=said.status, background=later)

    return routes


async def _body(request: Request) -> bytes | None:
    """The raw body, None if it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


async def _answer_later(answer: Callable[[str, str], Awaitable[None]], url: str, words: str) -> None:
    try:
        await answer(url, words)
    except Exception as error:
        LOG.warning("the person who pressed was not answered: %s", error)
