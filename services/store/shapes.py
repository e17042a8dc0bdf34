"""Plain decoded values into the shapes that type hints ask for."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Set
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

CLASS: Final = "$"
JSON: Final = "$json"


class CodecError(ValueError):
    """Something that cannot be stored exactly, or bytes that are not what they should be."""


class Pairs(list[Any]):
    """Keys and values of a mapping whose keys are not all strings."""


@dataclass(frozen=True, slots=True)
class Shaper:
    """Makes instances of what type hints name, and of `known` classes (by name) where a hint says Any."""

    known: Mapping[str, type]

    def shaped(self, hint: Any, value: Any) -> Any:
        """The decoded `value` as an instance of `hint`."""
        if value is None or isinstance(value, bool | float | bytes):
            return value
        if isinstance(value, dict) and CLASS in value:
            return self._instance(hint, value)
        if isinstance(value, Pairs | dict):
            return self._mapping(hint, value)
        if isinstance(value, list):
            return self._sequence(hint, value)
        return self._scalar(hint, value)

    def _scalar(self, hint: Any, value: Any) -> Any:
        for option in _options(hint):
            if isinstance(option, type) and issubclass(option, Enum):
                return option(value)
        return value

    def _mapping(self, hint: Any, value: Pairs | dict[str, Any]) -> dict[Any, Any]:
        option = _option(hint, lambda kind: isinstance(kind, type) and issubclass(kind, Mapping))
        key_hint, value_hint = get_args(option) or (Any, Any)
        pairs = value.items() if isinstance(value, dict) else value
        return {self.shaped(key_hint, key): self.shaped(value_hint, item) for key, item in pairs}

    def _sequence(self, hint: Any, value: list[Any]) -> Any:
        option = _option(hint, lambda kind: isinstance(kind, type) and issubclass(kind, tuple | list | Set))
        kind, args = get_origin(option) or option, get_args(option)
        if kind is list:
            return [self.shaped(args[0] if args else Any, item) for item in value]
        if isinstance(kind, type) and issubclass(kind, Set):
            made = set if kind is set else frozenset
            return made(self.shaped(args[0] if args else Any, item) for item in value)
        if isinstance(kind, type) and hasattr(kind, "_fields"):
            return kind(*(self.shaped(part, item) for part, item in zip(_hints(kind).values(), value, strict=True)))
        return tuple(self.shaped(part, item) for part, item in zip(_tuple_hints(args, len(value)), value, strict=True))

    def _instance(self, hint: Any, value: dict[str, Any]) -> Any:
        name = value[CLASS]
        option = _option(hint, lambda kind: getattr(kind, "__name__", None) == name)
        if option is Any and Any in _options(hint):
            option = self.known.get(name, Any)
        cls = get_origin(option) or option
        if option is Any:
            raise CodecError(f"found a {name} where {hint} is expected")
        if JSON in value:
            return _record(cls, value[JSON])
        if not is_dataclass(cls):
            raise CodecError(f"{name} is no dataclass")
        return self._dataclass(cls, _bound(option), {key: item for key, item in value.items() if key != CLASS})

    def _dataclass(self, cls: Any, bound: Mapping[Any, Any], value: dict[str, Any]) -> Any:
        known = {field.name: field for field in fields(cls) if field.init}
        unknown = sorted(value.keys() - known.keys())
        required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
        missing = sorted(required - value.keys())
        if unknown or missing:
            raise CodecError(f"{cls.__name__}: unknown fields {unknown}, missing fields {missing}")
        hints = _hints(cls)
        return cls(**{name: self.shaped(bound.get(hints[name], hints[name]), item) for name, item in value.items()})


def _tuple_hints(args: tuple[Any, ...], n: int) -> tuple[Any, ...]:
    if not args:
        return (Any,) * n
    if len(args) == 2 and args[1] is Ellipsis:
        return (args[0],) * n
    if len(args) != n:
        raise CodecError(f"expected {len(args)} items, found {n}")
    return args


def _record(cls: Any, data: bytes) -> Any:
    if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        raise CodecError(f"{cls} is no record")
    try:
        return cls.model_validate_json(data)
    except ValidationError as error:
        raise CodecError(f"not a {cls.__name__}: {error}") from error


def _bound(option: Any) -> Mapping[Any, Any]:
    """Type variables of a generic dataclass -> what the hint puts in their place."""
    origin = get_origin(option)
    parameters = getattr(origin, "__parameters__", ()) if origin else ()
    return dict(zip(parameters, get_args(option), strict=False))


@lru_cache(maxsize=1024)
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _option(hint: Any, fits: Callable[[Any], bool]) -> Any:
    """The first alternative of a union whose class fits; Any when none does."""
    for option in _options(hint):
        if fits(get_origin(option) or option):
            return option
    return Any


@lru_cache(maxsize=4096)
def _options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a hint, without Annotated, NewType and type aliases."""
    if get_origin(hint) is Annotated:
        return _options(get_args(hint)[0])
    if hasattr(hint, "__supertype__"):
        return _options(hint.__supertype__)
    if hasattr(hint, "__value__"):
        return _options(hint.__value__)
    if isinstance(hint, TypeVar):
        return _options(hint.__bound__) if hint.__bound__ is not None else (Any,)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for arg in get_args(hint) for option in _options(arg))
    return (hint,)
