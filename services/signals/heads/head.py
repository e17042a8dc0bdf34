"""A linear head: words, windows and what rules say of a text, added up to calibrated log odds. Pure.

A file of heads is JSON: its first line states a digest of the rest, so that a signal knows its version without reading
the weights; `facts` say what they were fitted on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORM: Final = 1
WINDOW: Final = 384
MOST_BYTES: Final = 1_000_000
"""A file of heads is no larger."""
_DIGEST: Final = 12
_CLIP: Final = 30.0


class HeadError(ValueError):
    """A file is no head that this version reads. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """What a head is given of one text.

    Attributes:
        buckets: (n,) distinct buckets of its n-grams, in order.
        windows: its embeddings in the head's order, each (384,) or None for one that is not there; None where the
            exchange was not embedded.
        said: log odds that rules or other heads give, by name.
    """

    buckets: NDArray[np.int64]
    windows: tuple[NDArray[np.float16] | None, ...] | None = None
    said: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """Weights of one label.

    Attributes:
        words: (w,) weights of n-grams, bucket b at b modulo w; a text's sum is divided by the root of how many it has.
        windows: (k, 384) weights of its embeddings; k may be 0.
        full: `bias` and a factor of `words`, `windows` and each name of `HeadInputs.said`, for embedded texts.
        plain: the same for texts that were not embedded; empty, or nothing but zeros, where the fit found that it tells
            too little without windows: then it says nothing of such a text, which is not the same as false.
        threshold: probability from which on it is true.
        plain_threshold: the same for texts that were not embedded; None: `threshold`.
    """

    words: NDArray[np.float64]
    windows: NDArray[np.float64]
    full: Mapping[str, float]
    plain: Mapping[str, float]
    threshold: float = 0.5
    plain_threshold: float | None = None

    def log_odds(self, given: HeadInputs) -> float | None:
        """Calibrated log odds, -30 to 30; None of a text without windows, where it needs them."""
        values = {**given.said, "words": self.word_score(given.buckets)}
        weights = self.plain
        if self._sees(given):
            assert given.windows is not None
            values["windows"] = self.window_score(given.windows)
            weights = self.full
        elif not self.tells_without_windows:
            return None
        total = weights.get("bias", 0.0) + sum(weights.get(name, 0.0) * values[name] for name in sorted(values))
        return max(-_CLIP, min(_CLIP, total))

    @property
    def tells_without_windows(self) -> bool:
        """Whether it says anything of texts that were not embedded: not where all factors are 0, or there are none."""
        return any(factor > 0 for name, factor in self.plain.items() if name != "bias")

    def threshold_for(self, given: HeadInputs) -> float:
        """The probability from which on it is true of such a text."""
        if self._sees(given) or self.plain_threshold is None:
            return self.threshold
        return self.plain_threshold

    def _sees(self, given: HeadInputs) -> bool:
        return given.windows is not None and len(self.windows) > 0

    def word_score(self, buckets: NDArray[np.int64]) -> float:
        """The n-grams' share, before it is weighed; 0 of a text without words."""
        if not len(buckets):
            return 0.0
        import numpy as np  # noqa: PLC0415 -- whoever only asks for a signal's spec needs none

        return float(np.add.reduce(self.words[buckets % len(self.words)])) / math.sqrt(len(buckets))

    def window_score(self, windows: tuple[NDArray[np.float16] | None, ...]) -> float:
        """The embeddings' share, before it is weighed, one row at a time: no neighbour in a batch changes it."""
        import numpy as np  # noqa: PLC0415

        return sum(
            float(np.dot(row, window.astype(np.float64)))
            for row, window in zip(self.windows, windows, strict=True)
            if window is not None
        )


def probability_of(log_odds: float) -> float:
    """The probability of log odds, with four decimals: finer would claim too much."""
    return round(1 / (1 + math.exp(-log_odds)), 4)


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """The heads of one signal, by label, and what is known of how they came about.

    Attributes:
        digest: of everything that decides a value; stands in the signal's version.
        facts: sets, licences, rows, figures, and the command that fitted them.
    """

    signal: str
    by_label: Mapping[str, LinearHead]
    facts: Mapping[str, Any]
    digest: str = ""

    @property
    def only(self) -> LinearHead:
        """The head that decides the signal: the one of its own name, beside which others may say of which kind."""
        return self.by_label.get(self.signal) or next(iter(self.by_label.values()))


def dump_heads(heads: Heads) -> bytes:
    """The bytes of a file of heads: the same heads give the same bytes."""
    body = {
        "form": FORM,
        "signal": heads.signal,
        "facts": heads.facts,
        "heads": {label: _object(head) for label, head in heads.by_label.items()},
    }
    rest = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return b'{"digest":"%s"}\n%s\n' % (_digest_of(rest).encode(), rest)


def load_heads(data: bytes) -> Heads:
    """Heads from the bytes of a file.

    Raises:
        HeadError: if they are none, are damaged, or are larger than 1 MB.
    """
    if len(data) > MOST_BYTES:
        raise HeadError(f"larger than {MOST_BYTES:,} bytes")
    first, _, rest = data.partition(b"\n")
    digest, rest = digest_in(first), rest.rstrip(b"\n")
    if digest != _digest_of(rest):
        raise HeadError("its digest does not fit its content: it was cut or edited")
    try:
        body = json.loads(rest)
        if body["form"] != FORM:
            raise HeadError(f"form {body['form']!r} is not the one that this version reads ({FORM})")
        by_label = {label: _head(one) for label, one in body["heads"].items()}
        heads = Heads(str(body["signal"]), by_label, body["facts"], digest)
    except HeadError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeadError(f"no heads: {type(error).__name__}") from error
    if not by_label:
        raise HeadError("holds no head")
    return heads


def digest_in(first_line: bytes) -> str:
    """The digest that the first line of a file of heads states.

    Raises:
        HeadError: if the line states none.
    """
    try:
        digest = json.loads(first_line)["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise HeadError("no file of heads: its first line states no digest") from error
    return str(digest)


def _digest_of(rest: bytes) -> str:
    return hashlib.sha256(rest).hexdigest()[:_DIGEST]


def _object(head: LinearHead) -> dict[str, Any]:
    return {
        "words": _packed(head.words),
        "windows": _packed(head.windows),
        "full": dict(head.full),
        "plain": dict(head.plain),
        "threshold": head.threshold,
        **({} if head.plain_threshold is None else {"plain_threshold": head.plain_threshold}),
    }


def _head(one: Mapping[str, Any]) -> LinearHead:
    words, windows = _unpacked(one["words"]), _unpacked(one["windows"])
    if not len(words) or len(windows) % WINDOW:
        raise HeadError("its weights have another shape")
    full, plain = ({str(name): float(one[kind][name]) for name in one[kind]} for kind in ("full", "plain"))
    apart = None if one.get("plain_threshold") is None else float(one["plain_threshold"])
    numbers = (*full.values(), *plain.values(), float(one["threshold"]), apart or 0.0)
    if not all(map(math.isfinite, numbers)) or not _finite(words) or not _finite(windows):
        raise HeadError("holds a weight that is no number")
    return LinearHead(words, windows.reshape(-1, WINDOW), full, plain, float(one["threshold"]), apart)


def _finite(weights: NDArray[np.float64]) -> bool:
    import numpy as np  # noqa: PLC0415

    return bool(np.isfinite(weights).all())


def _packed(weights: NDArray[np.float64]) -> str:
    return base64.b64encode(weights.astype("<f2").tobytes()).decode()


def _unpacked(text: str) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415

    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float64)
