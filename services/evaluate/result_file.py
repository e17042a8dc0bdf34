"""Results as `eval run --json` writes them: one object, or an array of them where several suites were run."""

from __future__ import annotations

import json
from typing import Final

from pydantic import ValidationError

from services.errors import InputError
from services.evaluate.result import RunResult

_REMEDY: Final = "name a file written by `keelwatch eval run --json`"


def read_results(text: str, name: str) -> tuple[RunResult, ...]:
    """The runs of a file's text; `name` only names it.

    Raises:
        InputError: if it is no such file, or was written by another version; it names the first fault.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}; {_REMEDY}") from None
    found = value if isinstance(value, list) else [value]
    if not found:
        raise InputError(f"{name}: holds no run; {_REMEDY}")
    results = tuple(_result(one, name) for one in found)
    names = [result.suite.name for result in results]
    if len(set(names)) < len(names):
        raise InputError(f"{name}: holds two runs of one suite; {_REMEDY}")
    return results


def _result(value: object, name: str) -> RunResult:
    try:
        return RunResult.decode(json.dumps(value).encode())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "run"
        raise InputError(f"{name}: {place}: {first['msg'].removeprefix('Value error, ')}; {_REMEDY}") from None
