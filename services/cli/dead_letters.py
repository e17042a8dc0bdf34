"""`keelwatch dead`: what could not be read, and how to send it again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.base import iso
from services.cli.options import BootstrapOption, DatabaseOption, broker, connected, opened
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.store import audit_log, secret_keys
from services.store.engine import Database, StoreError
from services.stream import dead_letters
from services.stream.dead_letters import FoundDeadLetter
from services.wording import receipts
from services.wording.dead_letters import missing_content
from services.wording.unseen import escaped_unseen

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
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """List every dead letter with its place, its step and the reason; never its content unless asked for."""
    found: list[dict[str, Any]] = []
    keys = _keys(_reached(database)) if show_content else None

    def tell(one: FoundDeadLetter) -> None:
        found.append({**_row(one), **_content(one, keys)} if show_content else _row(one))

    connected(dead_letters.read(broker(bootstrap), topic or dead_letters.topic_names(), tell, keys))
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
    reached = _reached(database)
    note = _noting(reached, topics)
    note({})
    done = connected(dead_letters.replay(known, topics, _keys(reached)))
    note({"sent": done.sent, "left": done.left})
    OUT.print(receipts.sent_again(done.sent))
    for reason, n in sorted(done.left.items()):
        OUT.print(receipts.left(n, reason), markup=False, soft_wrap=True)


def _reached(url: str | None) -> Database | None:
    """The database, which has the keys and the audit log; letters in clear are read without one, and it is said.

    Raises:
        StoreError: if one was named that cannot be used.
    """
    try:
        return opened(url)
    except StoreError as error:
        if url is not None:
            raise
        ERR.print(f"no audit log and no keys: {error}", markup=False, soft_wrap=True)
        return None


def _keys(database: Database | None) -> Mapping[str, bytes] | None:
    return None if database is None else database.query(secret_keys.find, secret_keys.DEAD_LETTERS)


def _noting(database: Database | None, topics: Sequence[str]) -> Callable[[Mapping[str, Any]], None]:
    """What writes into the audit log that these topics are sent again."""
    started = iso(datetime.now(UTC))
    if database is None:
        return lambda outcome: None

    def note(outcome: Mapping[str, Any]) -> None:
        told = {"actor": "command line", "topics": list(topics), "started": started, **outcome}
        database.transact(lambda connection: audit_log.act(connection, audit_log.REPLAYS, [*topics, started], told))

    return note


def _row(one: FoundDeadLetter) -> dict[str, Any]:
    letter = one.letter
    if letter is None:
        return {"topic": one.topic, "step": None, "reason": dead_letters.NO_LETTER, "source": None, "first_seen": None}
    at = letter.source
    return {
        "topic": one.topic,
        "step": letter.step,
        "reason": letter.reason,
        "source": [at.cluster, at.topic, at.partition, at.offset],
        "first_seen": None if letter.first_seen is None else iso(letter.first_seen),
        "length": letter.length,
        "sha256": letter.sha256,
    }


def _content(one: FoundDeadLetter, keys: Mapping[str, bytes] | None) -> dict[str, Any]:
    """The content, or why there is none."""
    if one.letter is None:
        return {}
    missing = missing_content(one.letter, tried=keys is not None)
    if missing is not None:
        return {"content": None, "no_content": missing}
    return {"content": base64.b64decode(one.letter.raw).decode(errors="replace")}


def _table(found: list[dict[str, Any]], content: bool) -> Table:
    table = Table("topic", "partition", "offset", "step", "first seen", "bytes", "reason", box=None, header_style="dim")
    if content:
        table.add_column("content")
    for row in found:
        _, topic, partition, offset = row["source"] or (None, row["topic"], "", "")
        cells = [topic, partition, offset, row["step"] or "", row["first_seen"] or "", row.get("length", "")]
        texts = [row["reason"], *([row.get("content") or row.get("no_content", "")] if content else [])]
        # Records are hostile: a terminal is not to obey their text.
        table.add_row(*[escaped_unseen(str(cell)) for cell in (*cells, *texts)])
    return table
