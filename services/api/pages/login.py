"""Signing in and out, and the paths of this server to which a browser may be sent back.

A key becomes a session, which its cookie names and the key's end ends.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.api.auth import csrf
from services.api.auth.authentication import SESSION_COOKIE, Authenticator, client_of
from services.api.auth.authorization import needs, who
from services.api.http.body import BodyBudget, read_body
from services.api.http.problems import Problem
from services.api.pages.forms import fields_of, read_form
from services.api.pages.render import PageContext, page

HOME: Final = "/"
_MOST_CHARS: Final = 1_000
_LOOPS: Final = frozenset({"/login", "/logout"})


def local_path(text: str | None) -> str:
    r"""The path with its query if it leads to a page of ours, else the first page.

    >>> local_path("/incidents?state=open"), local_path("//evil.example"), local_path("/\\evil.example")
    ('/incidents?state=open', '/', '/')
    """
    if not text or len(text) > _MOST_CHARS or not text.startswith("/") or text.startswith("//"):
        return HOME
    # Browsers read a backslash as a slash, and leave spaces and control characters out.
    if "\\" in text or any(not "!" <= one <= "~" for one in text):
        return HOME
    try:
        path = urlsplit(text).path
    except ValueError:
        return HOME
    return HOME if path.rstrip("/") in _LOOPS else text


def requested_path(path: str, query: bytes) -> str:
    """What a browser asked for, as it would write it."""
    told = quote(path, safe="/:@!$&'()*+,;=~", errors="replace")
    return local_path(f"{told}?{query.decode('latin-1')}" if query else told)


_MOST_BYTES: Final = 8 * 1024
_BUDGET_BYTES: Final = 2 * 1024 * 1024
_BROWSING: Final = frozenset({"GET", "HEAD"})


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the page: one that needs no key, one that ends a session."""
    return _signing_in(parts.door), _signing_out(parts)


def login_redirect(request: Request) -> Response:
    """Where a browser without a session is sent, and from there to what it asked for, or to the page of its form."""
    scope = request.scope
    if scope["method"] in _BROWSING:
        back = requested_path(scope["path"], scope.get("query_string", b""))
    else:
        back = local_path(urlsplit(request.headers.get("referer", "")).path)
    if request.headers.get("sec-fetch-site") == "cross-site" and scope["method"] in _BROWSING:
        # A link on another site: the browser kept the cookie to itself, and sends it with what our own page opens.
        return page(request, "again.html", {"back": back})
    return RedirectResponse("/login" if back == HOME else f"/login?next={quote(back, safe='/')}", 303)


def _signing_in(door: Authenticator) -> APIRouter:
    made = APIRouter(include_in_schema=False)
    budget = BodyBudget(_BUDGET_BYTES)  # its own: whoever has no key must not use up what others need

    @made.get("/login")
    async def form(request: Request) -> Response:
        return await _form(request, door, local_path(request.query_params.get("next")))

    @made.post("/login")
    async def sign_in(request: Request) -> Response:
        back = HOME
        try:
            with budget.share() as share:
                fields = fields_of(await read_body(request, share, _MOST_BYTES))
            back = local_path(fields.get("next"))
            csrf.check(request, fields.get(csrf.FIELD, ""))
            token, until = await door.sign_in(fields.get("key", "").strip(), client_of(request))
        except Problem as problem:
            return await _form(request, door, back, problem)
        answer, secure = RedirectResponse(back, 303), request.url.scheme == "https"
        answer.set_cookie(
            SESSION_COOKIE, token, expires=until, httponly=True, samesite="strict", secure=secure, path="/"
        )
        csrf.keep(answer, csrf.new_token(), secure=secure)
        return answer

    return made


async def _form(request: Request, door: Authenticator, back: str, problem: Problem | None = None) -> Response:
    token = csrf.token_of(request)
    told = {"back": back, "problem": problem, "token": token, "needed": await door.is_locked()}
    status, headers = (200, {}) if problem is None else (problem.status, problem.headers)
    made = page(request, "login.html", told, status, headers)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def _signing_out(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.post("/logout")
    async def sign_out(request: Request) -> Response:
        await read_form(request, parts.budget)
        if who(request).signed_in:
            await parts.door.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", path="/")
        return answer

    return made
