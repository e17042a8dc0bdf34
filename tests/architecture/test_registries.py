"""A signal or a detector is one file, one entry in one tuple, and known wherever people look; nobody else names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args

from detectors import DETECTORS
from schemas.spec import Spec, SpecKind
from services.monitor.fields import MONITORED_SIGNALS as MONITORED
from services.signals import SIGNALS
from services.specs import MEASURES, families, reference, signals
from tests.support.source import ROOT, Module, modules

NAMED = {
    "services.evaluate.client": {"refusal": "a field of OpenAI's chat answer"},
    "services.evaluate.endpoints.chat_completions": {"refusal": "a field of OpenAI's chat answer"},
    "services.evaluate.endpoints.messages": {"refusal": "a reason of Anthropic's why an answer ended"},
    "services.store.erasure": {"refusal": "a field of OpenAI's chat answer"},
    "services.ingest.files": {"refusal": "a field of OpenAI's chat answer"},
    "schemas.exchange": {"refusal": "a field of OpenAI's chat answer, and the type of a part"},
    "services.api.resources.suites": {"hazard": "a field of a suite's item"},
    "services.cli.evaluations": {
        "events": "a column: how many answers of a run were events",
        "hazard": "a column: the hazard of a suite's item",
    },
    "services.cli.suites": {"hazard": "a field of a suite's item"},
    "services.evaluate.prompt_sets.any_prompts": {"hazard": "a column of a file, and a field of a suite's item"},
    "services.evaluate.prompt_sets.bias_questions": {"hazard": "a field of a suite's item"},
    "services.evaluate.prompt_sets.known_sets": {"hazard": "a column of a file, and a field of a suite's item"},
    "services.evaluate.inspect_runner": {"refusal": "a field of OpenAI's chat answer"},
    "services.evaluate.exporters.inspect_log": {
        "hazard": "a field of a suite's item",
        "events": "a field of the log: how many items were events",
        "refusal": "a field of OpenAI's chat answer",
    },
    "services.evaluate.suite_growth": {"hazard": "a field of a suite's item"},
    "services.evaluate.suites.generator": {"hazard": "a field of a suite's item"},
    "services.evaluate.result": {"hazard": "a field of a suite's item"},
    "services.evaluate.run_check": {
        "hazard": "a field of a row of rates",
        "refusal": "a field of OpenAI's chat answer",
    },
    "services.evaluate.own_traffic": {"hazard": "a field of a suite's item"},
    "services.specs": {"novelty": "a floor that monitor files may still name"},
    "services.demo.support_bot": {"harmful_compliance": "a measure of suites"},
    "services.evaluate.suite": {"harmful_compliance": "a measure of suites", "over_refusal": "a measure of suites"},
    "services.signals.refusal": {"harmful_compliance": "a measure of suites", "over_refusal": "one too"},
    "services.evaluate.importers.meanings": {
        "harmful_compliance": "a measure of suites",
        "over_refusal": "a measure of suites",
    },
    "services.evaluate.importers.hazard_names": {"toxicity": "a category of garak's"},
    "services.evaluate.importers.inspect_log": {
        "hazard": "a field of a sample's metadata",
        "refusal": "a field of StrongREJECT's score",
    },
    "services.evaluate.importers.lm_eval_samples": {"hazard": "a field of a document"},
    "services.evaluate.importers.pyrit_memory": {"objective": "a column of PyRIT's memory"},
    "services.evaluate.suite_parser": {"hazard": "a field of a suite's item"},
    "services.wording.evaluations": {"harmful_compliance": "a measure of suites", "over_refusal": "one too"},
    "services.wording.nouns": {"harmful_compliance": "a measure of suites", "over_refusal": "a measure of suites"},
    "services.wording.profiles": {"harmful_compliance": "a measure of suites", "over_refusal": "one too"},
    "services.signals.stop_reasons": {"refusal": "a reason of providers why an answer ended"},
    "services.ingest.formats.pairs": {"events": "a field of a pair: the events of a stream"},
    "services.ingest.formats.otlp_json": {"events": "a field of a span"},
    "services.ingest.decode": {"refusal": "a field of OpenAI's chat answer"},
    "services.ingest.formats.messages": {"refusal": "a field or part of OpenAI's answers"},
    "services.ingest.formats.openai_responses": {"refusal": "a field or part of OpenAI's answers"},
    "services.ingest.formats.gen_ai": {"refusal": "a field or part of OpenAI's answers"},
    "services.replay.report": {"events": "a field of the report: how many exchanges"},
}
"""Words that happen to be the name of a signal or a detector, and what they are there."""
SIDES = ("family", "families", "detector")
EXAMPLES = ("example", "examples", "json_schema_extra")


def _files(package: str, method: str) -> set[str]:
    """Modules directly in a package with a class that has this method and a body for it, by file name."""
    return {
        module.path.stem
        for module in modules(package.replace(".", "/"))
        if module.path.parent == ROOT / package.replace(".", "/") and module.path.stem != "protocol"
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        if any(isinstance(item, ast.FunctionDef) and item.name == method for item in node.body)
    }


def test_every_detector_file_is_registered_under_its_name() -> None:
    assert _files("detectors", "fit") == {detector.spec.name for detector in DETECTORS}


def test_every_signal_file_is_registered_under_its_name() -> None:
    assert _files("services.signals", "measure") == {signal.spec.name for signal in SIGNALS}


def test_every_signal_may_stand_in_a_monitor_file_and_has_a_card() -> None:
    assert {signal.spec.name for signal in SIGNALS} == MONITORED
    assert not signals().keys() & {spec.name for spec in MEASURES}
    assert signals().keys() <= {card.stem for card in (ROOT / "infra" / "models").glob("*.md")}


def test_every_spec_has_the_words_that_people_need() -> None:
    for spec in (*signals().values(), *MEASURES, *families().values()):
        assert spec.title[0].isupper(), spec.name
        assert all((spec.noun, spec.says)), spec.name
        assert not any("_" in words for words in _words(spec)), spec.name
        assert spec.kind in get_args(SpecKind)
        assert (spec.kind == "signal") == (spec.name not in families()), spec.name
        assert spec.sign or not spec.blames, spec.name
        assert spec.seen or spec.kind != "signal" or spec.floor != 0, spec.name


def test_the_reference_has_a_row_of_every_signal_and_detector() -> None:
    rows = {row.name: row for row in reference()}
    specs = {one.spec.name: one.spec for one in (*SIGNALS, *DETECTORS)}
    assert specs.keys() <= rows.keys()
    assert all((rows[name].title, rows[name].says) == (spec.title, spec.says) for name, spec in specs.items())


def _words(spec: Spec) -> tuple[str, ...]:
    return spec.title, spec.noun, spec.says, spec.sign, spec.seen


def test_nobody_else_names_a_signal_or_a_detector() -> None:
    """Examples in API documentation may, and the words in `NAMED`, which mean something else."""
    names = {one.spec.name for one in (*SIGNALS, *DETECTORS)}
    found = {
        f"{module.relative}:{line} {word}"
        for module in modules()
        for line, word in _literals(module)
        if (name := word.rstrip("|/=:.")) in names
        and module.path.stem != name
        and word not in NAMED.get(module.name, {})
    }
    assert found == set()


def test_nobody_compares_a_family_or_a_detector_with_a_name() -> None:
    found = {
        f"{module.relative}:{node.lineno}"
        for module in modules()
        if module.name != "services.specs"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Compare) and _names_a_side(node)
    }
    assert found == set()


def test_every_word_that_means_something_else_is_still_there() -> None:
    said = {(module.name, word) for module in modules() for _, word in _literals(module)}
    assert {(module, word) for module, words in NAMED.items() for word in words} <= said


def _literals(module: Module) -> Iterator[tuple[int, str]]:
    """String literals of a module, without those of an `example` or `examples`."""
    shown = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword) and node.arg in EXAMPLES
        for inner in ast.walk(node)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in shown:
            yield node.lineno, node.value


def _names_a_side(compared: ast.Compare) -> bool:
    sides = [compared.left, *compared.comparators]
    parts = [one for side in sides for one in ast.walk(side)]
    named = any(isinstance(one, ast.Attribute) and one.attr in SIDES for one in sides)
    return named and any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in parts)
