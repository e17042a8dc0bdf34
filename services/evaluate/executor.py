"""Does the runs that are due (leased, stored under a token, published at least once), beside the schedules' clock.

What cannot be read of one route is logged and left out: it stops neither the others nor the steps of the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from schemas.evaluation import OWN_TRAFFIC, Run
from schemas.identity import Model
from services.errors import InputError, fault_trace
from services.evaluate import persistence
from services.evaluate.client import Endpoint, endpoint_settings
from services.evaluate.comparison import incomparable
from services.evaluate.dependencies import DATABASE_AWAY, EvaluateDependencies
from services.evaluate.outdated import (
    NEW_VERSION,
    BaselineRun,
    baseline_runs,
    check_version,
    new_versions,
    scored_otherwise,
)
from services.evaluate.own_questions import AskLater, first_asked, next_day, questions, standing, stands
from services.evaluate.own_traffic import result_as
from services.evaluate.result import AskedTarget, RunResult, SuiteAnswer
from services.evaluate.retries import ask_again
from services.evaluate.runner import RunOrder, RunTools, not_run, run
from services.evaluate.schedule import ScheduleLoop
from services.evaluate.suite import Suite
from services.evaluate.suite_judge import JudgeCallsSpent
from services.evaluate.token_usage import Spent
from services.evaluate.triggers import target_name
from services.store import evaluation_queue, own_questions, routes, runs
from services.store.evaluation_queue import DONE, FAILED, RAN, ClaimedRun, ClaimLost, DueRun
from services.wording import runs as reasons

LOG: Final = logging.getLogger("keelwatch.evaluate")
_AGAIN: Final = timedelta(seconds=10)
_MOST_CLAIMS: Final = 20
_ROUTES_EVERY: Final = 5.0
_VERSIONS_EVERY: Final = 60.0

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Executor:
    """Does runs until it is cancelled. Any number of executors may share a database."""

    tools: EvaluateDependencies
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _next_look: float = 0.0
    _next_versions: float = 0.0
    _looked: set[tuple[str, str]] = field(default_factory=set)
    _moved: dict[tuple[str, str], str] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    async def run(self) -> None:
        """Look for what is due again and again; once cancelled, others may go on with what was under way."""
        try:
            while True:
                await self._look()
                pause = asyncio.ensure_future(asyncio.sleep(self.tools.poll))
                await asyncio.wait({pause, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                self._tasks = {task for task in self._tasks if not task.done()}
                pause.cancel()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def once(self) -> int:
        """Do all that is due now, and come back; how many runs that were."""
        done = 0
        await self._introduce()
        while claimed := await self._claim(self.tools.parallel):
            await asyncio.gather(*(self._do(one) for one in claimed))
            done += len(claimed)
        return done

    async def _look(self) -> None:
        try:
            if time.monotonic() >= self._next_look:
                await self._introduce()
                self._next_look = time.monotonic() + _ROUTES_EVERY
            claimed = await self._claim(self.tools.parallel - len(self._tasks))
        except DATABASE_AWAY:
            LOG.warning("the database does not answer; what is due waits", exc_info=True)
            return
        except Exception as error:  # the steps beside it are not to blame, and go on
            LOG.error("what is due cannot be looked at, and waits: %s", fault_trace(error))
            return
        self._tasks |= {asyncio.create_task(self._do(one)) for one in claimed}

    async def _introduce(self) -> None:
        """Ask for a run of each suite of a route that is seen for the first time: what later runs are held against."""
        policies = {route: self.tools.monitor.policy(route) for route in await self.tools.read(routes.names)}
        wanted = {
            route: (policy.suites, target_name(policy.target))
            for route, policy in policies.items()
            if policy.target is not None
        }
        again = {route: target for route, (_, target) in wanted.items() if policies[route].reask is not None}
        now = self.tools.clock()

        def missing(connection: Connection, some: Sequence[str]) -> list[DueRun]:
            first = {route: wanted[route] for route in some}
            own = {route: again[route] for route in some if route in again}
            return [*persistence.first_runs(connection, first, now), *first_asked(connection, own, now)]

        rows, _ = await self._of_each(missing, list(wanted))
        asked = [(route, suite, target) for route, (names, target) in wanted.items() for suite in dict.fromkeys(names)]
        found, unread = await self._shown(
            [*asked, *((route, OWN_TRAFFIC, target) for route, target in again.items())], now
        )
        rows += await self._outdated(found, now)
        if time.monotonic() >= self._next_versions:
            rows += await self._new_versions(asked, {(row.route, row.suite) for row in rows}, now)
            self._next_versions = time.monotonic() + _VERSIONS_EVERY
        if rows:
            await self.tools.transact(lambda connection: evaluation_queue.enqueue(connection, rows, now))
        looked = {(one.run.route, one.run.suite.name) for one in found if not one.moved}
        self._looked |= looked | {one[:2] for one in unread}
        self._moved |= {(one.run.route, one.run.suite.name): one.run.id for one in found if one.moved}

    async def _of_each(
        self, find: Callable[[Connection, Sequence[K]], Sequence[V]], items: Sequence[K]
    ) -> tuple[list[V], list[K]]:
        """What is found of all of them; where that fails, of each that it does not fail for, and those it does."""
        if not items:
            return [], []
        try:
            return list(await self.tools.read(lambda connection: find(connection, items))), []
        except DATABASE_AWAY:
            raise
        except Exception as error:
            if len(items) == 1:
                self._tell(items[0], error)
                return [], [items[0]]
        found, failed = [], []
        for item in items:
            some, none = await self._of_each(find, [item])
            found += some
            failed += none
        return found, failed

    def _tell(self, item: object, error: Exception) -> None:
        """Say once of a route that it is left out."""
        told = (str(item), type(error).__name__)
        if told not in self._told:
            self._told.add(told)
            LOG.error("%s: no runs are asked for, what is stored of it cannot be read: %s", item, fault_trace(error))

    async def _shown(
        self, asked: Sequence[tuple[str, str, str]], now: datetime
    ) -> tuple[Sequence[BaselineRun], Sequence[tuple[str, str, str]]]:
        """The runs of baselines that this process has not looked at yet, and those that cannot be read.

        Those whose model may be another are looked at again once it may not: till then nothing else becomes of them.
        """
        new = [one for one in asked if one[:2] not in self._looked]
        known = set(self._moved.values())
        return await self._of_each(lambda connection, some: baseline_runs(connection, some, known, now), new)

    async def _new_versions(
        self, asked: Sequence[tuple[str, str, str]], due: Set[tuple[str, str]], now: datetime
    ) -> list[DueRun]:
        """Runs of suites that are others than their last runs asked; `due` are those that are asked for already."""
        wanted = [one for one in asked if one[:2] not in due]
        versions = {}
        for name in sorted({suite for _, suite, _ in wanted}):
            with suppress(InputError):  # its runs say so
                versions[name] = (await asyncio.to_thread(self.tools.suites, name)).sha256
        rows, _ = await self._of_each(lambda connection, some: new_versions(connection, some, versions, now), wanted)
        return rows

    async def _outdated(self, found: Sequence[BaselineRun], now: datetime) -> list[DueRun]:
        """In place of those that this version of the product cannot compare with others, runs that it can."""
        suites: dict[str, Suite | None] = {OWN_TRAFFIC: None}
        rows = []
        for one in found:
            name = one.run.suite.name
            with suppress(InputError):  # its runs say so
                if name not in suites:
                    suites[name] = await asyncio.to_thread(self.tools.suites, name)
                rows.append(one.again(suites[name], self.tools.scorers, now))
        return [row for row in rows if row is not None]

    async def _claim(self, most: int) -> Sequence[ClaimedRun]:
        now, tools = self.tools.clock(), self.tools
        if most <= 0:
            return ()
        return await tools.transact(
            lambda connection: evaluation_queue.claim(connection, tools.instance, now, now + tools.lease, most)
        )

    async def _do(self, claimed: ClaimedRun) -> None:
        """One run, from where it stands to its end. What goes wrong here is tried again by whoever comes first."""
        work, beat = asyncio.create_task(self._work(claimed)), asyncio.create_task(self._renew(claimed))
        until = self.tools.clock()
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
            await (work if work.done() else beat)
        except ClaimLost:
            LOG.warning("run %s was taken over by another process", claimed.what.id)
        except AskLater as wait:
            LOG.info("run %s of %s waits: %s", claimed.what.id, claimed.what.route, str(wait))
            until = wait.until
            with suppress(*DATABASE_AWAY):
                await self.tools.transact(_put_off(claimed, wait))
        except Exception:
            LOG.exception("run %s did not come to its end; it is tried again", claimed.what.id)
            until = self.tools.clock() + _AGAIN
        finally:
            for task in (work, beat):
                task.cancel()
            await asyncio.gather(work, beat, return_exceptions=True)
            with suppress(*DATABASE_AWAY):
                await self.tools.transact(lambda connection: evaluation_queue.release(connection, claimed, until))

    async def _renew(self, claimed: ClaimedRun) -> None:
        while True:
            await asyncio.sleep(self.tools.lease.total_seconds() / 3)
            with suppress(*DATABASE_AWAY):  # the token guards what is written, also by one who was away for long
                await self.tools.transact(self._longer(claimed))

    async def _work(self, claimed: ClaimedRun) -> None:
        if not claimed.ran:
            result = await self._result(claimed)
            if isinstance(result, str):
                await self.tools.publish(persistence.not_comparable(claimed.what, result, claimed.created))
                await self.tools.transact(
                    lambda connection: evaluation_queue.finish(connection, claimed, FAILED, result)
                )
                return
            await self.tools.transact(lambda connection: _store(connection, claimed, result, self.tools.clock()))
        records = await self.tools.read(lambda connection: persistence.run_records(connection, claimed))
        await self.tools.publish(records)
        reason = next((record.reason for record in records if isinstance(record, Run)), None)
        await self.tools.transact(lambda connection: evaluation_queue.finish(connection, claimed, DONE, reason))

    async def _result(self, claimed: ClaimedRun) -> RunResult | str:
        """What the run brought, or why there cannot be one."""
        what, tools = claimed.what, self.tools
        target = tools.monitor.policy(what.route).target
        if target is None:
            return reasons.TARGET_GONE
        if claimed.token > _MOST_CLAIMS:
            return reasons.given_up(_MOST_CLAIMS)
        try:
            suite = await self._suite(claimed)
            check_version(claimed, suite, tools.clock())
        except InputError as error:
            return str(error)
        watched = target.sequential and what.moment != NEW_VERSION  # what is new in the suite is asked to the end
        model, kept, before, spent = await tools.read(lambda connection: _known(connection, claimed, watched))
        now = tools.clock()
        judged = await tools.read(lambda connection: scored_otherwise(connection, what, suite, tools.scorers, now))
        anew = None
        if judged is not None:
            anew = judged[0] if judged[1] else None
            kept = tuple({(one.item, one.repeat): one for one in (*judged[0].answers, *kept)}.values())
        change = persistence.change_of(what)
        order = RunOrder(what.id, what.route, suite, what.identity, model, change, kept, before, spent, anew)
        run_tools = RunTools(
            tools.score,
            tools.scorers,
            tools.clock,
            partial(self._keep, claimed, suite.version),
            tools.limits,
            tools.commit,
            target.budget,
            target.prices,
            tools.judge,
        )
        try:
            settings = endpoint_settings(target, tools.secret)
            async with Endpoint(
                settings, tools.monitor.allow_hosts, tools.chance, tools.clock, tools.patience
            ) as endpoint:
                result = await run(order, endpoint, run_tools)
        except JudgeCallsSpent as error:
            if not kept:
                await tools.transact(lambda connection: own_questions.give_back(connection, what.id))
            raise AskLater(str(error), next_day(tools.clock())) from None
        except InputError as error:
            return not_run(order, AskedTarget(url=target.url, model=target.model), run_tools, str(error))
        return await self._preferred(claimed, result)

    async def _preferred(self, claimed: ClaimedRun, result: RunResult) -> RunResult:
        """A run of the route's own questions with what a judge prefers of its answers, where the route names one."""
        reask, prefer = self.tools.monitor.policy(result.route).reask, self.tools.prefer
        if reask is None or reask.judge is None or prefer is None or claimed.what.suite != OWN_TRAFFIC:
            return result
        before = await self.tools.read(
            lambda connection: persistence.reference_run(connection, claimed, result.against)
        )
        if before is None or incomparable(before, result) is not None:
            return result
        return result.model_copy(update={"pairs": await prefer(reask.judge, before, result)})

    async def _suite(self, claimed: ClaimedRun) -> Suite:
        name, tools = claimed.what.suite, self.tools
        if name != OWN_TRAFFIC:
            return await asyncio.to_thread(tools.suites, name)
        reask, now = tools.monitor.policy(claimed.what.route).reask, tools.clock()
        return await tools.transact(lambda connection: questions(connection, claimed, reask, now))

    async def _keep(self, claimed: ClaimedRun, version: str, answer: SuiteAnswer) -> None:
        longer, json = self._longer(claimed), answer.model_dump_json()

        def keep(connection: Connection) -> None:
            own = claimed.what.suite == OWN_TRAFFIC
            if own and not stands(connection, claimed.what.route, version, answer.item):
                return
            longer(connection)
            runs.keep_answers(connection, claimed.what.id, [(answer.item, answer.repeat, json)])

        await self.tools.transact(keep)

    def _longer(self, claimed: ClaimedRun) -> Callable[[Connection], None]:
        until = self.tools.clock() + self.tools.lease
        return lambda connection: evaluation_queue.renew(connection, claimed, until)


