"""What is sealed opens with the day's private half alone, and only in the letter that it was sealed in."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import KEPT_BYTES, DeadLetter, SealedContent
from schemas.position import Position
from services.stream.letter_seal import key_of, new_private, opened, sealed
from services.wording import dead_letters as words
from tests.support.contract import EXAMPLES

DAY = date(2026, 11, 30)
PRIVATE = new_private()
KEY = key_of(DAY, PRIVATE)
KEYS = {DAY.isoformat(): PRIVATE}
SECRET = b'{"prompt": "my number is 555-0199"}'


def letter(raw: bytes = SECRET, offset: int = 7) -> DeadLetter:
    place = Position(cluster="c", topic="keelwatch.exchanges", partition=0, offset=offset)
    return DeadLetter.of(raw, "score", "prompt: must be text", place, datetime(2026, 11, 30, tzinfo=UTC))


@given(st.binary(max_size=2_000))
def test_what_is_sealed_opens_as_what_it_was_and_survives_the_topic(raw: bytes) -> None:
    before = letter(raw)
    kept = DeadLetter.decode(sealed(before, KEY).encode())
    assert opened(kept, KEYS) == before


def test_nothing_of_the_content_is_in_a_sealed_letter_and_no_two_boxes_are_alike() -> None:
    first, second = sealed(letter(), KEY), sealed(letter(), KEY)
    assert first.sealed is not None
    assert second.sealed is not None
    assert first.sealed.box != second.sealed.box
    box = base64.b64decode(first.sealed.box)
    for part in (b"555-0199", base64.b64encode(SECRET), SECRET):
        assert part not in first.encode() + box
    assert (first.raw, first.length, first.sha256) == ("", len(SECRET), letter().sha256)
    assert first.sealed.key.startswith("2026-11-30.")


def test_only_the_first_part_of_a_long_record_is_kept_and_it_opens() -> None:
    long = letter(b"x" * (KEPT_BYTES + 10))
    assert opened(sealed(long, KEY), KEYS) == long


@pytest.mark.parametrize("keys", [{}, {DAY.isoformat(): new_private()}, {"2026-11-29": PRIVATE}])
def test_another_key_opens_nothing_and_that_is_said(keys: dict[str, bytes]) -> None:
    kept = sealed(letter(), KEY)
    assert opened(kept, keys) == kept
    assert words.missing_content(kept) == words.FORGOTTEN
    assert words.missing_content(kept, tried=False) == words.UNOPENED


def test_a_box_that_was_moved_into_another_letter_does_not_open() -> None:
    kept, other = sealed(letter(), KEY), sealed(letter(offset=8), KEY)
    assert opened(other.model_copy(update={"sealed": kept.sealed}), KEYS).raw == ""
    longer = kept.model_copy(update={"length": kept.length + 1})
    assert opened(longer, KEYS).raw == ""


@given(st.text(max_size=200), st.text(max_size=60))
def test_what_is_no_box_is_left_as_it_is(box: str, key: str) -> None:
    for name in (key, KEY.name):
        hostile = letter().model_copy(update={"raw": "", "sealed": SealedContent(key=name, box=box)})
        assert opened(hostile, KEYS) == hostile


def test_letters_of_earlier_versions_are_readable_as_they_are() -> None:
    old = letter().encode()
    assert b"sealed" not in old
    found = opened(DeadLetter.decode(old), {})
    assert base64.b64decode(found.raw) == SECRET
    assert words.missing_content(found) is None


def test_without_a_key_nothing_is_kept_and_the_letter_says_so() -> None:
    kept = sealed(letter(), None)
    assert (kept.raw, kept.sealed, kept.withheld) == ("", None, "no_key")
    assert (kept.length, kept.sha256, kept.source.offset) == (len(SECRET), letter().sha256, 7)
    assert words.missing_content(kept) == words.NO_KEY
    limited = DeadLetter.of(SECRET, "score", "too many routes", letter().source, content=False)
    assert sealed(limited, None) == sealed(limited, KEY) == limited
    assert words.missing_content(limited) == words.NOT_KEPT
    assert words.missing_content(sealed(letter(b""), KEY)) is None


def test_the_golden_example_opens_with_its_key() -> None:
    """What earlier versions sealed stays readable: the example was made once, with this private half."""
    example = DeadLetter.decode((EXAMPLES / "dead_letter" / "1" / "sealed.json").read_bytes())
    found = opened(example, {"2026-11-24": bytes(range(32))})
    assert base64.b64decode(found.raw) == b'{"route": "support-bot/prod", "latency_ms": "310"}'
