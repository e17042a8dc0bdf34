"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="The monitor file; else KEELWATCH_CONFIG, else defaults.")
]
HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where --port listens; 0.0.0.0 lets other machines ask.")
]
