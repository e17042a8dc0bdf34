"""A fake server as a process: started for a test, on a free port that it prints, and gone at the end of the block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.source import ROOT


@contextmanager
def started(module: str, *arguments: str) -> Iterator[int]:
    """The port of `python -m module arguments`."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve(handler: type[BaseHTTPRequestHandler]) -> None:
    """Serve on a free port, and print it; until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
