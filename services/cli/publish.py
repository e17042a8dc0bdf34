"""`keelwatch publish`: the exchanges of a file on a topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.topics import EXCHANGES
from services.cli.broker import BootstrapOption, broker, connected
from services.cli.output import ERR, OUT
from services.errors import InputError
from services.ingest.file import lines
from services.replay.source import size_of
from services.stream.publish import Published
from services.stream.publish import publish as send


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL of exchanges; every line is sent as it stands.")],
    bootstrap: BootstrapOption = None,
    topic: Annotated[str, typer.Option(metavar="T", help="Topic of the exchanges.")] = EXCHANGES.name,
    rate: Annotated[float | None, typer.Option(metavar="N", help="At most so many a second; else no limit.")] = None,
) -> None:
    """Send the lines of a file, keyed by route: exit code 1 if the broker did not acknowledge all of them."""
    size_of(file)
    if rate is not None and not rate > 0:
        raise InputError("--rate: must be above 0")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bar:
        total = _count(file) if ERR.is_terminal else None
        task = bar.add_task("publishing", total=total)
        done = connected(
            send(broker(bootstrap), topic, lines(file), rate, lambda so_far: bar.update(task, completed=so_far.sent))
        )
    _tell(done)
    if done.failed:
        raise typer.Exit(1)


def _count(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(bool(line.strip()) for line in opened)


def _tell(done: Published) -> None:
    OUT.print(f"sent {done.sent:,}, acknowledged {done.acknowledged:,}, failed {done.failed:,}")
    for reason, n in sorted(done.reasons.items()):
        ERR.print(f"{n:,} x {reason}", markup=False, soft_wrap=True)
