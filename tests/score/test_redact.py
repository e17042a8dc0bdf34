"""Masking: nothing inside a span survives, nothing outside is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.score.redaction import Redactor, redact
from services.signals.protocol import Measurement, Span

TEXT = "abcdefghij"
SPANS = st.lists(
    st.builds(
        Span, st.sampled_from(["prompt", "response"]), st.integers(-3, 12), st.integers(-3, 12), st.sampled_from("XYZ")
    ),
    max_size=6,
)


def outside(spans, where):
    """The runs of characters that no span of `where` covers."""
    masked = {i for span in spans if span.where == where for i in range(max(span.start, 0), min(span.end, len(TEXT)))}
    runs, run = [], ""
    for i, character in enumerate(TEXT):
        if i in masked:
            runs, run = [*runs, run], ""
        else:
            run += character
    return [one for one in [*runs, run] if one]


@given(spans=SPANS)
def test_what_is_outside_all_spans_and_only_that_stays(spans):
    masked = redact(TEXT, spans, "prompt")
    stripped = masked
    for label in "XYZ":
        stripped = stripped.replace(f"<{label}>", "|")
    assert [run for run in stripped.split("|") if run] == outside(spans, "prompt")


@given(spans=SPANS, where=st.sampled_from(["prompt", "response"]))
def test_the_order_of_the_spans_changes_nothing(spans, where):
    assert redact(TEXT, spans, where) == redact(TEXT, spans[::-1], where)


@pytest.mark.parametrize(
    ("spans", "masked"),
    [
        ([], "abcdefghij"),
        ([(0, 10, "all")], "<all>"),
        ([(2, 4, "x"), (6, 8, "y")], "ab<x>ef<y>ij"),
        ([(2, 5, "x"), (4, 9, "longer")], "ab<longer>j"),
        ([(2, 8, "outer"), (3, 5, "inner")], "ab<outer>ij"),
        ([(2, 4, "x"), (4, 6, "y")], "ab<x><y>ghij"),
        ([(8, 99, "end")], "abcdefgh<end>"),
        ([(5, 5, "nothing"), (6, 2, "backwards")], "abcdefghij"),
    ],
)
def test_overlapping_spans_become_one_mask(spans, masked):
    assert redact(TEXT, [Span("response", *span) for span in spans], "response") == masked


def test_text_that_nobody_checked_cannot_be_redacted():
    looked, failed = Measurement(False), Measurement(None)
    assert Redactor().looked({"pii_leak": looked, "secret_leak": looked, "refusal": failed})
    assert not Redactor().looked({"pii_leak": looked, "secret_leak": failed})
    assert not Redactor().looked({"pii_leak": looked})
    assert not Redactor(()).looked({})
