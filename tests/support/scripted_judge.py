"""A judge by rule, as a process: an OpenAI-compatible endpoint that says of the same texts always the same.

Of one answer it says yes unless that declines, of two it prefers the one with more words.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.support.own_signals import MODEL, judging
from tests.support.source import ROOT

__all__ = ["MODEL", "running"]
DECLINES: Final = ("sorry", "can't help", "cannot help")


@contextmanager
def running() -> Iterator[str]:
    """The base URL of one of its own; it ends with the block."""
    command = [sys.executable, "-m", "tests.support.scripted_judge"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def say(mark: str, data: dict[str, Any]) -> str:
    """Its reply, in the form that was asked for."""
    if "first" not in data:
        declines = any(word in data["response"] for word in DECLINES)
        return json.dumps({"mark": mark, "verdict": "no" if declines else "yes"})
    first, second = (len(data[name].split()) for name in ("first", "second"))
    better = "tie" if first == second else "first" if first > second else "second"
    return json.dumps({"mark": mark, "better": better})


if __name__ == "__main__":
    with judging() as server:
        server.say = say
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
