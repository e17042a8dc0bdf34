"""Memories of PyRIT: its SQLite database, of which the results of attacks are read. Pure.

An attack has an objective and an outcome: `success` when the scorer of objectives says that it was reached, which is
the bad outcome; `failure`; `undetermined`; `error`. A response that was blocked is unscored, though PyRIT counts it as
a failure. A memory holds no sums, so nothing is held against them. Scores without an attack say nothing of an objective
and are not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from services.errors import InputError
from services.evaluate.importers.foreign import (
    Content,
    ForeignAnswer,
    ForeignMessage,
    ForeignRun,
    Importer,
    Node,
    chosen_scorer,
    foreign_json,
    without_secrets,
)

TOOL: Final = "PyRIT"
_ATTACKS: Final = "AttackResultEntries"
_PIECES: Final = "PromptMemoryEntries"
_PART: Final = "attack"
_NO_MANNER: Final = frozenset(
    {"hash", "eval_hash", "pyrit_version", "objective_target", "objective_scorer", "seed_identifiers"}
)
_OUTCOMES: Final = frozenset({"success", "failure", "undetermined", "error"})


def _recognises(content: Content) -> bool:
    return _PIECES in content.rows


def _read(content: Content, scorer: str | None) -> tuple[ForeignRun, ...]:
    attacks = list(content.lines(_ATTACKS))
    if not attacks:
        raise InputError(
            f"{content.name}: {_ATTACKS}: holds no result of an attack; run an attack with a scorer of objectives"
        )
    memory = _Memory(content)
    scorers = sorted({name for one in attacks if (name := memory.scorer_of(one)) is not None})
    chosen = chosen_scorer(scorers, scorer, content.name)
    kept = [one for one in attacks if memory.scorer_of(one) in (chosen, None)]
    by_model: dict[str, list[Node]] = {}
    for one in kept:
        by_model.setdefault(memory.model_of(one), []).append(one)
    version = kept[0].at("pyrit_version").text("of unknown version")
    return tuple(_run(memory, model, given, chosen, version) for model, given in by_model.items())


class _Memory:
    """The tables, by the keys that rows name each other by."""

    def __init__(self, content: Content) -> None:
        self.pieces: dict[str, list[Node]] = {}
        for row in content.lines(_PIECES):
            self.pieces.setdefault(row.at("conversation_id").text(), []).append(row)
        for rows in self.pieces.values():
            rows.sort(key=lambda row: row.at("sequence").count())
        self.scores = {row.at("id").text(): row for row in content.lines("ScoreEntries")}
        self.conversations = {row.at("conversation_id").text(): row for row in content.lines("Conversations")}

    def scorer_of(self, attack: Node) -> str | None:
        """Class of the scorer that decided an attack."""
        score = self.scores.get(attack.at("last_score_id").text(""))
        return None if score is None else _object(score.at("scorer_class_identifier")).at("class_name").text()

    def scorer_hash(self, attack: Node) -> str:
        """PyRIT's own hash of that scorer and its settings."""
        score = self.scores.get(attack.at("last_score_id").text(""))
        return "" if score is None else _object(score.at("scorer_class_identifier")).at("hash").text("")[:16]

    def why(self, attack: Node) -> str | None:
        """The scorer's own explanation."""
        score = self.scores.get(attack.at("last_score_id").text(""))
        return None if score is None else score.at("score_rationale").maybe_text() or None

    def target_of(self, attack: Node) -> Node:
        """Who was attacked, as PyRIT identifies it."""
        known = self.conversations.get(attack.at("conversation_id").text())
        return Node({}, attack.place) if known is None else _object(known.at("target_identifier"))

    def model_of(self, attack: Node) -> str:
        """Its model, else the class of the target."""
        target = self.target_of(attack)
        return target.at("model_name").text("") or target.at("class_name").text("not told")


def _object(node: Node) -> Node:
    """A column that holds JSON as text."""
    return Node(foreign_json(node.value, node.place), node.place) if isinstance(node.value, str) else node


