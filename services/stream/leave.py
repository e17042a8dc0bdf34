"""The end of a membership: the group deals its partitions anew at once.

aiokafka's own end has two faults here. A member with a name of its own (`group.instance.id`) never says that it
leaves, so that nobody reads its partitions for the session timeout, 30 s. And one that is just joining waits for the
answer, which comes when every member has joined, or when those that were killed are forgotten: up to a minute.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

LOG: Final = logging.getLogger("keelwatch.stream")
_SECONDS: Final = 3.0
_TEXT: Final = String("utf-8")


async def leave(consumer: Any) -> None:
    """End the membership of an aiokafka consumer that is about to be stopped; what fails is left to time-outs."""
    coordinator = consumer._coordinator
    instance = coordinator._group_instance_id
    task = coordinator._coordination_task
    task.cancel()
    await asyncio.wait([task], timeout=_SECONDS)
    if instance is None or coordinator.coordinator_id is None:
        return  # aiokafka says it for members without a name; without a coordinator there is nobody to tell
    request = _Leave(coordinator.group_id, coordinator.member_id, instance)
    try:
        async with asyncio.timeout(_SECONDS):
            # Not over the coordinator's own connection: the broker answers there in order, after a pending join.
            said = await consumer._client.send(coordinator.coordinator_id, request)
            if code := next((code for _, _, code in said.members), said.error_code):
                raise for_code(code)
    except Exception as error:
        LOG.warning("%s: did not let %s leave: %r", coordinator.group_id, instance, error)


class _Left(Response):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    SCHEMA: ClassVar = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16))),
    )


class _LeaveStruct(RequestStruct):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    RESPONSE_TYPE: ClassVar = _Left
    SCHEMA: ClassVar = Schema(("group", _TEXT), ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))))


class _Leave(Request[_LeaveStruct]):  # type: ignore[misc]
    """LeaveGroup as brokers take it since 2.4: with the member's name, which aiokafka's version has no place for."""

    API_KEY: ClassVar = 13

    def __init__(self, group: str, member: str, instance: str) -> None:
        self._group, self._members = group, [(member, instance)]

    def build(self, request_struct_class: type[_LeaveStruct]) -> _LeaveStruct:
        return request_struct_class(self._group, self._members)
