"""A network without anybody in it, where every attempt to reach somebody is seen.

`unshare -rn python -m tests.support.sinkhole REPORT` reads a JSON list of commands from its input and runs them
beside each other. Its network namespace has nothing but its own loopback, over which every address is routed, and a
packet socket that sees each packet: what is for another address than 127.0.0.1, or asks for a name, is an attempt.
A command `{"argv": [...], "ready": URL}` is ended by SIGTERM once URL answers with 200.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.source import ROOT

ABSENT = "no network namespaces (util-linux' unshare, iproute2's ip, and the right to use them)"
_EVERYTHING = 0x0003
_LINGER_SECONDS = 1.0
_READY_SECONDS = 120.0


def available() -> bool:
    """Whether a namespace of one's own can be had here."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    tried = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return tried.returncode == 0


def sunk(commands: Sequence[dict[str, Any]], env: dict[str, str], report: Path, seconds: float) -> dict[str, Any]:
    """What came of the commands: `codes` and `said` of each, and the `attempts` to reach somebody."""
    command = ["unshare", "-rn", sys.executable, "-m", "tests.support.sinkhole", str(report)]
    given = json.dumps(list(commands))
    run = {"cwd": ROOT, "env": env, "capture_output": True, "text": True, "timeout": seconds}
    done = subprocess.run(command, input=given, check=False, **run)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


class Watch:
    """Looks at every packet."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
        self._socket.bind(("lo", 0))
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            packet = self._socket.recv(65535)
            told = attempt_of(packet)
            if told is not None and told not in self.attempts:
                self.attempts.append(told)


def attempt_of(packet: bytes) -> str | None:
    """Whom a packet is for, if that is somebody else, or a question for a name; None for what stays here."""
    if packet[0] >> 4 != 4:
        return None if packet[24:40] == bytes(15) + b"\1" else f"IPv6 to {packet[24:40].hex()}"
    header, there = (packet[0] & 15) * 4, ".".join(map(str, packet[16:20]))
    if packet[9] not in (6, 17):
        return None if there.startswith("127.") else f"protocol {packet[9]} to {there}"
    port = int.from_bytes(packet[header + 2 : header + 4], "big")
    return f"{there}:{port}" if port == 53 or not there.startswith("127.") else None


def _main(report: str) -> None:
    for line in ("link set lo up", "route add default dev lo"):
        subprocess.run(["ip", *line.split()], check=True)
    watch, commands = Watch(), json.load(sys.stdin)
    with ThreadPoolExecutor(len(commands)) as pool:
        ended = list(pool.map(_ended, commands))
    time.sleep(_LINGER_SECONDS)
    codes, said = [code for code, _ in ended], [text[-4000:] for _, text in ended]
    Path(report).write_text(json.dumps({"codes": codes, "said": said, "attempts": watch.attempts}), encoding="utf-8")


def _ended(one: dict[str, Any]) -> tuple[int, str]:
    out = subprocess.PIPE
    with subprocess.Popen(one["argv"], stdout=out, stderr=subprocess.STDOUT, text=True) as process:
        if url := one.get("ready"):
            _wait(url, process)
            process.terminate()
        text, _ = process.communicate()
        return process.returncode, text


def _wait(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)


if __name__ == "__main__":
    _main(sys.argv[1])
