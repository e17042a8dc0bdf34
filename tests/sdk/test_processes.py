"""Forks, ends of interpreters and children of multiprocessing: each process sends its own, once, in bounded time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.support.exchange_taker import Say, hang, take, taker
from tests.support.source import ROOT

BEGIN = """
import os, sys, time, multiprocessing
from keelwatch_client import Publisher
publisher = Publisher(sys.argv[1], route="a/b", exit_seconds=float(sys.argv[2]), linger_seconds=0.2)
def say(text):
    publisher.publish({"model": {"requested": "m"}, "prompt": text, "response": "r"})
"""
FORK = """
say("parent before")
child = os.fork()
say("child" if child == 0 else "parent after")
if child == 0:
    assert publisher.stats().published == 1
    sys.exit(0)
os.waitpid(child, 0)
"""
CHILDREN = """
def work(n):
    say(f"child {n}")
if __name__ == "__main__":
    say("parent before")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(n,)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
"""
SIGNAL = """
import signal, threading
def handler(*_):
    say("in the handler")
    signal.setitimer(signal.ITIMER_REAL, 0.0005)  # again only now: a slow machine would do nothing else
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
for i in range(3000):
    say("x")
signal.signal(signal.SIGALRM, signal.SIG_IGN)  # first: a handler that is due sets the timer again
signal.setitimer(signal.ITIMER_REAL, 0)
print(publisher.flush(20), publisher.stats().dropped, sum(t.name == "keelwatch-client" for t in threading.enumerate()))
"""
HOSTILE_END = """
import atexit
atexit.register(lambda: say("in atexit"))
class Late:
    def __del__(self): say("in del")
late = Late()
say("last words")
"""


def run(script: str, always: Say = take, seconds: float = 20) -> tuple[list[str], float, Any]:
    """The prompts that arrived, how long it took, and the process."""
    with taker(always=always) as server:
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + script, server.url, str(seconds)],
            env={"PYTHONPATH": str(ROOT / "sdk"), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return sorted(one["prompt"] for one in server.taken), time.monotonic() - begin, done


def test_what_is_left_is_sent_when_the_interpreter_ends() -> None:
    arrived, _, done = run("for i in range(500): say('x')\nraise RuntimeError('the application fails')")
    assert arrived == ["x"] * 500
    assert "the application fails" in done.stderr


def test_the_end_of_the_interpreter_is_held_up_for_a_bounded_time() -> None:
    arrived, took, done = run("say('x')\nsys.stderr.write(str(time.monotonic()))", hang, 0.3)
    assert (arrived, done.returncode) == ([], 0)
    assert took < 30
    assert "of 1 exchanges not delivered: unsent 1" in done.stderr


def test_after_a_fork_each_process_sends_its_own() -> None:
    arrived, _, done = run(FORK)
    assert arrived == ["child", "parent after", "parent before"], done.stderr


def test_children_of_multiprocessing_send_before_they_end() -> None:
    """They leave without the handlers of atexit."""
    arrived, _, done = run(CHILDREN)
    assert arrived == ["child 0", "child 1", "child 2", "parent before"], done.stderr


def test_a_signal_handler_may_publish_in_the_midst_of_publishing() -> None:
    arrived, _, done = run(SIGNAL)
    assert done.stdout.strip() == "True {} 1", done.stderr
    assert arrived.count("x") == 3000
    assert "in the handler" in arrived


@pytest.mark.parametrize("always", [take, hang])
def test_whoever_publishes_at_the_very_end_breaks_nothing(always: Say) -> None:
    arrived, _, done = run(HOSTILE_END, always, 1)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if always is take:
        assert {"in atexit", "last words"} <= set(arrived)


def test_importing_it_starts_no_thread_and_loads_nothing_foreign() -> None:
    script = (
        "import sys, json, threading; import keelwatch_client; loaded = {n.partition('.')[0] for n in sys.modules}\n"
    )
    script += "print(json.dumps([threading.active_count(), sorted(loaded - set(sys.stdlib_module_names))]))"
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "sdk")}, capture_output=True, check=True)
    assert json.loads(done.stdout) == [1, ["__main__", "keelwatch_client"]]
