"""Figures of the cards of languages and of tool calls: `python -m tests.benchmarks.agents_and_languages`.

Recorded answers are read from `KEELWATCH_DATA`; sentences and calls are those that were written for the tests.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from itertools import product
from pathlib import Path

from services.signals.destructive_commands import destroys
from services.signals.destructive_tool_call import DestructiveToolCall
from services.signals.exfiltration_call import ExfiltrationCall
from services.signals.language import Language
from services.signals.language_mismatch import LanguageMismatch
from services.signals.sensitive_tool_argument import SensitiveToolArgument
from services.signals.spoken_language import is_close, language_of
from tests.support.agent_calls import COMMANDS, DESTRUCTIVE, HARMLESS, ORDINARY, called, openai
from tests.support.languages import LONG, SHORT
from tests.support.said import said

SETS = ("arena_hard", "alpaca_eval_gpt4", "do_not_answer", "xstest")
CUTS = (25, 40, 80)


def recorded(name: str) -> list[tuple[str, str]]:
    """(prompt, response) of at most 1,500 recorded answers."""
    path = Path(os.environ.get("KEELWATCH_DATA", "../shared/data")) / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:1500]]
    return [(row["prompt"], row["response"]) for row in rows if isinstance(row["prompt"], str) and row["response"]]


def languages() -> None:
    """Sentences, pieces of them, pairs of languages, and recorded English."""
    for name, some in (("two sentences", LONG), ("one sentence", SHORT)):
        right = sum(language_of(text) == code for code, text in some.items())
        print(f"{name}: {right} of {len(some)} languages")
    for size in CUTS:
        found = Counter(
            "unknown" if told is None else "right" if told.partition("-")[0] == code else "wrong"
            for code, text in LONG.items()
            for at in range(0, len(text) - size, 17)
            for told in [language_of(text[at : at + size])]
        )
        print(f"pieces of {size} characters: {dict(sorted(found.items()))}")
    pairs = [(one, other) for one, other in product(LONG, repeat=2) if one != other]
    told = Counter(
        (is_close(one, other), LanguageMismatch().measure(said(LONG[one], prompt=LONG[other])).value)
        for one, other in pairs
    )
    print(f"pairs of two languages, (close, value): {dict(told)}")
    for name in SETS:
        rows, started = recorded(name), time.process_time()
        texts = [said(response, prompt=prompt) for prompt, response in rows]
        of = Counter(str(Language().measure(text).value) for text in texts)
        value = Counter(str(LanguageMismatch().measure(text).value) for text in texts)
        speed = len(texts) / (time.process_time() - started)
        print(f"{name}: language {of.most_common(4)}, mismatch {dict(value)}, {speed:,.0f} exchanges/s for both")


def agents() -> None:
    """Calls written for the tests, and recorded answers handed to a tool as they are."""
    print(f"destructive commands: {sum(map(destroys, COMMANDS))} of {len(COMMANDS)}")
    print(f"harmless look-alikes: {sum(map(destroys, HARMLESS))} of {len(HARMLESS)}")
    found = [
        sum(DestructiveToolCall().measure(called(call)).value is True for call in some)
        for some in (DESTRUCTIVE, ORDINARY)
    ]
    print(f"destructive calls: {found[0]} of {len(DESTRUCTIVE)}; ordinary ones: {found[1]} of {len(ORDINARY)}")
    for name in SETS:
        rows = recorded(name)
        texts = [called(openai("run_task", task=response), prompt=prompt) for prompt, response in rows]
        for signal in (DestructiveToolCall(), SensitiveToolArgument(), ExfiltrationCall()):
            started = time.process_time()
            true = sum(signal.measure(text).value is True for text in texts)
            speed = len(texts) / (time.process_time() - started)
            print(f"{name}, answers as arguments: {signal.spec.name} {true} of {len(texts)}, {speed:,.0f}/s")


if __name__ == "__main__":
    languages()
    agents()
