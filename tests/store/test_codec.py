"""The codec is exact: what goes in comes out, bit for bit."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from schemas.identity import Model
from services.store.codec import CodecError, pack, unpack

K = TypeVar("K")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass(frozen=True, slots=True)
class Key:
    signal: str | None
    slice: str | None = None


@dataclass(frozen=True)
class Inner:
    counts: NDArray[np.int64]
    note: str | None


@dataclass(frozen=True)
class Other:
    note: str


@dataclass(frozen=True)
class Box(Generic[K]):
    content: K


@dataclass(frozen=True)
class Everything:
    half: NDArray[np.float16]
    flags: NDArray[np.bool_]
    real: NDArray[np.float64]
    number: float
    whole: int
    text: str
    raw: bytes
    truth: bool
    maybe: datetime | None
    times: tuple[datetime, ...]
    nested: Inner
    either: Inner | Other | None
    by_name: Mapping[str, Inner]
    by_key: dict[Key, tuple[int, ...]]
    by_index: dict[int, list[float]]
    mixed: tuple[str, int | None, Key]
    seen: frozenset[str]
    colour: Annotated[Colour, "words"]
    pair: Pair
    model: Model | None = None
    tail: tuple[Any, ...] = field(default=())


def same(a: Any, b: Any) -> bool:  # noqa: PLR0911
    """Equal in type and in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return bool(a == b)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
KEYS = st.builds(Key, st.none() | TEXT, st.none() | TEXT)
FLOATS = st.floats() | st.sampled_from([float("inf"), float("-inf"), float("nan"), -0.0, 5e-324])
INNER = st.builds(Inner, npst.arrays(np.int64, SHAPES), st.none() | TEXT)
EVERYTHING = st.builds(
    Everything,
    half=npst.arrays(np.float16, SHAPES),
    flags=npst.arrays(np.bool_, SHAPES),
    real=npst.arrays(np.float64, SHAPES),
    number=FLOATS,
    whole=st.integers(-(2**130), 2**130),
    text=TEXT,
    raw=st.binary(max_size=20),
    truth=st.booleans(),
    maybe=st.none() | TIMES,
    times=st.lists(TIMES, max_size=3).map(tuple),
    nested=INNER,
    either=st.none() | INNER | st.builds(Other, TEXT),
    by_name=st.dictionaries(TEXT | st.just("$"), INNER, max_size=3),
    by_key=st.dictionaries(KEYS, st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=3),
    by_index=st.dictionaries(st.integers(), st.lists(FLOATS, max_size=3), max_size=3),
    mixed=st.tuples(TEXT, st.none() | st.integers(), KEYS),
    seen=st.frozensets(TEXT, max_size=3),
    colour=st.sampled_from(Colour),
    pair=st.builds(Pair, st.integers(), TEXT),
    model=st.none() | st.builds(Model, requested=TEXT, served=st.none() | TEXT),
    tail=st.lists(st.integers() | TEXT | npst.arrays(np.float16, SHAPES), max_size=2).map(tuple),
)


@given(EVERYTHING)
def test_a_dataclass_survives_the_round_trip_bit_for_bit(value: Everything) -> None:
    back = unpack(Everything, pack(value))
    assert same(value, back)
    assert pack(back) == pack(value)


@given(
    st.sampled_from(["<f2", "<f4", "<f8", ">f8", "|b1", "|i1", "<i8", "<u4", "<c8", "<U3", "|S3", "<M8[us]"]), SHAPES
)
def test_arrays_of_every_plain_type_survive(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).astype("<f8").reshape(shape).astype(dtype)
    assert same(array, unpack(np.ndarray, pack(array)))
    assert same(array.T, unpack(np.ndarray, pack(array.T)))


def test_every_bit_of_float16_survives() -> None:
    array = np.arange(65536, dtype=np.uint16).view(np.float16)
    assert unpack(np.ndarray, pack(array)).tobytes() == array.tobytes()


@pytest.mark.parametrize("scalar", [np.float64("nan"), np.float16(0.1), np.int64(-1), np.bool_(True)])
def test_numpy_scalars_keep_their_type(scalar: np.generic) -> None:
    assert same(scalar, unpack(np.generic, pack(scalar)))


def test_generic_dataclasses_are_read_from_their_argument() -> None:
    box = Box(Inner(np.arange(3), "x"))
    assert same(box, unpack(Box[Inner], pack(box)))


def test_where_a_hint_says_any_only_known_classes_are_made() -> None:
    states: dict[str, Any] = {"model_shift": Inner(np.arange(3), "x"), "events": (Other("y"), 1)}
    assert same(Box(states), unpack(Box[Any], pack(Box(states)), known=(Inner, Other)))
    with pytest.raises(CodecError, match="Other"):
        unpack(Box[Any], pack(Box(states)), known=(Inner,))


def test_times_come_back_in_utc() -> None:
    berlin = datetime(2026, 11, 24, 19, tzinfo=timezone(timedelta(hours=1)))
    back = unpack(datetime, pack(berlin))
    assert back == berlin
    assert back.tzinfo == UTC


def test_a_field_added_later_gets_its_default() -> None:
    @dataclass(frozen=True)
    class Key:  # the class as it was before `slice` was added
        signal: str | None

    old = pack(Key("refusal"))
    assert unpack(globals()["Key"], old) == globals()["Key"]("refusal", None)


@pytest.mark.parametrize(
    "bad",
    [np.array([object()]), np.zeros(2, dtype=[("a", "<f8")]), datetime(2026, 1, 1), lambda: 1, "\ud800", Key],  # noqa: DTZ001
)
def test_what_has_no_exact_form_is_refused(bad: object) -> None:
    with pytest.raises(CodecError):
        pack(bad)


def test_bytes_of_another_class_are_refused() -> None:
    with pytest.raises(CodecError, match="Other"):
        unpack(Inner, pack(Other("x")))


@pytest.mark.parametrize("data", [b"", b"\x81", b"\xc7\x01\x09x", pack(Key("a"))[:-1], b"\xd4\x01\x00"])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        unpack(Key, data)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        assert isinstance(unpack(Everything, data), Everything)
