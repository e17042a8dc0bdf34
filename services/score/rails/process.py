"""The rails' own process: the Python of an environment that has their libraries, telemetry off, offline."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from services.errors import InputError
from services.monitor import GuardrailPolicy
from services.score.rails.plan import Pair, RailReply, order, question, read_reply

LOG: Final = logging.getLogger("keelwatch.rails")
HOST: Final = Path(__file__).with_name("host.py")
AT_ONCE: Final = 16
START_SECONDS: Final = 120.0
REST_SECONDS: Final = 60.0
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "GUARDRAILS_RUN_SYNC": "true",
    "HF_HUB_OFFLINE": "1",
    "NEMO_GUARDRAILS_NO_USAGE_STATS": "1",
    "OTEL_SDK_DISABLED": "true",
    "TRANSFORMERS_OFFLINE": "1",
}
_SETTINGS: Final = "enable_metrics=false\nuse_remote_inferencing=false\n"


class RailProcess:
    """Asks the rails about pairs. One that fails, or takes too long, costs its outcomes and nothing else.

    The process is started at the first question, and anew after it ended; it rests a minute after it failed three
    times running. What it prints is thrown away, since libraries print what they look at. Not safe for several threads.
    """

    def __init__(
        self,
        policy: GuardrailPolicy,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`environment` are the variables that the rails are given; of ours they have none."""
        self._policy = policy
        self._environment = dict(environment or {})
        self._clock = clock
        self._home: TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._failures = 0
        self._rests_until = 0.0
        self._told: set[tuple[str, str]] = set()

    def start(self) -> dict[str, str]:
        """Start the process: what every rail is made of, by its name.

        Raises:
            InputError: if a rail cannot be made, or the Python of the environment cannot be run.
        """
        try:
            told = json.loads(self._begin())
        except (OSError, ValueError) as error:
            self.close()
            raise InputError(
                f"guardrails.python {self._policy.python}: {_why(error)}; name the Python of an "
                "environment with guardrails-ai or nemoguardrails"
            ) from None
        broken = [f"{one['name']}: {one['error']}" for one in told["rails"] if "error" in one]
        if broken:
            self.close()
            raise InputError(f"guardrails.rails: {'; '.join(broken)}")
        return {one["name"]: one["version"] for one in told["rails"]}

    def outcomes(self, pairs: Sequence[Pair]) -> list[RailReply]:
        """What the rails say of each pair; of those that could not be asked, nothing."""
        said: list[RailReply] = []
        for start in range(0, len(pairs), AT_ONCE):
            said += self._some(pairs[start : start + AT_ONCE])
        return said

    def close(self) -> None:
        """End the process; a question after it starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError), process:  # waits, and closes the pipes
                pass
        home, self._home = self._home, None
        if home is not None:
            home.cleanup()

    def _some(self, pairs: Sequence[Pair]) -> list[RailReply]:
        nothing = [RailReply()] * len(pairs)
        if self._clock() < self._rests_until:
            return nothing
        try:
            if self._process is None:
                self._begin()
            self._say(question(pairs))
            replies = read_reply(self._hear(self._policy.seconds * len(pairs)), len(pairs))
        except (OSError, ValueError, AttributeError) as error:
            self._failed(error)
            return nothing
        self._failures = 0
        self._tell(replies)
        return replies

    def _begin(self) -> str:
        """Start, and the answer to the order."""
        self._home = TemporaryDirectory(prefix="keelwatch-rails-")
        (Path(self._home.name) / ".guardrailsrc").write_text(_SETTINGS)
        environment = {**_QUIET, "HOME": self._home.name, "PATH": os.defpath, **self._environment}
        self._lines = queue.Queue()
        self._process = subprocess.Popen(  # noqa: S603 -- the environment that the operator names in the monitor file
            [self._policy.python, "-I", str(HOST)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=self._home.name,
        )
        threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True).start()
        self._say(order(self._policy))
        return self._hear(START_SECONDS)

    def _say(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise OSError("the rails' process has ended")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self, seconds: float) -> str:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer in {seconds:g} s") from None
        if line is None:
            raise OSError("the rails' process has ended")
        return line

    def _failed(self, error: Exception) -> None:
        """Begin with a new process the next time; rest where that did not help."""
        self.close()
        self._failures += 1
        LOG.warning("guardrails: %s; these exchanges have no outcome of them", _why(error))
        if self._failures >= 3:
            self._rests_until = self._clock() + REST_SECONDS

    def _tell(self, replies: Sequence[RailReply]) -> None:
        """Each kind of error of each rail once."""
        for name, error in sorted({pair for reply in replies for pair in reply.errors.items()} - self._told):
            self._told.add((name, error))
            LOG.warning("guardrail %s: %s; exchanges on which it fails have no outcome of it", name, error)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, TimeoutError) or not isinstance(error, ValueError) else "no answer in JSON"


def _listen(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Every line that the process says, and None at its end."""
    for line in process.stdout or ():
        lines.put(line)
    lines.put(None)
