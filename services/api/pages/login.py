"""Signing in and out: a key becomes a session, which its cookie names and the key's end ends."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.api.body import Budget, read
from services.api.door import COOKIE, Door, client_of
from services.api.guard import needs, who
from services.api.pages import csrf
from services.api.pages.forms import fields_of, sent
from services.api.pages.own import HOME, asked_for, own_path
from services.api.pages.render import Parts, page
from services.api.problems import Problem

_MOST_BYTES: Final = 8 * 1024
_BUDGET_BYTES: Final = 2 * 1024 * 1024
_BROWSING: Final = frozenset({"GET", "HEAD"})


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the page: one that needs no key, one that ends a session."""
    return _signing_in(parts.door), _signing_out(parts)


def to_login(request: Request) -> Response:
    """Where a browser without a session is sent, and from there to what it asked for, or to the page of its form."""
    scope = request.scope
    if scope["method"] in _BROWSING:
        back = asked_for(scope["path"], scope.get("query_string", b""))
    else:
        back = own_path(urlsplit(request.headers.get("referer", "")).path)
    if request.headers.get("sec-fetch-site") == "cross-site" and scope["method"] in _BROWSING:
        # A link on another site: the browser kept the cookie to itself, and sends it with what our own page opens.
        return page(request, "again.html", {"back": back})
    return RedirectResponse("/login" if back == HOME else f"/login?next={quote(back, safe='/')}", 303)


def _signing_in(door: Door) -> APIRouter:
    made = APIRouter(include_in_schema=False)
    budget = Budget(_BUDGET_BYTES)  # its own: whoever has no key must not use up what others need

    @made.get("/login")
    async def form(request: Request) -> Response:
        return await _form(request, door, own_path(request.query_params.get("next")))

    @made.post("/login")
    async def sign_in(request: Request) -> Response:
        back = HOME
        try:
            with budget.share() as share:
                fields = fields_of(await read(request, share, _MOST_BYTES))
            back = own_path(fields.get("next"))
            csrf.check(request, fields.get(csrf.FIELD, ""))
            token, until = await door.sign_in(fields.get("key", "").strip(), client_of(request))
        except Problem as problem:
            return await _form(request, door, back, problem)
        answer, secure = RedirectResponse(back, 303), request.url.scheme == "https"
        answer.set_cookie(COOKIE, token, expires=until, httponly=True, samesite="strict", secure=secure, path="/")
        csrf.keep(answer, csrf.new_token(), secure=secure)
        return answer

    return made


async def _form(request: Request, door: Door, back: str, problem: Problem | None = None) -> Response:
    token = csrf.token_of(request)
    told = {"back": back, "problem": problem, "token": token, "needed": await door.is_locked()}
    status, headers = (200, {}) if problem is None else (problem.status, problem.headers)
    made = page(request, "login.html", told, status, headers)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def _signing_out(parts: Parts) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.post("/logout")
    async def sign_out(request: Request) -> Response:
        await sent(request, parts.budget)
        if who(request).signed_in:
            await parts.door.sign_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
        return answer

    return made
