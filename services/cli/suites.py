"""`keelwatch suite`: what a model can be asked."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table

from schemas.sample import Sample
from services import wiring
from services.cli.named_routes import checked_route
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, replace_file, write_json
from services.errors import InputError
from services.evaluate.coverage_watch import current_report, other_items
from services.evaluate.paired_statistics import remarks
from services.evaluate.prompt_sets import ImportedSuite
from services.evaluate.prompt_sets.protocol import PromptOptions
from services.evaluate.scorers import comparable_text
from services.evaluate.suite import MEASURES, POOLED, Item, Measure, Suite
from services.evaluate.suite_growth import item_of, item_rows, new_suite, next_version, said_side, side_of
from services.evaluate.suite_library import examine_suite, load_suite, suite_names, suite_of_prompts
from services.evaluate.suite_lint import SuitePower, doubts_of, power_of
from services.evaluate.suite_parser import HEAD, ITEMS, parse_suite
from services.monitor import RoutePolicy
from services.settings import load_settings
from services.store import incidents, samples
from services.store.engine import Database
from services.wording import coverage as coverage_words
from services.wording import nouns, prompt_sets, receipts
from services.wording import suites as words

app = typer.Typer(help="Suites: what a model is asked.", no_args_is_help=True)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@app.command("list")
def list_suites(json: JsonOption = None) -> None:
    """List the built-in suites."""
    suites = [load_suite(name) for name in suite_names()]
    write_json([_object(suite) for suite in suites], json)
    if json != STDOUT:
        OUT.print(_table(suites))


@app.command("lint")
def lint_suite(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Folder with suite.yaml and items.jsonl, or a name; else all.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Check a suite: mistakes with file, line, field and remedy, doubts, and what so many items can show.

    Exit code 2 when it cannot be used; doubts and duplicates leave it 0.
    """
    found = [_linted(one) for one in ((path,) if path is not None else suite_names())]
    write_json([told for _, told, _ in found] if path is None else found[0][1], json)
    if json != STDOUT:
        for one, (suite, told, rows) in zip((path,) if path is not None else suite_names(), found, strict=True):
            for line in told["problems"]:
                OUT.print(line, markup=False, soft_wrap=True)
            if suite is not None:
                OUT.print(_power_table(rows))
                OUT.print(receipts.usable(str(one), f": {_summary(suite)}"), markup=False, soft_wrap=True)
    if any(suite is None for suite, _, _ in found):
        raise typer.Exit(2)


def _linted(path: str) -> tuple[Suite | None, dict[str, Any], tuple[SuitePower, ...]]:
    suite, problems = examine_suite(path)
    told = [*map(str, problems), *((*remarks(suite), *doubts_of(suite)) if suite is not None else ())]
    rows = power_of(suite) if suite is not None else ()
    summary = {"usable": suite is not None, "suite": suite and _object(suite), "problems": told, "power": _rows(rows)}
    return suite, summary, rows


def _rows(rows: Sequence[SuitePower]) -> list[dict[str, Any]]:
    return [
        {"measure": row.measure, "hazard": row.hazard, "items": row.n, "least": row.least, "still": row.still}
        for row in rows
    ]


def _power_table(rows: Sequence[SuitePower]) -> Table:
    """What each side can show, over all hazards and in each."""
    table = Table(*words.POWER_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        pooled = row.hazard == POOLED
        name = nouns.measure(row.measure) if pooled else f"  {row.hazard}"
        cells = (name, str(row.n), words.least(row.least), words.left_open(row.still))
        table.add_row(*cells, style="" if pooled else "dim")
    return table


@app.command("new")
def begin_suite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the suite; a folder of it is made here.")],
) -> None:
    """Begin a suite of your own: a folder with two examples, which can be linted and run."""
    folder = Path(name)
    _free_name(folder.name, "suite")
    if folder.exists():
        raise InputError(f"{folder}: is there already; `keelwatch suite lint {folder}` checks it")
    head, items = new_suite(folder.name)
    _write(folder, head, items)
    OUT.print(words.made(str(folder)), markup=False, soft_wrap=True)


