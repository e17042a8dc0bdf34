"""`keelwatch topics`: the topics that Keelwatch needs, on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from services.cli.broker import BootstrapOption, broker, connected
from services.cli.incidents import DatabaseOption
from services.cli.output import OUT
from services.errors import InputError
from services.settings import load_settings
from services.store.engine import open_database
from services.stream import adopt as adoption
from services.stream import topics
from services.stream.topics import Found, all_topics

app = typer.Typer(help="Topics: made, checked, shown, adopted.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Partitions of every topic but those of dead letters; else 6.")
]


@app.command("create")
def create(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Make the topics that are missing; exit code 1 if one that was there is not as it must be (it is left alone)."""
    made, found = connected(topics.create(broker(bootstrap), all_topics(_sane(partitions))))
    OUT.print(f"{len(made)} topics made, {len(found) - len(made)} were there")
    _complain(found)


@app.command("check")
def check(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Name every topic that is missing or not as it must be: exit code 1 if there is one."""
    found = connected(topics.look(broker(bootstrap), all_topics(_sane(partitions))))
    _complain(found)
    OUT.print(f"all {len(found)} topics are as they must be")


@app.command("show")
def show(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Show every topic: who writes and who reads it, and how it is on the cluster."""
    found = connected(topics.look(broker(bootstrap), all_topics(_sane(partitions))))
    columns = ("partitions", "hours kept", "written by", "read by", "on the cluster")
    table = Table(Column("topic", no_wrap=True), *columns, box=None, pad_edge=False, header_style="dim")
    for one in found:
        topic = one.topic
        state = "; ".join(one.deviations) or "as it must be"
        readers = ", ".join(topic.consumers)
        table.add_row(topic.name, str(topic.partitions), str(topic.retention_hours), topic.producer, readers, state)
    OUT.print(table)


@app.command("adopt")
def adopt(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic of exchanges that was made anew.")],
    database: DatabaseOption = None,
) -> None:
    """Accept a topic that was deleted and made anew: its first exchanges count again, what was learned stays."""
    adopted = adoption.adopt(open_database(database or load_settings().database, create=False), topic)
    OUT.print(f"{topic}: accepted anew for {adopted.routes} routes", markup=False, soft_wrap=True)


def _sane(partitions: int | None) -> int | None:
    if partitions is not None and not 0 < partitions <= 10_000:
        raise InputError("--partitions: must be between 1 and 10,000")
    return partitions


def _complain(found: tuple[Found, ...]) -> None:
    wrong = [(one.topic.name, text) for one in found for text in one.deviations]
    for name, text in wrong:
        OUT.print(f"{name}: {text}", markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
