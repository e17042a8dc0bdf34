"""`keelwatch eval`: suites run against a model, and two runs held against each other."""

from __future__ import annotations

import typer

app = typer.Typer(help="Run suites against a model, and compare runs.", no_args_is_help=True)
