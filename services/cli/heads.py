"""`keelwatch head`: what decides a signal, fitted anew on labels of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.table import Table

from schemas.exchange import Exchange
from services.cli.options import ConfigOption
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.monitor.own_heads import HeadedSignal, headed, read_heads, reads_of
from services.settings import load_settings
from services.signals.heads.head import HeadError, Heads, dump_heads
from services.signals.heads.shipped import shipped, shipped_names
from services.signals.protocol import ScoredText
from services.wording import heads as words

if TYPE_CHECKING:
    from services.monitor import Monitor

app = typer.Typer(help="Heads: what decides a signal, fitted anew on labels of your own.", no_args_is_help=True)
SignalOption = Annotated[str, typer.Option("--signal", metavar="NAME", help="Of which signal, such as refusal.")]


class _Line(NamedTuple):
    exchange: Exchange
    label: bool


@app.command("fit")
def fit(
    path: Annotated[
        str, typer.Argument(metavar="LABELLED.jsonl", help="Exchanges, one a line, each with `label: true` or `false`.")
    ],
    signal: SignalOption,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Where the head goes; else SIGNAL.head.json here.")
    ] = None,
    fpr: Annotated[
        float, typer.Option("--fpr", min=0.0, max=0.5, metavar="SHARE", help="Most of what is false that may count.")
    ] = 0.05,
    json: JsonOption = None,
) -> None:
    """Refit a head on labelled exchanges; what is said of it comes from labels that it had not seen.

    Exit code 2 when there are under 50 labels of a kind.
    """
    from services.signals.heads import own  # noqa: PLC0415 -- scipy is of no use to the other commands

    measured = _headed(signal)
    lines = list(_lines(path))
    if not lines:
        raise InputError(words.no_labels(path))
    read = [(given, line.label) for given, line in zip(_given(lines, measured), lines, strict=True) if given]
    true = sum(label for _, label in read)
    if min(true, len(read) - true) < own.LEAST:
        raise InputError(words.too_few(true, len(read) - true, own.LEAST))
    prior = shipped(signal).only
    rows = own.labelled([given for given, _ in read], [label for _, label in read], len(prior.windows))
    fitted = own.fit_own(signal, rows, prior, fpr, _facts(path, len(read), true, reads_of(measured)))
    to = out or f"{signal}.head.json"
    digest = _write(fitted.heads, to)
    told = _told(fitted, signal, to, digest, len(read), true, fpr)
    write_json(told, json)
    if json != STDOUT:
        if len(read) < len(lines):
            ERR.print(words.unmeasured(len(lines) - len(read), signal), markup=False, soft_wrap=True)
        for one in _said(told):
            OUT.print(one, markup=False, soft_wrap=True)


@app.command("list")
def list_heads(config: ConfigOption = None, json: JsonOption = None) -> None:
    """List the heads that score: the shipped ones, and those of the monitor file."""
    own = _watched(config).heads
    found = [_row(name, own.get(name)) for name in shipped_names()]
    write_json(found, json)
    if json != STDOUT:
        table = Table("signal", "version", "scores by", "fitted on")
        for one in found:
            table.add_row(one["signal"], one["version"], one["file"] or "the shipped head", words.labels_of(one))
        OUT.print(table)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="SIGNAL|FILE", help="A signal's shipped head, or a file of one.")],
    json: JsonOption = None,
) -> None:
    """Show a head: what it was fitted on, its figures, its threshold, how its parts are combined."""
    heads = shipped(name) if name in shipped_names() else _read(name)
    told = _shown(heads)
    write_json(told, json)
    if json != STDOUT:
        OUT.print_json(data=told)


@app.command("use")
def use(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A head that `keelwatch head fit` wrote.")],
    json: JsonOption = None,
) -> None:
    """Check a head, and say what to put into the monitor file so that it scores. Changes nothing by itself."""
    heads = _read(path)
    where = str(Path(path).resolve())
    write_json({"signal": heads.signal, "version": heads.digest, "file": where}, json)
    if json != STDOUT:
        OUT.print(words.use(heads.signal, where), markup=False, soft_wrap=True)


def _headed(name: str) -> HeadedSignal:
    known = headed()
    if name not in known:
        raise InputError(words.wrong_signal(name, ", ".join(sorted(known))))
    return known[name]


def _read(path: str) -> Heads:
    try:
        return read_heads(path)
    except HeadError as error:
        raise InputError(words.unreadable(path, str(error))) from error


def _watched(config: str | None) -> Monitor:
    from services.wiring.monitor_file import load_monitor  # noqa: PLC0415

    return load_monitor(load_settings(), config)


def _lines(path: str) -> Iterator[_Line]:
    """The exchanges of a labelled file.

    Raises:
        InputError: at the first line that is none, or has no label.
    """
    import json as text  # noqa: PLC0415 -- the options of these commands are called so

    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(words.unreadable_labels(path, error.strerror or "unknown error")) from error
    except UnicodeDecodeError as error:
        raise InputError(words.unreadable_labels(path, f"is no UTF-8 text ({error.reason})")) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = text.loads(line)
            label = found.pop("label")
            if not isinstance(label, bool):
                raise InputError(words.bad_line(path, number, f"label is {label!r}"))
            yield _Line(Exchange.decode(text.dumps(found).encode()), label)
        except InputError:
            raise
        except KeyError as error:
            raise InputError(words.bad_line(path, number, "has no label")) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(words.bad_line(path, number, f"is no exchange ({type(error).__name__})")) from error


def _given(lines: list[_Line], signal: HeadedSignal) -> Iterator[Any]:
    """What the head reads of each exchange, embedded as the scorer embeds it."""
    from services.score.scored_text import scored_text  # noqa: PLC0415
    from services.wiring.adapters import embedder  # noqa: PLC0415

    texts = [scored_text(line.exchange) for line in lines]
    for text in _embedded(texts, embedder(load_settings())):
        yield signal.given(text)


def _embedded(texts: list[ScoredText], embedder: Any) -> list[ScoredText]:
    from services.score.windows import ExchangeVectors, texts_of  # noqa: PLC0415

    wanted = [texts_of(text, answered=True) for text in texts]
    every = list(dict.fromkeys(text for one in wanted for text in one if text is not None))
    known = dict(zip(every, embedder.embed(every), strict=True))
    vectors = [ExchangeVectors(*(None if text is None else known[text] for text in one)) for one in wanted]
    return [replace(text, windows=one.windows) for text, one in zip(texts, vectors, strict=True)]


def _facts(path: str, rows: int, true: int, reads: str) -> dict[str, Any]:
    sets = {Path(path).name: {"licence": "own", "rows": rows, "true": true}}
    return {"command": "keelwatch head fit", "sets": sets, **({"reads": reads} if reads else {})}


def _write(heads: Heads, to: str) -> str:
    try:
        Path(to).write_bytes(dump_heads(heads))
    except OSError as error:
        raise InputError(f"--out {to}: {error.strerror}; name a file that can be written") from error
    return read_heads(to).digest


def _told(fitted: Any, signal: str, to: str, digest: str, rows: int, true: int, fpr: float) -> dict[str, Any]:
    return {
        "signal": signal,
        "file": str(Path(to).resolve()),
        "version": digest,
        "rows": rows,
        "true": true,
        "auroc": fitted.after,
        "auroc_shipped": fitted.before,
        "calibration_error": fitted.calibration,
        "fpr": fpr,
        "threshold": fitted.heads.only.threshold,
        "false_positives": fitted.false_positives,
        "recall": fitted.recall,
    }


def _said(told: dict[str, Any]) -> Iterator[str]:
    from services.signals.heads.own import FOLDS  # noqa: PLC0415

    yield words.fitted(told["signal"], told["rows"], told["true"])
    yield words.judged(told["auroc_shipped"], told["auroc"], told["calibration_error"], FOLDS)
    yield words.threshold(told["threshold"], told["fpr"], told["false_positives"], told["recall"])
    yield words.written(told["file"], told["version"])
    yield words.use(told["signal"], told["file"])


def _row(name: str, own: str | None) -> dict[str, Any]:
    heads = shipped(name) if own is None else _read(own)
    return {"signal": name, "version": heads.digest, "file": own, "sets": heads.facts.get("sets", {})}


def _shown(heads: Heads) -> dict[str, Any]:
    return {
        "signal": heads.signal,
        "version": heads.digest,
        **heads.facts,
        "heads": {
            label: {"threshold": head.threshold, "full": dict(head.full), "plain": dict(head.plain)}
            for label, head in heads.by_label.items()
        },
    }
