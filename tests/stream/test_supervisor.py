"""The supervisor with real children: the embedded broker, and a script in the worker's place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.source import ROOT
from tests.support.streams import until

pytestmark = pytest.mark.kafka
CAREFUL = """
def leave(*_):
    open(sys.argv[1] + ".saved", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
time.sleep(600)
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@dataclass
class Supervised:
    folder: Path
    process: subprocess.Popen[str]
    broker: int

    @property
    def workers(self) -> list[int]:
        file = self.folder / "workers"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def at_worker(self, number: int) -> int:
        """Process id of the nth worker, once it runs."""
        until(lambda: len(self.workers) >= number, f"worker {number}")
        return self.workers[number - 1]

    def end(self, seconds: float = 20.0) -> tuple[int, str]:
        """Exit code and what was said, once it has ended."""
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


@contextmanager
def supervised(folder: Path, worker: str, most_bytes: int = 10**12) -> Iterator[Supervised]:
    (folder / "worker.py").write_text(worker)
    command = [sys.executable, "-m", "tests.support.supervised", str(folder), str(most_bytes)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Supervised(folder, process, int(process.stdout.readline()))
        finally:
            process.kill()


def alive(pid: int) -> bool:
    """Whether it runs; a process that is dead and not reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_a_killed_worker_is_started_again_and_the_broker_stays(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(600)") as up:
        os.kill(up.at_worker(1), signal.SIGKILL)
        second = up.at_worker(2)
        assert alive(second)
        assert alive(up.broker)
        up.process.terminate()
        code, said = up.end()
    assert code == 0
    assert "ended by signal 9: started again in 0.05 s" in said
    assert not alive(second)
    assert not alive(up.broker)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_lets_the_worker_save_then_ends_everything(tmp_path: Path, how: signal.Signals) -> None:
    with supervised(tmp_path, CAREFUL) as up:
        worker = up.at_worker(1)
        until(lambda: handles(worker, signal.SIGTERM), "the worker's handler")
        up.process.send_signal(how)
        code, _ = up.end()
    assert code == 0
    assert (tmp_path / "workers.saved").exists()
    assert [alive(worker), alive(up.broker)] == [False, False]


def test_a_worker_that_hears_nothing_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, DEAF) as up:
        worker = up.at_worker(1)
        until(lambda: ignores(worker, signal.SIGTERM), "the worker's deafness")
        up.process.terminate()
        assert up.end()[0] == 0
    assert [alive(worker), alive(up.broker)] == [False, False]


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, DEAF) as up:
        worker = up.at_worker(1)
        up.process.kill()
        up.process.wait()
        until(lambda: not alive(worker) and not alive(up.broker), "the end of the children", 10.0)


def test_a_worker_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    with supervised(tmp_path, "sys.exit(70)") as up:
        code, said = up.end()
    assert (code, len(up.workers)) == (1, 4)
    assert "exit code 70, 4 times in a row" in said
    assert not alive(up.broker)


def test_bad_input_of_the_worker_is_its_own(tmp_path: Path) -> None:
    with supervised(tmp_path, "sys.exit(2)") as up:
        assert up.end()[0] == 2
    assert len(up.workers) == 1


def test_a_broker_that_ended_ends_everything_and_says_what_that_means(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(600)") as up:
        worker = up.at_worker(1)
        os.kill(up.broker, signal.SIGKILL)
        code, said = up.end()
    assert code == 1
    assert "the embedded broker has ended, and what was not done is lost" in said
    assert not alive(worker)


def test_a_broker_that_takes_too_much_memory_is_ended_and_says_where_to_go(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(600)", most_bytes=1_000_000) as up:
        code, said = up.end()
    assert code == 1
    assert "forgets nothing: ends here" in said
    assert "KEELWATCH_KAFKA_BOOTSTRAP" in said
    assert not alive(up.broker)


def handles(pid: int, one: signal.Signals) -> bool:
    return _mask(pid, "SigCgt", one)


def ignores(pid: int, one: signal.Signals) -> bool:
    return _mask(pid, "SigIgn", one)


def _mask(pid: int, name: str, one: signal.Signals) -> bool:
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return bool(int(lines[name], 16) >> (one - 1) & 1)
