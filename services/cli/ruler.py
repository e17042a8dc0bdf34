"""`keelwatch ruler`: whether our own scorers answer as they did."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from services import wiring
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.settings import load_settings
from services.wording import ruler as words

if TYPE_CHECKING:
    from services.ruler.core import AnchorMeasurement
    from services.store.engine import Database

app = typer.Typer(help="The ruler: whether our own scorers answer as they did.", no_args_is_help=True)


@app.callback()
def _ruler() -> None:
    """Take what stands before the command."""


@app.command("check")
def check(config: ConfigOption = None, database: DatabaseOption = None, json: JsonOption = None) -> None:
    """Measure the anchors now: how each signal agrees with their labels, and what moved since they were measured last.

    Held against what the database has of this scorer, else of the one that counted last: exit code 1 if an anchor is
    answered otherwise, or its vectors turned.
    """
    from services.ruler.anchors import load_anchors  # noqa: PLC0415 -- brings numpy, and the help needs none
    from services.ruler.core import agreements, signal_moves, vector_moves  # noqa: PLC0415

    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    now, before = wiring.check_ruler(settings, watched, _stored(database))
    moves = () if before is None else signal_moves(before, now)
    turns = () if before is None else vector_moves(before, now)
    right = agreements(load_anchors(), now)
    found = {
        "anchors": {"version": load_anchors().version, "n": len(load_anchors().anchors)},
        "scorer": _scorer(now),
        "held_against": None if before is None else _scorer(before),
        "signals": [asdict(one) for one in right],
        "moved": [{**asdict(one), "flips": one.flips} for one in moves],
        "vectors": [asdict(one) for one in turns],
    }
    write_json(found, json)
    if json != STDOUT:
        _tell(found, right, moves, turns)
    if any(one.flips for one in moves) or any(one.turned for one in turns):
        raise typer.Exit(1)


def _stored(database: str | None) -> Database | None:
    """The database; None where none was named and there is none yet."""
    try:
        return opened(database)
    except InputError:
        if database is not None:
            raise
        return None


def _scorer(found: AnchorMeasurement) -> dict[str, Any]:
    return {"id": found.id, **found.scorer.model_dump(mode="json")}


def _tell(found: dict[str, Any], right: Any, moves: Any, turns: Any) -> None:
    moved = {one.name: one for one in moves}
    table = Table(*words.CHECK_COLUMNS, box=None)
    for one in right:
        table.add_row(
            one.name,
            one.version,
            str(one.n),
            words.share(one.right, one.n),
            str(one.unscored),
            words.moved_since(moved.get(one.name)),
        )
    OUT.print(table)
    for turn in turns:
        told = words.turned(turn.name, turn.turned, turn.n, turn.least, turn.before, turn.now)
        OUT.print(told, markup=False, soft_wrap=True)
    against = found["held_against"]
    told = words.held_against(found["anchors"]["n"], None if against is None else against["id"], found["scorer"]["id"])
    OUT.print(told, markup=False, soft_wrap=True)
