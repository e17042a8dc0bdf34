"""The API as an enemy uses it: every operation of its description, for every role, with values that nobody meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.python.asgi import get_client
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.app import make
from services.api.auth.api_key import Role
from services.api.auth.authorization import Guard, Principal
from services.api.http.problems import Problem
from services.store.engine import Database
from tests.api.pages import around, told
from tests.support.api import BASE, Wire, api_on
from tests.support.known import Values

OWN, FOREIGN = "own/prod", "zebra-foreign/prod"
MARK = "zebra"
"""What stands in every text of the foreign route, its name included, and nowhere else."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
PRINCIPALS: Mapping[str, Principal | None] = {
    "nobody": None,
    "ingest": Principal("in", "ingest"),
    "viewer": Principal("see", "viewer"),
    "operator": Principal("do", "operator"),
    "admin": Principal("all", "admin"),
    "own routes": Principal("some", "admin", ("own/*",)),
}
_MAY: Mapping[Role, frozenset[Role]] = {
    "ingest": frozenset({"ingest"}),
    "viewer": frozenset({"viewer"}),
    "operator": frozenset({"viewer", "operator"}),
    "admin": frozenset({"ingest", "viewer", "operator", "admin"}),
}


def guard_of(principal: Principal | None) -> Guard:
    """A guard for which whoever asks is this one."""

    async def guard(_request: Request, role: Role) -> Principal:
        if principal is None:
            raise Problem(401, "who asks?")
        if role not in _MAY[principal.role]:
            raise Problem(403, "not with this role")
        return principal

    return guard


def fill(database: Database) -> None:
    """An own route and a foreign one, with everything that a route can have."""
    for route, text in ((OWN, "own"), (FOREIGN, f"{MARK} text")):
        told(database, text, route)
        around(database, text, route, letters="broken")


def app_for(database: Database, principal: Principal | None) -> FastAPI:
    """The application on this database, for one who asks."""
    return make(api_on(database, Wire(), guard=guard_of(principal)))


@dataclass
class Fuzzed:
    """What came of it: how many requests, how many of them each status had, and what is wrong."""

    requests: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class Fuzz:
    """Every operation with values of its description and with values against it; at most `examples` each.

    Attributes:
        unseen: text that no answer may have. known: path -> parameters of things that are there; every second request
            is for one of them.
    """

    app: FastAPI
    examples: int
    chance: int = 7
    unseen: str | None = None
    known: Mapping[str, Sequence[Values]] = field(default_factory=dict)
    seen: Fuzzed = field(default_factory=Fuzzed)

    def run(self) -> Fuzzed:
        """Ask; the first fault of each kind of each operation is kept."""
        schema = schemathesis.openapi.from_dict(self.app.openapi())
        schema.app = self.app
        with get_client(self.app) as client:
            for found in schema.get_all_operations():
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    # An operation without parameters has nothing that could be against its description.
                    with suppress(Unsatisfiable):
                        self._operation(found.ok(), mode, client)
        return self.seen

    def _operation(self, operation: Any, mode: GenerationMode, client: Any) -> None:
        quiet = list(HealthCheck)

        @seed(self.chance)
        @settings(
            max_examples=self.examples,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=quiet,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            self._ask(case, client)

        ask()

    def _ask(self, case: Case, client: Any) -> None:
        self.seen.requests += 1
        there = self.known.get(case.path, ())
        if there and self.seen.requests % 2:
            path, query = there[self.seen.requests // 2 % len(there)]
            case.path_parameters.update(path)
            case.query.update(query)
        answer = case.call(base_url=BASE, session=client)
        self.seen.statuses[answer.status_code] = self.seen.statuses.get(answer.status_code, 0) + 1
        label = case.operation.label
        if self.unseen is not None and self.unseen in answer.text:
            self._fault(label, "tells of another route", case)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for one in group.exceptions:
                self._fault(label, f"{type(one).__name__}: {str(one)[:600]}", case)
        except Failure as one:
            self._fault(label, f"{type(one).__name__}: {str(one)[:600]}", case)

    def _fault(self, label: str, what: str, case: Case) -> None:
        kind, _, _ = what.partition(":")
        self.seen.faults.setdefault(f"{label}  {kind}", f"{label}: {what}\n    {case.as_curl_command()[:400]}")
