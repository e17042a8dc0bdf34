"""`keelwatch baseline`: the pinned references of the routes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from schemas.base import plain_object
from schemas.change import Change
from services.cli.options import DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.store import journal, routes
from services.wording import commands as words
from services.wording import nouns, numbers

app = typer.Typer(help="Baselines: what a route is held against.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `show` a command of its own although it is the only one."""


@app.command("show")
def show(
    route: Annotated[str | None, typer.Argument(metavar="ROUTE", help="Only this route.")] = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Show every baseline that was pinned, the newest of a route last: rates, size and false-alarm budget."""
    base = opened(database)
    names = base.query(routes.names) if route is None else (route,)
    pinned = [
        fact
        for name in names
        for fact in sorted(base.query(journal.facts, name), key=lambda fact: fact.ts)
        if isinstance(fact, Change) and fact.kind == "pinned"
    ]
    write_json([plain_object(change) for change in pinned], json)
    if json != STDOUT:
        OUT.print(_table(pinned) if pinned else words.NO_BASELINE)


def _table(pinned: list[Change]) -> Table:
    table = Table(*words.BASELINE_COLUMNS, box=None)
    for change in pinned:
        facts = change.pinning
        rates = words.rates(facts.rates) if facts else ""
        size = f"{facts.n:,}" if facts else ""
        budget = words.one_in(facts.arl / max(facts.streams, 1)) if facts else ""
        table.add_row(change.route, nouns.model_name(change.model), numbers.moment(change.ts), size, rates, budget)
    return table
