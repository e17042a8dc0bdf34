"""Pure core of score: exchanges in; score blocks, redacted samples and dead letters out. Stateless.

Signals and embeddings are made from the original text in memory; what leaves holds numbers and redacted text only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from schemas.sample import Sample, Why, is_drawn, is_drawn_for_baseline
from schemas.score import LONGEST_CATEGORY, LONGEST_PART, MOST_PARTS, STYLE_WIDTH, VECTOR_WIDTH, Flag, ScoreBlock
from schemas.score import Scorer as Version
from services.ports import Embedder, Received
from services.score.blocks import MAX_FREE_CHARACTERS, NO_RESPONSE, ScoredRow, blocks_of, free_characters
from services.score.judging import NO_JUDGE, Judge, Judged
from services.score.rails.plan import Pair, RailReply, with_outcomes
from services.score.redaction import Redactor, spans_of
from services.score.samples import sample_of
from services.score.scored_text import answered, is_broken_off, model_of, not_monitored, scored_text
from services.score.style import STYLE_VERSION, style_features
from services.score.windows import MULTILINGUAL_CHARACTERS, NO_TEXTS, ExchangeVectors, texts_of
from services.signals import SIGNALS
from services.signals.protocol import LONGEST_NAME, Measurement, ScoredText, Signal, Span, Windows

StyleFunction = Callable[[str], NDArray[np.float64]]
S = TypeVar("S")
T = TypeVar("T")


class SignalError(Exception):
    """Nothing could be made of this one exchange. The message names what failed and never repeats content."""


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


def measure(signals: Sequence[Signal], text: ScoredText, has_answer: bool, redactor: Redactor) -> MeasuredExchange:
    """Let every signal measure `text`; `redactor` says whether all looked that find what to mask.

    Without an answer nothing is scored; the signals still look, because the prompt may be kept and must be masked.

    Raises:
        SignalError: if a signal raises, or says what is neither Boolean nor a finite number.
    """
    measurements = {signal.spec.name: _checked_measurement(signal, text) for signal in signals}
    unscored = dict.fromkeys(measurements, Measurement(None, reason=NO_RESPONSE))
    looked = redactor.looked(measurements)
    return MeasuredExchange(measurements if has_answer else unscored, spans_of(measurements), looked)


def style_of(style: StyleFunction, response: str) -> NDArray[np.float16]:
    """(30,) style features of an answer without its reasoning.

    Raises:
        SignalError: if they cannot be made, or are too large for float16.
    """
    values = _guarded("signal style", lambda: np.asarray(style(response), dtype=np.float64))
    if values.shape != (STYLE_WIDTH,) or not (np.abs(values) <= np.finfo(np.float16).max).all():
        raise SignalError(f"signal style: not {STYLE_WIDTH} finite numbers")
    return values.astype(np.float16)


def _checked_measurement(signal: Signal, text: ScoredText) -> Measurement:
    measurement = _guarded(f"signal {signal.spec.name}", lambda: signal.measure(text))
    numbers = {"value": measurement.value, "probability": measurement.probability}
    category = numbers.pop("value") if signal.spec.category else None
    if category is not None and not (isinstance(category, str) and 0 < len(category) <= LONGEST_CATEGORY):
        raise SignalError(f"signal {signal.spec.name}: a category has 1 to {LONGEST_CATEGORY} characters")
    for name, value in numbers.items():
        if value is not None and not (isinstance(value, (bool, int, float)) and math.isfinite(value)):
            raise SignalError(f"signal {signal.spec.name}: {name} is neither Boolean nor a finite number")
    if measurement.value is None and (measurement.probability is not None or measurement.parts):
        raise SignalError(f"signal {signal.spec.name}: a probability or parts without a value")
    if len(measurement.parts) > MOST_PARTS or any(not 0 < len(name) <= LONGEST_NAME for name in measurement.parts):
        raise SignalError(f"signal {signal.spec.name}: at most {MOST_PARTS} parts, of 1 to {LONGEST_NAME} characters")
    return measurement


def _guarded(what: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (MemoryError, OSError, SignalError):
        raise  # the machine's fault, not the record's; or named already
    except Exception as error:
        raise SignalError(f"{what}: raised {type(error).__name__}") from error


STEP: Final = "score"
SAMPLE_SHARE: Final = 0.05
_EMBEDDED_AT_ONCE: Final = 32  # texts: a batch of long ones shows while it is embedded that it moves
_WARM: Final = (8, 24, 40, 56, 80, 120)  # words of texts of every length that embedders may treat apart

KeepText = Literal["all", "default", "none"]


class TextPolicy(Protocol):
    """What a route decides about its texts."""

    @property
    def keep_text(self) -> KeepText:
        """Whose redacted text is kept."""

    @property
    def embed_share(self) -> float:
        """Share of exchanges that are embedded."""

    @property
    def baseline(self) -> SizedPolicy:
        """How many exchanges are learned from."""


class SizedPolicy(Protocol):
    """What the drawing of a baseline's texts needs to know of it."""

    @property
    def size(self) -> int:
        """Exchanges that are learned before it is pinned."""


