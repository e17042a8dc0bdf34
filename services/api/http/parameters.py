"""Parameters of requests that a path does not know: refused, for they would be an answer to another question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.routing import APIRoute
from pydantic import AfterValidator

from services.api.http import otlp_answers
from services.api.http.problems import FieldFault, Problem
from services.store.tables import LONGEST_KEY

_LONGEST = 100


def _without_nulls(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


PageText = Annotated[str, Query(max_length=200), AfterValidator(_without_nulls)]
"""What people typed into a page. A NUL is a character that no database has to take, and no name of ours holds."""
NameText = Annotated[str, Query(max_length=LONGEST_KEY), AfterValidator(_without_nulls)]
"""The same of a name that is looked up, as long as names of conversations and users may be."""
NO_NUL: Final = r"^[^\x00]*$"
"""The pattern of a text that is looked up as it is."""


def refusing_unknown(router: APIRouter) -> APIRouter:
    """The router, whose paths refuse what they do not know, after they have looked who asks; but for those of OTLP.

    An exporter that is told 400 drops what it holds, and nothing there asks for an answer.
    """
    for route in router.routes:
        if isinstance(route, APIRoute) and route.path not in otlp_answers.PATHS:
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
