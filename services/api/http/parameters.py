"""Parameters of requests that a path does not know: refused, for they would be an answer to another question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from services.api.http.problems import FieldFault, Problem

_LONGEST = 100


def refusing_unknown(router: APIRouter) -> APIRouter:
    """The router, each of whose paths refuses what it does not know, after it has looked who asks."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.dependencies.append(Depends(refuse_unknown))
    return router


async def refuse_unknown(request: Request) -> None:
    """That every parameter behind `?` is one of the path's.

    Raises:
        Problem: 422 names each that is not, and those that there are.
    """
    given = request.query_params.keys()
    if not given:
        return
    known = sorted(set(parameters_of(getattr(request.scope["route"], "dependant", None))))
    unknown = [name[:_LONGEST] for name in given if name not in known]
    if unknown:
        there = f"there are {', '.join(known)}" if known else "this path takes none"
        remedy = f"is no parameter here; {there}"
        faults = tuple(FieldFault(field=name, remedy=remedy) for name in unknown)
        raise Problem(422, f"{unknown[0]}: {remedy}", errors=faults)


def parameters_of(dependant: Any) -> Iterator[str]:
    """The names of a path's parameters, and of those that what it depends on takes."""
    if dependant is not None:
        yield from (one.alias for one in dependant.query_params)
        for inner in dependant.dependencies:
            yield from parameters_of(inner)
