"""`keelwatch signal`: what is measured here, and what signals of the monitor file hit in a file of exchanges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from services import wiring
from services.cli.options import ConfigOption
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.ingest.labelled_exchanges import LabelledExchange, read_labelled
from services.monitor.problems import suggestion
from services.score.blocks import NO_RESPONSE
from services.score.redaction import Redactor
from services.score.scored_text import answered, scored_text
from services.settings import load_settings
from services.signals.custom.definition import PREFIX, CustomSignal
from services.signals.protocol import Measurement, ScoredText, Signal
from services.wording import nouns, numbers
from services.wording import signals as words

app = typer.Typer(help="Signals: listed, and tried on a file before they go live.", no_args_is_help=True)
_AROUND: Final = 40
SignalOption = Annotated[
    str | None, typer.Option("--signal", metavar="NAME", help="Only this one; built-in ones, too.")
]


@dataclass(slots=True)
class _Tried:
    """What a signal said of the exchanges of a file."""

    signal: Signal
    scored: int = 0
    total: float = 0.0
    hits: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_share(self) -> bool:
        return not (self.signal.spec.number or self.signal.spec.category)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        of = self.scored
        return {
            "signal": self.signal.spec.name,
            "version": self.signal.version,
            "scored": of,
            "hits": self.hits,
            "share": self.hits / of if of and self.is_share else None,
            "mean": self.total / of if of and self.signal.spec.number else None,
            "unscored": dict(sorted(self.unscored.items())),
            "examples": self.examples,
        }


@app.command("test")
def try_signals(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL of exchanges, or of recorded answers; nothing is stored.")
    ],
    config: ConfigOption = None,
    signal: SignalOption = None,
    examples: Annotated[int, typer.Option(min=0, max=100, metavar="N", help="Hits to show of each signal.")] = 3,
    json: JsonOption = None,
) -> None:
    """Show what the signals of the monitor file hit in a file, before they go live.

    Judges are not asked; `keelwatch judge check` does. Personal values and credentials in the examples are masked.
    """
    found, dead = read_labelled(file)
    watched = wiring.load_monitor(load_settings(), config)
    configured = wiring.configured_signals(watched)
    chosen = chosen_signals(configured, signal)
    redactor = Redactor(configured)
    tried = [_tried(one, found, redactor, examples) for one in chosen]
    write_json({"exchanges": len(found), "dead": dead, "signals": [one.told() for one in tried]}, json)
    if json != STDOUT:
        _show(tried, words.taken_in(len(found), dead))


@app.command("list")
def list_signals(config: ConfigOption = None, json: JsonOption = None) -> None:
    """List what is measured of each exchange: the built-in signals, then those of the monitor file."""
    watched = wiring.load_monitor(load_settings(), config)
    floors = watched.defaults.floors
    rows = [_listed(one, floors.get(one.spec.name)) for one in wiring.configured_signals(watched)]
    write_json(rows, json)
    if json == STDOUT:
        return
    table = Table(box=None, header_style="dim")
    for column in words.LIST_COLUMNS:
        table.add_column(column, no_wrap=True)
    for row in rows:
        floor = row["floor"]
        shown = words.NOT_WATCHED if floor is None else numbers.percent(floor) if floor else words.FIRST_ALERTS
        cells = (row["signal"], row["kind"], row["where"], shown)
        table.add_row(*(Text(_printable(cell)) for cell in cells))
    OUT.print(table)


def chosen_signals(configured: Sequence[Signal], name: str | None) -> list[Signal]:
    """The one that is named, else those of the monitor file.

    Raises:
        InputError: if there is none.
    """
    known = {one.spec.name: one for one in configured}
    if name is not None:
        found = known.get(f"{PREFIX}{name}") or known.get(name)
        if found is None:
            raise InputError(words.no_signal(name, suggestion(name, [one.removeprefix(PREFIX) for one in known])))
        return [found]
    own = [one for one in configured if isinstance(one, CustomSignal)]
    if not own:
        raise InputError(words.NO_OWN)
    return list(own)


def _listed(signal: Signal, floor: float | None) -> dict[str, Any]:
    own = signal.definition if isinstance(signal, CustomSignal) else None
    return {
        "signal": signal.spec.name,
        "title": signal.spec.title,
        "kind": "built in" if own is None else own.rule.kind,
        "where": "-" if own is None else nouns.plain(own.where),
        "floor": floor,
        "version": signal.version,
    }


def _tried(signal: Signal, found: Sequence[LabelledExchange], redactor: Redactor, most: int) -> _Tried:
    tried = _Tried(signal)
    for one in found:
        text = scored_text(one.received.exchange)
        said = signal.measure(text) if answered(text.answer) else Measurement(None, reason=NO_RESPONSE)
        if said.value is None:
            tried.unscored[said.reason or "unscored"] += 1
            continue
        tried.scored += 1
        is_hit = bool(said.value) and not isinstance(said.value, str)
        tried.total += float(said.value) if is_hit else 0.0
        tried.hits += is_hit
        if is_hit and len(tried.examples) < most:
            tried.examples.append(_example(signal, text, redactor, redactor.id(text.exchange.id or ""), said.reason))
    return tried


def _example(signal: Signal, text: ScoredText, redactor: Redactor, id: str, reason: str | None) -> dict[str, Any]:
    hits = signal.hits(text, 1) if isinstance(signal, CustomSignal) else ()
    shown = redactor.excerpt(hits[0].text, hits[0].start, hits[0].end, _AROUND) if hits else None
    names = ("before", "match", "after")
    return {"id": id, "reason": reason, **dict(zip(names, map(_printable, shown or ()), strict=False))}


def _printable(text: str) -> str:
    """On one line; what a terminal would act on is a dot."""
    return "".join(" " if char.isspace() else char if char.isprintable() else "\N{MIDDLE DOT}" for char in text)


def _show(tried: Sequence[_Tried], taken: str) -> None:
    table = Table(*words.TEST_COLUMNS, box=None, header_style="dim")
    for one in tried:
        told = one.told()
        share = numbers.percent(told["share"]) if one.is_share else numbers.each(told["mean"] or 0.0)
        cells = (told["signal"], f"{one.scored:,}", f"{one.hits:,}", share, words.unscored(one.unscored))
        table.add_row(*map(Text, cells))
    OUT.print(taken)
    OUT.print(table)
    for one in tried:
        for shown in one.examples:
            line = (
                words.example(shown["id"], shown["before"], shown["match"], shown["after"])
                if "match" in shown
                else words.example_as_whole(shown["id"], shown["reason"])
            )
            OUT.print(f"{one.signal.spec.name}{line}", markup=False, soft_wrap=True)
