"""Named places at which a process kills itself, for tests of crashes: without KEELWATCH_FAILPOINTS they do nothing.

The variable lists STEP.POINT:COUNT, with commas between: `detect.after-ack:2` is kill -9 at the second time that
detect has acknowledged.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Final

from services.errors import InputError
from services.settings import fail_points

POINTS: Final = (
    "after-produce-before-snapshot",  # the broker has all that a batch became
    "inside-snapshot-transaction",  # states are written, and not committed
    "after-snapshot-before-ack",
    "after-ack",  # acknowledged to faust, which commits it later
    "inside-record-transaction",  # rows are written, and not committed
    "before-dead-letter",  # it is made, and not sent
)

Reach = Callable[[str, str], None]
"""(point, step): the step is at this place."""


def armed(spec: str, kill: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGKILL)) -> Reach:
    """What is called at every place; with an empty `spec`, nothing.

    Raises:
        InputError: if there is no such point, or a count is none.
    """
    if not spec:
        return _nothing
    left = dict(_parsed(word) for word in spec.split(","))
    lock = threading.Lock()  # points lie in several threads

    def reached(point: str, step: str) -> None:
        name = f"{step}.{point}"
        with lock:
            left[name] = left.get(name, 0) - 1
            if left[name] != 0:
                return
        os.write(2, f"fail point {name}\n".encode())
        kill()

    return reached


def _nothing(point: str, step: str) -> None:
    """No fail points."""


def _parsed(word: str) -> tuple[str, int]:
    name, _, count = word.strip().partition(":")
    step, _, point = name.partition(".")
    if not step or point not in POINTS or not (count.isascii() and count.isdigit() and int(count)):
        raise InputError(f"KEELWATCH_FAILPOINTS: {word!r} is not STEP.POINT:COUNT, POINT one of {', '.join(POINTS)}")
    return name, int(count)


reach: Final[Reach] = armed(fail_points())
