"""What a person can mend (one clear line with field and remedy, exit code 2), and what a sender must tell apart."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input of a person: a file, an option, a value. The message is shown as it is, without a traceback."""


class UnknownOutcome(Exception):  # noqa: N818
    """Nobody knows whether the record is on the topic: it was not acknowledged in time. Send it again."""


class NotSent(Exception):  # noqa: N818
    """The record is not on the topic: there is no connection to the broker yet, or no longer."""
