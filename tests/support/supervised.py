"""A supervisor with the embedded broker and a tiny worker, as a process: `python -m tests.support.supervised FOLDER`.

The worker appends a line with its process id to FOLDER/workers at every start; what it does then stands in
FOLDER/worker.py. The first line on stdout is the broker's process id.
"""

from __future__ import annotations

import sys
from pathlib import Path

from services.stream.embedded_broker import start_broker
from services.stream.supervisor import RestartPolicy, Supervision, stoppable, supervise

PREFACE = """
import os, signal, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
"""


def main(folder: Path, most_bytes: int) -> int:
    worker = (sys.executable, "-c", PREFACE + (folder / "worker.py").read_text(), str(folder / "workers"))
    with stoppable() as stop:
        broker = start_broker()
        try:
            print(broker.pid, flush=True)
            policy = RestartPolicy(first=0.05, longest=0.2, healthy=60.0, most=3)
            plan = Supervision(worker, broker, lambda line: print(line, flush=True), policy, most_bytes, patience=1.0)
            return supervise(plan, stop)
        finally:
            broker.stop()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
