"""Commands on exchanges that were scored before: `replay --from-scores`, `budget` and `drill`.

They come from a file of score lines, or from what the database keeps of a route.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from detectors import registered
from services import wiring
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, progress, write_json
from services.errors import InputError
from services.monitor import Monitor
from services.replay.budget import BudgetReport, budget_object, measure_budget
from services.replay.drill import DrillResult, Shift, drill_object, parse_shift, run_drill
from services.replay.own_traffic import OwnTraffic, of_database, of_rows
from services.replay.pages import Page, PageComparison, compare_pages, comparison_object, page_object, pages_of
from services.replay.report import report
from services.replay.runner import ReplayResult
from services.replay.scored_rows import read_score_lines, replay_scores, stored_rows
from services.score.blocks import ScoredRow
from services.settings import load_settings
from services.store import incidents, routes
from services.stream.stateful import DetectStateStore
from services.wording import numbers
from services.wording import replays as words

_LARGER: Final = (2.0, 4.0, 8.0)
_FEW: Final = 5
FAILED: Final = 1

FromScoresOption = Annotated[
    Path | None,
    typer.Option("--from-scores", metavar="FILE", help="Score lines of the route (`score --vectors`, `capture`)."),
]
SeedOption = Annotated[int, typer.Option(help="The same seed draws the same exchanges.")]


def rows_from(source: str, database: str | None) -> list[ScoredRow]:
    """The rows of a file of score lines, or of a route in the database.

    Raises:
        InputError: if there is neither, or nothing in it.
    """
    if Path(source).exists():
        return read_score_lines(Path(source))
    try:
        base = opened(database)
    except InputError as error:
        raise InputError(words.needs_database(source, str(error))) from None
    if not base.query(routes.exists, source):
        raise InputError(words.neither(source))
    rows = base.query(stored_rows, source)
    if not rows:
        raise InputError(words.nothing_stored(source))
    return rows


def replayed(rows: Sequence[ScoredRow], watched: Monitor, what: str) -> ReplayResult:
    """The rows through detect, alert and incident."""
    with progress(what, len(rows)) as advance:
        return replay_scores(rows, registered(), watched.policy, advance)


def parse_since(text: str) -> datetime:
    """A time in ISO 8601, in UTC where it names no zone.

    Raises:
        InputError: if it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--since {text}: must be ISO 8601, for example 2026-11-24T18:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def compare_configurations(
    rows: Sequence[ScoredRow], new: str | None, current: str, since: datetime | None, json: str | None
) -> None:
    """Print which pages another monitor file gains, loses and moves.

    Each is read where it is replayed: signals of one's own are known by the file that was read last.
    """
    settings = load_settings()
    before = pages_of(replayed(rows, wiring.load_monitor(settings, current), "replaying as it is"), since)
    after = pages_of(replayed(rows, wiring.load_monitor(settings, new), "replaying as it would be"), since)
    found = compare_pages(before, after)
    told = {"exchanges": len(rows), "current": [*map(page_object, before)], "new": [*map(page_object, after)]}
    write_json({**told, **comparison_object(found)}, json)
    if json == STDOUT:
        return
    counts = (len(found.gained), len(found.lost), len(found.moved), len(found.kept))
    OUT.print(words.compared(len(before), len(after), *counts, len(rows)))
    if before or after:
        OUT.print(_page_table(found))


def _page_table(found: PageComparison) -> Table:
    table = Table(*words.PAGE_COLUMNS, box=None, pad_edge=False, header_style="dim")
    lines: list[tuple[Page, str, str]] = [
        *((page, words.GAINED, page.text) for page in found.gained),
        *((page, words.LOST, page.text) for page in found.lost),
        *((new, words.MOVED, f"{new.text} ({_moved(old, new)})") for old, new in found.moved),
        *((page, words.KEPT, page.text) for page in found.kept),
    ]
    for page, what, text in sorted(lines, key=lambda line: (line[0].ts, line[0].route)):
        table.add_row(what, numbers.short_moment(page.ts), page.route, text)
    return table


def _moved(old: Page, new: Page) -> str:
    when = words.later(old.ts, new.ts, new.event_index - old.event_index)
    return when if old.severity == new.severity else f"{when}, {words.now_as(new.severity)}"


def replay_of_scores(
    source: str,
    config: str | None,
    against: str | None,
    since: str | None,
    database: str | None,
    json: str | None,
) -> ReplayResult | None:
    """`replay --from-scores`: what there was to see, or with `against` the difference of two monitor files.

    Returns:
        The replay, for the command to print it; None where the difference was printed.
    """
    settings = load_settings()
    begin = None if since is None else parse_since(since)
    if against is not None:
        wiring.load_monitor(settings, against)  # what is wrong with it is told before anything is replayed
    new = wiring.load_monitor(settings, config)
    rows = rows_from(source, database)
    if against is not None:
        compare_configurations(rows, config, against, begin, json)
        return None
    seen = replayed(rows, new, "replaying")
    pages = pages_of(seen, begin)
    write_json({**report(seen, new.policy), "pages": [*map(page_object, pages)]}, json)
    if json != STDOUT:
        OUT.print(words.pages(len(pages), begin))
    return seen


