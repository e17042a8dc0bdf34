"""Named places at which a worker kills itself, for tests of crashes: without KEELWATCH_FAILPOINTS they do nothing.

The variable lists STEP.POINT:COUNT, with commas between: `detect.after-ack:2` is kill -9 at the second time that
detect has acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from services.errors import InputError

_ALL: Final = ("score", "detect", "evaluate", "alert", "record")
POINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "before-produce": _ALL,  # a batch is handled and nothing of it is sent; the process stays here before it dies
    "after-produce-before-snapshot": _ALL,  # the broker has all that a batch became
    "inside-snapshot-transaction": ("detect", "alert"),  # states are written, and not committed
    "after-snapshot-before-ack": _ALL,
    "after-ack": _ALL,  # acknowledged to faust, which commits it later
    "inside-record-transaction": ("record",),  # rows are written, and not committed
    "before-dead-letter": _ALL,  # it is made, and not sent
}
"""Point -> the steps that come by it."""

STAYS: Final = frozenset({"before-produce"})
STAY_SECONDS: Final = 2.5
"""Twice and a half what passes between two commits: what was acknowledged too early is committed by then."""

Reach = Callable[[str, str], None]
"""(point, step): the step is at this place."""

_armed: Final[list[Reach]] = []


def reach(point: str, step: str) -> None:
    """The step is at this place, at which nothing happens unless this process was armed."""
    for reached in _armed:
        reached(point, step)


async def stay(point: str, step: str) -> None:
    """As `reach`, for a place of `STAYS`: time passes there, and the rest of this process goes on."""
    if _armed:
        await asyncio.to_thread(reach, point, step)


def arm(spec: str) -> None:
    """Let this process die at the places that `spec` lists; an empty one lists none.

    Raises:
        InputError: if there is no such place, or a count is none.
    """
    if spec:
        _armed.append(armed(spec))


def armed(spec: str, kill: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGKILL)) -> Reach:
    """What is called at every place, and kills where `spec` says so.

    Raises:
        InputError: if there is no such place, or a count is none.
    """
    left = dict(_parsed(word.strip()) for word in spec.split(","))
    lock = threading.Lock()  # places lie in several threads

    def reached(point: str, step: str) -> None:
        name = f"{step}.{point}"
        if name not in left:
            return
        with lock:
            left[name] -= 1
            if left[name] != 0:
                return
        if name.partition(".")[2] in STAYS:
            time.sleep(STAY_SECONDS)
        os.write(2, f"fail point {name}\n".encode())
        kill()

    return reached


def _parsed(word: str) -> tuple[str, int]:
    name, _, count = word.partition(":")
    step, _, point = name.partition(".")
    if point not in POINTS:
        raise InputError(_wrong(word, f"must be STEP.POINT:COUNT with a POINT of {', '.join(POINTS)}"))
    if step not in POINTS[point]:
        raise InputError(_wrong(word, f"{point} is a place of {', '.join(POINTS[point])}"))
    if not (count.isascii() and count.isdigit() and int(count)):
        raise InputError(_wrong(word, "COUNT must be 1 or more"))
    return name, int(count)


def _wrong(word: str, remedy: str) -> str:
    return f"KEELWATCH_FAILPOINTS: {word!r}: {remedy}"