def _put_off(claimed: ClaimedRun, wait: AskLater) -> Callable[[Connection], None]:
    return lambda connection: evaluation_queue.wait(connection, claimed, wait.until, str(wait))


def _known(
    connection: Connection, claimed: ClaimedRun, watched: bool
) -> tuple[Model | None, tuple[SuiteAnswer, ...], RunResult | None, Spent]:
    """Who is expected to answer, what was asked already, the run that this one is held against, and what was spent."""
    what = claimed.what
    kept, unjudged = persistence.kept_answers(connection, what.id), persistence.unjudged_run(connection, what)
    if unjudged is not None:  # the target answered all: only the judge is asked again
        what, earlier = unjudged
        kept = tuple({(one.item, one.repeat): one for one in (*earlier.answers, *kept)}.values())
    return (
        persistence.expected_model(connection, what),
        kept,
        persistence.reference_run(connection, claimed) if watched else None,
        persistence.spent_before(connection, what),
    )


def _store(connection: Connection, claimed: ClaimedRun, result: RunResult, now: datetime) -> None:
    if result.suite.name == OWN_TRAFFIC:
        result = result_as(result, standing(connection, result.route, result.suite.version))
    evaluation_queue.finish(connection, claimed, RAN, result.reason)
    persistence.store_run(connection, result, claimed.what.moment, claimed.what.cause)
    ask_again(connection, claimed.what, result, now)


async def serve(tools: EvaluateDependencies) -> None:
    """Do what is due, and watch the clock, until cancelled; what was under way is left to others at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(Executor(tools).run())
        group.create_task(ScheduleLoop(tools).run())
