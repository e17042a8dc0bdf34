"""Pages as text: templates, filters, headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from services.api.auth import csrf
from services.api.auth.authentication import Authenticator
from services.api.auth.authorization import LOCAL, Guard, Principal
from services.api.decision_outbox import DecisionWriter
from services.api.http.body import BodyBudget
from services.api.http.problems import Problem
from services.api.sse import LiveUpdates
from services.api.system import SystemHealth
from services.monitor import Monitor, RoutePolicy
from services.store.engine import Database
from services.wording import (
    coverage,
    decisions,
    evaluations,
    exchanges,
    explanations,
    incidents,
    movements,
    nouns,
    numbers,
    onboarding,
    profiles,
    routes,
    schedules,
    timeline,
)
from services.wording.sources import SourceAddresses

HERE: Final = Path(__file__).parent
NAVIGATION: Final = (
    ("/", "Fleet"),
    ("/incidents", "Incidents"),
    ("/exchanges", "Exchanges"),
    ("/evaluations", "Evaluations"),
    ("/baselines", "Baselines"),
    ("/health", "Health"),
)
"""Path -> name of the pages that lead to all others."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the pages are made of: the monitor file, versions that would score answers here, where sources reach us."""

    database: Database
    decisions: DecisionWriter
    guard: Guard
    budget: BodyBudget
    watched: Monitor
    health: SystemHealth
    door: Authenticator
    live: LiveUpdates
    scorers: Callable[[], Mapping[str, str]] = dict
    addresses: SourceAddresses | None = None

    @property
    def policy(self) -> Callable[[str], RoutePolicy]:
        """What the monitor file says of a route."""
        return self.watched.policy


def page(
    request: Request, name: str, told: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A template as an answer; `told` are its names, beside who asks and where.

    A header `refresh` (seconds) becomes the script's: by itself it would also take away what somebody writes.
    """
    who: Principal = getattr(request.state, "caller", LOCAL)
    token, sent = csrf.token_of(request), dict(headers or {})
    # What answers a form, or says what is wrong, must stay as it is.
    live = {"live": request.method == "GET" and status == 200, "refresh": sent.pop("refresh", None)}
    frame = {"navigation": NAVIGATION, "path": request.url.path, "principal": who, "form_token": token}
    text = _ENVIRONMENT.get_template(name).render(**frame, **live, **told)
    made = HTMLResponse(text, status, {**sent, "cache-control": "no-store"})
    if who.signed_in:
        csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def failed(request: Request, problem: Problem) -> Response:
    """A problem as a page."""
    return page(request, "problem.html", {"problem": problem}, problem.status, problem.headers)


def _environment() -> jinja2.Environment:
    """Everything is escaped, and a name that is missing is a fault of ours."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "at": numbers.moment,
        "ago": numbers.ago,
        "headline": incidents.title,
        "sentence": numbers.sentence_case,
    }
    made.globals |= {
        "DECISIONS": decisions.DECISIONS,
        "ENTRIES": timeline.KINDS,
        "SEVERITIES": incidents.SEVERITIES,
        "words": SimpleNamespace(
            coverage=coverage,
            decisions=decisions,
            evaluations=evaluations,
            exchanges=exchanges,
            explanations=explanations,
            incidents=incidents,
            movements=movements,
            nouns=nouns,
            numbers=numbers,
            onboarding=onboarding,
            profiles=profiles,
            routes=routes,
            schedules=schedules,
        ),
    }
    return made


_ENVIRONMENT: Final = _environment()