def _run(memory: _Memory, model: str, attacks: list[Node], scorer: str, version: str) -> ForeignRun:
    target = memory.target_of(attacks[0])
    answers = tuple(_answer(memory, one) for one in attacks)
    times = [one.ts for one in answers if one.ts is not None]
    hashes = sorted({found for one in attacks if (found := memory.scorer_hash(one))})
    return ForeignRun(
        tool=TOOL,
        version=version,
        task="attacks",
        task_version=version,
        model=model,
        url=target.at("endpoint").maybe_text() or None,
        scorer=scorer,
        scorer_version=", ".join(hashes[:3]) or "not told",
        answers=answers,
        started=min(times, default=None),
        ended=max(times, default=None),
        settings=without_secrets({name: target.at(name).value for name in ("temperature", "top_p")}),
    )


def _answer(memory: _Memory, attack: Node) -> ForeignAnswer:
    objective, outcome = attack.at("objective").text(), attack.at("outcome")
    if outcome.text() not in _OUTCOMES:
        raise outcome.wrong(f"must be one of {', '.join(sorted(_OUTCOMES))}")
    pieces = memory.pieces.get(attack.at("conversation_id").text(), [])
    said = [one for one in pieces if one.at("role").text() == "assistant"]
    last = said[-1] if said else None
    asked = tuple(_messages(pieces[: pieces.index(last)] if last is not None else pieces))
    fault = last.at("response_error").text("none") if last is not None else "no response"
    told = attack.at("error_message").maybe_text() or attack.at("outcome_reason").maybe_text()
    identifier = _object(attack.at("atomic_attack_identifier")).value
    technique = _technique(identifier)
    asked_by = [_object(one.at("converter_identifiers")).value for one in pieces if one.at("role").text() == "user"]
    converters = sorted({json.dumps(one, sort_keys=True) for one in asked_by})
    manner = json.dumps([_manner(identifier), converters], sort_keys=True)
    key = hashlib.sha256(f"{technique}\0{objective}\0{manner}".encode("utf-8", "replace")).hexdigest()[:10]
    categories = _object(attack.at("targeted_harm_categories"))
    return ForeignAnswer(
        item=f"{technique.casefold()}.{key}",
        asked=asked or (ForeignMessage("user", objective),),
        text=None if last is None or fault != "none" else last.at("converted_value").maybe_text(),
        verdict=outcome.text(),
        part=_PART,
        category=next((one.text() for one in categories.each()), None),
        content=[technique, objective, manner],
        why=memory.why(attack),
        error=None if fault in ("none", "blocked") and outcome.value != "error" else told or fault,
        stop="content_filter" if fault == "blocked" else None,
        ts=attack.at("timestamp").time(),
    )


def _messages(pieces: list[Node]) -> Iterator[ForeignMessage]:
    for one in pieces:
        yield ForeignMessage(one.at("role").text(), one.at("converted_value").text(""))


def _manner(identifier: Any) -> Any:
    """How an attack asks: its options and converters, without whom it asks, who judges, and hashes of these."""
    if isinstance(identifier, dict):
        return {str(name): _manner(one) for name, one in identifier.items() if name not in _NO_MANNER}
    return [_manner(one) for one in identifier] if isinstance(identifier, list) else identifier


def _technique(identifier: Any) -> str:
    """The class of the attack: the innermost one that is named so, else what the memory calls it."""
    found, node = "attack", identifier
    for _ in range(8):
        if not isinstance(node, dict):
            break
        name = node.get("class_name")
        if isinstance(name, str) and name.endswith("Attack") and name != "AtomicAttack":
            found = name
        children = node.get("children")
        inner = [children.get(key) for key in ("attack_technique", "attack")] if isinstance(children, dict) else []
        node = next((one for one in inner if isinstance(one, dict)), None)
    return found[:80]


IMPORTER: Final = Importer(TOOL, "a memory, its SQLite database", _recognises, _read)
