"""`keelwatch ingest`: what a file of records would become, before it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services import wiring
from services.cli.options import ConfigOption
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.ingest.explain import FormatReport
from services.ingest.explain import explain as explained
from services.ingest.files import records
from services.ingest.routing import ROUTE_HEADER, Carriage
from services.settings import load_settings
from services.wording import ingest as words

app = typer.Typer(help="What comes in: how records are read, before they are published.", no_args_is_help=True)


@app.callback()
def _ingest() -> None:
    """Keep `explain` a command of its own while it is the only one."""


@app.command("explain")
def explain(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="JSONL in any format, a JSON document or array, CSV, or OTLP in protobuf; nothing is stored or sent.",
        ),
    ],
    route: Annotated[str | None, typer.Option(metavar="R", help="As header keelwatch-route would give it.")] = None,
    config: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Show what is found in a file of records, what is missing, and what each missing field costs.

    Exit code 1 says that a record could not be read.
    """
    rules = wiring.load_monitor(load_settings(), config).ingest
    carriage = Carriage({} if route is None else {ROUTE_HEADER: route}, rules)
    try:
        found = explained(records(file), carriage)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; name a file of records") from None
    if not found:
        raise InputError(f"{file}: is empty; name a file of records")
    write_json({name: _told(one) for name, one in found.items()}, json)
    if json != STDOUT:
        for name, one in found.items():
            for line in words.report(name, one.records, one.exchanges, one.routes, one.not_monitored):
                OUT.print(line, markup=False, soft_wrap=True)
            for line in (*words.faults(one.faults), *words.costs(one.costs(), one.exchanges)):
                OUT.print(line, markup=False, soft_wrap=True)
    if any(one.faults for one in found.values()):
        raise typer.Exit(1)


def _told(one: FormatReport) -> dict[str, Any]:
    missing = {name: {"exchanges": n, "costs": costs} for name, (n, costs) in one.costs().items()}
    return {
        "records": one.records,
        "exchanges": one.exchanges,
        "routes": dict(sorted(one.routes.items())),
        "found": dict(sorted(one.told.items())),
        "missing": missing,
        "not_monitored": dict(sorted(one.not_monitored.items())),
        "faults": dict(sorted(one.faults.items())),
    }
