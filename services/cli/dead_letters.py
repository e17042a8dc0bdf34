"""`keelwatch dead`: what could not be read, and how to send it again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from schemas.base import iso
from services.cli.options import BootstrapOption, DatabaseOption, broker, connected, opened
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.store import audit_log
from services.store.engine import StoreError
from services.stream import dead_letters
from services.stream.dead_letters import FoundDeadLetter
from services.wording import receipts

app = typer.Typer(help="Dead letters: records that a step could not read.", no_args_is_help=True)

TopicOption = Annotated[
    list[str] | None, typer.Option("--topic", metavar="T", help="Only this topic of dead letters; may be repeated.")
]


@app.command("list")
def list_letters(
    bootstrap: BootstrapOption = None,
    topic: TopicOption = None,
    show_content: Annotated[
        bool, typer.Option("--show-content", help="Also the text of the records, which may be personal.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """List every dead letter with its place, its step and the reason; never its content unless asked for."""
    found: list[dict[str, Any]] = []
    connected(
        dead_letters.read(
            broker(bootstrap), topic or dead_letters.topic_names(), lambda one: found.append(_row(one, show_content))
        )
    )
    write_json(found, json)
    if json != STDOUT:
        OUT.print(_table(found, show_content) if found else receipts.NO_DEAD_LETTER)


@app.command("replay")
def replay(
    bootstrap: BootstrapOption = None,
    topic: TopicOption = None,
    database: DatabaseOption = None,
) -> None:
    """Send every dead letter again that no earlier run has sent: after the cause was mended."""
    topics = topic or dead_letters.topic_names()
    known = broker(bootstrap)
    note = _noting(database, topics)
    note({})
    done = connected(dead_letters.replay(known, topics))
    note({"sent": done.sent, "left": done.left})
    OUT.print(receipts.sent_again(done.sent))
    for reason, n in sorted(done.left.items()):
        OUT.print(receipts.left(n, reason), markup=False, soft_wrap=True)


def _noting(url: str | None, topics: Sequence[str]) -> Callable[[Mapping[str, Any]], None]:
    """What writes into the audit log that these topics are sent again; where there is no database, it says so."""
    started = iso(datetime.now(UTC))
    try:
        database = opened(url)
    except StoreError as error:
        if url is not None:
            raise
        ERR.print(f"not in the audit log: {error}", markup=False, soft_wrap=True)
        return lambda outcome: None

    def note(outcome: Mapping[str, Any]) -> None:
        told = {"actor": "command line", "topics": list(topics), "started": started, **outcome}
        database.transact(lambda connection: audit_log.act(connection, audit_log.REPLAYS, [*topics, started], told))

    return note


def _row(one: FoundDeadLetter, content: bool) -> dict[str, Any]:
    letter = one.letter
    if letter is None:
        return {"topic": one.topic, "step": None, "reason": dead_letters.NO_LETTER, "source": None, "first_seen": None}
    at = letter.source
    row = {
        "topic": one.topic,
        "step": letter.step,
        "reason": letter.reason,
        "source": [at.cluster, at.topic, at.partition, at.offset],
        "first_seen": None if letter.first_seen is None else iso(letter.first_seen),
        "length": letter.length,
        "sha256": letter.sha256,
    }
    return {**row, "content": base64.b64decode(letter.raw).decode(errors="replace")} if content else row


def _table(found: list[dict[str, Any]], content: bool) -> Table:
    table = Table("topic", "partition", "offset", "step", "first seen", "bytes", "reason", box=None, header_style="dim")
    if content:
        table.add_column("content")
    for row in found:
        _, topic, partition, offset = row["source"] or (None, row["topic"], "", "")
        cells = [topic, partition, offset, row["step"] or "", row["first_seen"] or "", row.get("length", "")]
        texts = [row["reason"], *([row.get("content", "")] if content else [])]
        # Records are hostile: their text is no markup.
        table.add_row(*[Text(str(cell)) for cell in (*cells, *texts)])
    return table
