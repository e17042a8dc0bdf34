"""A form can only come from a page that this server gave to the same browser: a token in a cookie and in the form."""

from __future__ import annotations

import re
import secrets
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from services.api.http.problems import Problem

FORM_COOKIE: Final = "keelwatch_form"
FIELD: Final = "token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def token_of(request: Request) -> str:
    """The token of this browser, a new one where it has none; one request has one, however many forms its page has."""
    known = request.cookies.get(FORM_COOKIE, "")
    if _TOKEN.fullmatch(known):
        return known
    if not hasattr(request.state, "form_token"):
        request.state.form_token = new_token()
    return str(request.state.form_token)


def new_token() -> str:
    """A token that nobody knows: for a browser that signs in, so that none from before is worth anything."""
    return secrets.token_urlsafe(32)


def keep(response: Response, token: str, *, secure: bool) -> None:
    """Let the browser keep it: no script reads it, and no other site's request carries it."""
    response.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")


def check(request: Request, sent: str) -> None:
    """That the form came from a page of this browser.

    Raises:
        Problem: 403 if it did not.
    """
    known = request.cookies.get(FORM_COOKIE, "")
    if not (_TOKEN.fullmatch(known) and secrets.compare_digest(known.encode(), sent.encode())):
        raise Problem(403, "this form is not of this browser, or too old; open its page again and send it from there")
