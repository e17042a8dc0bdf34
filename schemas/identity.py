"""Who answered: the fields of a model by which two answers count as one identity's."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator

from schemas.base import Part, Text, hash16

IDENTITY_FIELDS: Final = (
    "provider",
    "requested",
    "served",
    "endpoint",
    "system_prompt_sha256",
    "tools_sha256",
    "guardrails_sha256",
)


HASH_FIELDS: Final = frozenset({"system_prompt_sha256", "tools_sha256", "guardrails_sha256"})
"""Fields that are hashes, unless a publisher writes something else there."""
LONGEST_NAME: Final = 512
LONGEST_ENDPOINT: Final = 2048


class Model(Part):
    """Who answered an exchange. Only `requested` is required."""

    provider: Text | None = None
    requested: Text
    served: Text | None = None
    fingerprint: Text | None = None
    endpoint: Text | None = None
    system_prompt_sha256: Text | None = None
    tools_sha256: Text | None = None
    guardrails_sha256: Text | None = None


def longest_of(field: str) -> int:
    """Characters that a publisher may write into a field of a model."""
    return LONGEST_ENDPOINT if field == "endpoint" else LONGEST_NAME


def _of_bounded_fields(model: Model) -> Model:
    for name, value in vars(model).items():
        if isinstance(value, str) and len(value) > longest_of(name):
            raise ValueError(f"{name} has at most {longest_of(name)} characters; send a shorter one")
    return model


SentModel = Annotated[Model, AfterValidator(_of_bounded_fields)]
"""A model as publishers send it. What was stored before there was a bound is read as it is."""


def identity_of(model: Model, volatile: Collection[str] = ()) -> str:
    """16 hex of sha256 over the identity fields of `model`.

    `fingerprint` never counts: vendors vary it per backend. `volatile` names further fields that a route
    leaves out because they change all the time (a date in the system prompt). A missing field is null.
    """
    return _hashed(tuple((name, getattr(model, name)) for name in IDENTITY_FIELDS if name not in volatile))


@lru_cache(maxsize=1024)
def _hashed(fields: tuple[tuple[str, str | None], ...]) -> str:
    """Exchanges are many, identities few."""
    return hash16(dict(fields))
