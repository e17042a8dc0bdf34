"""Fail points do nothing until a worker is armed, count every place by itself, and know their names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from services.errors import InputError
from services.failpoints import POINTS, armed
from services.wiring import STREAMED
from tests.support.source import ROOT

REACHED_TWICE = """
from services.failpoints import arm, reach
arm({spec!r})
for n in range(2):
    print(n, flush=True)
    reach("after-ack", "detect")
print("alive")
"""


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def process(spec):
    """What a process says that was armed with `spec` and comes by one place twice, and how it ended."""
    done = run("-c", REACHED_TWICE.format(spec=spec))
    return done.returncode, done.stdout.split(), done.stderr


def test_without_the_variable_nothing_happens():
    assert process("") == (0, ["0", "1", "alive"], "")


def test_a_process_kills_itself_at_the_count_and_says_where():
    assert process("detect.after-ack:2") == (-signal.SIGKILL, ["0", "1"], "fail point detect.after-ack\n")


def test_another_step_or_place_or_a_higher_count_is_not_reached():
    assert process("alert.after-ack:1,detect.after-snapshot-before-ack:1,detect.after-ack:3")[0] == 0


def test_every_place_has_a_count_of_its_own_and_fires_once(capfd):
    fired = []
    reached = armed("score.after-ack:2, record.inside-record-transaction:1", lambda: fired.append(len(fired)))
    for _ in range(2):
        reached("after-ack", "score")
    assert len(fired) == 1
    for _ in range(3):
        reached("inside-record-transaction", "record")
        reached("after-ack", "score")
    assert len(fired) == 2
    assert capfd.readouterr().err == "fail point score.after-ack\nfail point record.inside-record-transaction\n"


def test_at_a_place_where_time_passes_the_rest_of_the_process_goes_on_before_it_dies():
    """The tick stands for whoever commits what was acknowledged."""
    script = """
import asyncio
from services import failpoints
failpoints.STAY_SECONDS = 0.2
async def main():
    await failpoints.stay("before-produce", "score")
    failpoints.arm("score.before-produce:1")
    ticking = asyncio.create_task(tick())
    await failpoints.stay("before-produce", "score")
async def tick():
    while True:
        print("tick", flush=True)
        await asyncio.sleep(0.01)
asyncio.run(main())
"""
    done = run("-c", script)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "fail point score.before-produce\n")
    assert done.stdout.count("tick") > 1


def test_the_places_are_those_of_the_steps_that_run():
    assert set(POINTS["after-ack"]) == set(STREAMED)
    assert {step for steps in POINTS.values() for step in steps} == set(STREAMED)


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ("score.nonsense:1", "must be STEP.POINT:COUNT with a POINT of before-produce, "),
        ("after-ack:1", "must be STEP.POINT:COUNT"),
        ("detect.after-ack:1,", "'': must be STEP.POINT:COUNT"),
        ("score.inside-record-transaction:1", "inside-record-transaction is a place of record"),
        ("detct.inside-snapshot-transaction:1", "inside-snapshot-transaction is a place of detect, alert"),
        ("score.after-ack", "COUNT must be 1 or more"),
        ("score.after-ack:0", "COUNT must be 1 or more"),
        ("score.after-ack:-1", "COUNT must be 1 or more"),
    ],
)
def test_what_is_no_place_is_refused(spec, remedy):
    with pytest.raises(InputError, match=r"^KEELWATCH_FAILPOINTS: ") as refused:
        armed(spec)
    assert remedy in str(refused.value)


@pytest.mark.processes
def test_a_worker_refuses_an_unknown_place_in_one_line():
    done = run("-m", "services.cli", "worker", "--only", "score", KEELWATCH_FAILPOINTS="score.nonsense:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("keelwatch: KEELWATCH_FAILPOINTS: 'score.nonsense:1': must be STEP.POINT:COUNT")
    assert done.stderr.count("\n") == 1