@dataclass(frozen=True, slots=True)
class AskRails:
    """How rails are asked: `ask` gives a reply for each pair, `share` is that of the exchanges they are run over."""

    ask: Callable[[Sequence[Pair]], Sequence[RailReply]]
    share: float = 1.0

    def looks_at(self, id: str) -> bool:
        """Whether the exchange is among those."""
        return is_drawn(id, self.share, "rails")


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """What a batch became."""

    blocks: tuple[ScoreBlock, ...] = ()
    samples: tuple[Sample, ...] = ()
    dead: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class _ReadExchange:
    """One exchange and which of its texts are scored."""

    received: Received
    text: ScoredText
    answered: bool
    embedded: bool
    policy: TextPolicy


@dataclass(frozen=True, slots=True)
class _ExaminedExchange:
    """One exchange and all that was found out about it."""

    read: _ReadExchange
    vectors: ExchangeVectors
    measured: MeasuredExchange
    style: NDArray[np.float16]
    why: Why | None


@dataclass(frozen=True, slots=True)
class _LeavingExchange:
    """What of one exchange leaves: its row, and its sample where its text does."""

    received: Received
    row: ScoredRow
    sample: Sample | None = None


@dataclass(frozen=True, slots=True)
class ExchangeScorer:
    """Scores batches of exchanges.

    Attributes:
        policy: route -> what it decides about its texts.
        signals: what is measured, in the order of the block's columns.
        style: text -> (30,) style features.
        sample_share: share of exchanges whose redacted text is kept whatever the signals say.
        tick: says that something was done: an exchange measured, a piece embedded.
        redactor: masks names by the same signals.
        multilingual: embeds the beginnings of answers for the heads of other languages; None without that tier.
        rails: what guardrails that are run beside those of the events say of pairs of texts.
        judge: whom signals need that cannot measure by themselves.
    """

    embedder: Embedder
    policy: Callable[[str], TextPolicy]
    signals: tuple[Signal, ...] = SIGNALS
    style: StyleFunction = style_features
    sample_share: float = SAMPLE_SHARE
    tick: Callable[[], object] = lambda: None
    rails: AskRails | None = None
    multilingual: Embedder | None = None
    judge: Judge = NO_JUDGE
    redactor: Redactor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "redactor", Redactor(self.signals))

    @property
    def version(self) -> Version:
        """What produces the numbers: engine and style features, precision, version of each signal."""
        engine = f"{self.embedder.engine}+{STYLE_VERSION}"
        versions = {signal.spec.name: signal.version for signal in self.signals}
        return Version(engine=engine, precision=self.embedder.precision, signals=versions)

    def score(self, batch: Sequence[Received]) -> ScoredBatch:
        """Score exchanges of any routes; the rows of a route keep their order, at most 128 to a block.

        An exchange of which nothing can be made, as when a signal raises, becomes a dead letter that names what
        failed; its neighbours are scored.

        Raises:
            ValueError: if one comes without `id` or `ts`.
        """
        for received in batch:
            _identified(received)
        dead: list[DeadLetter] = []
        read = self._guarded(self._each(batch, self._read, lambda received: received, dead))
        judged = self.judge.begin([one.text if one.answered else None for one in read])
        vectors = self._vectors(read)
        pairs = list(zip(_with(read, judged()), vectors, strict=True))
        seen = self._each(pairs, self._examine, lambda pair: pair[0].received, dead)
        version = self.version
        made = self._each(seen, lambda one: self._leaving(one, version), lambda one: one.read.received, dead)
        fit, blocks = self._in_blocks(made, dead)
        return ScoredBatch(blocks, tuple(one.sample for one in fit if one.sample is not None), tuple(dead))

    def _each(
        self, of: Sequence[S], work: Callable[[S], T], source: Callable[[S], Received], dead: list[DeadLetter]
    ) -> list[T]:
        """What `work` makes of each; one of which it makes nothing is a dead letter instead, whatever it raises."""
        made = []
        for one in of:
            try:
                made.append(_guarded(STEP, partial(work, one)))
            except SignalError as fault:
                received = source(one)
                dead.append(DeadLetter.of(received.exchange.encode(), STEP, str(fault), received.position))
            self.tick()
        return made

    def _leaving(self, seen: _ExaminedExchange, version: Version) -> _LeavingExchange:
        row = _row(seen, version, self.redactor)
        if seen.why is None:
            return _LeavingExchange(seen.read.received, row)
        sample = sample_of(seen.read.text, seen.measured.spans, row, seen.why, self.redactor)
        return _LeavingExchange(seen.read.received, row, sample)

    def _in_blocks(
        self, made: list[_LeavingExchange], dead: list[DeadLetter]
    ) -> tuple[list[_LeavingExchange], tuple[ScoreBlock, ...]]:
        """The blocks of all rows; where one spoils them, of those that a block can hold, and which these are."""
        try:
            return made, tuple(blocks_of(_by_route([one.row for one in made])))
        except (MemoryError, OSError):
            raise  # the machine's fault, not a row's
        except Exception:
            fit = self._each(made, _alone, lambda one: one.received, dead)
            return fit, tuple(blocks_of(_by_route([one.row for one in fit])))

    def warm(self) -> None:
        """Score a few words, so that the first batch need not wait for what is compiled when it is first used."""
        who, ts = Model(requested="warm"), datetime(2000, 1, 1, tzinfo=UTC)
        texts = [" ".join(["word"] * length) for length in _WARM]
        replace(self, judge=NO_JUDGE).score(
            [
                Received(
                    Exchange(id=str(i), ts=ts, route="warm", model=who, prompt=text, response=text),
                    Position(cluster="warm", topic="warm", partition=0, offset=i),
                )
                for i, text in enumerate(texts)
            ]
        )

    def _read(self, received: Received) -> _ReadExchange:
        exchange = received.exchange
        if free_characters(exchange) > MAX_FREE_CHARACTERS:
            raise SignalError(f"tags, names and ids: over {MAX_FREE_CHARACTERS} characters together; send less")
        policy, text = self.policy(exchange.route), scored_text(exchange)
        embedded = is_drawn(exchange.id or "", policy.embed_share, "embed")
        return _ReadExchange(received, text, answered(text.answer), embedded, policy)

    def _guarded(self, read: Sequence[_ReadExchange]) -> Sequence[_ReadExchange]:
        """With the outcomes of the rails that are run here, of those exchanges that they are run over."""
        if self.rails is None:
            return read
        chosen = [i for i, one in enumerate(read) if one.answered and self.rails.looks_at(one.text.exchange.id or "")]
        replies = self.rails.ask([Pair(read[i].text.prompt, read[i].text.response) for i in chosen])
        guarded = list(read)
        for i, reply in zip(chosen, replies, strict=True):
            exchange = with_outcomes(read[i].text.exchange, reply.outcomes)
            guarded[i] = replace(read[i], text=replace(read[i].text, exchange=exchange))
        return guarded

    def _examine(self, pair: tuple[_ReadExchange, ExchangeVectors]) -> _ExaminedExchange:
        read, vectors = pair
        text = replace(read.text, windows=self._windows(read, vectors)) if read.embedded else read.text
        measured = measure(self.signals, text, read.answered, self.redactor)
        spoken = text.spoken if read.embedded and read.answered else None
        style = np.zeros(STYLE_WIDTH, np.float16) if spoken is None else style_of(self.style, spoken)
        why = self._why(read.received.exchange.id or "", read.policy, measured)
        return _ExaminedExchange(read, vectors, measured, style, why)

    def _why(self, id: str, policy: TextPolicy, measured: MeasuredExchange) -> Why | None:
        """Why its text leaves the process; None where it does not."""
        if policy.keep_text == "none" or not measured.redactable:
            return None
        told = any(measurement.value is True for measurement in measured.signals.values())
        if told or policy.keep_text == "all" or is_drawn(id, self.sample_share, "sample"):
            return "kept"
        return "baseline" if is_drawn_for_baseline(id, policy.baseline.size) else "ring"

    def _windows(self, read: _ReadExchange, vectors: ExchangeVectors) -> Windows:
        spoken = (read.text.spoken or "")[:MULTILINGUAL_CHARACTERS] if read.answered else ""
        if self.multilingual is None or not spoken:
            return vectors.windows
        return vectors.windows._replace(multilingual=self.multilingual.embed([spoken])[0])

    def _vectors(self, read: Sequence[_ReadExchange]) -> list[ExchangeVectors]:
        """The vectors of every exchange; each text is embedded once."""
        wanted = [texts_of(one.text, one.answered) if one.embedded else NO_TEXTS for one in read]
        texts = list(dict.fromkeys(text for one in wanted for text in one if text is not None))
        known: dict[str, NDArray[np.float16]] = {}
        for start in range(0, len(texts), _EMBEDDED_AT_ONCE):
            some = texts[start : start + _EMBEDDED_AT_ONCE]
            known.update(zip(some, self.embedder.embed(some), strict=True))
            self.tick()
        return [ExchangeVectors(*(None if text is None else known[text] for text in one)) for one in wanted]


