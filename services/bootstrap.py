"""The one place that chooses adapters: embedder, scorer, detectors, database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Final

from detectors import registered
from schemas.base import Record
from services.errors import InputError
from services.evaluate.library import load_suite
from services.evaluate.means import Means, Publish
from services.evaluate.runner import Score as Scoring
from services.evaluate.scorers import score, versions
from services.monitor import Monitor, load
from services.offload import Offload
from services.ports import Embedder
from services.record.sink import Recorder
from services.replay.runner import Tools
from services.score.core import Scorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.score.signals import SIGNALS
from services.settings import Settings, secret
from services.store.engine import Database, StoreError, hold, is_unavailable, open_database
from services.stream.alert import alert
from services.stream.detect import detect
from services.stream.evaluate import Evaluate
from services.stream.message import Handler
from services.stream.record import Record as RecordStep
from services.stream.runner import Cluster
from services.stream.score import Score
from services.stream.stateful import Threads
from services.stream.stateful import Tools as StateTools

EMBEDDERS = ("openvino", "openvino-f32", "sentence-transformers")
STREAMED: Final = ("score", "detect", "evaluate", "alert", "record")
"""Steps that a worker can run."""

_DATABASE_SECONDS: Final = 120.0


def embedder(settings: Settings) -> Embedder:
    """The embedder that KEELWATCH_EMBEDDER names, behind a cache; OpenVINO without one.

    `sentence-transformers:NAME` takes any model of that library with 384 dimensions, on a GPU where there is one.

    Raises:
        InputError: if there is no embedder of that name.
    """
    name, _, model = (settings.embedder or EMBEDDERS[0]).partition(":")
    if name == "sentence-transformers":
        # Imported here: torch takes seconds, and only this choice needs it.
        from services.score.embed.sentence_transformer import SentenceTransformerEmbedder  # noqa: PLC0415

        return CachedEmbedder(SentenceTransformerEmbedder(model or None))
    if name not in EMBEDDERS or model:
        raise InputError(f"KEELWATCH_EMBEDDER={settings.embedder}: must be one of {', '.join(EMBEDDERS)}")
    return CachedEmbedder(OpenVinoEmbedder(precision="f32" if name.endswith("f32") else "auto"))


def monitor(settings: Settings, path: str | None = None) -> Monitor:
    """The monitor file of `--config`, else that of KEELWATCH_CONFIG, else the defaults.

    Raises:
        MonitorError: if the file cannot be used.
    """
    return load(path or settings.config)


def scorer(settings: Settings, watched: Monitor) -> Scorer:
    """The scorer with the settings' embedder."""
    return Scorer(embedder(settings), watched.policy)


def recorder(url: str, watched: Monitor) -> Callable[[Sequence[Record]], None]:
    """What writes records to the database at `url`, which is made when it does not exist.

    Raises:
        StoreError: if it cannot be used.
    """
    return Recorder(open_database(url), watched.policy).apply


def tools(settings: Settings, watched: Monitor, database: str | None = None) -> Tools:
    """What a replay is made with; `database` is the URL in which it is recorded, if any."""
    return Tools(
        score=scorer(settings, watched).score,
        detectors=registered(),
        policy=watched.policy,
        record=None if database is None else recorder(database, watched),
    )


def judge() -> tuple[Scoring, dict[str, str]]:
    """What says whether an answer to a suite is an event, and the versions of that."""
    named = {signal.name: signal for signal in SIGNALS}
    return lambda item, answer: score(item, answer, named), versions(named)


def evaluation(watched: Monitor, database: Database, thread: Offload, publish: Publish, instance: str) -> Means:
    """What `services.evaluate.serving.serve` works with; `publish` returns once the broker has the records."""
    score_, scorers = judge()
    return Means(
        database=database,
        thread=thread,
        monitor=watched,
        suites=load_suite,
        score=score_,
        scorers=scorers,
        secret=secret,
        publish=publish,
        clock=lambda: datetime.now(UTC),
        instance=instance,
        chance=Random(),  # noqa: S311 -- spreads pauses
    )


@contextmanager
def steps(
    settings: Settings, watched: Monitor, names: Sequence[str]
) -> Iterator[Callable[[Cluster], Sequence[Handler]]]:
    """What makes the handlers of these steps of the stream; threads and database are closed at the end.

    Raises:
        StoreError: if the database cannot be used, or is SQLite and another process works on it.
    """
    with ExitStack() as stack:
        threads = Threads(Offload("cpu"), Offload("database"))
        stack.callback(threads.cpu.close)
        stack.callback(threads.database.close)
        database = _claimed(stack, settings.database) if set(names) - {"score"} else None

        def made(cluster: Cluster) -> Sequence[Handler]:
            return [_handler(name, settings, watched, database, threads, cluster) for name in names]

        yield made


def _handler(
    name: str, settings: Settings, watched: Monitor, database: Database | None, threads: Threads, cluster: Cluster
) -> Handler:
    if name == "score":
        return Score(scorer(settings, watched).score, threads.cpu, cluster)
    assert database is not None
    tools = StateTools(database, threads, cluster)
    if name == "detect":
        return detect(registered(), watched.policy, tools)
    if name == "evaluate":
        return Evaluate(watched.policy, tools)
    if name == "alert":
        return alert(tools)
    return RecordStep(Recorder(database, watched.policy).apply, threads, cluster)


def _claimed(stack: ExitStack, url: str) -> Database:
    """The database for this process; one that is away is waited for, as it would be later."""
    stack.enter_context(hold(url))
    until = time.monotonic() + _DATABASE_SECONDS
    while True:
        try:
            database = open_database(url)
        except StoreError as error:
            if error.__cause__ is None or not is_unavailable(error.__cause__) or time.monotonic() > until:
                raise
            time.sleep(1.0)
        else:
            stack.callback(database.close)
            return database
