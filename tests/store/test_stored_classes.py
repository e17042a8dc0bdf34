"""A database of today is read by the next version: no stored name and no stored field goes."""

from __future__ import annotations

from pathlib import Path

from tests.store.stored_classes import stored_classes

LISTED = Path(__file__).with_name("stored_classes.txt")


def test_what_is_stored_keeps_its_names() -> None:
    """A new field needs a default; a renamed class says its old name in `STORED_NAME`.

    To list what is new: python -m tests.store.stored_classes > tests/store/stored_classes.txt
    """
    assert stored_classes() == LISTED.read_text(encoding="utf-8").splitlines()


def test_no_two_stored_classes_of_one_place_share_a_name() -> None:
    names = [line.partition(" ")[0] for line in stored_classes()]
    # Told apart by the hint of the field that holds them.
    assert {name for name in names if names.count(name) > 1} == {"Stream", "Watch"}
