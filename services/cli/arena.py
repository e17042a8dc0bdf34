"""`keelwatch eval arena`: several versions by what a judge prefers of their answers, or by a file of battles."""

from __future__ import annotations

import asyncio
import json as jsons
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from services import wiring
from services.cli.named_runs import results
from services.cli.options import ConfigOption, DatabaseOption
from services.cli.output import OUT, STDOUT, JsonOption, check_writable, write_json, write_text
from services.cli.signals import chosen_signals
from services.errors import InputError
from services.evaluate.arena import ArenaTable, Battle, read_battles, strengths_of
from services.evaluate.client import EndpointSettings
from services.evaluate.result import RunResult
from services.judge.preferences import QUESTION, PreferenceJudge, duels
from services.monitor import Monitor
from services.score.redaction import Redactor
from services.settings import Settings, load_settings, secret
from services.signals.custom.definition import CustomSignal
from services.signals.custom.judge_rule import JudgeRule, judge_settings
from services.wording import arena as words

_LEAST: Final = 2
Runs = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Two or more runs: files or stored ids.")]


def run_arena(
    named: Runs = None,
    battles: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Battles of FastChat (JSON or JSONL) in place of runs.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="NAME", help="The judge to ask: a signal of the monitor file.")
    ] = None,
    question: Annotated[str, typer.Option(metavar="TEXT", help="What the judge is asked of two answers.")] = QUESTION,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the battles here, as FastChat does.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Say which of several versions answers better: each two judged in both orders, with Bradley-Terry strengths.

    Two orders that disagree are a tie. A judge that is late, unsure or answers in another form says nothing.
    """
    check_writable(write, "--write")
    check_writable(json, "--json")
    fought = _read(battles) if battles is not None else _judged(named or [], judge, question, config, database)
    if write is not None:
        write_text("".join(f"{jsons.dumps(_row(one))}\n" for one in fought), str(write), "--write")
    table = strengths_of(fought)
    write_json({**asdict(table), "strengths": [asdict(one) for one in table.strengths]}, json)
    if json != STDOUT:
        _show(table)


def _read(path: Path) -> tuple[Battle, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{path}: {why}; name a battle file of FastChat") from None
    return read_battles(text, str(path))


def _row(battle: Battle) -> dict[str, Any]:
    """A battle as FastChat writes it; what is inconclusive is said so, and no reader takes it for a tie."""
    winner = {"a": "model_a", "b": "model_b"}.get(battle.winner, battle.winner)
    return {"question_id": battle.item, "model_a": battle.a, "model_b": battle.b, "winner": winner}


def _judged(
    named: Sequence[str], judge: str | None, question: str, config: str | None, database: str | None
) -> tuple[Battle, ...]:
    versions = _versions(named, database)
    if judge is None:
        raise InputError("--judge: name a judge of the monitor file, or --battles with a file")
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    name, rule = _rule(watched, judge)
    asked = duels(versions)
    if not asked:
        raise InputError("RUN: no item has a text in two of these runs; name runs of one suite")
    judging = _judge(settings, watched, rule, name, question, 2 * sum(not one.same for one in asked))
    return asyncio.run(judging.battles(asked))


def _versions(named: Sequence[str], database: str | None) -> list[tuple[str, RunResult]]:
    """What each run is called in the table: its model, with its id where two are of one model."""
    found = [run for name in named for run in results(name, database)]
    if len(found) < _LEAST:
        raise InputError("RUN: name two or more runs, or --battles with a file")
    if len({run.suite.name for run in found}) > 1:
        raise InputError("RUN: the runs asked different suites; name runs of one suite")
    if len({run.id for run in found}) < len(found):
        raise InputError("RUN: one run is named twice; name different ones")
    models = [run.target.model for run in found]
    return [
        (run.target.model if models.count(run.target.model) == 1 else f"{run.target.model} {run.id}", run)
        for run in found
    ]


def _rule(watched: Monitor, judge: str) -> tuple[str, JudgeRule]:
    """The signal's whole name, under which its calls of a day are counted, and its rule."""
    signal = chosen_signals(wiring.configured_signals(watched), judge)[0]
    if isinstance(signal, CustomSignal) and isinstance(signal.definition.rule, JudgeRule):
        return signal.spec.name, signal.definition.rule
    raise InputError(f"--judge: {judge} is no judge; name a signal of the monitor file with `judge`")


def _judge(
    settings: Settings, watched: Monitor, rule: JudgeRule, name: str, question: str, calls: int
) -> PreferenceJudge:
    """The judge, with as many calls as it may still make today.

    Raises:
        InputError: if its key is missing, or not all of them fit into the day.
    """
    key = None if rule.key_env is None else secret(rule.key_env)
    if rule.key_env is not None and not key:
        raise InputError(f"{rule.key_env}: holds no key of the judge {name}; set the variable")
    world = wiring.judge_world(settings, watched)
    today = datetime.now(UTC).date()
    granted = world.calls.take(name, calls, rule.daily_calls, today)
    if granted < calls:
        world.calls.give_back(name, granted, today)
        raise InputError(f"judge {name}: {calls:,} calls are needed, {granted:,} are left today; raise `daily_calls`")
    asking = EndpointSettings(rule.endpoint, rule.model, judge_settings(rule), key=key)
    redactor = Redactor(wiring.configured_signals(watched))
    return PreferenceJudge(asking, watched.allow_hosts, world.clock, world.mark, redactor.masked, calls, question)


def _show(table: ArenaTable) -> None:
    shown = Table(*words.COLUMNS, box=None)
    for one in table.strengths:
        interval = f"{one.low:.0f} to {one.high:.0f}"
        shown.add_row(one.version, f"{one.rating:.0f}", interval, *(str(n) for n in (one.wins, one.losses, one.ties)))
    OUT.print(shown)
    for line in words.remarks(table.battles, table.inconclusive, table.connected):
        OUT.print(line, markup=False, soft_wrap=True)
