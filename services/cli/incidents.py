"""`keelwatch incident`: the record that people work on."""

from __future__ import annotations

from typing import Annotated

import typer

from schemas.base import plain_object
from services.cli import rendering
from services.cli.options import DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.store import incidents
from services.wording import commands as words

app = typer.Typer(help="Incidents and their timelines.", no_args_is_help=True)


@app.command("list")
def list_incidents(
    route: Annotated[str | None, typer.Option(help="Only this route.")] = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """List all incidents, resolved ones too."""
    found = opened(database).query(incidents.find, route)
    write_json([plain_object(incident) for incident in found], json)
    if json != STDOUT:
        OUT.print(rendering.incident_list(found) if found else words.NO_INCIDENT)


@app.command("show")
def show_incident(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also the numbers and ids behind it.")] = False,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Show one incident with its timeline."""
    found = opened(database).query(incidents.get, id)
    if found is None:
        raise InputError(f"incident {id}: not in this database; `keelwatch incident list` names them")
    write_json(plain_object(found), json)
    if json != STDOUT:
        OUT.print(rendering.incident_panel(found, verbose))
        if not verbose:
            OUT.print(words.more_details(found.id), style="dim", markup=False)
