"""A real database per test."""

from tests.support.databases import database, new_url

__all__ = ["database", "new_url"]
