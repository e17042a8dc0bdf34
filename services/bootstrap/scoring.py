"""What scores, records and replays: embedder, scorer, detectors, database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from detectors import registered
from schemas.base import Record
from services.errors import InputError
from services.monitor import Monitor
from services.ports import Embedder
from services.record.sink import Recorder
from services.replay.runner import Tools
from services.score.core import Scorer
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.settings import Settings
from services.store.engine import open_database

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
    name, _, model = (settings.embedder or EMBEDDERS[0]).partition(":")
    if name == EXTRA:
        return CachedEmbedder(_any_model(model or None))
    if name not in EMBEDDERS or model:
        raise InputError(f"KEELWATCH_EMBEDDER={settings.embedder}: must be one of {', '.join(EMBEDDERS)}")
    return CachedEmbedder(OpenVinoEmbedder(precision="f32" if name.endswith("f32") else "auto"))


def _any_model(model: str | None) -> Embedder:
    """A model of sentence-transformers, imported here: torch takes seconds, and only this choice needs it."""
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
