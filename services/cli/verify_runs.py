"""`keelwatch verify run`: every figure of a run or a comparison, computed again from the stored answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.evaluation import OWN_TRAFFIC, Run
from services import wiring
from services.cli.named_runs import run_text
from services.cli.options import ConfigOption, DatabaseOption, opened
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.evaluate.own_traffic import suite_of
from services.evaluate.persistence import changed_conditions, stored_run
from services.evaluate.result import RunResult
from services.evaluate.run_check import CheckReport, CheckTools, check_comparison, check_records, check_run
from services.evaluate.run_seal import seal_of
from services.evaluate.stated_run import StatedComparison, StatedFile, read_stated
from services.evaluate.suite import Suite
from services.evaluate.suite_library import load_suite, suite_names
from services.settings import load_settings
from services.store import audit_log, journal, own_questions, runs
from services.wording import run_checks as words

SOME_UNKNOWN: Final = 3
"""Exit code when nothing differs, and a part could not be computed again."""
_MOST_SHOWN: Final = 50
_INSTANT: Final = timedelta(microseconds=1)
RunOption = Annotated[str | None, typer.Option(metavar="RUN", help="Of a comparison's file: a run's file, or its id.")]


@dataclass(frozen=True, slots=True)
class Verifier:
    """What runs are computed again with; `connection` where a database is asked."""

    score: Any
    scorers: Mapping[str, str]
    suites: Mapping[str, Suite]
    connection: Connection | None
    reports: list[CheckReport] = field(default_factory=list)

    def file(self, stated: StatedFile) -> CheckReport:
        """A run of a file, also held against the stored one of its id, where a database is named."""
        report = check_run(stated, self._tools(stated.run))
        stored = None if self.connection is None else stored_run(self.connection, stated.run.id)
        if stored is not None:
            mine, other = seal_of(stated.run), seal_of(stored)
            for name in sorted({*mine.answers, *other.answers}):
                item, _, repeat = name.rpartition("/")
                report.equal(f"answer {repeat} as stored", mine.answers.get(name), other.answers.get(name), item)
            report.equal("run as stored", mine.sha256, other.sha256)
        self.reports.append(report)
        return report

    def row(self, id: str) -> StatedFile:
        """A stored run, held against the audit log and against what was told of it.

        Raises:
            InputError: if there is none, or it cannot be read.
        """
        assert self.connection is not None
        payload = runs.payload(self.connection, id)
        if payload is None:
            raise InputError(f"run {id}: not in this database; `keelwatch eval list` names them")
        found = read_stated(payload, f"run {id}")
        assert not isinstance(found, StatedComparison)
        report = check_run(found[0], self._tools(found[0].run, sealed=True))
        self._audited(report, id, found[0])
        self.reports.append(report)
        return found[0]

    def _tools(self, run: RunResult, *, sealed: bool = False) -> CheckTools:
        return CheckTools(self._suite(run), self.score, self.scorers, sealed)

    def _suite(self, run: RunResult) -> Suite | None:
        name = run.suite.name
        if name in self.suites:
            return self.suites[name]
        if name == OWN_TRAFFIC and self.connection is not None:
            own = own_questions.load(self.connection, run.route, run.suite.version)
            return None if own is None else suite_of(own.payload)
        return load_suite(name) if name in suite_names() else None

    def _audited(self, report: CheckReport, id: str, stated: StatedFile) -> None:
        """The row as the audit log has it; its columns, record and comparison as they follow from its answers."""
        assert self.connection is not None
        if (state := audit_log.state_of(self.connection, "runs", (id,))) is None:
            report.cannot(words.NO_AUDIT, words.NOT_IN_LOG)
        else:
            report.equal("audit log", state, "as written")
        run = stated.run
        listed = next((one for one in runs.find(self.connection, run.route) if one.id == id), None)
        columns = {
            "route": run.route,
            "identity": run.identity,
            "suite": run.suite.name,
            "suite_sha256": run.suite.sha256,
            "status": run.status,
            "reason": run.reason,
        }
        for name, value in columns.items():
            report.equal(f"row: {name}", getattr(listed, name, None), value)
        whole = whole_run(stated)
        if whole is not None:
            self._told(report, whole)

    def _told(self, report: CheckReport, run: RunResult) -> None:
        assert self.connection is not None
        facts = journal.facts_within(self.connection, run.route, ("run",), run.ended, run.ended + _INSTANT)
        record = next((one for one in facts if isinstance(one, Run) and one.id == run.id), None)
        compared = journal.comparisons_by_run(self.connection, (run.route,), [run.ended]).get(run.id)
        before = None
        if compared is not None and compared.before_run is not None:
            before = stored_run(self.connection, compared.before_run)
        across = () if before is None else changed_conditions(self.connection, before, run)
        check_records(report, run, record, before, compared, across)

    def named(self, named: str) -> list[StatedFile]:
        """The runs of a file, or a stored one, each computed again."""
        if not is_id(named):
            found = read_stated(run_text(named), named)
            if isinstance(found, StatedComparison):
                raise InputError(f"{named}: {words.BOTH_RUNS}")
            for one in found:
                self.file(one)
            return list(found)
        return [self.row(named)]


def is_id(named: str) -> bool:
    """Whether that names something stored, and no file."""
    return not Path(named).exists() and re.fullmatch(HEX16, named) is not None


def whole_run(stated: StatedFile) -> RunResult | None:
    """The run as the rest of the product reads it; None where it contradicts itself."""
    try:
        return RunResult.decode(stated.run.encode())
    except ValidationError:
        return None


def verify_run(
    named: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A file of `eval run --json` or `eval compare --json`; id of a stored run or comparison.",
        ),
    ],
    before: RunOption = None,
    after: RunOption = None,
    suites: Annotated[
        list[str] | None, typer.Option("--suite", metavar="FOLDER", help="Suites of the runs that are not built in.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    json: JsonOption = None,
) -> None:
    """Compute every figure of a run or a comparison again, and say where it differs from what is stored.

    Exit code 0: all computed, and equal. 1: something differs. 3: nothing differs, and a part could not be computed
    here (another version of a scorer, a suite that is not here): that part is not known to be right. With --database a
    file's run is also held against the stored one of its id.
    """
    watched = wiring.load_monitor(load_settings(), config)
    score, scorers = wiring.suite_scorer(watched)
    folders = {suite.name: suite for suite in map(load_suite, suites or ())}
    asks = database is not None or any(is_id(one) for one in (named, before, after) if one is not None)
    with reading(database if asks else None, asks) as connection:
        verifier = Verifier(score, scorers, folders, connection)
        _verify(verifier, named, before, after)
    write_json([_object(one) for one in verifier.reports], json)
    if json != STDOUT:
        for one in verifier.reports:
            _tell(one)
    outcomes = {one.outcome for one in verifier.reports}
    if "differs" in outcomes:
        raise typer.Exit(1)
    if "not recomputed" in outcomes:
        raise typer.Exit(SOME_UNKNOWN)


@contextmanager
def reading(database: str | None, asks: bool) -> Iterator[Connection | None]:
    """A connection that sees one state of the database, where one is asked."""
    if not asks:
        yield None
        return
    with closing(opened(database)) as base, base.read() as connection:
        yield connection


def _verify(verifier: Verifier, named: str, before: str | None, after: str | None) -> None:
    if is_id(named) and verifier.connection is not None:
        compared = journal.comparison(verifier.connection, named)
        if compared is None or compared.after_run is None:
            verifier.named(named)
            return
        for one in (compared.before_run, compared.after_run):
            if one is not None:
                verifier.named(one)
        return
    found = read_stated(run_text(named), named)
    if not isinstance(found, StatedComparison):
        for stated in found:
            verifier.file(stated)
        return
    if before is None or after is None:
        raise InputError(f"{named}: {words.BOTH_RUNS}")
    pairs = list(_pairs(found, (verifier.named(before), verifier.named(after)), (before, after)))
    if any(one is None for pair in pairs for one in pair):
        report = CheckReport(named, ", ".join(found.suites))
        report.cannot(words.COMPARISON, words.CONTRADICTS)
        verifier.reports.append(report)
        return
    whole = [(earlier, later) for earlier, later in pairs if later is not None]
    verifier.reports.append(check_comparison(found, whole, named))


def _pairs(
    compared: StatedComparison, given: tuple[Sequence[StatedFile], Sequence[StatedFile]], names: tuple[str, str]
) -> Iterator[tuple[RunResult | None, RunResult | None]]:
    """The two runs of each suite of the comparison; with one run on each side, those two.

    Raises:
        InputError: if a side has no run of a suite that the comparison names.
    """
    if all(len(side) == 1 for side in given):
        yield whole_run(given[0][0]), whole_run(given[1][0])
        return
    for suite in compared.suites:
        pair = []
        for side, name in zip(given, names, strict=True):
            one = next((one for one in side if one.run.suite.name == suite), None)
            if one is None:
                raise InputError(f"{name}: {words.NO_RUN_OF} {suite}; name the runs that were compared")
            pair.append(whole_run(one))
        yield pair[0], pair[1]


def _tell(report: CheckReport) -> None:
    for one in report.differences[:_MOST_SHOWN]:
        OUT.print(words.difference(one.item, one.field, one.stored, one.recomputed), markup=False, soft_wrap=True)
    if len(report.differences) > _MOST_SHOWN:
        OUT.print(words.more(len(report.differences) - _MOST_SHOWN), markup=False, soft_wrap=True)
    for unknown in report.unknown:
        ERR.print(words.not_recomputed(unknown.what, unknown.why), markup=False, soft_wrap=True)
    counts = (report.answers, report.scored, report.figures, len(report.differences))
    OUT.print(words.summary(report.run, report.suite, report.outcome, *counts), markup=False, soft_wrap=True)


def _object(report: CheckReport) -> dict[str, Any]:
    names = ("run", "suite", "outcome", "answers", "scored", "figures")
    return {
        **{name: getattr(report, name) for name in names},
        "differences": [asdict(one) for one in report.differences],
        "not_recomputed": [asdict(one) for one in report.unknown],
    }
