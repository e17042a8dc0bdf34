"""Does the runs that are due: claimed by lease, stored under a token, published at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from schemas.evaluation import Run
from schemas.identity import Model
from services.errors import InputError
from services.evaluate import telling
from services.evaluate.client import Endpoint, asking
from services.evaluate.core import target_name
from services.evaluate.means import Means
from services.evaluate.result import Answer, AskedTarget, RunResult
from services.evaluate.runner import Order, Tools, not_run, run
from services.evaluate.status import answered
from services.store import evaluations, routes, runs
from services.store.evaluations import DONE, FAILED, RAN, Claimed, Lost

LOG: Final = logging.getLogger("keelwatch.evaluate")
_AGAIN: Final = timedelta(seconds=10)
_MOST_CLAIMS: Final = 20


@dataclass(slots=True)
class Executor:
    """Does runs until it is cancelled. Any number of executors may share a database."""

    means: Means
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Look for what is due again and again; once cancelled, others may go on with what was under way."""
        try:
            while True:
                await self._look()
                pause = asyncio.ensure_future(asyncio.sleep(self.means.poll))
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
        while claimed := await self._claim(self.means.parallel):
            await asyncio.gather(*(self._do(one) for one in claimed))
            done += len(claimed)
        return done

    async def _look(self) -> None:
        try:
            await self._introduce()
            claimed = await self._claim(self.means.parallel - len(self._tasks))
        except DBAPIError:
            LOG.warning("the database does not answer; what is due waits", exc_info=True)
            return
        self._tasks |= {asyncio.create_task(self._do(one)) for one in claimed}

    async def _introduce(self) -> None:
        """Ask for a run of each suite of a route that is seen for the first time: what later runs are held against."""
        policies = {route: self.means.monitor.policy(route) for route in await self.means.read(routes.names)}
        wanted = {
            route: (policy.suites, target_name(policy.target))
            for route, policy in policies.items()
            if policy.target is not None
        }
        now = self.means.clock()
        rows = await self.means.read(lambda connection: telling.unseen(connection, wanted, now)) if wanted else []
        if rows:
            await self.means.transact(lambda connection: evaluations.schedule(connection, rows, now))

    async def _claim(self, most: int) -> Sequence[Claimed]:
        now, means = self.means.clock(), self.means
        if most <= 0:
            return ()
        return await means.transact(
            lambda connection: evaluations.claim(connection, means.instance, now, now + means.lease, most)
        )

    async def _do(self, claimed: Claimed) -> None:
        """One run, from where it stands to its end. What goes wrong here is tried again by whoever comes first."""
        work, beat = asyncio.create_task(self._work(claimed)), asyncio.create_task(self._renew(claimed))
        until = self.means.clock()
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
            await (work if work.done() else beat)
        except Lost:
            LOG.warning("run %s was taken over by another process", claimed.what.id)
        except Exception:
            LOG.exception("run %s did not come to its end; it is tried again", claimed.what.id)
            until = self.means.clock() + _AGAIN
        finally:
            for task in (work, beat):
                task.cancel()
            await asyncio.gather(work, beat, return_exceptions=True)
            with suppress(DBAPIError):
                await self.means.transact(lambda connection: evaluations.release(connection, claimed, until))

    async def _renew(self, claimed: Claimed) -> None:
        while True:
            await asyncio.sleep(self.means.lease.total_seconds() / 3)
            with suppress(DBAPIError):  # the token guards what is written, also by one who was away for long
                await self.means.transact(self._longer(claimed))

    async def _work(self, claimed: Claimed) -> None:
        if not claimed.ran:
            result = await self._result(claimed)
            if isinstance(result, str):
                await self.means.publish(telling.not_comparable(claimed.what, result, claimed.created))
                await self.means.transact(lambda connection: evaluations.finish(connection, claimed, FAILED, result))
                return
            await self.means.transact(lambda connection: _store(connection, claimed, result))
        told = await self.means.read(lambda connection: telling.records(connection, claimed))
        await self.means.publish(told)
        reason = next((record.reason for record in told if isinstance(record, Run)), None)
        await self.means.transact(lambda connection: evaluations.finish(connection, claimed, DONE, reason))

    async def _result(self, claimed: Claimed) -> RunResult | str:
        """What the run brought, or why there cannot be one."""
        what, means = claimed.what, self.means
        target = means.monitor.policy(what.route).target
        if target is None:
            return "the route has no target any more; name one in the monitor file"
        if claimed.token > _MOST_CLAIMS:
            return f"given up after {_MOST_CLAIMS} beginnings; see the log of the evaluate step"
        try:
            suite = await asyncio.to_thread(means.suites, what.suite)
        except InputError as error:
            return str(error)
        model, kept = await means.read(lambda connection: _known(connection, claimed))
        order = Order(what.id, what.route, suite, what.identity, model, telling.change_of(what), kept)
        tools = Tools(means.score, means.scorers, means.clock, partial(self._keep, claimed), means.limits, means.commit)
        try:
            given = asking(target, means.secret)
            async with Endpoint(
                given, means.monitor.allow_hosts, means.chance, means.clock, means.patience
            ) as endpoint:
                return await run(order, endpoint, tools)
        except InputError as error:
            return not_run(order, AskedTarget(url=target.url, model=target.model), tools, str(error))

    async def _keep(self, claimed: Claimed, answer: Answer) -> None:
        if not answered(answer):
            return
        longer, json = self._longer(claimed), answer.model_dump_json()

        def keep(connection: Connection) -> None:
            longer(connection)
            runs.keep(connection, claimed.what.id, [(answer.item, answer.repeat, json)])

        await self.means.transact(keep)

    def _longer(self, claimed: Claimed) -> Callable[[Connection], None]:
        until = self.means.clock() + self.means.lease
        return lambda connection: evaluations.renew(connection, claimed, until)


def _known(connection: Connection, claimed: Claimed) -> tuple[Model | None, tuple[Answer, ...]]:
    return telling.expected(connection, claimed.what), telling.kept(connection, claimed.what.id)


def _store(connection: Connection, claimed: Claimed, result: RunResult) -> None:
    evaluations.finish(connection, claimed, RAN, result.reason)
    telling.store(connection, result, claimed.what.moment, claimed.what.cause)