@app.command("add")
def grow_suite(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder of your suite.")],
    hazard: Annotated[str, typer.Option(help="One that the suite declares.")],
    incident: Annotated[
        str | None, typer.Option("--from-incident", metavar="ID", help="Whose questions become items.")
    ] = None,
    route: Annotated[
        str | None,
        typer.Option("--from-coverage", metavar="ROUTE", help="Whose questions that no suite asks become items."),
    ] = None,
    cluster: Annotated[
        int, typer.Option(min=1, help="Which group of them, as `keelwatch route coverage ROUTE` numbers it.")
    ] = 1,
    measure: Annotated[
        str | None, typer.Option(help="harmful_compliance or over_refusal; else as the signals of each say.")
    ] = None,
    side: Annotated[
        str | None,
        typer.Option(help="disallowed or benign: the same in a word. With --from-coverage one must be named."),
    ] = None,
    approve: Annotated[
        list[str] | None, typer.Option("--approve", metavar="EXCHANGE", help="Take this one without asking.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Make questions of an incident, or of a gap of a route's coverage, items of your suite; it gets a new version.

    Each is approved by you. Only what was kept, and as it was masked. Who asked is not taken along.
    """
    measure = _measure_of(measure, side)
    if (incident is None) == (route is None):
        raise InputError("--from-incident ID or --from-coverage ROUTE: name one of them")
    suite = _own(path, hazard, measure)
    if route is not None and measure is None:
        raise InputError("--side: missing; say disallowed or benign: nothing that users ask is taken to be safe")
    kept = opened(database)
    offer = _of_incident(kept, incident) if incident is not None else _of_coverage(kept, str(route), cluster, config)
    unknown = sorted({*(approve or [])} - {*offer.exchanges})
    if unknown:
        raise InputError(f"--approve {unknown[0]}: {offer.not_among}; its own: {', '.join(offer.exchanges) or 'none'}")
    taken, left = _chosen(suite, offer, hazard, measure, approve)
    version = _grown(path, taken) if taken else suite.version
    told = {"suite": suite.name, "version": version, "added": [item.id for item in taken], "left_out": left}
    write_json({**told, "doubt": offer.doubt}, json)
    if json != STDOUT:
        said = [words.left_out(exchange, why) for exchange, why in left.items()]
        for line in (*([offer.doubt] if offer.doubt else ()), *said, words.grown(path, len(taken), version)):
            OUT.print(line, markup=False, soft_wrap=True)


def _grown(path: str, taken: Sequence[Item]) -> str:
    """The version of the suite that has these items too, once it is written."""
    head, items = ((Path(path) / name).read_text(encoding="utf-8") for name in (HEAD, ITEMS))
    head, version = next_version(head)
    items = items + ("" if not items or items.endswith("\n") else "\n") + item_rows(taken)
    made, problems = parse_suite(path, head, items)
    if made is None:
        raise InputError("\n".join(map(str, problems)))
    _write(Path(path), head, items)
    return version


@dataclass(frozen=True, slots=True)
class OfferedQuestions:
    """What may become items: ids of exchanges, the texts of those that were kept, and what items are called.

    `not_among` says of another exchange that it is none of these; `doubt` why they may be asked by now.
    """

    exchanges: tuple[str, ...]
    samples: Mapping[str, Sample]
    prefix: str
    not_among: str
    doubt: str | None = None


def _of_incident(database: Database, id: str) -> OfferedQuestions:
    found = database.query(incidents.details, id)
    if found is None:
        raise InputError(f"incident {id}: not in this database; `keelwatch incident list` names them")
    why = f"is no exemplar of incident {id}"
    return OfferedQuestions(found.incident.exemplars, found.samples, f"incident-{found.incident.id}", why)


def _policy_of(route: str, config: str | None) -> RoutePolicy | None:
    """What the monitor file says of a route; without a file nobody says what is run."""
    settings = load_settings()
    return wiring.load_monitor(settings, config).policy(route) if config or settings.config else None


def _of_coverage(database: Database, route: str, cluster: int, config: str | None) -> OfferedQuestions:
    """The questions of a group. Items that came since, as by this very command, are said; what else is old is refused.

    Raises:
        InputError: if there is no such group, or it was not measured of what is run and asked now.
    """
    policy = _policy_of(checked_route(route), config)
    report, stale = database.query(current_report, route, policy, datetime.now(UTC))
    if report is None:
        raise InputError(f"--from-coverage {route}: {coverage_words.NOT_YET}")
    if stale is not None and stale != other_items(report, policy):
        raise InputError(f"--from-coverage {route}: {stale}")
    if report.unknown is not None:
        raise InputError(f"--from-coverage {route}: {coverage_words.UNKNOWN[report.unknown]}")
    if cluster > len(report.clusters):
        raise InputError(coverage_words.no_cluster(cluster, len(report.clusters)))
    chosen = report.clusters[cluster - 1].examples
    why = f"is no example of group {cluster} of {route}"
    return OfferedQuestions(chosen, database.query(samples.by_id, route, chosen), "coverage", why, stale)


def _measure_of(measure: str | None, side: str | None) -> str | None:
    """The measure, whether it was named or its side was."""
    if side is None:
        return measure
    of_side = said_side(side)
    if of_side is None:
        raise InputError(f"--side {side}: must be disallowed or benign")
    if measure not in (None, of_side):
        raise InputError(f"--side {side}: is not that of --measure {measure}; name one of them")
    return of_side


@app.command("import")
def import_suite(
    path: Annotated[str, typer.Argument(metavar="PATH", help="File of prompts: a public set, any CSV or JSON lines.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Name of the suite; else the set's.")] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Folder to make; else the name.")] = None,
    prompt_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="What is asked.")] = None,
    hazard_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="What each prompt is about.")] = None,
    side: Annotated[str | None, typer.Option(help="disallowed or benign, for files that do not say it.")] = None,
    json: JsonOption = None,
) -> None:
    """Make a suite of a file of prompts that you have: XSTest, HarmBench, AdvBench, StrongREJECT and others.

    Sets are told apart by their columns; of any other file the columns say what is what, or options do.
    """
    _free_name(name, "--as")
    options = PromptOptions(prompt_column, hazard_column, side)
    found = suite_of_prompts(path, options, name, version="1")
    folder = Path(out if out is not None else found.suite.name)
    if out is None:
        _free_name(folder.name, "--as")
    if os.path.lexists(folder):
        raise InputError(f"{folder}: is there already; name another folder with --out")
    _write(folder, found.head, found.items)
    rows = power_of(found.suite)
    told = _imported(path, found)
    write_json({"suite": _object(found.suite), "folder": str(folder), "notes": told, "power": _rows(rows)}, json)
    if json != STDOUT:
        for line in told:
            OUT.print(line, markup=False, soft_wrap=True)
        OUT.print(_power_table(rows))
        OUT.print(prompt_sets.imported(str(folder)), markup=False, soft_wrap=True)


def _imported(path: str, found: ImportedSuite) -> list[str]:
    """What a file was taken for, what became no item, and what is doubtful about the rest."""
    reading = found.reading
    return [
        prompt_sets.taken_for(path, reading.title, found.rows, reading.taken, found.unread),
        *prompt_sets.left_out([(row.line, row.reason) for row in found.left]),
        *([prompt_sets.own_hazards(found.own)] if found.own else ()),
        *remarks(found.suite),
        *doubts_of(found.suite),
    ]


def _free_name(name: str | None, what: str) -> None:
    """Whether a suite of one's own may have this name."""
    if name is not None and _NAME.fullmatch(name) is None:
        raise InputError(f"{what} {name}: must be lower-case letters, digits and . _ -, for example own-traffic")
    if name in suite_names():
        raise InputError(f"{what} {name}: is the name of a built-in suite; choose another")


def _own(path: str, hazard: str, measure: str | None) -> Suite:
    """The suite in this folder, where such an item may stand."""
    if path in suite_names():
        raise InputError(f"suite {path}: is built in; `keelwatch suite new NAME` begins your own")
    suite = load_suite(path)
    if hazard not in suite.hazards:
        raise InputError(f"--hazard {hazard}: is not declared in {path}/{HEAD}; known: {', '.join(suite.hazards)}")
    if measure is not None and measure not in MEASURES[:2]:
        raise InputError(f"--measure {measure}: must be {' or '.join(MEASURES[:2])}")
    return suite


def _chosen(
    suite: Suite, offer: OfferedQuestions, hazard: str, measure: str | None, approved: list[str] | None
) -> tuple[list[Item], dict[str, str]]:
    """The items that somebody approved, and why the others are left out."""
    taken: list[Item] = []
    left: dict[str, str] = {}
    known = {comparable_text("\n".join(turn.content for turn in item.messages)) for item in suite.items}
    ids = {item.id for item in suite.items}
    for exchange in offer.exchanges:
        sample = offer.samples.get(exchange)
        if sample is None:
            left[exchange] = words.NO_TEXT
            continue
        side = next((one for one in MEASURES if one == measure), None) or side_of(sample)
        if side is None:
            raise InputError(f"exchange {exchange}: its signals do not say what it is asked for; name --measure")
        name = _free(offer.prefix, ids)
        item = item_of(sample, name, hazard, side)
        if isinstance(item, str):
            left[exchange] = item
        elif (text := comparable_text("\n".join(turn.content for turn in item.messages))) in known:
            left[exchange] = words.KNOWN
        elif not _approved(exchange, item, approved):
            left[exchange] = words.NOT_APPROVED
        else:
            taken.append(item)
            known.add(text)
            ids.add(name)
    return taken, left


def _free(prefix: str, ids: set[str]) -> str:
    return next(name for n in range(1, len(ids) + 2) if (name := f"{prefix}-{n}") not in ids)


def _approved(exchange: str, item: Item, approved: list[str] | None) -> bool:
    """Whether a person said so: on the command line, or when shown what would be asked."""
    if approved is not None:
        return exchange in approved
    if not sys.stdin.isatty():
        raise InputError(f"exchange {exchange}: needs approval; name it with --approve, or answer at a terminal")
    for turn in item.messages:
        OUT.print(f"{turn.role}: {_harmless(turn.content)}", markup=False, soft_wrap=True)
    return typer.confirm(words.approve(exchange, item.hazard, item.measure))


def _harmless(text: str) -> str:
    """What a user wrote, without what would steer the terminal that it is shown in."""
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _write(folder: Path, head: str, items: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((HEAD, head), (ITEMS, items)):
            replace_file(folder / name, text.encode(), 0o666)  # whoever asks it has to read it
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name a folder that can be written") from None


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
    measures: Counter[Measure] = Counter(item.measure for item in suite.items)
    counted = ", ".join(f"{nouns.measure(name)}: {n}" for name, n in sorted(measures.items()))
    return f"{suite.name} {suite.version}, {len(suite.items)} items ({counted}), {suite.answers} answers a run"


def _table(suites: list[Suite]) -> Table:
    table = Table("suite", "version", "items", "answers a run", "sha256", "title", box=None, pad_edge=False)
    for suite in suites:
        row = (suite.name, suite.version, len(suite.items), suite.answers, suite.sha256[:12], suite.title)
        table.add_row(*map(str, row))
    return table
