"""`ingest` of the monitor file: which route what comes in is of, where it does not say so itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from schemas.exchange import Route
from services.monitor.fields import Section

MOST_RULES: Final = 200
MOST_FACTS: Final = 10
_FACT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,199}", re.ASCII)


def _fact(name: str) -> str:
    if not _FACT.fullmatch(name):
        raise ValueError(
            "must be a name such as format, model, provider, endpoint, service.name, metadata.team or header.x-team"
        )
    return name


def _facts(match: Mapping[str, str]) -> Mapping[str, str]:
    if not match:
        raise ValueError('name at least one fact, for example model: "gpt-4*": else everything would fit')
    if len(match) > MOST_FACTS:
        raise ValueError(f"names {len(match)} facts; at most {MOST_FACTS}")
    return match


FactName = Annotated[str, AfterValidator(_fact)]
FactPattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class IngestRuleSection(Section):
    """An entry of `ingest`."""

    match: Annotated[Mapping[FactName, FactPattern], AfterValidator(_facts)] = Field(
        description="What must all fit, by patterns with * and ?: `format`, `model`, `provider`, `endpoint`, `tag`, "
        "`metadata.NAME`, `tags.NAME`, `header.NAME`, and any attribute of a span or its resource by its name, such as "
        "`service.name`. What is not there fits nothing."
    )
    route: Route = Field(description="The route of what fits and names none; the first entry that fits counts.")


@dataclass(frozen=True, slots=True)
class IngestRule:
    """What fits every pattern of `match` (fact -> pattern) is of the `route`."""

    match: Mapping[str, str]
    route: str


def ingest_rule(section: IngestRuleSection) -> IngestRule:
    """The rule of an entry."""
    return IngestRule(dict(section.match), section.route)
