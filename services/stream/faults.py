"""Whose fault it is: a dependency's is waited for, a record's own is a dead letter, anything else ends the process."""

from __future__ import annotations

from typing import Final

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from services.errors import UnknownOutcome
from services.store.engine import is_unavailable
from services.stream.clients import Unreachable

_WAITED_FOR: Final = (UnknownOutcome, Unreachable, KafkaError, OSError)


class GaveUp(Exception):  # noqa: N818
    """A dependency did not come back in time."""


def is_dependency(error: BaseException) -> bool:
    """Whether the database, the broker or a disk is to blame: the same work may succeed later."""
    if isinstance(error, MessageSizeTooLargeError):
        return False
    return isinstance(error, _WAITED_FOR) or is_unavailable(error)
