"""What charts show, and what they must not: a line through missing data, markup of others, labels over labels."""

from __future__ import annotations

import cProfile
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.charts import (
    Band,
    ChartMark,
    ChartPoint,
    ChartShare,
    Rates,
    axis,
    evidence_bar,
    marks,
    point,
    rates_chart,
    rates_picture,
    shares,
)
from services.charts.drawing import PAINT
from services.charts.frame import Frame
from services.wording import charts
from tests.support.hostile_pages import PAYLOADS
from tests.support.source import ROOT

START, STEP = datetime(2026, 11, 24, tzinfo=UTC), timedelta(minutes=30)
SVG = "{http://www.w3.org/2000/svg}"


def of(hits: list[int | None], n: int = 100, baseline: Band | None = None, told: tuple[ChartMark, ...] = ()) -> Rates:
    points = [point(START + i * STEP, hit, n) for i, hit in enumerate(hits) if hit is not None]
    return Rates("refusal rate", points, START, START + len(hits) * STEP, STEP, baseline, told, "support-bot/prod")


def drawn(svg: str, tag: str, kind: str) -> list[Xml.Element]:
    return [one for one in Xml.fromstring(svg).iter(SVG + tag) if one.get("class") == kind]


def ends(path: str) -> tuple[float, float]:
    xs = [float(place.split()[0]) for place in path[1:].rstrip("Z").split("L")]
    return min(xs), max(xs)


@pytest.mark.parametrize("missing", ["left out", "nothing scored"])
def test_no_line_and_no_band_goes_through_what_was_not_scored(missing: str) -> None:
    rates = of([5] * 4 + [None] * 4 + [5] * 4)
    if missing == "nothing scored":
        hole = [ChartPoint(START + i * STEP, 0, None) for i in range(4, 8)]
        rates = Rates("r", sorted([*rates.points, *hole], key=lambda one: one.ts), START, rates.until, STEP)
    for svg in rates_chart(rates).svgs:
        [gap] = drawn(svg, "rect", "c-gap")
        left = float(gap.get("x", "")), float(gap.get("x", "")) + float(gap.get("width", ""))
        for kind in ("c-line", "c-band"):
            spans = [ends(one.get("d", "")) for one in drawn(svg, "path", kind)]
            assert len(spans) == 2
            assert spans[0][1] < left[0] < left[1] < spans[1][0]
    assert "Nothing was scored from 24 Nov 02:00 to 24 Nov 04:00." in rates_chart(rates).summary


def test_a_point_on_its_own_is_seen() -> None:
    svg = rates_chart(of([None, 5, None])).svgs[0]
    assert len(drawn(svg, "circle", "c-dot")) == 2  # itself, and the end that is named
    assert len(drawn(svg, "path", "c-whisker")) == 1
    assert not drawn(svg, "path", "c-line")


def test_what_was_not_measured_is_not_known() -> None:
    made = rates_chart(of([None, None]))
    assert "not known" in made.summary
    assert charts.NOTHING_SCORED in made.__html__()
    assert "0%" not in rates_chart(of([None])).summary
    assert shares([]).summary == charts.NOTHING_SCORED


@pytest.mark.parametrize("text", [*PAYLOADS, "\x00\x1b[31m", "\udc80", "\u202edlo", "]]>&amp;"])
def test_hostile_text_is_text(text: str) -> None:
    rates = of([5, 6], told=(ChartMark(START + STEP, text), ChartMark(START + STEP, text, "incident")))
    rates = Rates(text, rates.points, rates.since, rates.until, STEP, None, rates.marks, text)
    svgs = [
        *rates_chart(rates).svgs,
        rates_picture(rates).svg,
        *shares([ChartShare(text, 3)]).svgs,
    ]
    svgs += evidence_bar(1.0, 2.0, text).svgs
    known = {"svg", "desc", "title", "text", "path", "rect", "circle"}
    for svg in svgs:
        found = list(Xml.fromstring(svg).iter())
        assert {one.tag.removeprefix(SVG) for one in found} <= known
        assert not any(name.startswith("on") or name in ("style", "href") for one in found for name in one.attrib)
        svg.encode("utf-8")


