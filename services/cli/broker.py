"""What the commands on a broker share: where it is, and one clear line when it does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from services.cli.output import ERR
from services.settings import load_settings
from services.stream.clients import Unreachable
from services.stream.config import Broker, broker_of

T = TypeVar("T")

BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="The broker; else KEELWATCH_KAFKA_BOOTSTRAP.")
]


def broker(bootstrap: str | None) -> Broker:
    """The broker of `--bootstrap` or of the settings.

    Raises:
        BrokerError: if there is none, or its settings contradict each other.
    """
    return broker_of(load_settings(), bootstrap)


def connected(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. A broker that does not answer is told in one line, and the exit code is 1."""
    # The client logs every attempt; what counts of them is in the error.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work)
    except Unreachable as error:
        ERR.print(f"keelwatch: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
