"""States and artefacts as bytes: msgpack, exact, without pickle.

`pack` takes frozen dataclasses of numpy arrays, numbers, strings, bytes, times, enums, tuples, lists, sets,
mappings (any hashable key), pydantic records and such dataclasses. `unpack` reads them back from the type hints of
the class that it is given: nothing but classes named there is ever made, so bytes from outside run no code.
A field that the bytes lack gets its default; a field that the class lacks is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from msgspec.msgpack import Ext
from numpy.typing import NDArray
from pydantic import BaseModel

from services.store.shapes import CLASS, JSON, CodecError, Pairs, Shaper

_ARRAY: Final = 1
_SCALAR: Final = 2
_BIG_INT: Final = 3
_PAIRS: Final = 4
_SMALL: Final = range(-(2**63), 2**64)

T = TypeVar("T")

__all__ = ["CodecError", "pack", "unpack"]


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
        value: T = Shaper({kind.__name__: kind for kind in known}).shaped(
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
        return {CLASS: type(obj).__name__, **named}
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
    return Ext(_PAIRS, msgspec.msgpack.encode(pairs))


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
    if code == _PAIRS:
        return Pairs(msgspec.msgpack.decode(data, ext_hook=_from_ext))
    raise CodecError(f"unknown extension {code}")
