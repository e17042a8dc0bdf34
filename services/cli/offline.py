"""`keelwatch replay`, `score` and `convert`: commands on files, without a broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from schemas.alert import Alert
from schemas.base import iso
from schemas.dead_letter import DeadLetter
from services import wiring
from services.cli import rendering
from services.cli.options import ConfigOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, progress, write_json, writing
from services.cli.score_replays import replay_of_scores
from services.errors import InputError
from services.ingest.files import CSV, records
from services.ingest.formats import FORMATS
from services.ingest.formats.litellm import LITELLM
from services.ingest.formats.openai_chat import OPENAI_CHAT
from services.ingest.formats.openai_responses import OPENAI_RESPONSES
from services.ingest.formats.otlp import OTLP
from services.ingest.jsonl import decoded, exchanges
from services.ingest.recorded_answers import Conversion, parse_draws, parse_where, read_recorded
from services.ingest.recorded_answers import convert as make
from services.ingest.routing import ROUTE_HEADER, Carriage
from services.ports import Received
from services.replay.report import report
from services.replay.runner import ReplayResult, ReplayRunner
from services.replay.source import read_decisions, read_items, size_of
from services.score.core import ExchangeScorer
from services.score.judging import NO_JUDGE
from services.score.score_lines import LINE_FIELDS, block_lines
from services.settings import load_settings
from services.wording import receipts, replays
from services.wording.timeline import in_shadow

JudgeOption = Annotated[
    bool, typer.Option("--judge", help="Ask the judges of the monitor file; without it their signals are unscored.")
]

RecordOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Record everything here, for example sqlite:///replay.db; with --from-scores "
        "where the route is read, else KEELWATCH_DATABASE_URL.",
    ),
]
DecisionsOption = Annotated[
    Path | None, typer.Option("--decisions", metavar="FILE", help="JSONL of decisions, applied at their time.")
]
ScoresOption = Annotated[
    str | None,
    typer.Option("--from-scores", metavar="FILE|ROUTE", help="Score lines, or a route: what is stored of it."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="T", help="With --from-scores: pages since then; what came before is learned from."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(metavar="CURRENT", help="With --from-scores: another monitor file; prints how pages differ."),
]


def replay(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="JSONL of native exchanges, or of score lines with vectors.")
    ] = None,
    config: ConfigOption = None,
    database: RecordOption = None,
    decided: DecisionsOption = None,
    scores: ScoresOption = None,
    since: SinceOption = None,
    against: AgainstOption = None,
    judge: JudgeOption = False,
    json: JsonOption = None,
) -> None:
    """Run the whole flow over a file, in simulated time, without a broker.

    In the JSON, `events` counts valid exchanges that are no duplicates; `dead` and `duplicates` the rest of the lines.
    With --from-scores nothing is scored or recorded: it shows whom the monitor file would have called, and with
    --against which pages it gains, loses and moves beside another one.
    """
    if scores is not None:
        _replay_scores(scores, (file, decided, judge), config, against, since, database, json)
        return
    if file is None or since is not None or against is not None:
        raise InputError("FILE: missing; name a JSONL file, or --from-scores FILE|ROUTE for --since and --against")
    size = size_of(file)
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    asked = wiring.judge_panel(settings, watched, patient=True) if judge else NO_JUDGE
    run = ReplayRunner(
        wiring.replay_tools(settings, watched, database, asked), read_decisions(decided) if decided else ()
    )
    with progress("replaying", size) as advance:
        for item in read_items(file, advance, Carriage({}, watched.ingest)):
            run.feed(item)
    seen = run.finish()
    _warn(seen)
    write_json(report(seen, watched.policy), json)
    if json != STDOUT:
        print_replay(seen)


def _replay_scores(
    scores: str,
    others: tuple[Path | None, Path | None, bool],
    config: str | None,
    against: str | None,
    since: str | None,
    database: str | None,
    json: str | None,
) -> None:
    """`--from-scores`, which takes none of the `others`: FILE, --decisions, --judge."""
    if any(others):
        raise InputError("--from-scores: takes no FILE, --decisions or --judge; leave them out")
    found = replay_of_scores(scores, config, against, since, database, json)
    if found is not None and json != STDOUT:
        print_replay(found)


def _warn(seen: ReplayResult) -> None:
    """Say which decisions name an incident that never was: a slip in the file must not look like a quiet route."""
    for route in sorted(seen.flows):
        for decision in seen.incidents(route).parked:
            what = f"{decision.kind} by {decision.actor} at {iso(decision.ts)}"
            ERR.print(receipts.no_such_incident(what, route, decision.incident), markup=False, soft_wrap=True)


def print_replay(seen: ReplayResult) -> None:
    """Print what a replay saw, for people."""
    OUT.print(rendering.route_table([seen.flows[route].detect for route in sorted(seen.flows)]))
    for route in sorted(seen.flows):
        for field in sorted(seen.flows[route].detect.intake.volatility.fields):
            OUT.print(rendering.volatile_line(route, field))
        for alert in seen.facts.get(route, ()):
            if isinstance(alert, Alert) and alert.shadow and alert.status == "firing":
                OUT.print(f"{route}: {in_shadow(alert)}", markup=False, soft_wrap=True)
        for mute in seen.muted(route):
            OUT.print(rendering.mute_line(route, mute))
    OUT.print(receipts.taken_in(seen.events, seen.dead, seen.duplicates))
    rendering.print_incidents(
        [incident for route in sorted(seen.flows) for incident in seen.incidents(route).incidents]
    )


_BATCH = 512


def score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL of native exchanges.")],
    out: Annotated[str, typer.Option(metavar="OUT.jsonl", help="One line per exchange; - is stdout.")],
    vectors: Annotated[bool, typer.Option("--vectors", help="Add vectors and style: what `replay` takes.")] = False,
    judge: JudgeOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure every exchange of a file: safety signals, identity, and with --vectors its embedding."""
    size = size_of(file)
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    dead = count = 0
    with writing(out, "--out") as sink, progress("scoring", size) as advance:
        asked = wiring.judge_panel(settings, watched, patient=True) if judge else NO_JUDGE
        scorer = wiring.scorer(settings, watched, judge=asked)
        source = exchanges(file, advance, carriage=Carriage({}, watched.ingest))
        while batch := list(islice(source, _BATCH)):
            lines, lost = _scored(scorer, batch, vectors)
            dead += lost
            for line in lines:
                sink.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                count += 1
    ERR.print(receipts.scored(count, dead))


