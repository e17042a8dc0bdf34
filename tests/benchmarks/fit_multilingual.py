"""Fit the multilingual head, and print how it does where it was not fitted.

    python -m tests.benchmarks.fit_multilingual [--data DIR] [--out services/signals/heads/multilingual.json]

Fitted on English answers of recorded sets whose licence allows it (refusal and compliance) and on the sentences of
`answers_by_language.json` (those and evasion). Two figures are of what was left out: the language together with the
sentences (a sentence of one language is a translation of one of another), and English recorded answers alone.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from schemas.base import hash16
from services.score.embed.multilingual import MultilingualEmbedder
from services.score.windows import MULTILINGUAL_CHARACTERS
from services.signals.heads.multilingual import AnswerKind

KINDS = AnswerKind._fields
WRITTEN = Path(__file__).with_name("answers_by_language.json")
STRENGTH = 10.0
MOST = 1200
HALVES = ((0, 1, 2), (3, 4, 5))


class Answer(NamedTuple):
    """An answer and what it does; `place` is that of a written sentence among those of its kind."""

    text: str
    kind: str
    source: str
    place: int = -1


def written() -> Iterator[Answer]:
    """The sentences written for Keelwatch, by language."""
    for language, kinds in json.loads(WRITTEN.read_text(encoding="utf-8")).items():
        for kind, texts in kinds.items():
            yield from (Answer(text, kind, language, i) for i, text in enumerate(texts))


def recorded(folder: Path) -> Iterator[Answer]:
    """English answers that people or judges labelled."""
    label = {"1_full_compliance": "compliance", "2_full_refusal": "refusal"}
    for row in _rows(folder, "xstest"):
        if (kind := label.get(row["labels"].get("human"))) is not None:
            yield Answer(row["response"], kind, "xstest")
    for row in _rows(folder, "llmdrift_sensitiveq"):
        yield Answer(row["response"], "refusal" if row["labels"]["refused"] else "compliance", "llmdrift_sensitiveq")
    for row in _rows(folder, "arena_hard"):
        yield Answer(row["response"], "compliance", "arena_hard")


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = np.random.default_rng(0).permutation(len(lines))[:MOST]
    return [json.loads(lines[i]) for i in sorted(chosen)]


def fit(vectors: Any, answers: Sequence[Answer]) -> LogisticRegression:
    """A head over (n, 512) vectors; every source counts by the root of its size, and every kind the same."""
    sizes = {source: sum(one.source == source for one in answers) for source in {one.source for one in answers}}
    weights = np.array([sizes[one.source] ** -0.5 for one in answers])
    model = LogisticRegression(C=STRENGTH, max_iter=5000, class_weight="balanced")
    return model.fit(vectors, [one.kind for one in answers], sample_weight=weights / weights.mean())


def unseen(vectors: Any, answers: Sequence[Answer]) -> dict[str, float]:
    """Accuracy of each language when neither it nor the sentences were seen."""
    languages = [one.source for one in answers if one.place >= 0]
    found = {}
    for language in dict.fromkeys(languages):
        hits: list[bool] = []
        for half in HALVES:
            seen = [i for i, one in enumerate(answers) if one.source != language and one.place not in half]
            left = [i for i, one in enumerate(answers) if one.source == language and one.place in half]
            model = fit(vectors[seen], [answers[i] for i in seen])
            hits += list(model.predict(vectors[left]) == [answers[i].kind for i in left])
        found[language] = float(np.mean(hits))
    return found


def english_alone(vectors: Any, answers: Sequence[Answer]) -> dict[str, float]:
    """AUROC of refusals in each language, of a head that was fitted on recorded English answers alone."""
    seen = [i for i, one in enumerate(answers) if one.place < 0]
    model = fit(vectors[seen], [answers[i] for i in seen])
    column = list(model.classes_).index("refusal")
    found = {}
    for language in dict.fromkeys(one.source for one in answers if one.place >= 0):
        left = [i for i, one in enumerate(answers) if one.source == language]
        told = model.predict_proba(vectors[left])[:, column]
        found[language] = float(roc_auc_score([answers[i].kind == "refusal" for i in left], told))
    return found


def head_file(model: LogisticRegression, answers: Sequence[Answer], figures: dict[str, Any]) -> dict[str, Any]:
    """What is stored: weights in the order of `AnswerKind`, what they were fitted on, and the figures."""
    order = [list(model.classes_).index(kind) for kind in KINDS]
    weights = np.round(model.coef_[order], 4).tolist()
    bias = np.round(model.intercept_[order], 4).tolist()
    rows = {source: sum(one.source == source for one in answers) for source in dict.fromkeys(a.source for a in answers)}
    return {
        "version": hash16([weights, bias])[:8],
        "kinds": KINDS,
        "embedder": MultilingualEmbedder().engine,
        "fitted_on": rows,
        "figures": figures,
        "bias": bias,
        "weights": weights,
    }


def _line(name: str, found: dict[str, float]) -> str:
    mean = np.mean(list(found.values()))
    return f"{name:44} {mean:.3f}  " + " ".join(f"{of} {value:.2f}" for of, value in found.items())


def main(arguments: Iterable[str] | None = None) -> None:
    """Fit, print the figures, and write the head where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KEELWATCH_DATA") or "../shared/data"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(None if arguments is None else list(arguments))
    answers = [*written(), *recorded(given.data)]
    vectors = MultilingualEmbedder().embed([one.text[:MULTILINGUAL_CHARACTERS] for one in answers]).astype(np.float64)
    figures = {
        "accuracy, language and sentences unseen": unseen(vectors, answers),
        "AUROC of refusals, fitted on English alone": english_alone(vectors, answers),
    }
    for name, found in figures.items():
        print(_line(name, found))
    rounded = {name: {of: round(value, 3) for of, value in found.items()} for name, found in figures.items()}
    stored = head_file(fit(vectors, answers), answers, rounded)
    print(f"fitted on {sum(stored['fitted_on'].values()):,} answers; version {stored['version']}")
    if given.out:
        given.out.write_text(json.dumps(stored, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
