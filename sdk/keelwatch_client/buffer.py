"""What waits to be sent, bounded by count and by bytes: the application adds, one worker takes."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal

DropReason = Literal[
    "buffer_full", "too_large", "not_json", "redaction", "invalid", "forbidden", "refused", "closed", "unsent", "fault"
]
"""Why an exchange is not delivered.

buffer_full: more came than could be sent. too_large: over `MOST_BYTES`, or more than the server takes. not_json: it
cannot be written as JSON. redaction: the hook raised, or left it out. invalid, forbidden, refused: the server says so.
closed: it was published after `close`. unsent: the time to send it at the end was over. fault: a fault of this library.
"""
Fate = DropReason | Literal["sent", "again"]
MOST_BYTES: Final = 4 * 1024 * 1024 - 64 * 1024
"""Of one exchange: Keelwatch takes no more, with what the broker adds."""


@dataclass(slots=True, eq=False)
class PendingExchange:
    """One exchange as JSON. `redacted`: whether the redaction hook has seen it."""

    route: str
    body: bytes
    redacted: bool = False


@dataclass(frozen=True)
class PublisherStats:
    """Counts since the publisher was made in this process: `published` is delivered, buffered and dropped together."""

    published: int
    delivered: int
    buffered: int
    buffered_bytes: int
    dropped: dict[DropReason, int] = field(default_factory=dict)


class ExchangeBuffer:
    """A queue that refuses at once what does not fit. What is being sent stays in it until its fate is known.

    A signal handler may take its lock again, and nobody holds it for longer than a few appends and counts take.
    """

    def __init__(self, most: int, most_bytes: int, batch: int) -> None:
        """Room for `most` exchanges and `most_bytes` bytes of JSON; one batch has at most `batch`."""
        self._most, self._most_bytes, self._batch = most, most_bytes, batch
        self._waiting: deque[PendingExchange] = deque()
        self._bytes = self._published = self._delivered = 0
        self._dropped: Counter[DropReason] = Counter()
        self._changed = threading.Condition(threading.RLock())
        self.urges = 0
        self.closed = self.abandoned = False

    def add(self, one: PendingExchange) -> None:
        """Take one in, or count why not."""
        size = len(one.body)
        with self._changed:
            self._published += 1
            if self.closed:
                self._dropped["closed"] += 1
            elif size > MOST_BYTES:
                self._dropped["too_large"] += 1
            elif self.is_full or self._bytes + size > self._most_bytes:
                self._dropped["buffer_full"] += 1
            else:
                self._waiting.append(one)
                self._bytes += size
                if len(self._waiting) in (1, self._batch):
                    self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether not even a short one fits: nobody need write it as JSON then."""
        return len(self._waiting) >= self._most or self._bytes >= self._most_bytes

    def refuse(self, reason: DropReason) -> None:
        """Count one that could not even be written as JSON."""
        with self._changed:
            self._published += 1
            self._dropped[reason] += 1

    def take(self, most: int, most_bytes: int, linger: float) -> list[PendingExchange]:
        """At most `most` of the oldest, which stay here until `settle`; waits for the first, then `linger` s for more.

        Empty once it is closed and nothing waits.
        """
        with self._changed:
            while not self._waiting and not self.closed:
                self._changed.wait()
            until, urges = time.monotonic() + linger, self.urges
            while len(self._waiting) < most and self.urges == urges and not self.closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            found: list[PendingExchange] = []
            size = 0
            # Copied at once: a finalizer that runs in this thread may publish meanwhile.
            for one in list(islice(self._waiting, most)):
                size += len(one.body)
                if found and size > most_bytes:
                    break
                found.append(one)
            return found

    def replace(self, one: PendingExchange, body: bytes) -> None:
        """Give one that waits the text that the redaction hook left of it."""
        with self._changed:
            self._bytes += len(body) - len(one.body)
            one.body, one.redacted = body, True

    def settle(self, batch: Sequence[PendingExchange], fates: Sequence[Fate]) -> None:
        """Let the batch that was taken go: delivered, dropped, or in its old place to be sent again."""
        with self._changed:
            if self.abandoned:
                return
            for _ in batch:
                self._bytes -= len(self._waiting.popleft().body)
            for one, fate in zip(reversed(batch), reversed(fates), strict=True):
                if fate == "again":
                    self._waiting.appendleft(one)
                    self._bytes += len(one.body)
                elif fate == "sent":
                    self._delivered += 1
                else:
                    self._dropped[fate] += 1
            self._changed.notify_all()

    def pause(self, seconds: float, urges: int | None) -> None:
        """Wait so long, or until somebody urges after `urges`; None: nobody's urging counts. Ends when abandoned."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self.abandoned and (urges is None or self.urges == urges):
                if (left := until - time.monotonic()) <= 0:
                    return
                self._changed.wait(left)

    def drain(self, seconds: float, close: bool = False) -> bool:
        """Urge the worker, and wait until nothing is left, at most so long. Whether nothing is."""
        until = time.monotonic() + seconds
        with self._changed:
            self.urges += 1
            self.closed = self.closed or close
            self._changed.notify_all()
            while self._waiting and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._waiting

    def abandon(self) -> int:
        """Drop, and count, whatever is left; how many that were. The worker then ends."""
        with self._changed:
            left = len(self._waiting)
            if left:
                self._dropped["unsent"] += left
            self._waiting.clear()
            self._bytes = 0
            self.closed = self.abandoned = True
            self._changed.notify_all()
            return left

    def stats(self) -> PublisherStats:
        """Counts of this moment."""
        with self._changed:
            dropped = dict(self._dropped)
            return PublisherStats(self._published, self._delivered, len(self._waiting), self._bytes, dropped)
