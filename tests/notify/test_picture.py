"""The picture of the README shows what the product says, and is small enough for a page."""

from __future__ import annotations

from services.notify import message
from services.notify.message import MessageOptions
from services.store.deliveries import MessagePicture
from tests.notify.test_message import hostile
from tests.pictures.slack import PICTURE, chart, incident, page


def test_the_page_shows_the_message_and_nothing_else() -> None:
    look = MessageOptions("https://keelwatch.example.com", buttons=True)
    moved = chart()
    shown = page(message.of_incident(incident(), look, None, MessagePicture("F1", moved.key, moved.words)), "chart.png")
    assert "<img src='chart.png' alt='refusal rate of support-bot/prod: fell from 18.8% to 4.1%" in shown
    for words in ("suite core regressed", "refusal rate of support-bot/prod fell", "Accept as new baseline"):
        assert words in shown
    attack = page(message.of_incident(hostile("<script>alert(1)</script>"), look), "")
    assert "<script" not in attack
    assert "&lt;script&gt;" in attack


def test_the_picture_is_there_and_light() -> None:
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size < 200_000