def own_traffic(route: str, scores: Path | None, database: str | None, watched: Monitor) -> OwnTraffic:
    """The route's clean exchanges and baseline, of a file or as the database has them.

    Raises:
        InputError: if there is no such route, no baseline, or too little.
    """
    if scores is not None:
        rows = [row for row in read_score_lines(scores) if row.route == route]
        if not rows:
            raise InputError(f"--from-scores {scores}: holds no exchange of {route}; name a file that does")
        return of_rows(registered(), watched.policy(route), rows)
    base = opened(database)
    if not base.query(routes.exists, route):
        raise InputError(words.neither(route))
    rows = base.query(stored_rows, route)
    if not rows:
        raise InputError(words.nothing_stored(route))
    state = base.query(lambda connection: DetectStateStore(registered()).load(connection, route).now)
    found = base.query(incidents.undecided, route)
    return of_database(registered(), watched.policy(route), state, rows, found)


RouteArgument = Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")]


def budget(
    route: RouteArgument,
    scores: FromScoresOption = None,
    exchanges: Annotated[
        int, typer.Option(min=500, max=200_000, help="Drawn at random, to count false alarms among.")
    ] = 5_000,
    seed: SeedOption = 1,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Show a route's false-page budget beside the false alarms that its own clean exchanges give.

    Exit code 1 says that it is over its budget.
    """
    watched = wiring.load_monitor(load_settings(), config)
    traffic = own_traffic(route, scores, database, watched)
    with progress("drawing", exchanges) as advance:
        found = measure_budget(traffic, exchanges=exchanges, seed=seed, progress=advance)
    write_json(budget_object(found), json)
    if json != STDOUT:
        _print_budget(found)
    if found.tightened.share[0] > 1:
        raise typer.Exit(FAILED)


def _print_budget(found: BudgetReport) -> None:
    ahead, drawn = found.replayed, found.tightened
    monthly = None if found.per_day is None else 30 * found.per_day
    lines = [
        f"{found.route}: {words.budget(found.pages_per_month, found.per_day)}",
        words.replayed(ahead.alarms, ahead.exchanges, ahead.allowed, ahead.interval[1], monthly),
        words.tightened(drawn.alarms, drawn.exchanges, drawn.allowed, drawn.share),
        *([words.left_out(found.left_out)] if found.left_out else []),
        words.within_budget(drawn.share[2], drawn.share[0]),
    ]
    for line in lines:
        OUT.print(line, markup=False, soft_wrap=True)


def drill(
    route: RouteArgument,
    shift: Annotated[
        str,
        typer.Option(metavar="WHAT", help="refusal=-10pp: ten points less; length=-30%: answers 30% shorter."),
    ],
    scores: FromScoresOption = None,
    draws: Annotated[int, typer.Option(min=3, max=1_000, help="So many times it is tried.")] = 20,
    exchanges: Annotated[int, typer.Option(min=50, max=100_000, help="Each try ends after so many.")] = 2_000,
    seed: SeedOption = 1,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Shift copies of a route's own exchanges by a known amount, and say after how many of them it would be seen.

    Nothing of it reaches the route. Exit code 0: seen in at least 9 of 10 tries; 1: not seen so often.
    """
    wanted = parse_shift(shift)
    watched = wiring.load_monitor(load_settings(), config)
    traffic = own_traffic(route, scores, database, watched)
    found = _drilled(traffic, wanted, draws, exchanges, seed)
    larger = None if found.after_exchanges(0.9) is not None else _larger(traffic, wanted, exchanges, seed)
    told: dict[str, Any] = drill_object(found)
    write_json({**told, "larger": None if larger is None else drill_object(larger)}, json)
    if json != STDOUT:
        _print_drill(found, larger)
    if found.after_exchanges(0.9) is None:
        raise typer.Exit(FAILED)


def _drilled(traffic: OwnTraffic, shift: Shift, draws: int, most: int, seed: int) -> DrillResult:
    with progress(f"drawing {shift}", draws) as advance:
        return run_drill(traffic, shift, draws=draws, most=most, seed=seed, progress=advance)


def _larger(traffic: OwnTraffic, shift: Shift, most: int, seed: int) -> DrillResult | None:
    """The smallest of some larger shifts that would be seen; None where none is, or the rate cannot move so far."""
    for times in _LARGER:
        try:
            found = _drilled(traffic, Shift(shift.name, max(shift.by * times, -0.95)), _FEW, most, seed)
        except InputError:
            return None
        if found.after_exchanges(0.9) is not None:
            return found
    return None


def _print_drill(found: DrillResult, larger: DrillResult | None) -> None:
    lines = [words.drilled(found.route, found.shift.name, found.shift.by, found.before, found.after, len(found.draws))]
    median, late = found.after_exchanges(0.5), found.after_exchanges(0.9)
    if median is not None:
        paged = found.after_exchanges(0.5, paged=True), found.after_exchanges(0.9, paged=True)
        lines += [words.would_be_seen(median, late, found.per_day), words.would_page(*paged, found.per_day)]
    if late is None:
        missed = sum(one.seen is None for one in found.draws)
        lines.append(words.not_seen(missed, len(found.draws), found.most, found.per_day))
        at = None if larger is None else larger.after_exchanges(0.5)
        lines.append(
            words.NOTHING_SEEN if larger is None or at is None else words.larger(str(larger.shift), at, found.per_day)
        )
    for line in lines:
        OUT.print(line, markup=False, soft_wrap=True)
