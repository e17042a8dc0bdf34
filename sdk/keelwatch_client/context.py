"""What an application knows of a call and a model does not: whose conversation it is, and which route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar("keelwatch_client", default=_NOTHING)


@contextmanager
def context(
    *,
    route: str | None = None,
    conversation: str | None = None,
    user: str | None = None,
    tags: Mapping[str, Any] | None = None,
    documents: list[Any] | None = None,
) -> Iterator[None]:
    """Every exchange that begins within this block has these fields, in this thread or task. Blocks may be nested."""
    outer = _CONTEXT.get()
    given = {"route": route, "conversation": conversation, "user": user, "documents": documents}
    inner: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if tags is not None:
        inner["tags"] = {**outer.get("tags", {}), **tags}
    token = _CONTEXT.set({**outer, **inner})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def current() -> Mapping[str, Any]:
    """The fields of the blocks around here."""
    return _CONTEXT.get()
