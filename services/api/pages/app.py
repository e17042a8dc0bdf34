"""All pages, added to an application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from services.api.pages import charts, fleet, health, incidents, live
from services.api.pages.render import HERE, Parts, failed

__all__ = ["Parts", "failed", "install"]


def install(app: FastAPI, parts: Parts) -> None:
    """Add the pages, their style and their script to `app`."""
    for page in (fleet, incidents, charts, health, live):
        for router in page.routers(parts):
            app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
