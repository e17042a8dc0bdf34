"""Rows of the routes that somebody sees, for queries that page."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, or_, true

EVERYTHING = ("*",)


def visible(route: ColumnElement[str], globs: Iterable[str]) -> ColumnElement[bool]:
    """That the column's route fits one of the globs, where `*` stands for any characters; routes have no capitals."""
    wanted = tuple(globs)
    if "*" in wanted:
        return true()
    return or_(*(_fits(route, glob) for glob in wanted)) if wanted else ~true()


def _fits(route: ColumnElement[str], glob: str) -> ColumnElement[bool]:
    if "*" not in glob:
        return route == glob
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return route.like(escaped.replace("*", "%"), escape="\\")
