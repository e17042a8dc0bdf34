"""Masks what must not leave the process in clear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from services.signals.protocol import Measurement, Span
from services.specs import signals


def can_redact(measured: Mapping[str, Measurement]) -> bool:
    """Whether every signal that finds what to mask looked at this exchange; unchecked text is not kept."""
    finders = [name for name, spec in signals().items() if spec.redacts]
    return all(name in measured and measured[name].value is not None for name in finders)


def spans_of(measured: Mapping[str, Measurement]) -> tuple[Span, ...]:
    """Every span that the signals found."""
    return tuple(span for measurement in measured.values() for span in measurement.spans)


def redact(text: str, spans: Iterable[Span], where: Literal["prompt", "response"]) -> str:
    """`text` with every span of `where` replaced by its label in angle brackets.

    Spans that overlap become one mask with the label of the longest; whatever a signal says, no character inside
    a span survives and none outside is lost.

    >>> redact("write to a@b.org", [Span("prompt", 9, 16, "email")], "prompt")
    'write to <email>'
    """
    parts, end = [], 0
    for start, stop, label in _merged(text, [span for span in spans if span.where == where]):
        parts += [text[end:start], f"<{label}>"]
        end = stop
    return "".join([*parts, text[end:]])


def _merged(text: str, spans: Iterable[Span]) -> list[tuple[int, int, str]]:
    """Disjoint spans from left to right, inside the text."""
    merged: list[tuple[int, int, str]] = []
    longest = 0
    for span in sorted(spans, key=lambda one: (one.start, -one.end, one.label)):
        start, stop = max(span.start, 0), min(span.end, len(text))
        if start >= stop:
            continue
        if not merged or start >= merged[-1][1]:
            merged.append((start, stop, span.label))
            longest = stop - start
            continue
        first, last, label = merged[-1]
        label = span.label if stop - start > longest else label
        longest = max(longest, stop - start)
        merged[-1] = (first, max(last, stop), label)
    return merged
