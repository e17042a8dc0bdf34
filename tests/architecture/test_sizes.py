"""A file holds one whole idea that is read together, a function one step of it, a class name one meaning."""

from __future__ import annotations

import ast
from collections import defaultdict
from statistics import median, quantiles

from tests.support.source import Function, Module, functions, modules

MAX_FILE, MAX_FUNCTION = 500, 50


CLIENT = "sdk/keelwatch_client"


def _all() -> tuple[Module, ...]:
    """What Keelwatch runs, and what applications install to publish to it."""
    return (*modules(), *modules(CLIENT))


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_file_has_more_than_500_lines() -> None:
    assert {module.relative: module.lines for module in _all() if module.lines > MAX_FILE} == {}


def test_no_function_has_more_than_50_lines() -> None:
    long = {
        f"{module.relative}:{function.lineno} {function.name}": _length(function)
        for module in _all()
        for function in functions(module)
        if _length(function) > MAX_FUNCTION
    }
    assert long == {}


def test_most_functions_are_far_smaller() -> None:
    lengths = [_length(function) for module in _all() for function in functions(module)]
    assert median(lengths) <= 12
    assert quantiles(lengths, n=10)[-1] <= 30


def test_a_class_name_exists_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module in _all():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.relative}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
