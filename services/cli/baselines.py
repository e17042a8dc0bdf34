"""`keelwatch baseline`: the pinned references of the routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table
from sqlalchemy import Connection

from detectors import registered
from schemas.base import plain_object
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.score import Scorer
from services import wiring
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, progress, write_json
from services.detect.given_baseline import give_baseline, why_not
from services.detect.state import DetectionPlan, DetectState
from services.errors import InputError
from services.ports import Received
from services.replay.own_traffic import learned
from services.replay.scored_rows import learnable
from services.replay.source import read_items, size_of
from services.score.blocks import ScoredRow, rows_of
from services.score.core import ExchangeScorer
from services.settings import load_settings, private_folder
from services.store import journal, routes
from services.store.engine import open_database
from services.stream.stateful import DetectStateStore
from services.wording import commands as words
from services.wording import nouns, numbers, replays

_BATCH: Final = 512

app = typer.Typer(help="Baselines: what a route is held against.", no_args_is_help=True)


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


@app.command("build")
def build(
    file: Annotated[
        Path, typer.Option("--from", metavar="FILE", help="JSONL of exchanges, or of score lines with vectors.")
    ],
    route: Annotated[str | None, typer.Option(help="The route that begins with it; else the one of the file.")] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Make a baseline of the exchanges of a file, and have a route that has none yet begin with it.

    The route is held against it from its next exchange on, also while it runs. A route that has a baseline keeps it.
    """
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    scorer = wiring.scorer(settings, watched)
    rows = _of_route(_scored_rows(scorer, file), route)
    plan = DetectionPlan(registered(), watched.policy(rows[0].route))
    _of_this_scorer(rows, scorer.version)
    state = learned(plan, learnable(_of_one_model(rows)))
    private_folder(settings.data_dir)
    base = open_database(database or settings.database, heads=settings.data_dir)
    base.transact(lambda connection: _give(connection, state))
    assert state.pinned is not None
    named = nouns.model_name(state.pinned.model)
    OUT.print(replays.given(state.route, state.pinned.n, named), markup=False, soft_wrap=True)


def _scored_rows(scorer: ExchangeScorer, file: Path) -> list[ScoredRow]:
    """The file's score lines as they are, its exchanges scored here."""
    rows: list[ScoredRow] = []
    with progress("reading", size_of(file)) as advance:
        source = read_items(file, advance)
        while batch := list(islice(source, _BATCH)):
            dead = next((one for one in batch if isinstance(one, DeadLetter)), None)
            if dead is not None:
                raise InputError(f"--from {file}, line {dead.source.offset}: {dead.reason}")
            scored = scorer.score([one for one in batch if isinstance(one, Received)])
            rows += [one for one in batch if isinstance(one, ScoredRow)]
            rows += [row for block in scored.blocks for row in rows_of(block)]
    if not rows:
        raise InputError(replays.empty(str(file)))
    return rows


def _of_route(rows: Sequence[ScoredRow], route: str | None) -> list[ScoredRow]:
    names = sorted({row.route for row in rows})
    if route is None and len(names) > 1:
        raise InputError(replays.several_routes(names))
    return [replace(row, route=route or names[0]) for row in rows]


def _of_one_model(rows: Sequence[ScoredRow]) -> Sequence[ScoredRow]:
    found = Counter((row.identity, row.model.requested) for row in rows)
    if len(found) > 1:
        raise InputError(replays.several_models([(name, n) for (_, name), n in found.most_common()]))
    return rows


def _of_this_scorer(rows: Sequence[ScoredRow], here: Scorer) -> None:
    """Raise InputError for the first row that was scored by something else than what is installed."""
    for row in rows:
        vectors = f"{row.scorer.engine}/{row.scorer.precision}", f"{here.engine}/{here.precision}"
        if vectors[0] != vectors[1]:
            raise InputError(replays.other_scorer("the vectors", *vectors))
        for name, version in sorted(row.scorer.signals.items()):
            if here.signals.get(name) != version:
                raise InputError(replays.other_scorer(name, version, here.signals.get(name, "none")))


def _give(connection: Connection, state: DetectState) -> None:
    """Write it as what detect reads next: a worker that has the route in memory reads it anew before it saves."""
    store = DetectStateStore(registered())
    kept = store.load(connection, state.route)
    why = why_not(kept.now, state)
    if why is not None:
        raise InputError(why)
    routes.ensure(connection, state.route)
    store.save(connection, state.route, replace(kept, now=give_baseline(kept.now, state)))


def _table(pinned: list[Change]) -> Table:
    table = Table(*words.BASELINE_COLUMNS, box=None)
    for change in pinned:
        facts = change.pinning
        rates = words.rates(facts.rates) if facts else ""
        size = f"{facts.n:,}" if facts else ""
        budget = words.one_in(facts.arl / max(facts.streams, 1)) if facts else ""
        table.add_row(change.route, nouns.model_name(change.model), numbers.moment(change.ts), size, rates, budget)
    return table
