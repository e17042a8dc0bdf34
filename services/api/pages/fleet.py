"""The fleet: every route, worst first."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.guard import needs, who
from services.api.pages import fleet_view
from services.api.pages.render import Parts, page
from services.api.problems import of_store
from services.store.fleet import NONE, Wanted

SIZE: Final = 100
_MOST_PAGES: Final = 10_000
_PART_OF_A_ROUTE: Final = re.compile(r"[a-z0-9._/-]{0,200}")


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/")
    async def fleet(request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in ("route", "state")}
        text, number = asked["route"].lower(), _number(request.query_params.get("page", ""))
        states = [state for state in fleet_view.STATES if state == asked["state"]]
        known = _PART_OF_A_ROUTE.fullmatch(text) is not None
        wanted = Wanted(who(request).routes, text if known else "", states)
        every, fits, found = await of_store(lambda: parts.repository.fleet(wanted, (number - 1) * SIZE, SIZE))
        if not known:  # what is part of no route's name fits none
            fits, found = NONE, ()
        now = parts.decisions.clock()
        told = {
            "cards": [fleet_view.card(entry, parts.policy, now) for entry in found],
            "heading": fleet_view.heading(every),
            "summary": fleet_view.summary(every),
            "every": every,
            "fits": fits,
            "paging": fleet_view.paging(number, SIZE, fits, asked),
            "asked": asked,
            "states": fleet_view.STATES,
            "now": now,
        }
        return page(request, "fleet.html", told)

    return (made,)


def _number(text: str) -> int:
    """The page that was asked for; the first one where that is none."""
    return min(max(int(text), 1), _MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 9 else 1
