"""Pictures are the same on every machine: with the fonts that are shipped, and none of the machine's."""

from __future__ import annotations

import struct
from datetime import timedelta

import pytest

from services.charts import ChartMark, rates_picture
from services.charts.png import FONTS, png
from tests.charts.test_charts import START, of

TOLD = (ChartMark(START + timedelta(hours=1), "silent change", "incident"),)


def test_a_picture_is_the_same_bytes_each_time_at_twice_its_size() -> None:
    svg = rates_picture(of([15, 15, 2, 2], told=TOLD)).svg
    made = png(svg)
    assert made == png(svg)
    assert made.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", made[16:24])
    assert width == 1600
    assert 400 < height < 900


def test_words_are_drawn_though_the_machine_has_no_font() -> None:
    with_words = rates_picture(of([15, 15, 2, 2], told=TOLD)).svg
    without = with_words.replace(">silent change<", "><")
    assert with_words != without
    assert png(with_words) != png(without)


def test_the_fonts_may_be_shipped() -> None:
    licence = (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert 'Reserved Font Name "Lato"' in licence
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert {path.name for path in FONTS.glob("*.ttf")} == {"Lato-Bold.ttf", "Lato-Regular.ttf"}


@pytest.mark.parametrize("text", ["日本語 العربية 🔥", "\x00\udc80\u202e", "<b>&amp;"])
def test_a_text_that_the_font_lacks_is_no_fault(text: str) -> None:
    told = (ChartMark(START + timedelta(hours=1), text),)
    assert png(rates_picture(of([15, 2, 2], told=told)).svg)
