"""Child processes that die with their parent, and are stopped by it alone."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

NOWHERE: Final = subprocess.DEVNULL
_PR_SET_PDEATHSIG: Final = 1

Child = subprocess.Popen[bytes]


def start(
    command: Sequence[str], *, output: IO[bytes] | int | None = None, environment: Mapping[str, str] | None = None
) -> Child:
    """Start a child in a session of its own: Ctrl-C reaches the parent alone, which ends its children in order.

    The kernel kills it when the thread that called this ends, also by kill -9. Its `output` goes where the parent's
    does, to a file, or nowhere (`NOWHERE`).
    """
    return subprocess.Popen(  # noqa: S603 -- the commands are ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        start_new_session=True,
        preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 -- called while this process has no other thread
    )


def stop(child: Child, patience: float) -> None:
    """End a child: SIGTERM, and after `patience` seconds SIGKILL. One that has ended is reaped."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _dies_with(parent: int) -> Callable[[], None]:
    """What the child runs before its program; everything that may allocate or import is done here, before the fork."""
    prctl, getppid, leave = ctypes.CDLL(None).prctl, os.getppid, os._exit

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if getppid() != parent:  # it died in between
            leave(1)

    return bind
