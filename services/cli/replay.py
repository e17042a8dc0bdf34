"""`keelwatch replay`: what would have fired on recorded traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.base import iso
from services import bootstrap
from services.cli import show
from services.cli.options import ConfigOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, progress, write_json
from services.replay.report import report
from services.replay.runner import Replay, Replayed
from services.replay.source import decisions, items, size_of
from services.settings import load_settings


def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL of native exchanges, or of score lines with vectors.")
    ],
    config: ConfigOption = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="Record everything here, for example sqlite:///replay.db.")
    ] = None,
    decided: Annotated[
        Path | None, typer.Option("--decisions", metavar="FILE", help="JSONL of decisions, applied at their time.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Run the whole flow over a file, in simulated time, without a broker.

    In the JSON, `events` counts valid exchanges that are no duplicates; `dead` and `duplicates` the rest of the lines.
    """
    size = size_of(file)
    settings = load_settings()
    watched = bootstrap.monitor(settings, config)
    run = Replay(bootstrap.tools(settings, watched, database), decisions(decided) if decided else ())
    with progress("replaying", size) as advance:
        for item in items(file, advance):
            run.feed(item)
    seen = run.finish()
    _warn(seen)
    write_json(report(seen, watched.policy), json)
    if json != STDOUT:
        tell(seen)


def _warn(seen: Replayed) -> None:
    """Say which decisions name an incident that never was: a slip in the file must not look like a quiet route."""
    for route in sorted(seen.flows):
        for decision in seen.incidents(route).parked:
            what = f"{decision.kind} by {decision.actor} at {iso(decision.ts)}"
            ERR.print(f"warning: {what}: {route} has no incident {decision.incident}", markup=False, soft_wrap=True)


def tell(seen: Replayed) -> None:
    """Print what a replay saw, for people."""
    OUT.print(show.routes([seen.flows[route].detect for route in sorted(seen.flows)]))
    for route in sorted(seen.flows):
        for field in sorted(seen.flows[route].detect.intake.volatility.fields):
            OUT.print(show.volatile(route, field))
        for mute in seen.muted(route):
            OUT.print(show.muted(route, mute))
    OUT.print(f"{seen.events:,} exchanges, {seen.dead:,} dead letters, {seen.duplicates:,} duplicates")
    show.incidents([incident for route in sorted(seen.flows) for incident in seen.incidents(route).incidents])
