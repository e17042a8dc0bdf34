"""Logs of the stream: one JSON line an event on stderr, never what people or models wrote."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

CONTENT: Final = frozenset(
    {"prompt", "response", "content", "messages", "message", "text", "raw", "value", "body", "record", "exchange"}
)
_LONGEST: Final = 300
_FRAMES: Final = 8
_QUIET: Final = 10.0
_REMEMBERED: Final = 500

Log = structlog.typing.FilteringBoundLogger
"""Methods debug, info, warning, error, critical: `log.info("what happened", field=value)`."""


def open_log(out: TextIO | None = None, level: int = logging.INFO, **bound: Any) -> Log:
    """A log that writes to `out`, stderr without one; `bound` stands in every line."""
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(out or sys.stderr),
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _failure,
            _without_content,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    ).bind(**bound)
    return log


class Bridge(logging.Handler):
    """Takes what libraries log into our lines. Only numbers and short words of their arguments are kept.

    A line that says the same as one of the last ten seconds is left out, and counted: a client without its broker
    complains a hundred times a second.
    """

    def __init__(self, log: Log, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._log = log
        self._last: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; an exception is told by its class and place."""
        args = record.args
        try:
            kept = {k: _kept(v) for k, v in args.items()} if isinstance(args, dict) else tuple(map(_kept, args or ()))
            event = str(record.msg) % kept if kept else str(record.msg)
        except (TypeError, ValueError):
            event = str(record.msg)
        if not isinstance(record.msg, str):
            event = type(record.msg).__name__
        failure = record.exc_info if record.exc_info and record.exc_info[1] else None
        same = (record.name, event)
        if record.created - self._last.get(same, -_QUIET) < _QUIET:
            self._left_out[same] = self._left_out.get(same, 0) + 1
            return
        if len(self._last) >= _REMEMBERED:
            self._last.clear()
            self._left_out.clear()
        self._last[same] = record.created
        again = {"left_out": n} if (n := self._left_out.pop(same, 0)) else {}
        self._log.log(record.levelno, event, library=record.name, exc_info=failure, **again)


def install(log: Log, level: int = logging.INFO) -> None:
    """Let everything that this process and its libraries log go to `log`; of libraries warnings and worse."""
    root = logging.getLogger()
    root.handlers[:] = [Bridge(log, level)]
    root.setLevel(logging.WARNING)
    logging.getLogger("keelwatch").setLevel(level)


def _failure(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception's class and where it was raised. Its words may quote an exchange, so they are left out."""
    given = line.pop("exc_info", None)
    if not given:
        return line
    error = given if isinstance(given, BaseException) else (given[1] if isinstance(given, tuple) else sys.exception())
    if error is not None:
        line["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        line["at"] = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
        if error.__cause__ is not None:
            line["cause"] = type(error.__cause__).__name__
    return line


def _without_content(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: "(left out)" if key in CONTENT else _kept(value) for key, value in line.items()}


def _kept(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, list | tuple | set | frozenset):
        return [_kept(item) for item in list(value)[:20]]
    return f"({type(value).__name__})"
