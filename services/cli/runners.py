"""Which runner asks a suite's questions: our own, or Inspect in an environment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Final

import typer

from services.errors import InputError
from services.evaluate.client import Endpoint
from services.evaluate.inspect_runner import RUNNER, InspectEndpoint
from services.evaluate.result import OWN_RUNNER, RunResult
from services.evaluate.suite import Suite
from services.wording import runners as words

_INSPECT: Final = "inspect"
RunnerOption = Annotated[str, typer.Option(metavar="NAME", help="keelwatch, or inspect: asks through inspect_ai.")]
InspectPythonOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Python of an environment with inspect_ai and openai.")
]


def checked_runner(runner: str, python: str | None) -> str | None:
    """The Python of Inspect's environment; None for our own runner.

    Raises:
        InputError: if the two options do not fit.
    """
    if runner not in (OWN_RUNNER, _INSPECT):
        raise InputError(words.no_runner(runner))
    if runner == _INSPECT and python is None:
        raise InputError(words.NEEDS_PYTHON)
    if runner != _INSPECT and python is not None:
        raise InputError(words.NEEDS_RUNNER)
    return python


@asynccontextmanager
async def asked_through(
    python: str | None, endpoint: Endpoint, allowed: Collection[str], suite: Suite
) -> AsyncIterator[Endpoint]:
    """The endpoint as this suite is asked through: itself, or a process of Inspect, which ends with the block."""
    if python is None:
        yield endpoint
        return
    chance = Random()  # noqa: S311 -- spreads pauses
    async with InspectEndpoint(endpoint.settings, allowed, chance, lambda: datetime.now(UTC), python, suite) as asked:
        yield asked


def told_runner(result: RunResult, endpoint: Endpoint) -> RunResult:
    """The result with the version of what asked, too."""
    if not isinstance(endpoint, InspectEndpoint):
        return result
    return result.model_copy(update={"packages": {**result.packages, RUNNER: endpoint.version}})
