"""What Keelwatch costs a machine before it does anything: `python -m tests.benchmarks.lean`.

Prints the CPU of commands that only answer, and the memory of `keelwatch up` that waits (proportional set size: what
processes share is counted once, among those that share it). With --install also seconds and megabytes of a new
environment made from requirements/core.lock; the second of two installations is told, when pip has what it fetches.
It imports nothing of Keelwatch, so that --python measures any other checkout's environment.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
READY_SECONDS = 90.0
MEBIBYTE = 1024 * 1024


def command(python: Path, *words: str) -> list[str]:
    """The program as its console script starts it."""
    return [str(python.parent / "keelwatch"), *words]


def cpu(words: list[str]) -> float:
    """CPU seconds of a command, user and system: the least of some."""
    spent = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def processes(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from processes(int(child))


def memory(pid: int) -> dict[str, int]:
    """Bytes of a process, by kind."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}


def part(pid: int) -> str:
    """Which part of `up` a process is."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return "broker" if words[0].endswith("tansu") else "worker" if "worker" in words else "supervisor"


def idle(python: Path, seconds: float) -> dict[str, float]:
    """Megabytes (PSS) of each process of `up`, this long after it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with TemporaryDirectory() as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
        env["KEELWATCH_DATA_DIR"] = folder
        words = command(python, "up", "--port", str(port))
        up = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + READY_SECONDS
            while not ready(port):
                if up.poll() is not None or time.monotonic() > until:
                    raise SystemExit("up is not ready")
                time.sleep(0.2)
            time.sleep(seconds)
            return {part(pid): memory(pid)["Pss"] / MEBIBYTE for pid in processes(up.pid)}
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)


def ready(port: int) -> bool:
    """Whether the worker says that it is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def install() -> tuple[float, float]:
    """Seconds and megabytes of a new environment with the core and this checkout: the second time."""
    seconds = size = 0.0
    for _ in range(2):
        with TemporaryDirectory() as folder:
            begin = time.monotonic()
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--no-deps"]
            locks = [word for name in ("core", "build") for word in ("-r", f"requirements/{name}.lock")]
            locked = [*pip, "--require-hashes", "--only-binary", ":all:", *locks]
            subprocess.run(locked, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
            itself = [*pip, "--no-build-isolation", "--no-index", "--editable", "."]
            subprocess.run(itself, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
            seconds = time.monotonic() - begin
            sized = subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True)
            size = float(sized.stdout.split()[0])
    return seconds, size


def main() -> None:
    """Print one line a figure, and what is aimed at."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the environment to measure")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long `up` waits before it is measured")
    parser.add_argument("--install", action="store_true", help="install the core too, twice")
    options = parser.parse_args()
    print(f"keelwatch --help     {cpu(command(options.python, '--help')):6.2f} s CPU   (at most 0.6)")
    parts = idle(options.python, options.seconds)
    shown = ", ".join(f"{name} {size:.0f}" for name, size in parts.items())
    print(f"keelwatch up, idle   {sum(parts.values()):6.0f} MB      (at most 600; {shown})")
    if options.install:
        seconds, size = install()
        print(f"core, installed in   {seconds:6.1f} s       (at most 90)")
        print(f"core, on disk        {size:6.0f} MB      (at most 900)")


if __name__ == "__main__":
    main()
