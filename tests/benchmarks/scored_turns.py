"""Recorded turns with the probabilities of signals, scored once and kept: what conversations are made of.

`recorded_scores` keeps values alone; a conversation's evidence is made of probabilities. The conversations of
`hh_harmless_test` are cut into their turns: each message of the person is a prompt, what follows it the answer.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from detectors.protocol import Bool, Float, Half, Int
from schemas.exchange import Exchange, Model
from schemas.position import Position
from services import wiring
from services.ingest.recorded_answers import read_recorded
from services.monitor import Monitor
from services.ports import Received
from services.score.blocks import rows_of
from services.settings import load_settings
from services.specs import roles
from tests.benchmarks.recorded_scores import _TS, _cache, _data

_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
_MOST = {"hh_harmless_test": 320, "alpaca_eval_gpt35": 700}
"""Conversations that are cut, and answers that are taken, from the first on."""


@dataclass(frozen=True)
class Turns:
    """n turns: vectors, the conversation of each, and (n, s) probabilities and values of the signals of risk."""

    prompt: Half
    conversation: Int
    probability: Float
    flagged: Bool


@cache
def turns(name: str) -> Turns:
    """The turns of a set, from the cache or scored now."""
    source = (_data() / f"{name}.jsonl").read_bytes()
    scorer = wiring.scorer(load_settings(), Monitor())
    mark = hashlib.sha256(source + scorer.version.model_dump_json().encode() + b"turns-2").hexdigest()[:16]
    path = _cache() / f"turns-{name}-{mark}.npz"
    if not path.is_file():
        told = list(_turns(name, source))
        batch = [_received(place, prompt, response) for place, (_, prompt, response) in enumerate(told)]
        rows = [row for block in scorer.score(batch).blocks for row in rows_of(block)]
        rows.sort(key=lambda row: row.position.offset)
        risks = roles()["risk"]
        said = [[row.signals[risk] for risk in risks] for row in rows]
        np.savez(
            path,
            prompt=np.array([row.prompt for row in rows], dtype=np.float16),
            conversation=np.array([told[row.position.offset][0] for row in rows]),
            probability=np.array([[np.nan if s.probability is None else s.probability for s in one] for one in said]),
            flagged=np.array([any(s.value is True for s in one) for one in said]),
        )
    with np.load(path) as held:
        return Turns(**{key: held[key] for key in held.files})


def _turns(name: str, source: bytes) -> Iterable[tuple[int, str, str]]:
    """Conversation, prompt and answer of each turn; answers that are no conversation are one of one turn each."""
    seen: set[str] = set()
    for number, answer in enumerate(read_recorded(source.splitlines())):
        if answer.prompt in seen:
            continue
        if len(seen) >= _MOST[name]:
            return
        seen.add(answer.prompt)
        parts = _SPEAKER.split(answer.prompt)[1:]
        said = list(zip(parts[::2], parts[1::2], strict=True)) or [("Human", answer.prompt)]
        said.append(("Assistant", answer.response))
        for (who, prompt), (other, response) in pairwise(said):
            if (who, other) == ("Human", "Assistant") and prompt.strip():
                yield number + 1, prompt, response


def _received(place: int, prompt: str, response: str) -> Received:
    exchange = Exchange(
        id=str(place), ts=_TS, route="bench/prod", model=Model(requested="recorded"), prompt=prompt, response=response
    )
    return Received(exchange, Position(cluster="bench", topic="bench", partition=0, offset=place))


if __name__ == "__main__":
    for name in sys.argv[1:] or _MOST:
        found = turns(name)
        print(name, len(found.conversation), "turns", len(np.unique(found.conversation)), "conversations", flush=True)
