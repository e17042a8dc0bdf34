"""`POST /slack/actions`: Slack tells of a press, and is answered within its three seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter, BackgroundTasks, Request, Response

from schemas.decision import Decision
from schemas.incident import Incident
from services.notify.block_kit import cleaned
from services.notify.buttons import Press, decisions_of, is_signed, press_of, too_late
from services.wording.notifications import FAILED, FOLLOWS, NOT_KNOWN

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


class Replayed(Exception):  # noqa: N818 -- a state of the world
    """The same request was here before. Slack sends none twice."""


Permit = Callable[[Press, str], Awaitable[str | None]]
"""Why who pressed may not decide on a route, in words; None if they may."""


def actor_of(press: Press) -> str:
    """The actor that stands on the timeline: the name and the id of who pressed."""
    return f"{cleaned(press.name, 80)} (slack {cleaned(press.user, 40)})"


@dataclass(slots=True)
class SlackActions:
    """Turns signed presses into decisions.

    Attributes:
        secret: the app's signing secret. incident: the incident of an id, as it stands.
        decide: records what a press decides, all or nothing; raises TooLate with the reason if it changes nothing.
        clock: the wall clock. permit: whether who pressed may.
        take: notes a request by its signature, in any process; False if it was here before.
    """

    secret: str
    incident: Callable[[str], Awaitable[Incident | None]]
    decide: Callable[[Sequence[Decision]], Awaitable[None]]
    clock: Callable[[], datetime]
    permit: Permit
    take: Callable[[str], Awaitable[bool]]

    async def handle(self, body: bytes, timestamp: str, signature: str) -> SlackResponse:
        """The answer to one request, whatever it holds."""
        now = self.clock()
        if not is_signed(self.secret, body, timestamp, signature, now):
            return SlackResponse(401)
        try:
            press = press_of(body)
            return SlackResponse(200) if press is None else await self._pressed(press, signature)
        except ValueError:
            return SlackResponse(400)
        except Replayed:
            LOG.warning("a request of Slack came again: refused")
            return SlackResponse(409)

    async def _pressed(self, press: Press, signature: str) -> SlackResponse:
        try:
            async with asyncio.timeout(SECONDS):
                if not await self.take(signature):
                    raise Replayed
                words = await self._decided(press)
        except Replayed:
            raise
        except TooLate as late:
            words = str(late)
        except Exception as error:
            LOG.error("a press was not recorded: %s", type(error).__name__)
            words = FAILED
        return SlackResponse(200, words or f"{press.button.done} {FOLLOWS}", press.url)

    async def _decided(self, press: Press) -> str | None:
        """Record the decisions; why not, if they are not this person's to take, or come too late."""
        incident = await self.incident(press.value.incident)
        if incident is None:
            return NOT_KNOWN
        refused = await self.permit(press, incident.route)
        if refused is not None:
            LOG.warning("a press on %s was refused to %s", incident.route, cleaned(press.user, 40))
            return refused
        late = too_late(press, incident)
        if late is None:
            await self.decide(decisions_of(press, incident, actor_of(press)))
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
