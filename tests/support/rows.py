"""Rows of a made-up route whose model or users drift, for tests of detectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.protocol import Baseline, Rows

WIDTH, STYLE = 384, 30
TOPICS, PROMPTS = 6, 240
ARL = 5_000.0
CEILINGS = {"refusal": 0.2}
ROLES = {"attack": ("harmful_request",), "risk": ("harmful_request",), "level": ()}
FLOORS = {"refusal": 0.02, "pii_leak": 0.02, "secret_leak": 0.0}
WORLD = np.random.default_rng(7)
AXES = np.linalg.qr(WORLD.normal(size=(WIDTH, 48)))[0].T
TOPIC = WORLD.normal(size=(TOPICS, 48)) @ AXES
ANSWER = WORLD.normal(size=(48, 48)) / 7
SHIFT = WORLD.normal(size=48) @ AXES
WHO = WORLD.integers(TOPICS, size=PROMPTS)
WAVE = 12.0 * np.random.default_rng(8).normal(size=WIDTH) / np.sqrt(WIDTH)
ASKED = TOPIC[WHO] + 1.2 * WORLD.normal(size=(PROMPTS, 48)) @ AXES


def rows(
    n: int,
    seed: int,
    *,
    model: float = 0.0,
    users: float = 0.0,
    refusals: float = 0.05,
    secrets: float = 0.0,
    attacks: float = 0.0,
) -> Rows:
    """`n` rows; `model` moves the answers, `users` in [0, 1] leaves ever fewer topics, rates are shares of rows.

    `attacks` is the share of an attack wave: alike novel prompts of many users, and conversations that get worse.
    """
    chance = np.random.default_rng(seed)
    weight = np.where(WHO < 2, 1.0, 1.0 - users)
    which = chance.choice(PROMPTS, size=n, p=weight / weight.sum())
    asked = ASKED[which]
    said = asked @ AXES.T @ ANSWER @ AXES + 0.8 * chance.normal(size=(n, 48)) @ AXES + model * SHIFT
    own = np.random.default_rng(seed + 77)  # apart, so that what was drawn before new columns came stays as it was
    wave = own.random(n) < attacks
    asked = np.where(wave[:, None], WAVE + 0.2 * own.normal(size=(n, WIDTH)), asked)
    risk = own.normal(size=n) - 4 + np.where(wave, 4.0, 0.0)
    style = np.abs(chance.normal(size=(n, STYLE)) * 0.5 + 3 + model * np.sin(np.arange(STYLE)))
    style[:, -2:] = 0  # features that never vary
    refused = chance.random(n) < refusals
    signals = {
        "refusal": refused.astype(np.float64),
        "pii_leak": np.where(chance.random(n) < 0.1, np.nan, 0.0),
        "secret_leak": (chance.random(n) < secrets).astype(np.float64),
        "harmful_request@probability": 1 / (1 + np.exp(-risk)),
    }
    return Rows(
        index=np.arange(n, dtype=np.int64),
        ts=1.7e9 + 60.0 * np.arange(n),
        prompt=_unit(asked),
        response=_unit(said),
        style=style.astype(np.float16),
        embedded=chance.random(n) < 0.97,
        answered=chance.random(n) < 0.98,
        signals=signals,
        slices={"tags.locale": tuple(None if i % 3 == 0 else "de" if i % 3 == 1 else "en" for i in range(n))},
        ids=tuple(f"x{seed}-{i}" for i in range(n)),
        measures={"latency_ms": np.exp(own.normal(size=n) * 0.4 + 6 + 2 * model)},
        user=own.integers(1, 40, size=n),
        conversation=np.where(wave, own.integers(1, 4, size=n), own.integers(100, 400, size=n)),
    )


def joined(*parts: Rows) -> Rows:
    """The parts one after another as rows of one route."""
    return Rows(
        index=np.arange(sum(map(len, parts)), dtype=np.int64),
        ts=1.7e9 + 60.0 * np.arange(sum(map(len, parts))),
        prompt=np.concatenate([part.prompt for part in parts]),
        response=np.concatenate([part.response for part in parts]),
        style=np.concatenate([part.style for part in parts]),
        embedded=np.concatenate([part.embedded for part in parts]),
        answered=np.concatenate([part.answered for part in parts]),
        signals={name: np.concatenate([part.signals[name] for part in parts]) for name in parts[0].signals},
        slices={name: tuple(v for part in parts for v in part.slices[name]) for name in parts[0].slices},
        ids=tuple(id_ for part in parts for id_ in part.ids),
        measures={name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
        user=np.concatenate([part.users() for part in parts]),
        conversation=np.concatenate([part.conversations() for part in parts]),
    )


def baseline(n: int = 600, seed: int = 1, arl: float = ARL) -> Baseline:
    """A pinned baseline of the unchanged route."""
    return Baseline(rows(n, seed), FLOORS, arl, CEILINGS, ROLES)


def drifting(seed: int = 2) -> Rows:
    """Quiet, then a changed model that refuses more and leaks, then other users, at last with other questions too.

    So every detector has work.
    """
    return joined(
        rows(150, seed),
        rows(200, seed + 1000, model=0.6, refusals=0.5, secrets=0.02),
        rows(200, seed + 2000, model=0.6, users=1.0, refusals=0.5),
        rows(110, seed + 3000, model=0.6, users=1.0, refusals=0.5, attacks=0.4),
        asked_anew(rows(110, seed + 4000, model=0.6, refusals=0.9), seed + 4000),
    )


def asked_anew(some: Rows, seed: int) -> Rows:
    """The rows with questions that were never asked before, of the same topics, answered one and all."""
    chance = np.random.default_rng(seed)
    topic = TOPIC[chance.integers(TOPICS, size=len(some))]
    every = np.ones(len(some), dtype=np.bool_)
    prompt = _unit(topic + 1.2 * chance.normal(size=(len(some), 48)) @ AXES)
    return replace(some, prompt=prompt, embedded=every, answered=every)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
