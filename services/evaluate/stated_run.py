"""A run as a file or a row states it, whatever holds of it: what `verify run` reads before it believes anything.

A run that contradicts itself is refused everywhere else. Here it is read, so that it can be said where it does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator

from services.errors import InputError
from services.evaluate.result import RATES, SEAL, AskedSuite, RunResult
from services.evaluate.run_seal import RunSeal
from services.strict_json import unique_keys

_REMEDY: Final = "name a file written by `keelwatch eval run --json` or `keelwatch eval compare --json`"
_OVERALL: Final = "overall"
_SUITES: Final = "suites"


class StatedSuite(AskedSuite):
    """A suite whose hash need not be the one of its items."""

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        return self


class StatedRun(RunResult):
    """A run whose answers need not be those to its items."""

    suite: StatedSuite

    @model_validator(mode="after")
    def _whole(self) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class StatedFile:
    """A run as it is stated, with what stands beside it; None of either is not there."""

    run: StatedRun
    rates: Sequence[Any] | None = None
    seal: RunSeal | None = None


@dataclass(frozen=True, slots=True)
class StatedComparison:
    """What a file of `eval compare --json` says."""

    told: Mapping[str, Any]

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that it compares."""
        return tuple(str(one["suite"]) for one in self.told[_SUITES])


def read_stated(text: str, name: str) -> tuple[StatedFile, ...] | StatedComparison:
    """What a file states: runs, or a comparison. `name` only names it.

    Raises:
        InputError: if it is neither; it names the first fault and its place.
    """
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}; {_REMEDY}") from None
    if isinstance(value, dict) and _OVERALL in value and isinstance(value.get(_SUITES), list):
        return _comparison(value, name)
    found = value if isinstance(value, list) else [value]
    if not found:
        raise InputError(f"{name}: holds no run; {_REMEDY}")
    return tuple(_file(one, name) for one in found)


def _comparison(value: dict[str, Any], name: str) -> StatedComparison:
    for place, one in enumerate(value[_SUITES]):
        if not isinstance(one, dict) or not isinstance(one.get("suite"), str):
            raise InputError(f"{name}: suites.{place}.suite: must name a suite; {_REMEDY}")
    return StatedComparison(value)


def _file(value: Any, name: str) -> StatedFile:
    if not isinstance(value, dict):
        raise InputError(f"{name}: holds no run; {_REMEDY}")
    rates, seal = value.get(RATES), value.get(SEAL)
    if rates is not None and not isinstance(rates, list):
        raise InputError(f"{name}: rates: must be a list; {_REMEDY}")
    rest = {key: one for key, one in value.items() if key not in (RATES, SEAL)}
    try:
        run = StatedRun.decode(json.dumps(rest).encode())
        sealed = None if seal is None else RunSeal.model_validate_json(json.dumps(seal))
    except (ValidationError, RecursionError) as error:
        raise InputError(f"{name}: {_first(error)}; {_REMEDY}") from None
    return StatedFile(run, rates, sealed)


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])[:200] or "run"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