def _with(read: Sequence[_ReadExchange], judged: Sequence[Judged]) -> list[_ReadExchange]:
    """The exchanges with what judges said of them."""
    return [
        replace(one, text=replace(one.text, judged=said)) if said else one
        for one, said in zip(read, judged, strict=True)
    ]


def _alone(one: _LeavingExchange) -> _LeavingExchange:
    """The exchange, if a block can hold its row.

    Raises:
        ValueError: if it cannot.
    """
    tuple(blocks_of([one.row]))
    return one


def _row(seen: _ExaminedExchange, version: Version, redactor: Redactor) -> ScoredRow:
    read = seen.read
    exchange, id, ts = _identified(read.received)
    return ScoredRow(
        route=exchange.route,
        id=redactor.id(id),
        ts=ts,
        position=read.received.position,
        model=redactor.model(model_of(read.text)),
        conversation=_named(redactor, exchange.conversation),
        user=_named(redactor, exchange.user),
        tags={redactor.name(name): redactor.name(value) for name, value in exchange.tags.items()},
        kept=seen.why == "kept",
        flags=_flags(seen),
        embedded=read.embedded,
        prompt=_or_zero(seen.vectors.prompt),
        response=_or_zero(seen.vectors.response),
        style=seen.style,
        signals={name: _named_parts(redactor, one) for name, one in seen.measured.signals.items()},
        scorer=version,
        measures=_measures(exchange),
        part=read.received.part,
        format=read.received.format,
        lacks=read.received.lacks,
    )


