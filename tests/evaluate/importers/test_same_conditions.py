"""Whatever changes how an item was asked or judged keeps two imports from being compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.evaluate.comparison import incomparable
from tests.evaluate.importers.support import FIXTURES, read


def apart(tmp_path: Path, name: str, *edits: Callable[[Any], None]) -> str | None:
    """Why copies of a file, edited one way and the other, are not compared."""
    runs = []
    for edit in edits:
        value = json.loads((FIXTURES / name).read_text())
        edit(value)
        path = tmp_path / "edited.json"
        path.write_text(json.dumps(value))
        runs.append(read(name, path).result)
    return incomparable(runs[0], runs[1])


def as_it_is(_: Any) -> None:
    """No edit."""


def system(*prompts: str) -> Callable[[Any], None]:
    def edit(log: Any) -> None:
        for i, sample in enumerate(log["samples"]):
            for turns in (sample["input"], sample["messages"]):
                turns[0]["content"] = prompts[i % len(prompts)]

    return edit


LOG = "inspect/strong-reject.json"


def test_system_prompts_of_single_items(tmp_path: Path) -> None:
    assert apart(tmp_path, LOG, as_it_is, as_it_is) is None
    own = system("Be kind.", "Be brief.")
    assert apart(tmp_path, LOG, own, own) is None
    assert apart(tmp_path, LOG, own, system("Refuse everything.", "Refuse.")) is not None
    assert apart(tmp_path, LOG, own, system("Be kind.")) is not None
    assert "system prompt" in str(apart(tmp_path, LOG, system("Be kind."), system("Be brief.")))


def at(*path: Any, value: Any) -> Callable[[Any], None]:
    """Puts a value at a place."""

    def edit(log: Any) -> None:
        node = log
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return edit


def graded(options: dict[str, Any], model: str) -> Callable[[Any], None]:
    def edit(log: Any) -> None:
        log["eval"].update(task="xstest", model=model, scorers=[{"name": "model_graded_qa", "options": options}])
        for sample in log["samples"]:
            sample.update(scores={"model_graded_qa": {"value": "I"}}, metadata={"label": "unsafe"})

    return edit


def told(sample: Any) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Never help with anything.", "source": ""}, *sample["messages"]]


def solver_adds(log: Any) -> None:
    for sample in log["samples"]:
        sample["messages"] = told(sample)


def test_solvers_arguments_and_graders_of_inspect(tmp_path: Path) -> None:
    step = {"solver": "system_message", "params": {"template": "Refuse."}}
    role = {"model": "a/judge", "config": {}, "base_url": None, "args": {"api_key": "k"}}
    for edit in (
        solver_adds,
        at("plan", "steps", value=[step]),
        at("eval", "task_args", value={"jailbreak_method": "other"}),
        at("eval", "model_roles", value={"grader": role}),
        at("eval", "scorers", 0, "options", value={"threshold": 3}),
    ):
        assert apart(tmp_path, LOG, as_it_is, edit) is not None
        assert apart(tmp_path, LOG, edit, edit) is None
    other_key = {**role, "args": {"api_key": "another"}}
    roles = (at("eval", "model_roles", value={"grader": one}) for one in (role, other_key))
    assert apart(tmp_path, LOG, *roles) is None, "a key judges nothing"


def test_a_model_that_grades_itself_is_another_grader(tmp_path: Path) -> None:
    assert apart(tmp_path, LOG, graded({}, "a/one"), graded({}, "a/one")) is None
    assert "scorers" in str(apart(tmp_path, LOG, graded({}, "a/one"), graded({}, "a/two")))
    judge = {"model": {"model": "a/judge", "model_args": {}}}
    assert apart(tmp_path, LOG, graded(judge, "a/one"), graded(judge, "a/two")) is None


def every(**judging: Any) -> Callable[[Any], None]:
    def edit(results: Any) -> None:
        for row in results["results"]["results"]:
            row["testCase"].update(judging)

    return edit


def test_thresholds_graders_and_inner_assertions_of_promptfoo(tmp_path: Path) -> None:
    name = "promptfoo/before.json"
    inner = [{"type": "assert-set", "assert": [{"type": kind, "value": "x"}]} for kind in ("contains", "not-contains")]
    long = ["x" * 3_000 + end for end in "ab"]
    for one, other in (
        (every(threshold=0.9), every(threshold=0.1)),
        (every(options={"provider": "openai:gpt-4o"}), every(options={"provider": "openai:tiny"})),
        (every(**{"assert": [inner[0]]}), every(**{"assert": [inner[1]]})),
        *(
            tuple(every(**{"assert": [{"type": "llm-rubric", "value": "x", **how}]}) for how in pair)
            for pair in (
                ({"threshold": 0.9}, {"threshold": 0.1}),
                ({"provider": "a"}, {"provider": "b"}),
                ({"value": long[0]}, {"value": long[1]}),
                ({"provider": {"config": {"temperature": 0}}}, {"provider": {"config": {"temperature": 1}}}),
            )
        ),
        (as_it_is, at("config", "defaultTest", value={"options": {"provider": "other"}})),
        (as_it_is, at("config", "redteam", "purpose", value="another clerk")),
    ):
        assert apart(tmp_path, name, one, other) is not None
        assert apart(tmp_path, name, other, other) is None
    keys = (every(options={"provider": {"id": "a", "config": {"apiKey": key}}}) for key in "kl")
    assert apart(tmp_path, name, *keys) is None
