"""What people may read of an exchange: prompt, answer, conversation and tool calls, every span masked. Pure.

The conversation and the arguments of calls are looked through as one text, beside the prompt and the system text: what
those state (a patient's id, an access code) is masked wherever it is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from schemas.exchange import Exchange
from schemas.sample import MOST_SAMPLES, Sample, SampleBlock, SampleCall, SampleMessage, Why
from services.score.blocks import ScoredRow
from services.score.redaction import Redactor, redact, spans_between, spans_of
from services.score.scored_text import SYSTEM_ROLES, USER_ROLE
from services.signals.protocol import ScoredText, Span
from services.signals.tool_calls import ToolCall, calls_of

TEXT_CHARACTERS: Final = 64 * 1024
MESSAGE_BYTES: Final = 32 * 1024
CALL_CHARACTERS: Final = 16 * 1024
MOST_CALLS: Final = 32
_MOST_MESSAGES: Final = 256
SAMPLE_CHARACTERS: Final = 640 * 1024
"""Of one sample. Names of people may be so long that its conversation, and its calls, find no room beside them."""
BLOCK_CHARACTERS: Final = 512 * 1024
"""Of text in one block, unless a single sample has more: at 6 bytes of JSON a character it stays under 4 MiB."""
_NAME_CHARACTERS: Final = 200
_MARGIN: Final = 4 * 1024
"""What is cut is cut so far before the end of what was looked through: no value may stand there in part."""
_DEEPEST: Final = 16
_GREATEST: Final = 1e40
_BREAK: Final = "\n\n"
TOO_LONG: Final = "(longer than what is kept)"


def sample_of(text: ScoredText, spans: Sequence[Span], row: ScoredRow, why: Why, redactor: Redactor) -> Sample:
    """The sample of an exchange: each text is masked, then cut. `spans` are those of its prompt and response."""
    messages, calls = _around(text, redactor)
    reason = text.answer.finish_reason
    made = Sample(
        id=row.id,
        route=row.route,
        source=row.position,
        ts=row.ts,
        identity=row.identity,
        user=row.user,
        conversation=row.conversation,
        prompt=redact(text.prompt, spans, "prompt")[:TEXT_CHARACTERS],
        response=redact(text.response, spans, "response")[:TEXT_CHARACTERS],
        messages=messages,
        tool_calls=calls,
        finish_reason=None if reason is None else redactor.name(reason[:_NAME_CHARACTERS]),
        signals=tuple(name for name, measurement in row.signals.items() if measurement.value is True),
        why=why,
    )
    if text_characters(made) > SAMPLE_CHARACTERS:
        return made.model_copy(update={"messages": (), "tool_calls": ()})
    return made


def sample_blocks(samples: Iterable[Sample]) -> Iterator[SampleBlock]:
    """The samples as they travel: those of a route together, in their order, cut where a block would get too large."""
    routes: dict[str, list[Sample]] = {}
    for sample in samples:
        routes.setdefault(sample.route, []).append(sample)
    for route, of_route in routes.items():
        for part in _parts(of_route):
            yield SampleBlock(route=route, samples=tuple(part))


def _parts(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    part, characters = list[Sample](), 0
    for sample in samples:
        more = text_characters(sample)
        if part and (len(part) == MOST_SAMPLES or characters + more > BLOCK_CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(sample)
        characters += more
    yield part


def text_characters(sample: Sample) -> int:
    """Characters of what publishers may write at any length, of what a sample holds."""
    names = (sample.id, sample.user, sample.conversation, sample.finish_reason, *sample.signals)
    said = [text for one in sample.messages for text in (one.role, one.text)]
    called = [text for one in sample.tool_calls for text in (one.name, one.arguments)]
    return sum(len(text) for text in (*names, sample.prompt, sample.response, *said, *called) if text)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, and the pieces of text that stand in it: its name, then what its arguments hold."""

    call: ToolCall
    pieces: tuple[str, ...]


def _around(text: ScoredText, redactor: Redactor) -> tuple[tuple[SampleMessage, ...], tuple[SampleCall, ...]]:
    """The conversation and the calls of the answer, masked; nothing of them where nobody looked what to mask."""
    said, calls = _conversation(text.exchange), _answer_calls(text)
    if not (said or calls):
        return (), ()
    pieces = [*(one[: _looked_at(one)] for _, one in said), *(piece for call in calls for piece in call.pieces)]
    masked = _masked(pieces, text, redactor)
    if masked is None:
        return (), ()
    taken = iter(masked)
    messages = _newest([(role, next(taken), len(whole) > MESSAGE_BYTES * 2) for role, whole in said], redactor)
    return messages, tuple(_call(one, taken) for one in calls)


