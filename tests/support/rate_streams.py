"""Simulated traffic for tests of rates: prompts of a few topics, each with its own rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.protocol import Baseline, Finding, Float, Rows

RATES = np.array([0.02, 0.05, 0.1, 0.3, 0.6, 0.9])
TOPICS = len(RATES)


def asked(rng: np.random.Generator, n: int, topics: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n, 384) float16 prompts, every one new, and the topic of each."""
    centres = np.random.default_rng(7).normal(size=(TOPICS, 384))
    topic = rng.choice(np.arange(TOPICS) if topics is None else topics, n)
    moved = centres[topic] + rng.normal(size=(n, 384))
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float16), topic


def traffic(
    prompt: np.ndarray,
    signals: Mapping[str, Float],
    first: int = 0,
    slices: Mapping[str, tuple[str | None, ...]] | None = None,
    embedded: np.ndarray | None = None,
) -> Rows:
    """Rows with these prompts and signals."""
    n = len(prompt)
    yes, style = np.ones(n, dtype=np.bool_), np.zeros((n, 30), dtype=np.float16)
    index = np.arange(first, first + n)
    has = yes if embedded is None else embedded
    ids = tuple(f"x{i}" for i in index)
    return Rows(index, 1.7e9 + 60.0 * index, prompt, prompt, style, has, yes, dict(signals), dict(slices or {}), ids)


def refusals(
    rng: np.random.Generator, n: int, more: float = 0.0, topics: np.ndarray | None = None, at: int = 0
) -> Rows:
    """Rows whose refusals follow the topics' rates, `more` of them than usual (or fewer)."""
    prompt, topic = asked(rng, n, topics)
    chance = np.clip(RATES[topic] + more, 0, 1)
    return traffic(prompt, {"refusal": (rng.random(n) < chance).astype(float)}, at)


def coins(rng: np.random.Generator, n: int, rate: float, signal: str = "pii_leak", at: int = 0) -> Rows:
    """Rows whose signal has one rate, whatever the prompt."""
    return traffic(asked(rng, n)[0], {signal: (rng.random(n) < rate).astype(float)}, at)


def pinned(rows: Rows, arl: float = 200_000, floor: float = 0.02) -> Baseline:
    """A baseline of these rows."""
    return Baseline(rows, dict.fromkeys(rows.signals, floor), arl)


def at_status(findings: tuple[Finding, ...], status: str) -> list[int]:
    """Rows of the transitions to a status."""
    return [finding.row for finding in findings if finding.transition and finding.status == status]
