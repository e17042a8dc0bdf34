"""Files and functions stay as small as the house style says."""

from __future__ import annotations

from statistics import median, quantiles

from tests.support.source import Function, functions, modules

MAX_FILE, MAX_FUNCTION = 300, 50


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_file_has_more_than_300_lines() -> None:
    assert {module.relative: module.lines for module in modules() if module.lines > MAX_FILE} == {}


def test_no_function_has_more_than_50_lines() -> None:
    long = {
        f"{module.relative}:{function.lineno} {function.name}": _length(function)
        for module in modules()
        for function in functions(module)
        if _length(function) > MAX_FUNCTION
    }
    assert long == {}


def test_most_files_and_functions_are_far_smaller() -> None:
    files = [module.lines for module in modules()]
    lengths = [_length(function) for module in modules() for function in functions(module)]
    assert quantiles(files, n=10)[-1] <= 250
    assert median(lengths) <= 12
    assert quantiles(lengths, n=10)[-1] <= 30
