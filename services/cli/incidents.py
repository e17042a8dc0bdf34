"""`keelwatch incident`: the record that people work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import typer

from schemas.base import iso, plain_object
from services.charts.evidence_chart import EvidenceLine, evidence_picture, explained
from services.cli import incident_decisions, rendering
from services.cli.options import DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json, writing
from services.errors import InputError
from services.store import incidents
from services.store.incidents import IncidentDetails
from services.wording import commands as words
from services.wording import explanations
from services.wording.explanations import Explanation
from services.wording.postmortem import postmortem

_Found = TypeVar("_Found")

app = typer.Typer(help="Incidents, their timelines, and what people decide about them.", no_args_is_help=True)
app.add_typer(incident_decisions.app)


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
    found = _known(id, opened(database).query(incidents.get, id))
    write_json(plain_object(found), json)
    if json != STDOUT:
        OUT.print(rendering.incident_panel(found, verbose))
        if not verbose:
            OUT.print(words.more_details(found.id), style="dim", markup=False)


@app.command("explain")
def explain_incident(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    chart: Annotated[
        str | None, typer.Option(metavar="OUT.svg", help="Write the evidence over time as a picture.")
    ] = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Say which signs an incident rests on, and what would have to be true for it to be a false alarm."""
    found, told, lines = _explained_details(id, database)
    if chart is not None:
        picture = evidence_picture(lines, found.incident.opened_at)
        if picture is None:
            raise InputError(f"--chart {chart}: no evidence over time is kept of this incident; leave it out")
        with writing(chart, "--chart") as sink:
            sink.write(picture.svg)
    write_json(_explanation_object(found.incident.id, told, lines), json)
    if json != STDOUT:
        _print_explanation(told, lines)


@app.command("postmortem")
def write_postmortem(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    out: Annotated[str, typer.Option(metavar="FILE.md", help="Where to write it; - prints it.")] = STDOUT,
    database: DatabaseOption = None,
) -> None:
    """Write the draft of a postmortem: what is known of an incident, with headings for what only people know."""
    found, told, _ = _explained_details(id, database)
    draft = postmortem(found.incident, told, found.comparisons, found.samples)
    if out == STDOUT:
        OUT.print(draft, markup=False, highlight=False, soft_wrap=True, end="")
    else:
        with writing(out, "--out") as sink:
            sink.write(draft)


def _known(id: str, found: _Found | None) -> _Found:
    if found is None:
        raise InputError(f"incident {id}: not in this database; `keelwatch incident list` names them")
    return found


def _explained_details(id: str, database: str | None) -> tuple[IncidentDetails, Explanation, Sequence[EvidenceLine]]:
    base = opened(database)
    found = _known(id, base.query(incidents.details, id))
    return found, *base.query(lambda connection: explained(connection, found))


def _explanation_object(id: str, told: Explanation, lines: Sequence[EvidenceLine]) -> dict[str, Any]:
    return {
        "incident": id,
        "seen": told.seen,
        "won": [{"text": text, "details": details} for text, details in told.won],
        "otherwise": list(told.otherwise),
        "evidence": [
            {"name": line.name, "points": [{"ts": iso(ts), "of_needed": share} for ts, share in line.points]}
            for line in lines
        ],
    }


def _print_explanation(told: Explanation, lines: Sequence[EvidenceLine]) -> None:
    OUT.print(told.seen, markup=False, soft_wrap=True)
    OUT.print(f"\n{explanations.WON}:", style="bold")
    for text, details in told.won:
        OUT.print(f"- {text}", markup=False, soft_wrap=True)
        OUT.print(f"  {details}", style="dim", markup=False, soft_wrap=True)
    if told.otherwise:
        OUT.print(f"\n{explanations.FALSE}:", style="bold")
    for text in told.otherwise:
        OUT.print(f"- {text}", markup=False, soft_wrap=True)
    OUT.print(f"\n{explanations.WANTED}", markup=False, soft_wrap=True)
    if lines:
        summary = explanations.evidence_summary((line.name, line.greatest) for line in lines)
        OUT.print(summary, style="dim", markup=False, soft_wrap=True)
