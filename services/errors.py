"""What a person can mend (one clear line with field and remedy, exit code 2), and what a sender must tell apart."""

from __future__ import annotations

import traceback


class InputError(ValueError):
    """Bad input of a person: a file, an option, a value. The message is shown as it is, without a traceback."""


class UnknownOutcome(Exception):  # noqa: N818
    """Nobody knows whether the record is on the topic: it was not acknowledged in time. Send it again."""


class NotSent(Exception):  # noqa: N818
    """The record is not on the topic: there is no connection to the broker yet, or no longer."""


def fault_trace(error: Exception) -> str:
    """What failed and where, without a word of content: messages of exceptions may repeat what people wrote."""
    return "".join((type(error).__name__, "\n", *traceback.format_tb(error.__traceback__)))