def _measures(exchange: Exchange) -> dict[str, float]:
    """What the publisher counted of an exchange."""
    usage = exchange.usage
    told = {
        "latency_ms": exchange.latency_ms,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
    }
    return {name: value for name, value in told.items() if value is not None}


def _named_parts(redactor: Redactor, measured: Measurement) -> Measurement:
    """With the names of its parts masked as those of tags are: a model may call a tool whatever it likes."""
    if not measured.parts:
        return measured
    named: dict[str, bool] = {}
    for name, value in measured.parts.items():
        masked = redactor.name(name)[:LONGEST_PART]
        named[masked] = named.get(masked, False) or value
    return replace(measured, parts=named)


def _or_zero(vector: NDArray[np.float16] | None) -> NDArray[np.float16]:
    return np.zeros(VECTOR_WIDTH, np.float16) if vector is None else vector


def _named(redactor: Redactor, name: str | None) -> str | None:
    return None if name is None else redactor.name(name)


def _identified(received: Received) -> tuple[Exchange, str, datetime]:
    exchange = received.exchange
    if exchange.id is None or exchange.ts is None:
        raise ValueError("an exchange comes to the scorer with `id` and `ts` filled in")
    return exchange, exchange.id, exchange.ts


def _flags(seen: _ExaminedExchange) -> tuple[Flag, ...]:
    flags = list(seen.read.received.flags)
    if seen.read.text.cut and "truncated" not in flags:
        flags.append("truncated")
    spoken = seen.read.answered and seen.read.text.spoken is not None
    unanswered: tuple[Flag, ...] = () if spoken else (NO_RESPONSE,)
    broken: tuple[Flag, ...] = ("broken_off",) if is_broken_off(seen.read.text.answer) else ()
    return (*flags, *unanswered, *broken, *not_monitored(seen.read.received.exchange))


def _by_route(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Routes in the order of their first row, each with its rows in order."""
    routes: dict[str, list[ScoredRow]] = {}
    for row in rows:
        routes.setdefault(row.route, []).append(row)
    return [row for of_route in routes.values() for row in of_route]
