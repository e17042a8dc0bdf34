"""`keelwatch capture`: a topic as a file."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.broker import BootstrapOption, broker, connected
from services.cli.output import ERR, writing
from services.errors import InputError
from services.stream.capture import capture as read


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
) -> None:
    """Write the records of a topic as JSON lines: exchanges and scores as `replay` takes them."""
    if until_idle is not None and not until_idle > 0:
        raise InputError("--until-idle: must be above 0")
    count = 0
    with writing(out, "--out") as sink:
        try:
            count = connected(
                read(broker(bootstrap), topic, sink.write, from_beginning=from_beginning, idle=until_idle)
            )
        except KeyboardInterrupt:
            ERR.print("stopped")
            return
    ERR.print(f"{count:,} records of {topic} written to {out}", markup=False)
