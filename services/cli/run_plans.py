"""What `keelwatch eval run --plan` shows: what a run will ask and cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from rich.table import Table

from services.cli.output import OUT, STDOUT, write_json
from services.errors import InputError
from services.evaluate.client import EndpointSettings
from services.evaluate.persistence import stored_run
from services.evaluate.result import RunResult
from services.evaluate.spending import AnswerCosts, RunPlan, plan_of
from services.evaluate.suite import Suite
from services.monitor import Target
from services.store import runs
from services.store.engine import open_database
from services.wording import spending as words


def show_plans(
    suites: Iterable[Suite],
    target: Target,
    given: EndpointSettings,
    earlier: Mapping[str, RunResult],
    json: str | None,
) -> None:
    """Print what a run of each suite takes; `earlier` runs, by suite, say how long answers are."""
    plans = [
        plan_of(
            suite,
            AnswerCosts.of(given.system_prompt, given.settings, earlier.get(suite.name)),
            target.budget,
            target.prices,
            target.answer_seconds,
        )
        for suite in suites
    ]
    write_json([asdict(plan) for plan in plans], json)
    if json == STDOUT:
        return
    table = Table(*words.PLAN_COLUMNS, box=None)
    for plan in plans:
        counts = f"{plan.items:,}", f"{plan.questions:,}", words.tokens(plan.sent), words.tokens(plan.came)
        table.add_row(f"{plan.suite} {plan.version}", *counts, words.money(plan.cost))
    OUT.print(table)
    for line in dict.fromkeys(_remarks(plans, target)):
        OUT.print(line, markup=False, soft_wrap=True)


def _remarks(plans: Sequence[RunPlan], target: Target) -> Iterator[str]:
    for plan in plans:
        if plan.affordable is not None:
            yield words.ends_at(plan.suite, plan.affordable, plan.questions)
        if plan.most_requests and plan.most_tokens and plan.most_seconds:
            yield words.ends_at_latest(plan.suite, plan.most_requests, plan.most_tokens, plan.most_seconds)
        if plan.basis != "earlier run":
            yield words.NOTHING_KNOWN if plan.basis is None else words.AT_MOST
    if target.prices is None:
        yield words.NO_PRICES
    if target.sequential:
        yield words.ENDS_EARLIER


def earlier_runs(against: Sequence[RunResult], database: str | None, route: str) -> dict[str, RunResult]:
    """By suite the run that is named, else the newest complete one of the route that is stored.

    Raises:
        InputError: if the database cannot be read.
    """
    found: dict[str, RunResult] = {}
    if database is not None:
        opened = open_database(database)
        try:
            with opened.read() as connection:
                listed = {one.suite: one.id for one in runs.find(connection, route) if one.status == "complete"}
                found = {suite: run for suite, id in listed.items() if (run := stored_run(connection, id)) is not None}
        finally:
            opened.close()
    return {**found, **{run.suite.name: run for run in against}}


def check_against(suites: Iterable[Suite], against: Sequence[RunResult]) -> dict[str, RunResult]:
    """By suite the run that it is held against.

    Raises:
        InputError: if a run is of a suite that is not asked.
    """
    known = {run.suite.name: run for run in against}
    strangers = sorted(set(known) - {suite.name for suite in suites})
    if strangers:
        raise InputError(f"--against: holds a run of {strangers[0]}, which is not asked; name it with --suite")
    return known
