"""What commands share: their options, and how they reach the broker and the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from schemas.decision import LASTS
from services.cli.output import ERR
from services.errors import InputError
from services.settings import load_settings
from services.stream.broker import Broker, broker_of
from services.stream.clients import Unreachable

if TYPE_CHECKING:
    from services.store.engine import Database

DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="Else KEELWATCH_DATABASE_URL, else the data folder's.")
]


def opened(database: str | None) -> Database:
    """The database that was named, or the settings' one.

    Raises:
        StoreError: if there is none; it names the remedy.
    """
    from services.store.engine import open_database  # noqa: PLC0415 -- `up` has these options, and no database

    settings = load_settings()
    return open_database(database or settings.database, create=False, heads=settings.data_dir)


ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="The monitor file; else KEELWATCH_CONFIG, else defaults.")
]

ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the timeline.")]
ActorOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who decides it; else the key's name, or the user's.")
]


def _hours(given: float | None) -> float | None:
    """The hours as they were given: so long may a snooze or a silence last."""
    if given is not None and not 0 < given <= MOST_HOURS:  # also what is no number
        raise InputError(f"--hours {given:g}: must be above 0, and at most {MOST_HOURS}")
    return given


HOURS: Final = LASTS.total_seconds() / 3600
MOST_HOURS: Final = 720
HoursOption = Annotated[
    float, typer.Option(metavar="N", callback=_hours, help=f"How long, at most {MOST_HOURS} (30 days).")
]
ShorterOption = Annotated[
    float | None,
    typer.Option(metavar="N", callback=_hours, help="Shorten it to so many hours from now; else it ends at once."),
]

HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where --port listens; 0.0.0.0 lets other machines ask.")
]

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
