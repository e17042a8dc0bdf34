"""`keelwatch topics`, `publish` and `capture`: topics on a cluster, and files to and from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from schemas.topics import EXCHANGES
from services import wiring
from services.cli import resend
from services.cli.options import BootstrapOption, ConfigOption, DatabaseOption, broker, connected, opened
from services.cli.output import ERR, OUT, writing
from services.errors import InputError
from services.ingest.jsonl import lines
from services.replay.source import size_of
from services.settings import load_settings
from services.stream import topic_adoption as adoption
from services.stream import topics
from services.stream.capture import capture as read
from services.stream.publish import Published
from services.stream.publish import publish as send
from services.stream.topics import TopicStatus, all_topics
from services.wording import receipts

app = typer.Typer(help="Topics: made, checked, shown, adopted.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Partitions of every topic but those of dead letters; else 6.")
]


@app.command("create")
def create(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Make the topics that are missing; exit code 1 if one that was there is not as it must be (it is left alone)."""
    made, found = connected(topics.create(broker(bootstrap), all_topics(_sane(partitions))))
    OUT.print(receipts.topics_made(len(made), len(found) - len(made)))
    _complain(found)


@app.command("check")
def check(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Name every topic that is missing or not as it must be: exit code 1 if there is one."""
    found = connected(topics.describe(broker(bootstrap), all_topics(_sane(partitions))))
    _complain(found)
    OUT.print(receipts.topics_right(len(found)))


@app.command("show")
def show(bootstrap: BootstrapOption = None, partitions: PartitionsOption = None) -> None:
    """Show every topic: who writes and who reads it, and how it is on the cluster."""
    found = connected(topics.describe(broker(bootstrap), all_topics(_sane(partitions))))
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
    adopted = adoption.adopt(opened(database), topic)
    OUT.print(receipts.adopted(topic, adopted.routes), markup=False, soft_wrap=True)


def _sane(partitions: int | None) -> int | None:
    if partitions is not None and not 0 < partitions <= 10_000:
        raise InputError("--partitions: must be between 1 and 10,000")
    return partitions


def _complain(found: tuple[TopicStatus, ...]) -> None:
    wrong = [(one.topic.name, text) for one in found for text in one.deviations]
    for name, text in wrong:
        OUT.print(f"{name}: {text}", markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL of exchanges; every line is sent as it stands.")],
    bootstrap: BootstrapOption = None,
    topic: Annotated[str, typer.Option(metavar="T", help="Topic of the exchanges.")] = EXCHANGES.name,
    rate: Annotated[float | None, typer.Option(metavar="N", help="At most so many a second; else no limit.")] = None,
    config: ConfigOption = None,
    left: Annotated[
        str | None,
        typer.Option(
            "--left",
            metavar="F",
            help="File for lines that were not acknowledged; else one beside FILE, if there are any.",
        ),
    ] = None,
) -> None:
    """Send the lines of a file, keyed by route: exit code 1 if the broker did not acknowledge all of them.

    Those that it did not acknowledge, also because of Ctrl-C, are written to a file that can be published again. A line
    without `ts` counts from when it arrives. One that names no route is keyed by the monitor file's `ingest`.
    """
    rules = wiring.load_monitor(load_settings(), config).ingest
    size_of(file)
    if rate is not None and not rate > 0:
        raise InputError("--rate: must be above 0")
    resend.check_left(file, left)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bar:
        total = _count(file) if ERR.is_terminal else None
        task = bar.add_task("publishing", total=total)
        stopped = False
        done, before = Published(), resend.stamp(file)
        try:
            connected(
                send(
                    broker(bootstrap),
                    topic,
                    lines(file),
                    rate,
                    lambda so_far: bar.update(task, completed=so_far.sent),
                    rules,
                    done,
                )
            )
        except KeyboardInterrupt:
            ERR.print(receipts.STOPPED)
            stopped = True
    _tell(done)
    if done.failed or stopped:
        ERR.print(resend.keep(file, before, done.left, left), markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _count(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(bool(line.strip()) for line in opened)


def _tell(done: Published) -> None:
    OUT.print(receipts.published(done.sent, done.acknowledged, done.failed))
    for reason, n in sorted(done.reasons.items()):
        ERR.print(receipts.times(n, reason), markup=False, soft_wrap=True)


def capture(
    topic: Annotated[str, typer.Option(metavar="T", help="The topic.")],
    out: Annotated[str, typer.Option(metavar="F", help="File of JSON lines; - is stdout.")],
    bootstrap: BootstrapOption = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Also what is there already; else only what comes from now on.")
    ] = False,
    until_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop when nothing came for so long; else go on until Ctrl-C."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the records of a topic as JSON lines: exchanges and scores as `replay` takes them.

    Exchanges that name no route get that of the monitor file's `ingest`.
    """
    rules = wiring.load_monitor(load_settings(), config).ingest
    if until_idle is not None and not until_idle > 0:
        raise InputError("--until-idle: must be above 0")
    count = 0
    with writing(out, "--out") as sink:
        try:
            count = connected(
                read(broker(bootstrap), topic, sink.write, from_beginning=from_beginning, idle=until_idle, rules=rules)
            )
        except KeyboardInterrupt:
            ERR.print(receipts.STOPPED)
            return
    ERR.print(receipts.captured(count, topic, out), markup=False)
