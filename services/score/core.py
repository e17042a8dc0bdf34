"""Pure core of score: exchanges in; score blocks, redacted samples and dead letters out. Stateless.

Signals and embeddings are made from the original text in memory; what leaves holds numbers and redacted text only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from schemas.sample import Sample
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH, Flag, ScoreBlock
from schemas.score import Scorer as Version
from services.ports import Embedder, Received
from services.score.blocks import MAX_FREE_CHARACTERS, NO_RESPONSE, ScoredRow, blocks_of, free_characters
from services.score.redaction import can_redact, redact, redacted_model, redacted_name, spans_of
from services.score.scored_text import answered, model_of, scored_text
from services.score.style import STYLE_VERSION, style_features
from services.signals import SIGNALS
from services.signals.protocol import Measurement, ScoredText, Signal, Span

_BITS: Final = 64


def is_drawn(id: str, share: float, purpose: str) -> bool:
    """Whether `id` is among the `share` (0 to 1) drawn for `purpose`; draws for two purposes are independent.

    >>> is_drawn("k:c/t/0/1", 1.0, "embed"), is_drawn("k:c/t/0/1", 0.0, "embed")
    (True, False)
    """
    digest = hashlib.blake2b(id.encode(), digest_size=_BITS // 8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") < int(share * (1 << _BITS))


StyleFunction = Callable[[str], NDArray[np.float64]]
T = TypeVar("T")


class SignalError(Exception):
    """A signal could not measure this one exchange. The message names the signal and never repeats content."""


@dataclass(frozen=True, slots=True)
class MeasuredExchange:
    """What was measured of one exchange.

    Attributes:
        signals: name -> what it says; all unscored where there is no answer.
        spans: what must be masked. redactable: false where a signal that finds such spans did not look.
    """

    signals: Mapping[str, Measurement]
    spans: tuple[Span, ...]
    redactable: bool


def measure(signals: Sequence[Signal], text: ScoredText, has_answer: bool) -> MeasuredExchange:
    """Let every signal measure `text`.

    Without an answer nothing is scored; the signals still look, because the prompt may be kept and must be masked.

    Raises:
        SignalError: if a signal raises, or says what is neither Boolean nor a finite number.
    """
    measurements = {signal.spec.name: _checked_measurement(signal, text) for signal in signals}
    unscored = dict.fromkeys(measurements, Measurement(None, reason=NO_RESPONSE))
    return MeasuredExchange(measurements if has_answer else unscored, spans_of(measurements), can_redact(measurements))


def style_of(style: StyleFunction, response: str) -> NDArray[np.float16]:
    """(30,) style features of an answer without its reasoning.

    Raises:
        SignalError: if they cannot be made, or are too large for float16.
    """
    values = _guarded("style", lambda: np.asarray(style(response), dtype=np.float64))
    if values.shape != (STYLE_WIDTH,) or not (np.abs(values) <= np.finfo(np.float16).max).all():
        raise SignalError(f"signal style: not {STYLE_WIDTH} finite numbers")
    return values.astype(np.float16)


def _checked_measurement(signal: Signal, text: ScoredText) -> Measurement:
    measurement = _guarded(signal.spec.name, lambda: signal.measure(text))
    for name, value in (("value", measurement.value), ("probability", measurement.probability)):
        if value is not None and not (isinstance(value, (bool, int, float)) and math.isfinite(value)):
            raise SignalError(f"signal {signal.spec.name}: {name} is neither Boolean nor a finite number")
    if measurement.value is None and measurement.probability is not None:
        raise SignalError(f"signal {signal.spec.name}: a probability without a value")
    return measurement


def _guarded(name: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (MemoryError, OSError):
        raise  # the machine's fault, not the record's
    except Exception as error:
        raise SignalError(f"signal {name}: raised {type(error).__name__}") from error


STEP: Final = "score"
SAMPLE_SHARE: Final = 0.05
SAMPLE_CHARACTERS: Final = 64 * 1024
_EMBEDDED_AT_ONCE: Final = 32  # texts: a batch of long ones shows while it is embedded that it moves
_WARM: Final = (8, 24, 40, 56, 80, 120)  # words of texts of every length that embedders may treat apart

KeepText = Literal["all", "default", "none"]
_Kept = Literal["signal", "sampled", "all"]


class TextPolicy(Protocol):
    """What a route decides about its texts."""

    @property
    def keep_text(self) -> KeepText:
        """Whose redacted text is kept."""

    @property
    def embed_share(self) -> float:
        """Share of exchanges that are embedded."""


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """What a batch became."""

    blocks: tuple[ScoreBlock, ...] = ()
    samples: tuple[Sample, ...] = ()
    dead: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class _ExaminedExchange:
    """One exchange and all that was found out about it but its vectors."""

    received: Received
    text: ScoredText
    answered: bool
    embedded: bool
    measured: MeasuredExchange
    style: NDArray[np.float16]
    kept: _Kept | None


@dataclass(frozen=True, slots=True)
class ExchangeScorer:
    """Scores batches of exchanges.

    Attributes:
        policy: route -> what it decides about its texts.
        signals: what is measured, in the order of the block's columns.
        style: text -> (30,) style features.
        sample_share: share of exchanges whose redacted text is kept whatever the signals say.
        tick: says that something was done: an exchange measured, a piece embedded.
    """

    embedder: Embedder
    policy: Callable[[str], TextPolicy]
    signals: tuple[Signal, ...] = SIGNALS
    style: StyleFunction = style_features
    sample_share: float = SAMPLE_SHARE
    tick: Callable[[], object] = lambda: None

    @property
    def version(self) -> Version:
        """What produces the numbers: engine and style features, precision, version of each signal."""
        engine = f"{self.embedder.engine}+{STYLE_VERSION}"
        versions = {signal.spec.name: signal.version for signal in self.signals}
        return Version(engine=engine, precision=self.embedder.precision, signals=versions)

    def score(self, batch: Sequence[Received]) -> ScoredBatch:
        """Score exchanges of any routes; the rows of a route keep their order, at most 128 to a block.

        An exchange on which a signal raises becomes a dead letter that names the signal; its neighbours are scored.
        """
        seen, dead = [], []
        for received in batch:
            try:
                seen.append(self._see(received))
            except SignalError as fault:
                dead.append(DeadLetter.of(received.exchange.encode(), STEP, str(fault), received.position))
            self.tick()
        rows = self._rows(seen)
        samples = tuple(_sample(one, row, one.kept) for one, row in zip(seen, rows, strict=True) if one.kept)
        return ScoredBatch(tuple(blocks_of(_by_route(rows))), samples, tuple(dead))

    def warm(self) -> None:
        """Score a few words, so that the first batch need not wait for what is compiled when it is first used."""
        who, ts = Model(requested="warm"), datetime(2000, 1, 1, tzinfo=UTC)
        texts = [" ".join(["word"] * length) for length in _WARM]
        self.score(
            [
                Received(
                    Exchange(id=str(i), ts=ts, route="warm", model=who, prompt=text, response=text),
                    Position(cluster="warm", topic="warm", partition=0, offset=i),
                )
                for i, text in enumerate(texts)
            ]
        )

    def _see(self, received: Received) -> _ExaminedExchange:
        exchange = received.exchange
        if free_characters(exchange) > MAX_FREE_CHARACTERS:
            raise SignalError(f"tags, names and ids: over {MAX_FREE_CHARACTERS} characters together; send less")
        id, policy = exchange.id or "", self.policy(exchange.route)
        text = scored_text(exchange)
        has_answer = answered(text.answer)
        measured = measure(self.signals, text, has_answer)
        embedded = is_drawn(id, policy.embed_share, "embed")
        spoken = text.spoken if embedded and has_answer else None
        style = np.zeros(STYLE_WIDTH, np.float16) if spoken is None else style_of(self.style, spoken)
        kept = self._kept(id, policy.keep_text, measured)
        return _ExaminedExchange(received, text, has_answer, embedded, measured, style, kept)

    def _kept(self, id: str, keep_text: KeepText, measured: MeasuredExchange) -> _Kept | None:
        if keep_text == "none" or not measured.redactable:
            return None
        if any(measurement.value is True for measurement in measured.signals.values()):
            return "signal"
        if is_drawn(id, self.sample_share, "sample"):
            return "sampled"
        return "all" if keep_text == "all" else None

    def _rows(self, seen: Sequence[_ExaminedExchange]) -> list[ScoredRow]:
        prompts = self._vectors([one.text.prompt if one.embedded else None for one in seen])
        responses = self._vectors([one.text.response if one.embedded and one.answered else None for one in seen])
        version = self.version
        return [_row(one, prompts[i], responses[i], version) for i, one in enumerate(seen)]

    def _vectors(self, texts: Sequence[str | None]) -> NDArray[np.float16]:
        """(n, 384): a vector for each text, zero where there is none."""
        wanted = [i for i, text in enumerate(texts) if text is not None]
        vectors = np.zeros((len(texts), VECTOR_WIDTH), dtype=np.float16)
        for start in range(0, len(wanted), _EMBEDDED_AT_ONCE):
            some = wanted[start : start + _EMBEDDED_AT_ONCE]
            vectors[some] = self.embedder.embed([texts[i] or "" for i in some])
            self.tick()
        return vectors


def _row(
    seen: _ExaminedExchange, prompt: NDArray[np.float16], response: NDArray[np.float16], version: Version
) -> ScoredRow:
    exchange, id, ts = _identified(seen.received)
    return ScoredRow(
        route=exchange.route,
        id=redacted_name(id),
        ts=ts,
        position=seen.received.position,
        model=redacted_model(model_of(seen.text)),
        conversation=_name(exchange.conversation),
        user=_name(exchange.user),
        tags={name: redacted_name(value) for name, value in exchange.tags.items()},
        kept=seen.kept is not None,
        flags=_flags(seen),
        embedded=seen.embedded,
        prompt=prompt,
        response=response,
        style=seen.style,
        signals=seen.measured.signals,
        scorer=version,
    )


def _name(name: str | None) -> str | None:
    return None if name is None else redacted_name(name)


def _identified(received: Received) -> tuple[Exchange, str, datetime]:
    exchange = received.exchange
    if exchange.id is None or exchange.ts is None:
        raise ValueError("an exchange comes to the scorer with `id` and `ts` filled in")
    return exchange, exchange.id, exchange.ts


def _flags(seen: _ExaminedExchange) -> tuple[Flag, ...]:
    flags = list(seen.received.flags)
    if seen.text.cut and "truncated" not in flags:
        flags.append("truncated")
    spoken = seen.answered and seen.text.spoken is not None
    return (*flags, *(() if spoken else (NO_RESPONSE,)))


def _by_route(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Routes in the order of their first row, each with its rows in order."""
    routes: dict[str, list[ScoredRow]] = {}
    for row in rows:
        routes.setdefault(row.route, []).append(row)
    return [row for of_route in routes.values() for row in of_route]


def _sample(seen: _ExaminedExchange, row: ScoredRow, kept: _Kept) -> Sample:
    """What people may read: both texts masked, then cut."""
    spans = seen.measured.spans
    return Sample(
        id=row.id,
        route=row.route,
        source=row.position,
        ts=row.ts,
        identity=row.identity,
        user=row.user,
        conversation=row.conversation,
        prompt=redact(seen.text.prompt, spans, "prompt")[:SAMPLE_CHARACTERS],
        response=redact(seen.text.response, spans, "response")[:SAMPLE_CHARACTERS],
        why=tuple(name for name, measurement in row.signals.items() if measurement.value is True),
        reason=kept,
    )