def _conversation(exchange: Exchange) -> list[tuple[str, str]]:
    """Role and text of the newest messages, in order; of none where the prompt is all that was said."""
    told = [(one.role, one.text or one.tool_text) for one in exchange.messages[-_MOST_MESSAGES:]]
    told = [(role, text) for role, text in told if text and role not in SYSTEM_ROLES]
    if len(told) < 2 and all(role == USER_ROLE for role, _ in told):
        return []
    left, kept = MESSAGE_BYTES, list[tuple[str, str]]()
    for role, text in reversed(told):
        if left <= 0:
            break
        kept.append((role, text))
        left -= len(text)
    return kept[::-1]


def _looked_at(text: str) -> int:
    return min(len(text), MESSAGE_BYTES * 2)


def _newest(told: Sequence[tuple[str, str, bool]], redactor: Redactor) -> tuple[SampleMessage, ...]:
    """The last of them that fit into 32 KiB together; the oldest that fits in part is cut, and so is a longer one."""
    left, kept = MESSAGE_BYTES, list[SampleMessage]()
    for role, text, was_cut in reversed(told):
        name = redactor.name(role[:_NAME_CHARACTERS])
        left -= len(name.encode())
        shown = text[: max(len(text) - _MARGIN, 0)] if was_cut else text
        fits = shown.encode("utf-8", "surrogatepass")[: max(left, 0)].decode("utf-8", "ignore")
        if left <= 0 or not fits:
            break
        kept.append(SampleMessage(role=name, text=fits))
        left -= len(fits.encode())
    return tuple(reversed(kept))


def _answer_calls(text: ScoredText) -> list[_Call]:
    """The calls of the answer; of one whose arguments are too long the name alone."""
    made, left = list[_Call](), CALL_CHARACTERS
    for call in [one for one in calls_of(text) if one.said][:MOST_CALLS]:
        pieces = tuple(_pieces(call.arguments, 0))
        size = sum(map(len, pieces))
        whole = size <= left
        left -= size if whole else 0
        made.append(_Call(call if whole else replace(call, arguments=TOO_LONG), (call.label, *(pieces * whole))))
    return made


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """Every text, number and name within arguments, in the order in which `_rebuilt` takes them."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _pieces(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _pieces(item, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield value if isinstance(value, str) else _digits(value)


def _digits(number: int | float) -> str:
    """A number as text; one that nobody meant may be too long to be written down."""
    return repr(number) if abs(number) < _GREATEST else TOO_LONG


def _clean(text: str) -> str:
    """Text as a record may hold it: JSON within JSON can spell lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _rebuilt(value: Any, depth: int, masked: Iterator[str]) -> Any:
    """The arguments of masked pieces; a number stays one unless something in it was masked."""
    if depth > _DEEPEST:
        return TOO_LONG
    if isinstance(value, Mapping):
        return {next(masked): _rebuilt(item, depth + 1, masked) for item in value.values()}
    if isinstance(value, (list, tuple)):
        return [_rebuilt(item, depth + 1, masked) for item in value]
    if value is None or isinstance(value, bool):
        return value
    text = next(masked)
    return value if isinstance(value, (int, float)) and text == _digits(value) != TOO_LONG else text


def _call(one: _Call, masked: Iterator[str]) -> SampleCall:
    name = next(masked)
    cut = one.call.arguments == TOO_LONG
    arguments = TOO_LONG if cut else json.dumps(_rebuilt(one.call.arguments, 0, masked), ensure_ascii=False)
    return SampleCall(name=_clean(name), arguments=_clean(arguments))


def _masked(pieces: Sequence[str], text: ScoredText, redactor: Redactor) -> list[str] | None:
    """Each piece with what must be masked in it; None where a signal that masks did not look."""
    whole = _BREAK.join(pieces)
    found = redactor.found_beside(whole, text)
    if not redactor.looked(found):
        return None
    cut = spans_between(whole, spans_of(found), _bounds(pieces))
    return [redact(piece, within, "response") for piece, within in zip(pieces, cut, strict=True)]


def _bounds(pieces: Sequence[str]) -> list[tuple[int, int]]:
    bounds, start = [], 0
    for piece in pieces:
        bounds.append((start, start + len(piece)))
        start += len(piece) + len(_BREAK)
    return bounds
