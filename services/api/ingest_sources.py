"""What comes in, by source and format: how many exchanges, what they lack and what that costs, what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from services.api.auth.authorization import Principal
from services.api.http.problems import Problem, query_store
from services.ingest.explain import PARTS, UNKNOWN
from services.store import ingest_counts
from services.store.dead_letters import DeadLetterCount
from services.store.engine import Database
from services.store.ingest_counts import TOPIC, IngestCounts

_SCORE = "score"


class MissingPart(BaseModel):
    """What some exchanges do not tell, and what that costs."""

    part: str = Field(description="What is missing.", examples=["model.served"])
    exchanges: int = Field(description="How many exchanges lack it.", examples=[120])
    costs: str = Field(description="What is not monitored, or not told apart, without it.")


class RefusedCalls(BaseModel):
    """Calls of models that could not be read for one reason."""

    reason: str = Field(description="Whose form it is, the field, and the remedy.")
    n: int = Field(description="How many; of a topic those dead letters that are still counted.", examples=[3])


class IngestSource(BaseModel):
    """One source and format within a week. What comes by the API is counted under its key, and on its topic again."""

    source: str = Field(description="A topic, or the key of those who send to the API.", examples=["key gateway"])
    format: str = Field(description="In which format it came; unknown where none was known.", examples=["otlp"])
    exchanges: int = Field(description="Exchanges that were read.", examples=[1200])
    missing: list[MissingPart] = Field(description="What they lack, the most frequent first.")
    not_monitored: dict[str, int] = Field(description="Exchanges by the kind of what no signal looks at.")
    refused: list[RefusedCalls] = Field(description="What was refused, the most frequent first.")


async def ingest_sources(
    database: Database, principal: Principal, letters: Sequence[DeadLetterCount] | None
) -> list[IngestSource] | None:
    """What came of the routes that somebody sees, and the dead letters for those who see all; None if not known."""
    try:
        found = await query_store(database, ingest_counts.of_week, principal.routes)
    except Problem:
        return None
    for letter in (letters or ()) if principal.sees_all else ():
        if letter.step == _SCORE:
            told = found.setdefault((f"{TOPIC}{letter.topic}", UNKNOWN), IngestCounts())
            told.refuse(letter.reason, letter.n)
    return [_source(*place, told) for place, told in sorted(found.items())]


def _source(source: str, form: str, told: IngestCounts) -> IngestSource:
    return IngestSource(
        source=source,
        format=form,
        exchanges=told.exchanges,
        missing=[
            MissingPart(part=name, exchanges=n, costs=PARTS[name][1])
            for name, n in _ordered(told.lacks)
            if name in PARTS
        ],
        not_monitored=dict(sorted(told.not_monitored.items())),
        refused=[RefusedCalls(reason=reason, n=n) for reason, n in _ordered(told.refused)],
    )


def _ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))