def test_a_picture_needs_no_style_sheet_and_a_page_has_a_class_for_every_colour() -> None:
    told = tuple(ChartMark(START + n * STEP, kind, kind) for n, kind in enumerate(marks.CLASSES))  # type: ignore[arg-type]
    rates = of([5, 6, None, 7], baseline=Band(0.05, 0.01, 0.1), told=told)
    assert not any("class" in one.attrib for one in Xml.fromstring(rates_picture(rates).svg).iter())
    css = (ROOT / "services/api/pages/static/keelwatch.css").read_text(encoding="utf-8")
    made = [*rates_chart(rates).svgs, *shares([ChartShare(str(n), 9) for n in range(9)]).svgs, *evidence_bar(3, 2).svgs]
    classes = {one.get("class", "") for svg in made for one in Xml.fromstring(svg).iter()} - {""}
    plain = {"c-text", "c-evaluation-text", "c-pinned-text"}
    assert {name for name in classes - plain for part in name.split() if f".{part}" not in css} == set()
    assert {
        name for name in PAINT if name not in plain | {"c-ground", "c-title", "c-where"} and f".{name}" not in css
    } == set()


def test_every_chart_has_a_name_and_says_its_numbers() -> None:
    rates = of([15, 15, 2], baseline=Band(0.15))
    for svg in (*rates_chart(rates).svgs, rates_picture(rates).svg):
        root = Xml.fromstring(svg)
        assert (root.get("role"), root.get("aria-label")) == ("img", "refusal rate")
        assert root.findtext(SVG + "desc") == rates_chart(rates).summary
    last = rates.points[-1]
    assert charts.newest(100, 0.02, last.low, last.high, 0.15) in rates_chart(rates).summary


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(sorted(marks.CLASSES)), st.text("abc", min_size=1, max_size=50)),
        max_size=12,
    )
)
def test_labels_do_not_meet_and_no_line_goes_through_one(told: list) -> None:
    frame = Frame(50, 650, 100, 300, START, START + timedelta(days=1), (0.0, 1.0))
    made = [ChartMark(START + share * timedelta(days=1), text, kind) for share, kind, text in told]
    placed = marks.labels(made, frame, 750)
    for one, other in combinations(placed, 2):
        if one.lane == other.lane:
            assert one.right <= other.left or other.right <= one.left
        high, low = (one, other) if one.lane > other.lane else (other, one)
        assert one.lane == other.lane or not low.left < high.x < low.right
    assert all(50 <= label.left <= label.right <= 750 for label in placed)
    if made:
        assert placed


def test_what_happened_shortly_after_each_other_is_all_named() -> None:
    texts = ("silent change suspected", "incident opened", "suite core: regressed", "gpt-4-0613")
    svg = rates_chart(
        of([5] * 48, told=tuple(ChartMark(START + (20 + n) * STEP, text) for n, text in enumerate(texts)))
    ).svgs[0]
    assert {one.text for one in drawn(svg, "text", "c-change-text")} == set(texts)


@given(st.floats(0, 1))
def test_the_axis_of_rates_holds_them_in_few_even_steps(greatest: float) -> None:
    ticks = axis.rates(greatest)
    assert ticks[0] == 0
    assert greatest <= ticks[-1] <= max(1.0, greatest)
    assert 3 <= len(ticks) <= 6
    assert len({round(b - a, 9) for a, b in pairwise(ticks)}) == 1
    assert ticks[-1] <= max(0.001, 2 * greatest)


@given(st.timedeltas(timedelta(0), timedelta(days=20000)), st.timedeltas(timedelta(seconds=1), timedelta(days=9000)))
def test_the_axis_of_time_has_few_ticks_within_it(after: timedelta, span: timedelta) -> None:
    since = START - timedelta(days=9000) + after
    ticks = axis.times(since, since + span, 6)
    assert len(ticks) <= 7
    assert all(since <= at <= since + span for at, *_ in ticks)


def test_the_work_of_a_picture_grows_with_its_points_and_no_faster() -> None:
    def calls(points: int) -> int:
        """Calls of functions, which no busy machine changes."""
        rates = of(
            [n % 30 for n in range(points)],
            baseline=Band(0.1, 0.05, 0.2),
            told=tuple(ChartMark(START + n * STEP, "a change") for n in range(0, points, 5)),
        )
        rates_picture(rates)  # what is made once
        profile = cProfile.Profile()
        profile.runcall(rates_picture, rates)
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(800) <= 6 * calls(200)
