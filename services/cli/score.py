"""`keelwatch score`: what is measured of each exchange of a file."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.dead_letter import DeadLetter
from services import bootstrap
from services.cli.options import ConfigOption
from services.cli.output import ERR, progress, writing
from services.ingest.file import exchanges
from services.ports import Received
from services.replay.source import size_of
from services.score.core import Scorer
from services.score.lines import LINE_FIELDS, unfold
from services.settings import load_settings

_BATCH = 512


def score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL of native exchanges.")],
    out: Annotated[str, typer.Option(metavar="OUT.jsonl", help="One line per exchange; - is stdout.")],
    vectors: Annotated[bool, typer.Option("--vectors", help="Add vectors and style: what `replay` takes.")] = False,
    config: ConfigOption = None,
) -> None:
    """Measure every exchange of a file: safety signals, identity, and with --vectors its embedding."""
    size = size_of(file)
    settings = load_settings()
    watched = bootstrap.monitor(settings, config)
    dead = count = 0
    with writing(out, "--out") as sink, progress("scoring", size) as advance:
        scorer = bootstrap.scorer(settings, watched)
        source = exchanges(file, advance)
        while batch := list(islice(source, _BATCH)):
            lines, lost = _scored(scorer, batch, vectors)
            dead += lost
            for line in lines:
                sink.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                count += 1
    ERR.print(f"{count:,} exchanges scored, {dead:,} dead letters")


def _scored(scorer: Scorer, batch: list[Received | DeadLetter], vectors: bool) -> tuple[list[dict[str, Any]], int]:
    """The lines of a batch in the order of the file, and how many of its exchanges are dead letters."""
    scored = scorer.score([item for item in batch if isinstance(item, Received)])
    lines = [line for block in scored.blocks for line in unfold(block, vectors=True)]
    lines.sort(key=lambda line: line["source"][-1])
    if not vectors:
        lines = [{name: line[name] for name in LINE_FIELDS} for line in lines]
    return lines, len(batch) - len(lines)
