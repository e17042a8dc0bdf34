"""`keelwatch route`: what to do about a route on which a step fails."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.changes import post_to_api
from services.cli.output import OUT
from services.settings import load_settings
from services.wording import routes as words

app = typer.Typer(help="Routes: tried again after a step failed on one.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `retry` a command of its own although it is the only one."""


@app.command("retry")
def retry(route: Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")]) -> None:
    """Have what waits of a route taken up again, after the cause was mended: asks the API at KEELWATCH_API_URL."""
    told = post_to_api(load_settings(), "/v1/route-retries", {"route": route})
    steps = [(str(one["step"]), int(one["waiting"])) for one in told["steps"]]
    OUT.print(words.retried(route, steps) if steps else words.NOT_PARKED, markup=False, soft_wrap=True)
