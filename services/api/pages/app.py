"""All pages, added to an application."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from services.api.http.problems import Problem
from services.api.pages import (
    api_docs,
    baselines,
    charts,
    compare,
    connect,
    evaluations,
    exchanges,
    fleet,
    health,
    incidents,
    live,
    login,
    profile,
    render,
    route,
)
from services.api.pages.render import HERE, PageContext

__all__ = ["PageContext", "failed", "install"]

_PAGES = (
    fleet,
    connect,
    incidents,
    exchanges,
    baselines,
    charts,
    health,
    profile,
    route,
    evaluations,
    compare,
    api_docs,
    live,
    login,
)


def install(app: FastAPI, parts: PageContext) -> None:
    """Add the pages, their style and their script to `app`."""
    for page in _PAGES:
        for router in page.routers(parts):
            app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def failed(request: Request, problem: Problem) -> Response:
    """A problem as a page; who is not signed in may do so."""
    return login.login_redirect(request) if problem.status == 401 else render.failed(request, problem)
