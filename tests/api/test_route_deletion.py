"""A route is deleted over the API by an admin who sees it, and by nobody else."""

from __future__ import annotations

import logging

import pytest

from services.api.app import Api
from services.store import routes
from services.store.engine import Database
from tests.support.api import Wire, api_on, asked
from tests.support.asked import stocked
from tests.support.results import ROUTE

WHY = {"reason": "was\nnever ours", "actor": "mara"}


@pytest.fixture
def api(database: Database) -> Api:
    """An API on a route with runs and schedules."""
    stocked(database)
    return api_on(database, Wire())


def test_a_route_goes_with_all_that_is_of_it(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "keelwatch"):
        told = asked(api, "DELETE", f"/v1/routes/{ROUTE}", params=WHY)
    assert told.status_code == 200
    assert (told.json()["route"], told.json()["actor"]) == (ROUTE, "mara")
    assert told.json()["rows"]["routes"] == 1
    assert told.json()["rows"]["schedules"] > 0
    assert f"route {ROUTE} was deleted by mara: was never ours" in caplog.text
    assert asked(api, "GET", f"/v1/routes/{ROUTE}").status_code == 404
    assert asked(api, "DELETE", f"/v1/routes/{ROUTE}", params=WHY).status_code == 404
    assert api.database.query(routes.names) != ()


@pytest.mark.parametrize(("path", "query"), [(f"/v1/routes/{ROUTE}", {}), (f"/v1/routes/{ROUTE}", {"reason": ""})])
def test_without_a_reason_nothing_goes(api: Api, path: str, query: dict[str, str]) -> None:
    assert asked(api, "DELETE", path, params=query).status_code == 422
    assert ROUTE in api.database.query(routes.names)
