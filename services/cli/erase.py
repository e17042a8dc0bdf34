"""`keelwatch erase`: what is stored of a user, a conversation or one exchange, for good."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from services import wiring
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.score.redaction import Redactor
from services.settings import load_settings
from services.store.erasure import Subject, SubjectKind
from services.wiring.erasure import ErasureReport
from services.wiring.erasure import erase as erase_subject
from services.wording import erasure as words


def erase(
    user: Annotated[str | None, typer.Option("--user", metavar="U", help="All exchanges of this user.")] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", metavar="C", help="All exchanges of this conversation.")
    ] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="I", help="One exchange.")] = None,
    keep_dead_letters: Annotated[
        bool,
        typer.Option(
            "--keep-dead-letters", help="Leave dead letters readable, also those of this subject, until retention ends."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Erase what is stored of a user, a conversation or one exchange, and say what that was."""
    watched = wiring.load_monitor(load_settings(), config)
    redactor = Redactor(wiring.configured_signals(watched))
    subject = _subject({"user": user, "conversation": conversation, "id": id}, redactor)
    options = {"dry": dry_run, "letters": not keep_dead_letters}
    report = erase_subject(opened(database), watched.policy, subject, datetime.now(UTC), **options)
    write_json(_object(report, dry_run), json)
    if json == STDOUT:
        return
    OUT.print(words.heading(report.exchanges, dry_run))
    table = Table("what", "rows", box=None, header_style="dim")
    for thing, n in sorted(report.rows.items()):
        table.add_row(words.thing(thing), f"{n:,}")
    if report.rows:
        OUT.print(table)
    became = (report.refitted, report.discarded, report.not_refitted, report.of_files, report.unread)
    told = words.baselines(*(len(ids) for ids in became))
    for line in (*told, *words.elsewhere(opened(database).engine.dialect.name, letters=not keep_dead_letters)):
        OUT.print(line, markup=False, soft_wrap=True)


def _subject(given: dict[SubjectKind, str | None], redactor: Redactor) -> Subject:
    """The one that was given, by its name and as it is stored.

    Raises:
        InputError: if none or several were.
    """
    named = {kind: name for kind, name in given.items() if name}
    if len(named) != 1:
        raise InputError("erase: give one of --user, --conversation and --id")
    ((kind, name),) = named.items()
    return Subject(kind, tuple(dict.fromkeys((name, redactor.id(name) if kind == "id" else redactor.name(name)))))


def _object(report: ErasureReport, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "exchanges": report.exchanges,
        "rows": dict(sorted(report.rows.items())),
        "baselines": {
            "refitted": report.refitted,
            "discarded": report.discarded,
            "not_refitted": report.not_refitted,
            "of_files": report.of_files,
        },
        "unread_routes": report.unread,
    }
