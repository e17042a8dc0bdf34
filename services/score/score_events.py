"""Scores of live traffic as events `gen_ai.evaluation.result`: one a signal and exchange, without any text. Pure.

Who asked, tags and conversations are left out too: what leads to the exchange are its id and, where it came as a span,
its trace and span id.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final

from schemas.score import ScoreBlock, SignalColumn
from services.evaluation_events import LONGEST, UNKNOWN, log_record, logs_data

MOST_EVENTS: Final = 500
"""Events that leave together: about a quarter of a MiB."""
LABELS: Final = {True: "true", False: "false"}
"""`gen_ai.evaluation.score.label` of a Boolean signal. Whether true is good or bad, its name says."""
_SPAN: Final = re.compile(r"otlp:([0-9a-f]{32})/([0-9a-f]{16})")
_OF_RESPONSES: Final = ("chatcmpl-", "cmpl-", "resp_", "msg_", "gen-")
"""How vendors begin the id of a response: an exchange that is called so has its response's id."""


def score_events(block: ScoreBlock, wanted: Collection[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """The events of the `wanted` signals, at most 500 in each `LogsData`, with how many there are."""
    resource = {"service.name": "keelwatch", "keelwatch.route": block.route}
    records = _records(block, wanted)
    while some := list(islice(records, MOST_EVENTS)):
        yield logs_data(resource, "keelwatch.score", some), len(some)


def _records(block: ScoreBlock, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    columns = [(name, column) for name, column in sorted(block.signals.items()) if name in wanted]
    for row, id in enumerate(block.id):
        model = block.identities[block.identity[row]]
        about = {
            "gen_ai.response.id": id[:LONGEST] if id.startswith(_OF_RESPONSES) else None,
            "gen_ai.provider.name": model.provider,
            "gen_ai.request.model": model.requested,
            "gen_ai.response.model": model.served,
            "keelwatch.exchange.id": id[:LONGEST],
            "keelwatch.identity": block.identity[row],
        }
        span = _SPAN.fullmatch(id)
        where = None if span is None else (span[1], span[2])
        for name, column in columns:
            version = {"keelwatch.signal.version": block.scorer.signals.get(name)}
            yield log_record(block.ts[row], _score(name, column, row) | about | version, where)


def _score(name: str, column: SignalColumn, row: int) -> dict[str, Any]:
    value, probability = column.value[row], column.probability[row]
    label: str | None = UNKNOWN
    if isinstance(value, bool):
        label = LABELS[value]
    elif value is not None:
        label = value if isinstance(value, str) else None
    return {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.score.label": label,
        "gen_ai.evaluation.score.value": None if value is None or isinstance(value, str) else float(value),
        "keelwatch.score.probability": None if probability is None else float(probability),
    }
