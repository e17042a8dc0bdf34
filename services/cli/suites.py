"""`keelwatch suite`: what a model can be asked."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.evaluate.paired_statistics import remarks
from services.evaluate.suite import Suite
from services.evaluate.suite_library import examine_suite, load_suite, suite_names
from services.wording import nouns, receipts

app = typer.Typer(help="Suites: what a model is asked.", no_args_is_help=True)


@app.command("list")
def list_suites(json: JsonOption = None) -> None:
    """List the built-in suites."""
    suites = [load_suite(name) for name in suite_names()]
    write_json([_object(suite) for suite in suites], json)
    if json != STDOUT:
        OUT.print(_table(suites))


@app.command("lint")
def lint_suite(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder with suite.yaml and items.jsonl, or a name.")],
    json: JsonOption = None,
) -> None:
    """Check a suite: every mistake with file, line, field and remedy; exit code 2 when it cannot be used."""
    suite, problems = examine_suite(path)
    told = [*map(str, problems), *(remarks(suite) if suite is not None else ())]
    write_json({"usable": suite is not None, "suite": suite and _object(suite), "problems": told}, json)
    if json != STDOUT:
        for line in told:
            OUT.print(line, markup=False, soft_wrap=True)
        if suite is not None:
            OUT.print(receipts.usable(path, f": {_summary(suite)}"), markup=False, soft_wrap=True)
    if suite is None:
        raise typer.Exit(2)


def _object(suite: Suite) -> dict[str, Any]:
    return {
        "name": suite.name,
        "version": suite.version,
        "title": suite.title,
        "sha256": suite.sha256,
        "margin": suite.margin,
        "items": len(suite.items),
        "answers": suite.answers,
        "measures": dict(sorted(Counter(item.measure for item in suite.items).items())),
        "hazards": dict(suite.hazards),
    }


def _summary(suite: Suite) -> str:
    measures = Counter(item.measure for item in suite.items)
    counted = ", ".join(f"{n} {nouns.plain(name)}" for name, n in sorted(measures.items()))
    return f"{suite.name} {suite.version}, {len(suite.items)} items ({counted}), {suite.answers} answers a run"


def _table(suites: list[Suite]) -> Table:
    table = Table("suite", "version", "items", "answers a run", "title", "sha256")
    for suite in suites:
        row = (suite.name, suite.version, len(suite.items), suite.answers, suite.title, suite.sha256[:12])
        table.add_row(*map(str, row))
    return table
