"""States and artefacts as bytes: msgpack, exact, without pickle, read back by type hints.

`pack` takes frozen dataclasses of numpy arrays, numbers, strings, bytes, times, enums, tuples, lists, sets,
mappings (any hashable key), pydantic records and such dataclasses. `unpack` reads them back from the type hints of
the class that it is given: nothing but classes named there is ever made, so bytes from outside run no code.
A field that the bytes lack gets its default; a field that the class lacks is an error.

The name of a class stands in the bytes: one that is renamed says what it was called in `STORED_NAME`, so that databases
of today are read by the next version (tests/store/stored_classes.txt lists every name and field).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from msgspec.msgpack import Ext
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

__all__ = ["CodecError", "pack", "unpack"]


CLASS: Final = "$"
JSON: Final = "$json"


def stored_name(cls: Any) -> str:
    """What a class is called in stored bytes: its own `STORED_NAME`, which a subclass does not inherit, or its name."""
    name = getattr(cls, "__dict__", {}).get("STORED_NAME")
    return name if isinstance(name, str) else getattr(cls, "__name__", "")


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
        option = _option(hint, lambda kind: stored_name(kind) == name)
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


_ARRAY: Final = 1
_SCALAR: Final = 2
_BIG_INT: Final = 3
PAIRS: Final = 4
_SMALL: Final = range(-(2**63), 2**64)

T = TypeVar("T")


def pack(obj: object) -> bytes:
    """The object as bytes; equal objects give equal bytes as long as their mappings have one order.

    Raises:
        CodecError: if something in it has no exact form (an object array, a time without zone, a function).
    """
    try:
        return msgspec.msgpack.encode(_plain(obj))
    except UnicodeEncodeError:
        raise CodecError("cannot store a string with lone surrogates; sanitise it first") from None


def unpack(cls: type[T], data: bytes, known: Iterable[type] = ()) -> T:
    """Read what `pack` wrote of an object of type `cls`; where a hint says Any, the `known` classes may stand.

    Raises:
        CodecError: if the bytes are damaged, or of another class than `cls` says.
    """
    try:
        value: T = Shaper({stored_name(kind): kind for kind in known}).shaped(
            cls, msgspec.msgpack.decode(data, ext_hook=_from_ext)
        )
    except CodecError:
        raise
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise CodecError(f"not the bytes of a {getattr(cls, '__name__', cls)}: {error}") from error
    if isinstance(cls, type) and not isinstance(value, cls):
        raise CodecError(f"not the bytes of a {cls.__name__}: found a {type(value).__name__}")
    return value


def _plain(obj: Any) -> Any:
    if obj is None or type(obj) in (bool, float, str, bytes):
        return obj
    if type(obj) is int:
        return obj if obj in _SMALL else Ext(_BIG_INT, obj.to_bytes(obj.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(obj, np.ndarray | np.generic):
        return Ext(_ARRAY if isinstance(obj, np.ndarray) else _SCALAR, _array_bytes(np.asarray(obj)))
    if isinstance(obj, Enum):
        return _plain(obj.value)
    return _plain_container(obj)


def _plain_container(obj: Any) -> Any:
    if isinstance(obj, BaseModel):
        return {CLASS: type(obj).__name__, JSON: obj.model_dump_json(by_alias=True).encode()}
    if is_dataclass(obj) and not isinstance(obj, type):
        named = {field.name: _plain(getattr(obj, field.name)) for field in fields(obj) if field.init}
        return {CLASS: stored_name(type(obj)), **named}
    if isinstance(obj, tuple | list):
        return [_plain(item) for item in obj]
    if isinstance(obj, Mapping):
        return _plain_mapping(obj)
    if isinstance(obj, Set):
        return sorted((_plain(item) for item in obj), key=msgspec.msgpack.encode)
    if isinstance(obj, datetime):
        return _in_utc(obj)
    raise CodecError(
        f"cannot store a {type(obj).__name__}; use arrays, numbers, strings, tuples, mappings, dataclasses"
    )


def _plain_mapping(obj: Mapping[Any, Any]) -> Any:
    """Keys that are not all strings, or could be taken for a class, travel as pairs."""
    if all(type(key) is str for key in obj) and CLASS not in obj:
        return {key: _plain(value) for key, value in obj.items()}
    pairs = [[_plain(key), _plain(value)] for key, value in obj.items()]
    return Ext(PAIRS, msgspec.msgpack.encode(pairs))


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise CodecError("cannot store a time without a zone")
    return value.astimezone(UTC)


def _array_bytes(array: NDArray[Any]) -> bytes:
    if array.dtype.hasobject or array.dtype.names is not None:
        raise CodecError(f"cannot store an array of dtype {array.dtype}")
    return msgspec.msgpack.encode([array.dtype.str, array.shape, array.tobytes()])


def _from_ext(code: int, data: memoryview) -> Any:
    if code in (_ARRAY, _SCALAR):
        dtype, shape, raw = msgspec.msgpack.decode(data)
        array = np.frombuffer(raw, dtype=np.dtype(dtype)).reshape(shape).copy()
        return array if code == _ARRAY else array[()]
    if code == _BIG_INT:
        return int.from_bytes(data, "big", signed=True)
    if code == PAIRS:
        return Pairs(msgspec.msgpack.decode(data, ext_hook=_from_ext))
    raise CodecError(f"unknown extension {code}")
