"""JSON text -> plain values, stricter than Python's parser about numbers and depth, milder about control characters."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from services.ingest.reasons import FormatError, path_of
from services.ingest.text import MAX_DEPTH, too_deep

_DEEP: Final = f"record: nested more than {MAX_DEPTH} levels deep; send flatter JSON"


class _NotFiniteError(ValueError):
    """A number that JSON does not know, or that is too large to be one."""


def _refuse(_: str) -> NoReturn:
    raise _NotFiniteError


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _NotFiniteError
    return value


# strict=False: raw control characters inside strings are hostile text, which is scored.
_DECODER: Final = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)
_LENIENT: Final = json.JSONDecoder(strict=False)


def parse(text: str) -> Any:
    """The value of JSON `text`; of a key that is written twice the last one counts.

    Raises:
        FormatError: if it is not JSON, nested more than 64 deep, or holds NaN, Infinity or a number beyond 1e308.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"not JSON: {error.msg} at character {error.pos + 1}; send one JSON object per line"
        ) from None
    except _NotFiniteError:
        raise FormatError(f"{_not_finite(text)}: NaN, Infinity or beyond 1e308; send finite numbers or null") from None
    except RecursionError:
        raise FormatError(_DEEP) from None
    except ValueError:
        raise FormatError("record: a whole number of thousands of digits; send shorter numbers") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and too_deep(value):
        raise FormatError(_DEEP)
    return value


def _not_finite(text: str) -> str:
    """Path of the first number of `text` that is not finite."""
    try:
        stack: list[tuple[tuple[int | str, ...], Any]] = [((), _LENIENT.decode(text))]
    except (ValueError, RecursionError):
        return "record"
    while stack:
        path, value = stack.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return path_of(path) or "record"
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        stack += [((*path, key), child) for key, child in reversed(list(children))]
    return "record"
