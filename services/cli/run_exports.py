"""`keelwatch eval export`: runs, and what changed between two, as other tools read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.named_runs import results
from services.cli.options import DatabaseOption
from services.cli.output import OUT, STDOUT, replace_file
from services.errors import InputError
from services.evaluate.exporters import EXPORTERS
from services.evaluate.exporters.junit import JUnitReport, comparison_report
from services.evaluate.exporters.protocol import RunExporter
from services.evaluate.result import RunResult
from services.wording import exports as words

_KINDS: Final = {exporter.name: exporter for exporter in EXPORTERS}


def export_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a stored run, or a file of `eval run --json`.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"{', '.join(_KINDS)}.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to write it; - is stdout.")],
    suite: Annotated[str | None, typer.Option(metavar="S", help="Only the run of this suite.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Of junit: what changed since this run, a test case a hazard.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Write a run as an Inspect log, as JUnit XML, or as OpenTelemetry events.

    An item that nobody could score is skipped or an error there, and never one that passed.
    """
    exporter = _KINDS.get(to)
    if exporter is None:
        raise InputError(words.no_format(to, tuple(_KINDS)))
    found = _chosen(run, results(run, database), suite)
    if not exporter.several and len(found) > 1:
        raise InputError(words.one_run_only(run, to, [one.suite.name for one in found]))
    _write(out, exporter.export(found) if against is None else _compared(found, against, suite, exporter, database))
    if out != STDOUT:
        OUT.print(words.written(out, len(found), to), markup=False, soft_wrap=True)


def _chosen(run: str, found: tuple[RunResult, ...], suite: str | None) -> tuple[RunResult, ...]:
    if suite is None:
        return found
    chosen = tuple(one for one in found if one.suite.name == suite)
    if not chosen:
        raise InputError(words.no_suite(run, suite, [one.suite.name for one in found]))
    return chosen


def _compared(
    found: tuple[RunResult, ...], against: str, suite: str | None, exporter: RunExporter, database: str | None
) -> bytes:
    if not isinstance(exporter, JUnitReport):
        raise InputError(
            f"--against {against}: comparisons are written as junit alone; leave it away, or say --to junit"
        )
    earlier = {one.suite.name: one for one in results(against, database)}
    again = {one.suite.name for one in found}
    missing = [one for name, one in earlier.items() if suite is None and name not in again]
    return comparison_report([(earlier.get(one.suite.name), one) for one in found], missing)


def _write(out: str, content: bytes) -> None:
    if out == STDOUT:
        sys.stdout.buffer.write(content)
        return
    try:
        replace_file(Path(out), content)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"--out {out[:300]}: {why}; name a file that can be written, or - for stdout") from None
