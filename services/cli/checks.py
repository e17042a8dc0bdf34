"""`keelwatch check-config` and `doctor`: what is wrong with a monitor file or with this installation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from services import monitor, wiring
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.doctor.core import DoctorFinding
from services.doctor.examine import examine
from services.errors import InputError
from services.evaluate.asking_plan import asking_plan, plan_lines
from services.evaluate.client import endpoint_settings
from services.evaluate.suite_library import questions_asked
from services.monitor import RoutePolicy, Target
from services.settings import Settings, load_settings, secret
from services.wording import ceilings, receipts, targets, trials


def check_config(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The monitor file; without it the one that KEELWATCH_CONFIG names."),
    ] = None,
) -> None:
    """Check a monitor file: exit code 0 when it can be used, 2 when it cannot."""
    path = file or load_settings().config
    if path is None:
        raise InputError("no monitor file: name it, or set KEELWATCH_CONFIG")
    problems = monitor.check(path)
    for problem in problems:
        OUT.print(str(problem), markup=False, soft_wrap=True)
    errors = sum(problem.severity == "error" for problem in problems)
    if errors:
        raise typer.Exit(2)
    OUT.print(receipts.usable(str(path), receipts.warnings(len(problems))), markup=False, soft_wrap=True)
    watched = monitor.load(path)
    now = datetime.now(UTC)
    for place, policy in (("defaults", watched.defaults), *watched.routes.items()):
        known = place != "defaults" and policy.target == watched.defaults.target
        own = () if known else tuple(_target_told(policy.target))
        asked = asking_plan(policy, questions_asked, now)
        if place != "defaults" and asked == asking_plan(watched.defaults, questions_asked, now):
            asked = None
        for line in (*settings_told(policy), *own, *plan_lines(asked)):
            OUT.print(f"{place}: {line}", markup=False, soft_wrap=True)


def _target_told(target: Target | None) -> Iterator[str]:
    """What is sent where, and what a target needs that this environment does not have: it may be where suites run."""
    if target is None:
        return
    yield from targets.target_told(target)
    try:
        endpoint_settings(target, secret)
    except InputError as error:
        yield targets.not_from_here(str(error))


def settings_told(policy: RoutePolicy) -> Iterator[str]:
    """What a route's part of the file leads to that its figures alone do not say: ceilings, a trial baseline."""
    if policy.objectives:
        yield ceilings.ceilings(policy.objectives)
    rates = [floor for floor in policy.floors.values() if floor]
    if (first := policy.baseline.first) != policy.baseline and rates:
        yield trials.will_learn(first.size, policy.baseline.size, min(rates))


_STYLES: Final = {"ok": "green", "warning": "yellow", "wrong": "bold red", "skipped": "dim"}


def doctor(json_to: JsonOption = None) -> None:
    """Look at broker, topics, clocks, disk, database, embedder and monitor file: exit code 1 if something is wrong.

    To compare clocks a topic is made on the broker and deleted again; nothing else is changed anywhere.
    """
    settings = load_settings()
    findings = asyncio.run(examine(settings, lambda: _embed(settings)))
    if json_to != STDOUT:
        for finding in findings:
            _show(finding)
    write_json([_as_json(finding) for finding in findings], json_to)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _embed(settings: Settings) -> object:
    return wiring.embedder(settings).embed(["How are you?"])


def _show(finding: DoctorFinding) -> None:
    line = Text(f"{finding.state:8}", style=_STYLES[finding.state])
    line.append(f" {finding.check:9} {finding.message}", style="default")
    OUT.print(line, soft_wrap=True)
    if finding.remedy:
        OUT.print(f"{'':18} -> {finding.remedy}", markup=False, soft_wrap=True)


def _as_json(finding: DoctorFinding) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("check", "state", "cause", "message", "remedy")}
