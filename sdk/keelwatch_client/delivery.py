"""The worker: takes batches from the buffer, redacts them, sends them, and waits longer after each failure."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from keelwatch_client.buffer import ExchangeBuffer, Fate, PendingExchange, PublisherStats
from keelwatch_client.exchange import dumps

LOG: Final = logging.getLogger("keelwatch_client")
Redact = Callable[[dict[str, Any]], "dict[str, Any] | None"]
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
BATCH, BATCH_BYTES = 200, 1024 * 1024
_TELL_EVERY: Final = 60.0


@dataclass(frozen=True)
class SendOutcome:
    """What became of each of a batch.

    `retry_after`: seconds the server asks for; `why`: what stopped it; `too_many`:
    whether fewer at one time might pass.
    """

    fates: list[Fate]
    retry_after: float | None = None
    why: str | None = None
    too_many: bool = False


class Transport(Protocol):
    """A way to Keelwatch. Used by one thread; what fails is an outcome, no exception."""

    def send(self, batch: Sequence[PendingExchange]) -> SendOutcome:
        """Send these."""

    def close(self) -> None:
        """Let connections go."""


class DeliveryWorker:
    """Runs until the buffer is closed and empty."""

    def __init__(self, buffer: ExchangeBuffer, transport: Transport, redact: Redact | None, linger: float) -> None:
        self._buffer, self._transport, self._redact, self._linger = buffer, transport, redact, linger
        self._failures, self._most = 0, BATCH
        self._told_at = -_TELL_EVERY
        self._told = 0

    def run(self) -> None:
        """The thread of the worker."""
        while self._turn():
            pass
        try:
            self._transport.close()
        except BaseException as error:
            log(logging.DEBUG, "keelwatch_client: closing raised %s", type(error).__name__)

    def _turn(self) -> bool:
        """Deliver the next batch; whether there may be another. Whatever it raises, the thread goes on."""
        try:
            batch = self._buffer.take(self._most, BATCH_BYTES, self._linger)
            if batch:
                self._deliver(batch)
        except BaseException as error:  # nobody would start the thread again
            log(logging.WARNING, "keelwatch_client: the worker goes on after %s", type(error).__name__)
            self._buffer.pause(FIRST_PAUSE, None)
            return True
        return bool(batch)

    def _deliver(self, batch: list[PendingExchange]) -> None:
        urges, fault = self._buffer.urges, None
        try:
            outcome = self._sent(batch)
        except BaseException as error:  # a fault of ours must not stop what comes after it
            fault, outcome = error, SendOutcome(["fault"] * len(batch), why=type(error).__name__)
        self._buffer.settle(batch, outcome.fates)
        if fault is not None:
            log(logging.ERROR, "keelwatch_client: a batch of %d exchanges was dropped", len(batch), error=fault)
        self._tell(outcome.why)
        if outcome.too_many:
            self._most = max(len(batch) // 2, 1)
        if "again" not in outcome.fates:
            self._failures, self._most = 0, min(self._most * 2, BATCH)
            return
        named, least = outcome.retry_after or 0.0, backoff(self._failures)
        self._buffer.pause(named, None)
        self._buffer.pause(least - named, urges)  # a server that says 0 is no reason for a loop without a pause
        self._failures = 0 if self._buffer.urges != urges else self._failures + 1

    def _sent(self, batch: list[PendingExchange]) -> SendOutcome:
        """What became of the batch, after redaction."""
        fates: list[Fate] = ["again" if self._may_go(one) else "redaction" for one in batch]
        clean = [one for one, fate in zip(batch, fates, strict=True) if fate == "again"]
        if not clean:
            return SendOutcome(fates)
        outcome = self._transport.send(clean)
        found = iter(outcome.fates)
        return SendOutcome(
            [next(found) if fate == "again" else fate for fate in fates],
            outcome.retry_after,
            outcome.why,
            outcome.too_many,
        )

    def _may_go(self, one: PendingExchange) -> bool:
        """Whether the hook has seen it and left something; it sees each exchange once, however often that is sent."""
        if self._redact is None or one.redacted:
            return True
        try:
            given = json.loads(one.body)
            needed = {name: given[name] for name in ("id", "ts", "route")}
            left = self._redact(given)
            if not isinstance(left, dict):
                return False
            # No hook need give these back: without them it could not be sent.
            missing = {name: value for name, value in needed.items() if left.get(name) is None}
            self._buffer.replace(one, dumps({**left, **missing}))
        except BaseException as error:  # whatever it is: the text that it did not redact must not leave
            log(logging.DEBUG, "keelwatch_client: the redaction hook raised %s", type(error).__name__)
            return False
        return True

    def _tell(self, why: str | None) -> None:
        """Warn of what stops us and of what was dropped, at most once a minute. No text of an exchange is logged."""
        stats = self._buffer.stats()
        lost, now = sum(stats.dropped.values()), time.monotonic()
        if (why is None and lost == self._told) or now - self._told_at < _TELL_EVERY:
            return
        self._told, self._told_at = lost, now
        told = why or "exchanges were dropped"
        log(logging.WARNING, "keelwatch_client: %s; not delivered: %s", told, losses(stats))


def log(level: int, text: str, *told: object, error: BaseException | None = None) -> None:
    """Write a line of the log. A handler of the application that raises stops nothing of ours."""
    with suppress(Exception):
        LOG.log(level, text, *told, exc_info=error)


def losses(stats: PublisherStats) -> str:
    """How many were dropped, by reason."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(stats.dropped.items())) or "none"


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, and different for each of many clients."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
