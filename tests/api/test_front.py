"""What stands before the API: https, proxies that are believed and others, and names by which it is asked."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from services.api.app import Front, make
from services.api.auth.authentication import BURST
from services.monitor import Monitor
from services.observability.health import HealthProbes
from services.observability.metrics import StreamMeters
from services.settings import Settings, SettingsError, load_settings
from services.store.engine import Database
from services.wiring import message_look
from services.wiring.api_server import place_of
from tests.support.access import Browser, bearer, key
from tests.support.api import Wire, api_on, recorded
from tests.support.records import alert

HSTS = "strict-transport-security"
WRONG = "kw_" + "0" * 16 + "_" + "0" * 64
EVIL = "evil.example"


def app_with(database: Database, front: Front = Front()) -> FastAPI:  # noqa: B008 -- frozen
    return make(api_on(database, Wire(), front=front))


def test_where_people_come_by_https_cookies_are_for_it_alone_and_browsers_are_told(database: Database) -> None:
    secret = key(database, "viewer")
    for https in (False, True):  # the proxy before it speaks http either way
        browser = Browser(app_with(database, Front(https=https)), https=https)
        answer = browser.sign_in(secret)
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert [("; Secure" in one) for one in cookies] == [https, https]
        assert answer.headers.get(HSTS) == ("max-age=31536000" if https else None)


def test_the_setting_says_so() -> None:
    told = Settings(
        public_url="https://keelwatch.example/", api_url="http://10.0.0.1:8400", trusted_proxies="10.0.0.7, ::1"
    )
    assert place_of(told, Monitor(), "127.0.0.1").front == Front(True, ("10.0.0.7", "::1"))
    assert message_look(told).api_url == "https://keelwatch.example"
    assert place_of(Settings(public_url="http://k.example"), Monitor(), "h").front == Front()


def test_githubs_secret_is_that_of_the_settings_or_of_the_variable_that_the_monitor_file_names(monkeypatch) -> None:
    monkeypatch.setenv("OUR_SECRET", "named")
    given = Settings(webhook_github_secret="given")
    assert place_of(given, Monitor(), "h").github_secret == "given"
    assert place_of(given, Monitor(github_secret_env="OUR_SECRET"), "h").github_secret == "named"
    assert "named" not in repr(place_of(given, Monitor(github_secret_env="OUR_SECRET"), "h"))
    assert place_of(Settings(), Monitor(), "h").github_secret is None


@pytest.mark.parametrize("text", ["*", "proxy.example", "10.0.0.0/33", "10.0.0.1/8", "127.0.0.1,"])
def test_a_proxy_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KEELWATCH_TRUSTED_PROXIES", text)
    with pytest.raises(SettingsError, match="KEELWATCH_TRUSTED_PROXIES: must be addresses or networks of proxies"):
        load_settings()


async def _guessed(app: FastAPI, n: int) -> list[int]:
    """How wrong keys are answered that one client on this machine sends, each time as if from somewhere else."""
    async with HealthProbes({}, lambda: None, StreamMeters()).serve(0, app=app) as port, httpx.AsyncClient() as client:
        found = []
        for number in range(n):
            headers = {**bearer(WRONG), "x-forwarded-for": f"192.0.2.{number}", "x-forwarded-proto": "https"}
            found.append((await client.get(f"http://127.0.0.1:{port}/v1/incidents", headers=headers)).status_code)
        return found


@pytest.mark.parametrize(("front", "slowed"), [(Front(), True), (Front(proxies=("127.0.0.1",)), False)])
def test_who_says_to_be_somebody_else_is_slowed_down_all_the_same(
    database: Database, front: Front, slowed: bool
) -> None:
    """Over a real socket, with the server that the product starts; only a proxy that was named may say so."""
    key(database, "viewer")
    found = asyncio.run(_guessed(app_with(database, front), 3 * BURST))
    assert (429 in found, found[0]) == (slowed, 401)


def test_uvicorns_own_trust_is_off_whatever_the_environment_says(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    key(database, "viewer")
    assert uvicorn.Config(FastAPI()).proxy_headers, "this is what it would do"
    assert 429 in asyncio.run(_guessed(app_with(database), 3 * BURST))


def test_the_name_by_which_it_was_asked_is_never_repeated(database: Database) -> None:
    recorded(database, alert("firing", 300))
    browser = Browser(app_with(database, Front(https=True)), https=True)
    assert browser.sign_in(key(database, "admin")).status_code == 303
    paths = [
        "/",
        "/incidents",
        "/incidents/",
        "/v1/incidents/",
        "/v1//incidents",
        "/static",
        "/openapi.json",
        "/login/",
    ]
    paths += ["/health", "/health/", "/nothing", "/v1/health/", "/logout", "/routes/support-bot/prod/", "/compare"]
    for path in paths:
        for headers in ({"host": EVIL}, {"x-forwarded-host": EVIL, "forwarded": f"host={EVIL}"}):
            answer = browser.get(path, **headers)
            assert EVIL not in answer.text + str(answer.headers), path
    stranger = Browser(app_with(database)).get("/incidents/", host=EVIL)
    assert EVIL not in stranger.text + str(stranger.headers)
