"""`keelwatch judge`: how far a judge agrees with people, before it is asked of live traffic."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from services import wiring
from services.cli.options import ConfigOption
from services.cli.output import OUT, STDOUT, JsonOption, check_writable, write_json
from services.cli.signals import chosen_signals
from services.errors import InputError
from services.ingest.labelled_exchanges import read_labelled
from services.judge.agreement import Agreement
from services.judge.checks import JudgeChecks
from services.score.scored_text import answered, scored_text
from services.settings import load_settings
from services.signals.custom.definition import CustomDefinition, CustomSignal
from services.signals.custom.judge_rule import JudgeRule
from services.signals.protocol import Signal
from services.wording import signals as words

app = typer.Typer(help="Judges: held against labels before they are used.", no_args_is_help=True)
_RATES: Final = ("accuracy", "false_positives", "false_negatives", "inconclusive")


@app.callback()
def _judges() -> None:
    """A group, although it has one command."""


@app.command("check")
def check_judge(
    file: Annotated[
        Path, typer.Argument(metavar="LABELLED", help="JSONL of exchanges or recorded answers with labels.")
    ],
    signal: Annotated[str, typer.Option("--signal", metavar="NAME", help="The signal whose judge is asked.")],
    config: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Ask a judge about labelled exchanges, print how far it agrees, and note whether it may be used.

    A label is `label`, or `labels.NAME`, true or false. Exit code 1 if the judge may not be used. A check holds for one
    model, question and version of the prompt, on this data directory; its calls count among those of the day.
    """
    check_writable(json, "--json")
    settings = load_settings()
    watched = wiring.load_monitor(settings, config)
    chosen = chosen_signals(wiring.configured_signals(watched), signal)[0]
    definition, rule = _judge_of(chosen, signal)
    found, _ = read_labelled(file)
    labelled = [(one.received.exchange, one.label(chosen.spec.name, definition.name)) for one in found]
    pairs = [(scored_text(exchange), label) for exchange, label in labelled if label is not None]
    pairs = [(text, label) for text, label in pairs if answered(text.answer)]
    if not pairs:
        raise InputError(f"{file}: {words.no_label(definition.name)}")
    panel = wiring.judge_panel(settings, watched, patient=True, checked=True)
    said = panel.ask(definition, [text for text, _ in pairs], wiring.PATIENT)
    values = [one.value if isinstance(one.value, bool) else None for one in said]
    agreement = Agreement.of((bool(label), value) for (_, label), value in zip(pairs, values, strict=True))
    reasons = Counter(one.reason or "inconclusive" for one in said if one.value is None)
    JudgeChecks.of(settings.data_dir).keep(chosen.spec.name, chosen.version, agreement, datetime.now(UTC))
    about = {"signal": chosen.spec.name, "model": rule.model, "version": chosen.version}
    write_json({**about, **agreement.told, "reasons": dict(sorted(reasons.items()))}, json)
    if json != STDOUT:
        _show(agreement, reasons)
        OUT.print(words.checked(chosen.spec.name, rule.model, agreement.why_not), markup=False, soft_wrap=True)
    if agreement.why_not is not None:
        raise typer.Exit(1)


def _judge_of(signal: Signal, name: str) -> tuple[CustomDefinition, JudgeRule]:
    if isinstance(signal, CustomSignal) and isinstance(signal.definition.rule, JudgeRule):
        return signal.definition, signal.definition.rule
    raise InputError(words.no_judge(name))


def _show(agreement: Agreement, reasons: Counter[str]) -> None:
    table = Table(*words.CHECK_COLUMNS, box=None, header_style="dim")
    told = agreement.told
    for name in _RATES:
        table.add_row(name.replace("_", " "), *words.rate(told[name]))
    OUT.print(table)
    OUT.print(words.kappa(agreement.kappa))
    if reasons:
        OUT.print(words.unscored(reasons), markup=False, soft_wrap=True)
