"""`up` and `worker` read the same topics as different consumer groups: both at once would do everything twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from schemas.topics import TOPICS
from services.errors import InputError
from services.stream.clients import admin
from services.stream.config import Broker

TOGETHER: Final = "keelwatch.up"
APART: Final = tuple(f"keelwatch.{step}" for step in sorted({step for topic in TOPICS for step in topic.consumers}))
_ATTEMPTS: Final = 60
_PAUSE_SECONDS: Final = 0.5
_STILL: Final = "the broker forgets within a minute a process that has ended"


async def check_alone(broker: Broker, *, together: bool) -> None:
    """Check that no process of the other kind works on this cluster; `together`: this one is of `keelwatch up`.

    Raises:
        InputError: if one does.
        Unreachable: if the cluster does not answer.
    """
    others = await members(broker, APART if together else (TOGETHER,))
    busy = sorted(group for group, count in others.items() if count)
    if not busy:
        return
    if together:
        raise InputError(
            f"`keelwatch worker` runs on {broker.bootstrap} ({', '.join(busy)}): stop it, or run no `keelwatch up` "
            f"there; {_STILL}"
        )
    raise InputError(f"`keelwatch up` runs on {broker.bootstrap}: stop it, or run no `keelwatch worker`; {_STILL}")


async def members(broker: Broker, groups: tuple[str, ...]) -> dict[str, int]:
    """Group -> how many members it has; 0 for one that does not exist.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    async with admin(broker) as client:
        # One after the other: the embedded broker answers for several in a form that cannot be read.
        responses = [await _described(client, group) for group in groups]
    return {group[1]: len(group[5]) for response in responses for group in response.groups}


async def _described(client: AIOKafkaAdminClient, group: str) -> Any:
    """A new cluster makes the topic of its groups when it is first asked about one, and needs a moment for that."""
    for _ in range(_ATTEMPTS):
        with suppress(GroupCoordinatorNotAvailableError):
            return (await client.describe_consumer_groups([group]))[0]
        await asyncio.sleep(_PAUSE_SECONDS)
    return (await client.describe_consumer_groups([group]))[0]
