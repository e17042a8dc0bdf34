"""Names of group members: of two processes with one name the newer has it, and the older ends.

Apache Kafka gives a member's place to the next one that comes with its name, so that a process that was killed is back
at once. When the first one lives, it hears only that it is no member any more; were it to join again, the two would
take the place from each other for ever, and do everything twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import uuid
from functools import cache
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from services.errors import InputError

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")
_TOLD: Final = re.compile(rb"http://([A-Za-z0-9.-]+)/keelwatch/(\d+)/[0-9a-f]{8}")
_LONGEST_HOST: Final = 60
_LOOKS: Final = 20
_BETWEEN_LOOKS: Final = 0.5


class NameTaken(InputError):  # noqa: N818 -- a state of the world, like FileExistsError's
    """Another process has come with this one's name."""


@cache
def process_url() -> str:
    """What this process tells its groups of itself, in what faust has members tell; no other process tells the same.

    A client id would not do: the broker keeps that of the first process that had a name.
    """
    host = _UNSAFE.sub("-", socket.gethostname())[:_LONGEST_HOST].strip("-.") or "localhost"
    return f"http://{host}/keelwatch/{os.getpid()}/{uuid.uuid4().hex[:8]}"


async def check_name(client: AIOKafkaAdminClient, group: str, instance: str) -> None:
    """Check that no other process is the member of this name by now; a group that is being dealt is waited for.

    Raises:
        NameTaken: if one is; the text names both.
        KafkaError: if the broker does not tell.
    """
    for _ in range(_LOOKS):
        [response] = await client.describe_consumer_groups([group])
        ours = [member for found in response.groups for member in found[5] if _is_of(member[0], instance)]
        if not ours:
            return
        told = [one for member in ours if (one := _TOLD.search(member[3]))]
        for one in told:
            if one[0] != process_url().encode():
                raise NameTaken(_taken_text(instance, group, one[0]))
        if told:
            return
        await asyncio.sleep(_BETWEEN_LOOKS)


def _is_of(member: str, instance: str) -> bool:
    """The broker makes the id of a member of its name."""
    return member.startswith(f"{instance}-") and len(member) == len(instance) + 1 + len(str(uuid.UUID(int=0)))


def _taken_text(instance: str, group: str, other: bytes) -> str:
    return (
        f"KEELWATCH_INSTANCE={instance}: {_process(other)} has come with this name and taken the place of "
        f"{_process(process_url().encode())} in {group}, which ends: give each process a name of its own"
    )


def _process(url: bytes) -> str:
    told = _TOLD.fullmatch(url)
    assert told is not None
    return f"process {told[2].decode()} on {told[1].decode()}"
