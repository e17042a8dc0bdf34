"""API keys for tests, and requests of somebody who has one."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie
from itertools import count
from typing import Any

import httpx
from fastapi import FastAPI

from services.api.auth.api_key import ID_BYTES, SECRET_BYTES, Secret, new_key
from services.store import api_keys
from services.store.api_keys import ApiKey
from services.store.engine import Database
from tests.support.api import BASE, NOW

PAGE = {"accept": "text/html"}
_NUMBERS = count(1)


def key(database: Database, role: str, *routes: str, name: str | None = None, **times: datetime) -> Secret:
    """A new key; `times` may say when it `expires`, or was `revoked`."""
    secret = new_key(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
    called = name or f"{role} {next(_NUMBERS)}"
    row = ApiKey(secret.id, called, role, routes or ("*",), secret.digest, NOW - timedelta(days=9), **times)
    with database.write() as connection:
        assert api_keys.add(connection, row)
    return secret


def bearer(secret: Secret | str) -> dict[str, str]:
    """The header that a program sends."""
    return {"authorization": f"Bearer {secret if isinstance(secret, str) else secret.text}"}


def answers(app: FastAPI, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
    """One request after another, each from an address of its own, so that none is slowed down for another's fault."""

    async def work() -> list[httpx.Response]:
        found = []
        for number, (method, path, more) in enumerate(requests):
            transport = httpx.ASGITransport(app, client=(f"10.0.{number >> 8}.{number & 255}", 1))
            async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=30) as client:
                found.append(await client.request(method, path, **more))
        return found

    return asyncio.run(work())


class Browser:
    """Keeps cookies from one request to the next, as a browser does whose clock stands at `NOW`, like the door's."""

    def __init__(self, app: FastAPI, base: str = BASE, https: bool = False) -> None:
        """`https`: it comes by https to a proxy, which speaks http to `base`."""
        self._app, self._base = app, base
        self._secure = https or base.startswith("https:")
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return self._sent("GET", path, headers=PAGE | headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form."""
        return self._sent("POST", path, data=fields, headers=PAGE | headers)

    def sign_in(self, secret: Secret, to: str = "/") -> httpx.Response:
        """Open the form, and send the key."""
        self.get("/login")
        return self.post("/login", {"token": self.token, "next": to, "key": secret.text})

    @property
    def token(self) -> str:
        """What the forms of this browser carry."""
        return self.cookies.get("keelwatch_form") or ""

    def _sent(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own = headers | ({"cookie": cookie} if cookie else {})

        async def work() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
                return await client.request(method, path, headers=own, **more)

        answer = asyncio.run(work())
        for line in answer.headers.get_list("set-cookie"):
            for name, told in SimpleCookie(line).items():
                self.cookies = {one: value for one, value in self.cookies.items() if one != name}
                if not _over(told) and (self._secure or not told["secure"]):
                    self.cookies[name] = told.value
        return answer


def _over(cookie: Morsel[str]) -> bool:
    """Whether a cookie that a server sends says that it is no more: its age is asked before its end, as browsers do."""
    if cookie["max-age"]:
        return int(cookie["max-age"]) <= 0
    return bool(cookie["expires"]) and parsedate_to_datetime(cookie["expires"]) <= NOW