def _scored(
    scorer: ExchangeScorer, batch: list[Received | DeadLetter], vectors: bool
) -> tuple[list[dict[str, Any]], int]:
    """The lines of a batch in the order of the file, and how many of its exchanges are dead letters."""
    scored = scorer.score([item for item in batch if isinstance(item, Received)])
    lines = [line for block in scored.blocks for line in block_lines(block, vectors=True)]
    lines.sort(key=lambda line: (line["source"][-1], line.get("part", 0)))
    if not vectors:
        lines = [{name: line[name] for name in LINE_FIELDS} for line in lines]
    return lines, len(batch) - len(lines)


_ANY: Final = "any"
_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "openai-logs": (OPENAI_CHAT.name, OPENAI_RESPONSES.name),
    "litellm-spend-logs": (LITELLM.name,),
    "otlp-file": (OTLP.name,),
}
"""What people call the files that they have -> the formats of their records."""
_FORMATS: Final = (*(one.name for one in FORMATS), CSV, *_SOURCES)


def import_exchanges(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL, a JSON document or array, CSV, or OTLP in protobuf.")
    ],
    form: Annotated[
        str,
        typer.Option("--from", metavar="FORMAT", help=f"The format of FILE: {', '.join(_FORMATS)}; or any of them."),
    ],
    out: Annotated[str, typer.Option(metavar="F", help="File of native exchanges; - is stdout.")],
    route: Annotated[
        str | None, typer.Option(metavar="R", help="Route of those that name none, whatever the monitor file says.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Turn exchanges of a known format into native ones, as `replay`, `score` and `publish` take them.

    Exit code 1 says that a line could not be read; the others are written.
    """
    named = _SOURCES.get(form, (form,))
    formats = tuple(one for one in FORMATS if form in {_ANY, CSV} or one.name in named)
    if not formats:
        raise InputError(f"--from {form}: no such format; there are {', '.join(_FORMATS)} and {_ANY}")
    size = size_of(file)
    rules = wiring.load_monitor(load_settings(), config).ingest
    carriage = Carriage({} if route is None else {ROUTE_HEADER: route}, rules)
    count, dead = 0, []
    with progress("reading", size) as advance:
        found = iter(decoded(records(file, advance, table=form == CSV), formats, carriage))
        first = tuple(islice(found, 1))  # a file that is refused as a whole is, before what OUT holds is written over
        with writing(out, "--out") as sink:
            for item in chain(first, found):
                if isinstance(item, DeadLetter):
                    dead.append(item)
                    continue
                without = {"ts"} if "no_ts" in item.flags else set()
                sink.write(
                    item.exchange.model_dump_json(
                        by_alias=True, exclude_none=True, exclude_defaults=True, exclude=without
                    )
                    + "\n"
                )
                count += 1
    for letter in dead[:_MOST_TOLD]:
        ERR.print(f"line {letter.source.offset}: {letter.reason}", markup=False, soft_wrap=True)
    if not count:
        raise InputError(replays.nothing_imported(str(file), _FORMATS))
    ERR.print(replays.imported(count, len(dead), out), markup=False)
    if dead:
        raise typer.Exit(1)


_MOST_TOLD: Final = 5


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
    ERR.print(receipts.written(count, out), markup=False)
