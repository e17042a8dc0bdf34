"""Every record of the contract by its name, its golden examples, and random ones of any record."""

from __future__ import annotations

import base64
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.alert import Alert
from schemas.base import EARLIEST, HEX16, LATEST, Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.exchange import Exchange
from schemas.incident import Incident
from schemas.reading import Reading
from schemas.sample import Sample, SampleBlock
from schemas.score import CATEGORY, LONGEST_CATEGORY, STYLE_WIDTH, VECTOR_WIDTH, ScoreBlock, SignalColumn

RECORDS: Final[Mapping[str, type[Record]]] = {
    "exchange": Exchange,
    "score": ScoreBlock,
    "sample": Sample,
    "sample_block": SampleBlock,
    "reading": Reading,
    "change": Change,
    "decision": Decision,
    "run": Run,
    "comparison": Comparison,
    "alert": Alert,
    "incident": Incident,
    "dead_letter": DeadLetter,
}
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "schemas" / "examples"

JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_TIMES = st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None) - timedelta.resolution, timezones=st.just(UTC)
)
_PLAIN: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    str: st.text(_CHARACTERS),
    int: st.integers(0, 2**31 - 1),
    float: _FINITE,
    bool: st.booleans(),
    type(None): st.none(),
    Any: JSON,
}
_CATEGORIES = st.from_regex(CATEGORY.strip("^$"), fullmatch=True).filter(lambda text: len(text) <= LONGEST_CATEGORY)
_ROUTES = st.from_regex(r"[a-z0-9._/-]{1,200}", fullmatch=True).filter(
    lambda route: not {"safety", "profile", "metrics"} & set(route.split("/"))
)


def examples_of(name: str) -> list[Path]:
    """The golden examples of a record in its newest version, sorted."""
    newest = max((EXAMPLES / name).iterdir(), key=lambda folder: int(folder.name))
    return sorted(newest.glob("*.json"))


def random_records(record: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of this type that the schema allows."""
    if record is SampleBlock:
        return sample_blocks()
    return score_blocks() if record is ScoreBlock else _of_model(record)


@st.composite
def sample_blocks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> SampleBlock:
    """Blocks of 1 to 3 samples of one route."""
    samples = draw(st.lists(_of_model(Sample), min_size=1, max_size=3))
    route = samples[0].route
    return SampleBlock(route=route, samples=tuple(one.model_copy(update={"route": route}) for one in samples))


@st.composite
def score_blocks(draw: Callable[[st.SearchStrategy[Any]], Any]) -> ScoreBlock:
    """Score blocks of 1 to 4 rows: columns of one length, identities described."""
    n = draw(st.integers(1, 4))
    hints = typing.get_type_hints(ScoreBlock, include_extras=True)
    identities = draw(st.dictionaries(_hex16(), _of_type(get_args(hints["identities"])[1]), min_size=1, max_size=2))
    column = {
        name: draw(st.tuples(*[_of_type(get_args(hint)[0])] * n))
        for name, hint in hints.items()
        if get_origin(hint) is tuple
    }
    column["identity"] = draw(st.tuples(*[st.sampled_from(sorted(identities))] * n))
    column["fingerprint"] = draw(st.sampled_from([(), column["conversation"]]))
    widths = {"prompt_vec": VECTOR_WIDTH, "response_vec": VECTOR_WIDTH, "style": STYLE_WIDTH}
    vectors = {
        name: base64.b64encode(bytes([draw(st.integers(0, 59))]) * (2 * n * width)).decode()
        for name, width in widths.items()
    }
    signals = draw(st.dictionaries(_PLAIN[str], _columns(n), max_size=2))
    plain = {name: draw(_of_type(hints[name])) for name in ("route", "scorer", "cluster", "topic")}
    return ScoreBlock(identities=identities, signals=signals, **plain, **column, **vectors)


def _columns(n: int) -> st.SearchStrategy[SignalColumn]:
    hints = typing.get_type_hints(SignalColumn, include_extras=True)
    return st.builds(
        SignalColumn,
        **{
            name: st.tuples(*[_of_type(get_args(hint)[0])] * n)
            for name, hint in hints.items()
            if name in SignalColumn.model_fields and name != "parts"
        },
        parts=st.sampled_from([(), ({},) * n, ({"search": True, "shell": False},) * n]),
    )


def _of_model(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(model, include_extras=True)
    fields = {name: _of_type(hints[name]) for name in model.model_fields}
    if model is DeadLetter:
        fields["raw"] = st.binary().map(lambda raw: base64.b64encode(raw).decode())
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


def _hex16() -> st.SearchStrategy[str]:
    return st.from_regex(HEX16.strip("^$"), fullmatch=True)


def _of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one annotation as the schemas use them; an unknown one is an error, never skipped."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _annotated(args[0], args[1:])
    if origin is not None:
        return _generic(origin, args)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _of_model(hint)
    return _PLAIN[hint]


def _generic(origin: Any, args: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin in (Union, types.UnionType):
        return st.one_of(*[_of_type(arg) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_of_type(args[0]), max_size=3).map(tuple)
    if issubclass(origin, Mapping):
        return st.dictionaries(_of_type(args[0]), _of_type(args[1]), max_size=3)
    raise TypeError(f"no strategy for {origin}")


def _bounds(meta: Any) -> Iterator[tuple[str, float]]:
    """Which end a constraint sets: pydantic's own are within a `FieldInfo`."""
    for one in (meta, *getattr(meta, "metadata", ())):
        for name in ("gt", "ge", "lt", "le"):
            if (value := getattr(one, name, None)) is not None:
                yield name, value


def _annotated(hint: Any, metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Values under constraints: 16 hex, a route, a time, a minimum, free JSON."""
    if hint is datetime:
        return _TIMES
    patterns = [pattern for meta in metadata if (pattern := getattr(meta, "pattern", None))]
    if patterns:
        return {HEX16: _hex16(), CATEGORY: _CATEGORIES}.get(patterns[0], _ROUTES)
    if hint is Any:
        return JSON
    if hint is float:
        bounds = {name: value for meta in metadata for name, value in _bounds(meta)}
        return st.floats(
            min_value=bounds.get("gt", bounds.get("ge", 0)),
            max_value=bounds.get("lt", bounds.get("le")),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
            allow_infinity=False,
            allow_nan=False,
        )
    least = next((n for meta in metadata if (n := _minimum(meta)) is not None), 0)
    most = [meta.max_length for meta in metadata if getattr(meta, "max_length", None)]
    if hint is str and most:
        return st.text(_CHARACTERS, min_size=least, max_size=min(most))
    return _of_type(hint).filter(lambda value: not hasattr(value, "__len__") or len(value) >= least)


def _minimum(meta: Any) -> int | None:
    if length := getattr(meta, "min_length", None):
        return int(length)
    found = [m.min_length for m in getattr(meta, "metadata", ()) if isinstance(m, annotated_types.MinLen)]
    return found[0] if found else None
