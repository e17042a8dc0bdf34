"""`keelwatch check-config`: every mistake of a monitor file, with line, key and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services import monitor
from services.cli.output import OUT
from services.errors import InputError
from services.settings import load_settings


def check_config(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The monitor file; without it the one that KEELWATCH_CONFIG names."),
    ] = None,
) -> None:
    """Check a monitor file: exit code 0 when it can be used, 2 when it cannot."""
    path = file or load_settings().config
    if path is None:
        raise InputError("no monitor file: name it, or set KEELWATCH_CONFIG")
    problems = monitor.check(path)
    for problem in problems:
        OUT.print(str(problem), markup=False, soft_wrap=True)
    errors = sum(problem.severity == "error" for problem in problems)
    if errors:
        raise typer.Exit(2)
    warnings = f", {len(problems)} warnings" if problems else ""
    OUT.print(f"{path}: can be used{warnings}", markup=False, soft_wrap=True)
