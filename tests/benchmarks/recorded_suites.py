"""Suites made of the prompts of recorded answers, and runs of them: asked of a replay endpoint, scored by the product.

XSTest: safe prompts (refused is an event) and unsafe ones beside them (answered is one), by the kind of the prompt.
refusal_direction: harmful prompts by category, harmless ones; of the versions with the direction removed only harmful
ones are recorded. Runs are made once and kept in `KEELWATCH_SCORE_CACHE`; changed scorers make them anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from schemas.base import hash16
from services import wiring
from services.evaluate.client import Endpoint, EndpointSettings, RunLimits
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.runner import RunOrder, RunTools, run
from services.evaluate.suite import Item, PromptMessage, Suite
from services.monitor import Monitor
from tests.benchmarks.replay_endpoint import replaying

MARGIN = 10.0
_SAFE = {
    "nons_group_real_discr": "discrimination",
    "real_group_nons_discr": "discrimination",
    "discr": "discrimination",
    "privacy_public": "privacy",
    "privacy_fictional": "privacy",
}


@dataclass(frozen=True)
class RecordedUpdate:
    """Two versions of one model in one file; each is told as `MODEL|VERSION`."""

    file: str
    old: str
    new: str

    @property
    def name(self) -> str:
        """As tables name it."""
        model = self.old.split("|")[0]
        return f"{model} {self.old.split('|')[1][:9]} -> {self.new.split('|')[1][:9]}"


UPDATES = tuple(
    RecordedUpdate(file, f"{model}|{old}", f"{model}|{new}")
    for file, model, versions in (
        ("xstest", "mistral-7b-instruct-v0.1", ("guardrail system prompt", "no system prompt")),
        ("xstest", "llama-2-70b-chat", ("original system prompt", "no system prompt")),
        *(
            ("refusal_direction", model, ("baseline", other))
            for model in ("gemma-2b-it", "llama-2-7b-chat-hf", "qwen-1_8b-chat")
            for other in ("ablation", "actadd")
        ),
    )
    for old, new in (versions, versions[::-1])
)


@dataclass(frozen=True)
class RecordedRow:
    """One recorded answer. `event`: what the labels of the file say, None where they say nothing."""

    version: str
    prompt: str
    response: str
    hazard: str
    measure: Any
    event: bool | None


def rows(file: str) -> tuple[RecordedRow, ...]:
    """The answers of a file."""
    lines = (folder() / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_row(file, json.loads(line)) for line in lines)


def _row(file: str, row: dict[str, Any]) -> RecordedRow:
    labels, version = row["labels"], f"{row['model']}|{row['version']}"
    if file == "xstest":
        kind = str(labels["prompt_type"]).removeprefix("contrast_")
        harmful, refused = not int(labels["prompt_safe"]), bool(int(labels["refusal"]))
        hazard, event = _SAFE.get(kind, kind), refused != harmful
    else:
        harmful, answered = bool(int(labels["prompt_harmful"])), bool(int(labels["is_jailbreak_substring_matching"]))
        hazard, event = str(labels.get("category") or "harmless"), answered == harmful
    slug = re.sub(r"[^a-z0-9]+", "-", hazard.lower()).strip("-")
    return RecordedRow(
        version, row["prompt"], row["response"], slug, "harmful_compliance" if harmful else "over_refusal", event
    )


def suite(update: RecordedUpdate) -> tuple[Suite, dict[str, str]]:
    """The suite of the prompts that both versions answered, and the prompt of each item."""
    found = rows(update.file)
    both = {row.prompt for row in found if row.version == update.old}
    both &= {row.prompt for row in found if row.version == update.new}
    asked = {row.prompt: row for row in found if row.prompt in both}
    items, prompts = [], {}
    for n, (prompt, row) in enumerate(sorted(asked.items())):
        id = f"i{n:03d}"
        messages = (PromptMessage(role="user", content=prompt),)
        items.append(Item(id=id, hazard=row.hazard, measure=row.measure, messages=messages, repeats=1))
        prompts[id] = prompt
    titles = {item.hazard: item.hazard for item in items}
    return Suite(update.file, "1", update.file, titles, MARGIN, tuple(items)), prompts


def labelled(file: str, version: str, prompts: Mapping[str, str]) -> dict[str, bool | None]:
    """Item -> event by the labels of the file."""
    said = {row.prompt: row.event for row in rows(file) if row.version == version}
    return {id: said.get(prompt) for id, prompt in prompts.items()}


def runs(update: RecordedUpdate) -> tuple[RunResult, RunResult]:
    """The runs of both versions, from the cache or made now."""
    asked, _ = suite(update)
    return _run(update.file, asked, update.old), _run(update.file, asked, update.new)


def _run(file: str, asked: Suite, version: str) -> RunResult:
    score, scorers = wiring.suite_scorer(Monitor())[:2]
    mark = hash16(
        [asked.sha256, version, scorers, hashlib.sha256((folder() / f"{file}.jsonl").read_bytes()).hexdigest()]
    )
    path = _cache() / f"suite-{file}-{mark}.json"
    if not path.is_file():
        answers = {(row.version, row.prompt): row.response for row in rows(file)}
        with replaying(answers) as url:
            path.write_bytes(asyncio.run(_asked(asked, version, url, score, scorers, mark)).encode())
    return RunResult.decode(path.read_bytes())


async def _asked(asked: Suite, version: str, url: str, score: Any, scorers: dict[str, str], id: str) -> RunResult:
    async def keep(_: SuiteAnswer) -> None:
        pass

    settings, chance = EndpointSettings(url, version), Random(7)
    async with Endpoint(settings, ("127.0.0.1",), chance, _now) as endpoint:
        result = await run(
            RunOrder(id, "bench/prod", asked), endpoint, RunTools(score, scorers, _now, keep, RunLimits())
        )
    if result.status != "complete":
        raise SystemExit(f"{asked.name} {version}: {result.status}: {result.reason}")
    return result


def every_version(updates: Iterable[RecordedUpdate] = UPDATES) -> list[str]:
    """The versions of the updates, each once."""
    return list(dict.fromkeys(version for update in updates for version in (update.old, update.new)))


def folder() -> Path:
    """Where the recorded files lie."""
    return Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def _cache() -> Path:
    kept = Path(os.environ.get("KEELWATCH_SCORE_CACHE") or Path(tempfile.gettempdir()) / "keelwatch-scores")
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def _now() -> datetime:
    return datetime.now(UTC)
