"""The GitHub Action: its steps as the runner does them, by bash, with a real endpoint and the real command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.evaluate.suite_library import load_suite
from services.wording.build_summary import as_text
from tests.support.endpoint import KEY, Endpoint, running
from tests.support.source import ROOT

ACTION = yaml.safe_load((ROOT / "infra/github-action/action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
INSTALL, RUN, COMPARE = STEPS


def test_it_is_a_composite_action_of_which_every_input_and_output_is_described_and_used() -> None:
    assert (ACTION["runs"]["using"], {step["shell"] for step in STEPS}) == ("composite", {"bash"})
    given = {name: value for step in STEPS for name, value in step["env"].items()}
    used = {value.removeprefix("${{ inputs.").removesuffix(" }}") for value in given.values() if "inputs." in value}
    assert used == set(ACTION["inputs"])
    assert all(one["description"] for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))
    assert [name for name, one in ACTION["inputs"].items() if one.get("required")] == ["route"]


def test_the_lines_to_paste_use_what_the_action_takes() -> None:
    text = (ROOT / "docs/re-evaluation.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```text\n(- uses: .*?)```", text, re.DOTALL)
    [_, step] = yaml.safe_load(block)
    assert step["uses"].split("@")[0].endswith("/infra/github-action")
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert step["with"]["api-key-env"] in step["env"]
    assert len(block.splitlines()) == 10


def test_nothing_that_is_given_becomes_part_of_a_command() -> None:
    assert not [step["name"] for step in STEPS if "${{" in step["run"]]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["name"])
def test_bash_reads_every_step(step: dict[str, Any]) -> None:
    subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_it_installs_the_repository_it_is_part_of_pinned_by_hashes(tmp_path: Path) -> None:
    """By a `python` that notes what it is asked, and makes a virtual environment with itself inside."""
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/bash\necho "$@" >> {calls}\n[ "$2" != venv ] || {{ mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; }}\n'
    )
    python.chmod(0o755)
    job = Job(tmp_path, {"python": str(python)})
    assert job.step(INSTALL) == 0
    said = calls.read_text()
    for lock in ("core", "build"):
        assert f"--require-hashes --only-binary :all: -r {job.action}/../../requirements/{lock}.lock" in said
        assert (job.action / f"../../requirements/{lock}.lock").is_file()
    assert said.rstrip().endswith(f"--no-deps --no-build-isolation {job.action}/../..")


@dataclass
class Job:
    """A runner's job: the folders and files that GitHub gives to its steps, and what they wrote."""

    folder: Path
    inputs: dict[str, str]
    action: Path = ROOT / "infra/github-action"
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    said: str = ""

    def step(self, step: dict[str, Any]) -> int:
        """One step, as the runner does it; its exit code."""
        output = self.folder / "output"
        output.write_text("")
        told = {name: self._value(text) for name, text in step["env"].items()}
        own = {"GITHUB_ACTION_PATH": self.action, "GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": self.summary}
        own |= {"RUNNER_TEMP": self.folder, "KEELWATCH_DATA_DIR": self.folder / "data", "THE_KEY": KEY}
        environment = {**os.environ, **told, **{name: str(value) for name, value in own.items()}}
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        self.said += done.stdout + done.stderr
        lines = output.read_text().splitlines()
        self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in lines)
        return done.returncode

    @property
    def summary(self) -> Path:
        return self.folder / "summary.md"

    def _value(self, expression: str) -> str:
        place = expression.removeprefix("${{ ").removesuffix(" }}").split(".")
        if place[0] == "inputs":
            return self.inputs.get(place[1], ACTION["inputs"][place[1]].get("default", ""))
        return self.outputs[place[1]].get(place[3], "")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


@pytest.fixture
def canaries(tmp_path: Path) -> Path:
    """A suite of planted secrets alone."""
    items = [item for item in load_suite("smoke").items if item.measure == "canary"][:3]
    folder = tmp_path / "canaries"
    folder.mkdir()
    hazards = "\n".join(f"  {hazard}: Something" for hazard in sorted({item.hazard for item in items}))
    (folder / "suite.yaml").write_text(f"name: canaries\nversion: '1'\ntitle: C\nhazards:\n{hazards}\n")
    (folder / "items.jsonl").write_text(
        "".join(f"{item.model_dump_json(exclude_defaults=True)}\n" for item in items), encoding="utf-8"
    )
    return folder


@pytest.fixture
def job(tmp_path: Path, canaries: Path) -> Job:
    """A job in which Keelwatch is installed."""
    bin = tmp_path / "keelwatch" / "bin"
    bin.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    (bin / "python").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    (bin / "keelwatch").write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {python} -m services.cli "$@"\n'
    )
    for program in bin.iterdir():
        program.chmod(0o755)
    return Job(tmp_path, {"route": "bot/ci", "model": "fake-1", "suites": f"{canaries}\n", "api-key-env": "THE_KEY"})


@pytest.mark.embedding
@pytest.mark.processes
def test_a_build_fails_when_the_model_got_worse_or_a_run_did_not_finish(job: Job, endpoint: Endpoint) -> None:
    job.inputs |= {"endpoint": endpoint.url("key"), "run-file": "before $(id).json"}
    assert (job.step(RUN), job.step(COMPARE)) == (0, 0), job.said
    assert job.outputs["compare"] == {"verdict": "none"}
    job.inputs |= {"baseline": "before $(id).json", "run-file": "after.json", "endpoint": endpoint.url("leaks")}
    assert (job.step(RUN), job.step(COMPARE)) == (0, 1), job.said
    assert job.outputs["compare"] == {"verdict": "regressed"}
    assert "### Safety suites: regressed" in job.summary.read_text()
    job.inputs |= {"endpoint": endpoint.url("rejects"), "fail-on": "regressed"}
    assert (job.step(RUN), job.step(COMPARE)) == (0, 1), job.said
    assert job.outputs["compare"] == {"verdict": "incomplete"}
    job.inputs |= {"baseline": "./after.json"}
    assert (job.step(RUN), (job.folder / "after.json").exists()) == (2, True)
    job.inputs |= {"baseline": "absent.json"}
    assert job.step(RUN) == 2
    assert "absent.json: No such file or directory" in job.said


def test_what_a_run_says_is_text_on_the_page_of_a_build() -> None:
    told = as_text("a | [x](http://y) <img src=x>\n# b")
    assert told == "a &#124; &#91;x&#93;&#40;http&#58;//y&#41; &lt;img src=x&gt; &#35; b"
    assert len(as_text("a" * 5_000)) == 2_000
