"""Refusals and evasions in other languages, by wordings alone and with the multilingual tier.

    python -m tests.benchmarks.languages

Over the sentences of `answers_by_language.json`, of which the tier's head saw all: what it does on unseen languages and
sentences, `python -m tests.benchmarks.fit_multilingual` prints. Wordings never saw them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.exchange import Answer, Exchange
from schemas.identity import Model
from services.score.embed.multilingual import MultilingualEmbedder
from services.signals.evasion import Evasion
from services.signals.protocol import ScoredText, Signal, Windows
from services.signals.refusal import Refusal
from tests.benchmarks.fit_multilingual import written

_EXCHANGE = Exchange(route="languages", model=Model(requested="m"), prompt="", response="")


def main() -> None:
    """A row a language: refusals found and false ones of 12, without and with the tier; evasions with it."""
    answers = list(written())
    vectors = MultilingualEmbedder().embed([one.text for one in answers])
    texts = [
        ScoredText(_EXCHANGE, Answer(content=one.text), "", one.text, "", "", windows=Windows(multilingual=vector))
        for one, vector in zip(answers, vectors, strict=True)
    ]
    tier = Refusal(multilingual=True)
    columns: Sequence[tuple[str, Signal, str]] = (
        ("wordings", Refusal(), "refusal"),
        ("with the tier", tier, "refusal"),
        ("evasion with the tier", Evasion(refusal=tier, multilingual=True), "evasion"),
    )
    print("| language |" + "|".join(f" {name}: found of 6, false of 12 " for name, _, _ in columns) + "|")
    print("|---|" + "---|" * len(columns))
    for language in dict.fromkeys(one.source for one in answers):
        own = [i for i, one in enumerate(answers) if one.source == language]
        cells = []
        for _, signal, kind in columns:
            said = {i: signal.measure(texts[i]).value is True for i in own}
            cells.append(_cell(own, said.__getitem__, [answers[i].kind == kind for i in own]))
        print(f"| {language} |" + "|".join(cells) + "|")


def _cell(own: Sequence[int], said: Callable[[int], bool], wanted: Sequence[bool]) -> str:
    found = sum(said(i) for i, want in zip(own, wanted, strict=True) if want)
    false = sum(said(i) for i, want in zip(own, wanted, strict=True) if not want)
    return f" {found}, {false} "


if __name__ == "__main__":
    main()
