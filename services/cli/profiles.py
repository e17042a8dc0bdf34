"""`keelwatch profile`: the label of a route's model, as the API and its page show it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from schemas.base import HEX16, canonical
from services import wiring
from services.cli.named_routes import checked_route
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import OUT, STDOUT, JsonOption, write_text
from services.errors import InputError
from services.evaluate.profile_label import LabelRate, RouteProfile, SuiteLabel, label_object
from services.evaluate.profile_sources import route_profile
from services.evaluate.suite import POOLED
from services.settings import load_settings
from services.wording import nouns, numbers
from services.wording import profiles as words


def profile(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="The route, as `keelwatch route list` names it.")],
    identity: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this identity (16 hex digits); else of who answers now.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Show what suites say of a route's model, what they did not test, and what speaks against it.

    The JSON is what `GET /v1/routes/ROUTE/profile` answers. Exit code 0 also where nothing is known: the label says so.
    """
    if identity is not None and not re.fullmatch(HEX16, identity):
        raise InputError(f"--identity {identity}: must be 16 hex digits; `keelwatch eval list` shows them")
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    policy, scorers = watched.policy(checked_route(route)), wiring.scorer_versions(settings, watched)
    with closing(opened(database)) as base, base.read() as connection:
        found = route_profile(connection, route, policy, datetime.now(UTC), scorers, identity)
    if found is None:
        raise InputError(f"route {route}: not in this database; `keelwatch route list` names those that are")
    if json is not None:
        write_text(canonical(label_object(found)).decode() + "\n", json)  # exactly this: it is canonical, and hashed
    if json != STDOUT:
        for line in _lines(found):
            OUT.print(line, markup=False, soft_wrap=True)
        for label in _labels(found):
            OUT.print(_table(label))
        _list(words.NOT_TESTED, [one.text for one in found.not_tested])
        _list(words.RECOMPUTE, found.recompute)


def _labels(found: RouteProfile) -> tuple[SuiteLabel, ...]:
    return (*found.suites, *((found.own_traffic,) if found.own_traffic else ()))


def _lines(found: RouteProfile) -> Iterator[str]:
    yield found.says
    if found.contradictions and found.label == "known":
        yield words.doubt([one.text for one in found.contradictions])
    for delta in found.previous:
        made = words.made_by(delta.made_by, delta.origin)
        yield words.against_previous(delta.suite, delta.name, delta.overall, delta.reason, made)
    for label in _labels(found):
        age = words.age(found.made.age_seconds[label.run])
        made = words.made_by(label.made_by, label.origin) or "made by the service"
        yield (
            f"suite {label.suite} {label.suite_version} ({label.suite_sha256[:12]}): {label.scored:,} of "
            f"{label.items:,} items scored, {numbers.moment(label.ts)} ({age} ago), run {label.run}, {made}"
        )
    yield f"sha256 {found.sha256}"


def _table(label: SuiteLabel) -> Table:
    """Each measure over all hazards, then hazard by hazard."""
    table = Table(box=None, pad_edge=False)
    for place, title in enumerate(words.TABLE_COLUMNS):
        table.add_column(title, no_wrap=True, overflow="ellipsis", justify="left" if place == 0 else "right")
    for one in label.measures:
        pooled = one.hazard == POOLED
        name = nouns.measure(one.measure) if pooled else f"  {nouns.plain(one.hazard)}"
        table.add_row(Text(name), *_cells(one), style="" if pooled else "dim")
    return table


def _cells(one: LabelRate) -> Sequence[str]:
    true = "" if one.true_rate is None else f"{one.true_rate:.0f}% ({one.true_low:.0f} to {one.true_high:.0f}%)"
    if one.correction in ("not_measured", "impossible"):
        true = numbers.UNKNOWN
    rate = numbers.UNKNOWN if one.rate is None else f"{one.rate:.0f}% ({one.low:.0f} to {one.high:.0f}%)"
    shows = "" if one.measure == "canary" else words.shows(one.shows)
    return f"{one.events:,} of {one.n:,}", rate, true, shows


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        OUT.print(f"\n{title}:", markup=False)
    for line in lines:
        OUT.print(f"- {line}", markup=False, soft_wrap=True)
