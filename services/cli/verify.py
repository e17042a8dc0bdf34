"""`keelwatch verify`: whether what is stored is what was written."""

from __future__ import annotations

from dataclasses import asdict

import typer

from schemas.base import iso
from services.cli.options import DatabaseOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.cli.verify_runs import verify_run
from services.settings import load_settings
from services.store.audit_check import AuditReport, check
from services.store.engine import audit_head, open_database
from services.wording import audit as words

app = typer.Typer(help="Whether what is stored is what was written.", no_args_is_help=True)


@app.callback()
def _verify() -> None:
    """Take what stands before the thing to verify."""


@app.command("audit")
def audit(database: DatabaseOption = None, json: JsonOption = None) -> None:
    """Compare incidents, decisions, runs, schedules and keys with the audit log: exit code 1 if something differs."""
    settings = load_settings()
    url = database or settings.database
    outside = audit_head(settings.data_dir, url)
    report = open_database(url, create=False).query(check, outside.read())
    path = str(outside.path)
    write_json(_object(report, path), json)
    if json != STDOUT:
        _tell(report, path)
    if report.problems:
        raise typer.Exit(1)


def _tell(report: AuditReport, path: str) -> None:
    for one in _problems(report):
        OUT.print(one, markup=False, soft_wrap=True)
    if not report.problems:
        told = words.whole(report.rows, report.journals, report.entries, report.begun)
        OUT.print(told, markup=False, soft_wrap=True)
    if report.outside is None:
        ERR.print(words.no_head(path), markup=False, soft_wrap=True)
    elif any(one.fault in ("cut", "rewritten") for one in report.problems):
        ERR.print(words.replaced_on_purpose(path), markup=False, soft_wrap=True)
    else:
        OUT.print(words.head(report.outside, path), markup=False, soft_wrap=True)


def _problems(report: AuditReport) -> list[str]:
    return [words.problem(one.fault, one.thing, one.key, one.words) for one in report.problems]


def _object(report: AuditReport, path: str) -> dict[str, object]:
    found = [
        {**asdict(one), "key": list(one.key), "says": says}
        for one, says in zip(report.problems, _problems(report), strict=True)
    ]
    return {
        "whole": not found,
        "entries": report.entries,
        "begun": None if report.begun is None else iso(report.begun),
        "hash": report.hash,
        "records": report.rows,
        "journals": report.journals,
        "head": {"path": path, "entry": report.outside},
        "problems": found,
    }


app.command("run")(verify_run)
