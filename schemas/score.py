"""What `score` measured of a batch of one route: columns of numbers, no text."""

from __future__ import annotations

import base64
import operator
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Hash16, Id, NonNegative, Part, Partition, Record, Text, Timestamp
from schemas.exchange import Route
from schemas.identity import Model
from schemas.position import Cluster, TopicName

MAX_ROWS: Final = 128
VECTOR_WIDTH: Final = 384
STYLE_WIDTH: Final = 30

Flag = Literal[
    "sanitized",
    "truncated",
    "skew",
    "no_response",
    "no_ts",
    "broken_off",
    "not_monitored:image",
    "not_monitored:audio",
    "not_monitored:file",
]
WITHOUT_ANSWER: Final = frozenset[str]({"no_response", "broken_off"})
"""Flags of exchanges that are no answer of the model to compare. What was delivered of one that broke off is measured,
for what it leaks and does; but it may be a gateway's own words, and is none of rates, vectors, style and baselines."""
Status = Literal["scored", "unscored"]


MEASURES: Final = ("latency_ms", "input_tokens", "output_tokens")
"""Columns of a block that publishers fill, beside what signals say."""
NotNegative = Annotated[float, Field(ge=0)]
LONGEST_CATEGORY: Final = 64
CATEGORY: Final = r"^[A-Za-z][A-Za-z0-9_.-]*$"
Category = Annotated[str, StringConstraints(max_length=LONGEST_CATEGORY, pattern=CATEGORY)]
MOST_PARTS: Final = 16
LONGEST_PART: Final = 64 + len("<passport:0123456789ab>")
"""Characters of a part's name: 64 of its own, and more where what must not be read is masked."""
Parts = Annotated[
    Mapping[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PART)], bool],
    Field(max_length=MOST_PARTS),
]
"""Name of a tool or a guardrail -> what a signal says of it alone."""


class Scorer(Part):
    """What produced the numbers: numbers of two scorers are not compared without saying so."""

    engine: Text
    precision: Text
    signals: Mapping[Text, Text]


class SignalColumn(Part):
    """One signal over the rows of a block. An unscored row has value and probability null; a category is a text.

    `parts` says it of each tool or guardrail of a row alone; left out where no row has any.
    """

    value: tuple[bool | float | Category | None, ...]
    probability: tuple[float | None, ...]
    status: tuple[Status, ...]
    parts: Annotated[tuple[Parts, ...], Field(exclude_if=operator.not_)] = ()


_OPTIONAL: Final = ("part", "format", "lacks")
"""Columns that are left out where they say nothing."""


class ScoreBlock(Record):
    """At most 128 scored exchanges of one route, in the order of the source.

    `prompt_vec`, `response_vec` (n x 384) and `style` (n x 30) are base64 of little-endian float16, row by
    row; rows that were not embedded are zero. (cluster, topic, partition, offset) is each exchange's own position.
    `fingerprint` is each row's own (a model under `identities` has none), empty where no row has one. Flag `no_ts`:
    the line of a file had no time of its own. `latency_ms`, `input_tokens` and `output_tokens` are the publisher's own
    numbers, left out where no row has one. `part` numbers the exchanges of one record, where a record held several.
    `format` is that in which each came, left out where all are native; `lacks` names what of an exchange each does not
    tell, such as `guardrails`.
    """

    route: Route
    scorer: Scorer
    cluster: Cluster
    topic: TopicName
    identities: Mapping[Hash16, Model]
    id: tuple[Id, ...]
    ts: tuple[Timestamp, ...]
    partition: tuple[Partition, ...]
    offset: tuple[NonNegative, ...]
    part: Annotated[tuple[NonNegative, ...], Field(exclude_if=operator.not_)] = ()
    format: Annotated[tuple[Text, ...], Field(exclude_if=operator.not_)] = ()
    lacks: Annotated[tuple[tuple[Text, ...], ...], Field(exclude_if=operator.not_)] = ()
    identity: tuple[Hash16, ...]
    fingerprint: tuple[Text | None, ...] = ()
    conversation: tuple[Text | None, ...]
    user: tuple[Text | None, ...]
    tags: tuple[Mapping[Text, Text], ...]
    kept: tuple[bool, ...]
    flags: tuple[tuple[Flag, ...], ...]
    embedded: tuple[bool, ...]
    prompt_vec: str
    response_vec: str
    style: str
    signals: Mapping[Text, SignalColumn] = Field(default_factory=dict)
    latency_ms: Annotated[tuple[NotNegative | None, ...], Field(exclude_if=operator.not_)] = ()
    input_tokens: Annotated[tuple[NotNegative | None, ...], Field(exclude_if=operator.not_)] = ()
    output_tokens: Annotated[tuple[NotNegative | None, ...], Field(exclude_if=operator.not_)] = ()

    @model_validator(mode="after")
    def _columns_are_equal(self) -> Self:
        n = len(self.id)
        if not 0 < n <= MAX_ROWS:
            raise ValueError(f"a score block holds 1 to {MAX_ROWS} exchanges, not {n}")
        names = ("ts", "partition", "offset", "identity", "conversation", "user", "tags", "kept", "flags", "embedded")
        lengths = {name: len(getattr(self, name)) for name in names}
        if self.fingerprint:
            lengths["fingerprint"] = len(self.fingerprint)
        lengths |= {name: len(getattr(self, name)) for name in (*MEASURES, *_OPTIONAL) if getattr(self, name)}
        for signal, column in self.signals.items():
            for field in ("value", "probability", "status"):
                lengths[f"signals.{signal}.{field}"] = len(getattr(column, field))
            if column.parts:
                lengths[f"signals.{signal}.parts"] = len(column.parts)
        for name, length in lengths.items():
            if length != n:
                raise ValueError(f"column {name} has {length} rows, id has {n}")
        self._vectors_fit(n)
        unknown = set(self.identity) - set(self.identities)
        if unknown:
            raise ValueError(f"identity {min(unknown)} is not described under identities")
        return self

    def _vectors_fit(self, n: int) -> None:
        """What cannot be read as n rows is a dead letter here, not a crash in the step that reads it."""
        widths = {"prompt_vec": VECTOR_WIDTH, "response_vec": VECTOR_WIDTH, "style": STYLE_WIDTH}
        for name, width in widths.items():
            size = len(base64.b64decode(getattr(self, name), validate=True))
            if size != n * width * 2:
                raise ValueError(f"{name} holds {size} bytes, {n} rows of {width} float16 are {n * width * 2}")
