"""What an API tells of, and the addresses of it that lead to something: so that no test asks only for what is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from fastapi import FastAPI

from tests.support.api import all_asked, asked

PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_WORTHY = re.compile(r"[0-9a-f]{16}|[a-z]{2,12}")
_MOST = 400
Values = tuple[dict[str, str], dict[str, str]]
"""Parameters of a path, and of the query."""


def texts(app: FastAPI, routes: Sequence[str]) -> set[str]:
    """Every text that the lists tell, those of each of the routes too."""
    paths = [
        path.replace("{route}", route)
        for path, operations in app.openapi()["paths"].items()
        if "get" in operations and set(PARAMETER.findall(path)) <= {"route"}
        for route in routes
    ]
    found = set[str]()
    for path in dict.fromkeys(paths):
        answer = asked(app, "GET", path)
        if answer.status_code == 200 and "json" in answer.headers["content-type"]:
            found.update(_texts(answer.json()))
    return found


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for one in body.values():
            yield from _texts(one)
    elif isinstance(body, Sequence):
        for one in body:
            yield from _texts(one)


def parameters(app: FastAPI, route: str) -> dict[str, list[Values]]:
    """Path of each operation that reads one thing -> values under which there is one."""
    told = sorted(one for one in texts(app, [route]) if _WORTHY.fullmatch(one))
    paths = app.openapi()["paths"]
    found: dict[str, list[Values]] = {}
    for path in sorted(path for path in paths if "get" in paths[path] and PARAMETER.search(path)):
        tried = list(islice(_values(path, paths[path]["get"], route, told, found), _MOST))
        answers = all_asked(app, [("GET", path.format(**one), {"params": query}) for one, query in tried])
        found[path] = [one for one, answer in zip(tried, answers, strict=True) if answer.status_code == 200]
    return found


def _values(
    path: str, operation: Mapping[str, Any], route: str, told: Sequence[str], found: Mapping[str, list[Values]]
) -> Iterator[Values]:
    """Values to try: what leads to something under a shorter path, else all that is told."""
    names = PARAMETER.findall(path)
    needed = [one["name"] for one in operation["parameters"] if one["in"] == "query" and one.get("required")]
    above = [values for shorter, some in found.items() if path.startswith(f"{shorter}/") for values, _ in some]
    known = {name: sorted({values[name] for values in above if name in values}) for name in names}
    for one in product(*([route] if name == "route" else known.get(name) or told for name in (*names, *needed))):
        yield dict(zip(names, one, strict=False)), dict(zip(needed, one[len(names) :], strict=True))
