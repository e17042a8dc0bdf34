"""`keelwatch convert`: recorded answers as traffic whose model is replaced at a known exchange."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import ERR, writing
from services.convert import Conversion, parse_draws, parse_where, read_recorded
from services.convert import convert as make
from services.errors import InputError


class Form(StrEnum):
    """What `convert` reads."""

    recorded = "recorded"


def convert(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSONL of recorded answers: model, version, prompt, response, labels."),
    ],
    form: Annotated[Form, typer.Option("--from", help="The form of FILE.")],
    model: Annotated[list[str], typer.Option(metavar="M@V", help="Model and version; twice for a silent update.")],
    route: Annotated[str, typer.Option(help="Route of the exchanges.")],
    draw: Annotated[str, typer.Option(metavar="N[,N2]", help="How many exchanges of each model, with replacement.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")],
    out: Annotated[str, typer.Option(metavar="F", help="File of native exchanges; - is stdout.")],
    where: Annotated[str | None, typer.Option(metavar="KEY=VALUE", help="Only answers with this label.")] = None,
    step: Annotated[float, typer.Option(help="Seconds between two exchanges.")] = 86.4,
    announced: Annotated[
        bool, typer.Option("--announced", help="The second model has an identity of its own.")
    ] = False,
) -> None:
    """Turn recorded answers into native exchanges, drawn with replacement."""
    wanted = Conversion(
        draws=parse_draws(model, draw),
        route=route,
        seed=seed,
        where=None if where is None else parse_where(where),
        step=step,
        announced=announced,
    )
    try:
        rows = read_recorded(file.read_bytes().splitlines())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; name a JSONL file of recorded answers") from None
    count = 0
    exchanges = make(rows, wanted)
    with writing(out, "--out") as sink:
        for exchange in exchanges:
            sink.write(exchange.model_dump_json(exclude_none=True, exclude_defaults=True) + "\n")
            count += 1
    ERR.print(f"{count:,} exchanges written to {out}", markup=False)
