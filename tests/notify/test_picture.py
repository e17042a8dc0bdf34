"""The picture of the documentation shows what the product says, and is small enough for a page."""

from __future__ import annotations

from html import escape

from services.notify import message
from services.notify.message import MessageOptions
from services.store.pictures import MessagePicture
from services.wording.decisions import DECISIONS
from services.wording.incidents import headline_in_full, verdict_in_full
from tests.notify.test_message import hostile
from tests.pictures.slack import PICTURE, chart, incident, page


def test_the_page_shows_the_message_and_nothing_else() -> None:
    look = MessageOptions("https://keelwatch.example.com", buttons=True)
    moved = chart()
    shown = page(message.of_incident(incident(), look, None, MessagePicture("F1", moved.key, moved.words)), "chart.png")
    assert f"<img src='chart.png' alt='{escape(moved.words)}'" in shown
    for words in (headline_in_full(incident()), verdict_in_full(incident()), DECISIONS["accept_baseline"].label):
        assert escape(words) in shown
    attack = page(message.of_incident(hostile("<script>alert(1)</script>"), look), "")
    assert "<script" not in attack
    assert "&lt;script&gt;" in attack


def test_the_picture_is_there_and_light() -> None:
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size < 200_000
