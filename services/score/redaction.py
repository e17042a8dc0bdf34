"""Masks what must not leave the process in clear: in texts, in names that publishers choose, in endpoints."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from schemas.base import LONGEST_ID
from schemas.exchange import Answer, Exchange
from schemas.identity import HASH_FIELDS, Model, longest_of
from services.signals import SIGNALS
from services.signals.protocol import Measurement, ScoredText, Signal, Span
from services.specs import signals


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


_DIGEST: Final = 12
_HASH: Final = re.compile(r"[0-9a-f]{16,128}\Z")
_PLAIN: Final = 6
"""Characters of a name that is too short to hold anything personal."""
_PIECE: Final = re.compile(r"[^/?#&=]+")
_EMPTY: Final = Exchange(route="redaction", model=Model(requested=""), prompt="", response="")
_CREDENTIALS: Final = ("key", "token", "secret", "sig", "password", "passwd", "auth", "code", "credential")


class Redactor:
    """Masks what publishers choose (names, ids, tags, endpoints) by the signals that find what must be masked.

    Args:
        configured: the signals that exchanges are measured by; those whose spec redacts are asked.
    """

    def __init__(self, configured: Sequence[Signal] = SIGNALS) -> None:
        self._finders = tuple(signal for signal in configured if signal.spec.redacts)
        built_in = [name for name, spec in signals().items() if spec.redacts]
        self._names = frozenset([*built_in, *(signal.spec.name for signal in self._finders)])
        self.name = lru_cache(maxsize=65_536)(self._name)
        self.endpoint = lru_cache(maxsize=4_096)(self._endpoint)

    def looked(self, measured: Mapping[str, Measurement]) -> bool:
        """Whether every signal that finds what to mask looked at this exchange; unchecked text is not kept.

        The built-in ones are always asked for: a scorer that lacks them keeps no text.
        """
        return all(name in measured and measured[name].value is not None for name in self._names)

    def _name(self, name: str) -> str:
        """A name that a publisher chose (of a user, a conversation, an exchange, a tag), masked as texts are.

        A mask carries the first 12 hex digits of the value's sha256: two names stay two, so repeated ids are still
        seen and what is of one user stays together. Whoever guesses the value can check it: a pseudonym, no more.

        >>> Redactor().name("order-17"), Redactor().name("erika.mustermann@web.de")
        ('order-17', '<email:95e30fd8ed61>')
        """
        if len(name) <= _PLAIN:
            return name
        parts, end = [], 0
        for start, stop, label in _merged(name, spans_of(self._found(name))):
            digest = hashlib.sha256(name[start:stop].encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
            parts += [name[end:start], f"<{label}:{digest}>"]
            end = stop
        return "".join([*parts, name[end:]])

    def id(self, id: str) -> str:
        """The id of an exchange, masked, and no longer than one may be: a mask is longer than many a value.

        >>> len(Redactor().id(" ".join(f"a{i}@b.de" for i in range(56))))
        512
        """
        return _shortened(self.name(id), LONGEST_ID)

    def masked(self, text: str) -> str | None:
        """Any text of an exchange as it may leave the process; None where a signal that masks did not look."""
        found = self._found(text)
        return redact(text, spans_of(found), "response") if self.looked(found) else None

    def excerpt(self, text: str, start: int, end: int, around: int) -> tuple[str, str, str] | None:
        """What stands before, at and after a place of a text, masked; None where it is not known what to mask.

        What is to be masked is looked for in the whole text, so that a part of it does not stay.
        """
        found = self._found(text)
        if not self.looked(found):
            return None
        spans = _merged(text, spans_of(found))
        edges = (max(start - around, 0), start, end, min(end + around, len(text)))
        before, match, after = (
            redact(text[low:high], [_within(span, low, high) for span in spans], "response")
            for low, high in pairwise(edges)
        )
        return before, match, after

    def found_beside(self, text: str, beside: ScoredText) -> dict[str, Measurement]:
        """What the finders say of a text that belongs to an exchange; its spans alone.

        It is looked at as an answer to all that was said in the exchange, so that what that states is found in it too.
        """
        asked = ScoredText(
            beside.exchange,
            Answer(content=text),
            beside.prompt,
            text,
            beside.user_text,
            beside.system_text,
            beside.document_text,
        )
        return self._of_response(asked)

    def _found(self, text: str) -> dict[str, Measurement]:
        """What the finders say of a text of which nobody knows where it came from; all of it is looked at."""
        return self._of_response(ScoredText(_EMPTY, Answer(content=text), "", text, "", ""))

    def _of_response(self, scored: ScoredText) -> dict[str, Measurement]:
        found = {signal.spec.name: signal.measure(scored) for signal in self._finders}
        return {
            name: replace(one, spans=tuple(span for span in one.spans if span.where == "response"))
            for name, one in found.items()
        }

    def _endpoint(self, endpoint: str) -> str:
        """An endpoint without user, password and the values of keys in its query; rotating one changes nothing.

        What else stands in it is masked as names are.

        >>> Redactor().endpoint("https://me:pw@llm.example/v1?api-version=2&api-key=abc")
        'https://llm.example/v1?api-version=2&api-key=<secret>'
        """
        try:
            parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
            query = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            return self.name(endpoint)
        if "@" not in parts.netloc and not any(_is_credential(name) for name, _ in query):
            return self._in_pieces(endpoint)
        safe = "&".join(
            f"{name}=<secret>" if _is_credential(name) else urlencode({name: value}) for name, value in query
        )
        host = parts.netloc.rpartition("@")[2]
        clean = SplitResult(parts.scheme, host, parts.path, safe, parts.fragment).geturl()
        return self._in_pieces(clean if "//" in endpoint else clean.removeprefix("//"))

    def _in_pieces(self, path: str) -> str:
        """A name made of several, masked as a whole and then each by itself: a key in a path is found alone only."""
        return _PIECE.sub(lambda found: found[0] if "<" in found[0] else self.name(found[0]), self.name(path))

    def model(self, model: Model) -> Model:
        """The model as it may leave the process: what identities are made of.

        Its endpoint has no credentials, and its names, which publishers choose, are masked as those of tags are.
        """
        told = {name: value for name, value in vars(model).items() if isinstance(value, str)}
        clean = {name: _shortened(self._of_model(name, value), longest_of(name)) for name, value in told.items()}
        return model if clean == told else model.model_copy(update=clean)

    def _of_model(self, field: str, value: str) -> str:
        if field == "endpoint":
            return self.endpoint(value)
        return value if field in HASH_FIELDS and _HASH.match(value) else self._in_pieces(value)


def spans_between(text: str, spans: Iterable[Span], bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[Span, ...]]:
    """The spans of each part of a text, counted from where it begins; `bounds` are the parts from left to right."""
    merged, first = _merged(text, spans), 0
    for low, high in bounds:
        while first < len(merged) and merged[first][1] <= low:
            first += 1
        last = first
        while last < len(merged) and merged[last][0] < high:
            last += 1
        yield tuple(_within(span, low, high) for span in merged[first:last])


def _within(span: tuple[int, int, str], low: int, high: int) -> Span:
    """The part of a span that lies between two places, counted from the first."""
    start, end, label = span
    return Span("response", min(max(start, low), high) - low, min(max(end, low), high) - low, label)


def _shortened(masked: str, longest: int) -> str:
    """A masked name of at most so many characters: of a longer one the beginning, and a hash that tells it apart."""
    if len(masked) <= longest:
        return masked
    digest = hashlib.sha256(masked.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{masked[: longest - _DIGEST - 1]}~{digest}"


def _is_credential(name: str) -> bool:
    """Whether a query's name is that of a credential: `api-key`, `sig`, `access_token`."""
    return any(word in name.lower() for word in _CREDENTIALS)


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
