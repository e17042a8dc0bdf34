"""Dockerfile and compose file, as far as they can be tested without an engine.

Each of our services is started as a process with the command and the environment that the compose file gives it; only
hosts, ports and paths of the container are replaced by ones that exist here. No image is built.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import httpx
import pytest
import yaml

from tests.support.brokers import unused_ports
from tests.support.source import ROOT
from tests.support.streams import until

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
ABSENT = "needs docker-compose: install Debian's package docker-compose"
GIVEN = {
    "KEELWATCH_POSTGRES_PASSWORD": "letters",
    "KEELWATCH_KAFKA_CLUSTER_ID": "AAAAAAAAAAAAAAAAAAAAAA",
    "KEELWATCH_API_KEY_FILE": "/somewhere/api-key",
}
KEY = f"kw_{'ab' * 8}_{'cd' * 32}"
PORT = "8400"
EVERYWHERE = "0.0.0.0"


def _config(given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip(ABSENT)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("KEELWATCH_", "PIP_"))}
    with NamedTemporaryFile(suffix=".env") as nothing:  # not the .env of this checkout
        command = [program, "--env-file", nothing.name, "--file", str(COMPOSE), "config"]
        return subprocess.run(command, cwd=ROOT, env={**env, **given}, capture_output=True, text=True, check=False)


@cache
def _services() -> dict[str, Any]:
    done = _config(GIVEN)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout)["services"])


def _ours() -> dict[str, Any]:
    return {name: service for name, service in _services().items() if "build" in service}


@pytest.mark.parametrize("missing", list(GIVEN))
def test_a_secret_that_is_not_given_stops_everything(missing: str) -> None:
    done = _config({name: value for name, value in GIVEN.items() if name != missing})
    assert done.returncode != 0
    assert "infra/docker/example.env" in done.stderr


def test_no_secret_stands_in_the_compose_file() -> None:
    lines = re.findall(r"^ *\w*(?:PASSWORD|TOKEN|SECRET|CLUSTER_ID)\w*: *(\S+)", COMPOSE.read_text(), re.MULTILINE)
    assert lines
    assert [value for value in lines if not value.startswith("${")] == []
    example = (ROOT / "infra" / "docker" / "example.env").read_text()
    assert dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)) == dict.fromkeys(GIVEN, "")


def test_every_service_is_held_to_little() -> None:
    for name, service in _ours().items():
        held = (service["read_only"], service["cap_drop"], service["security_opt"], service["tmpfs"])
        assert held == (True, ["ALL"], ["no-new-privileges:true"], ["/tmp"]), name
    published = [port for service in _services().values() for port in service.get("ports", ())]
    hosts = [port["host_ip"] if isinstance(port, dict) else port.split(":")[0] for port in published]
    assert set(hosts) == {"127.0.0.1"}


def test_every_step_runs_once_and_waits_for_what_it_needs() -> None:
    workers = {name: one for name, one in _ours().items() if one["command"][0] == "worker"}
    steps = [step for one in workers.values() for step in one["command"][one["command"].index("--only") + 1].split(",")]
    assert sorted(steps) == ["alert", "detect", "evaluate", "notify", "record", "score"]
    for one in workers.values():
        assert one["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert one["depends_on"]["kafka"]["condition"] == "service_healthy"
        assert ("postgres" in one["depends_on"]) == ("KEELWATCH_DATABASE_URL" in one["environment"])


def test_the_api_is_given_its_key_as_a_secret_and_answers_this_machine() -> None:
    api = _services()["api"]
    [given] = api["secrets"]
    assert (given["source"] if isinstance(given, dict) else given) == "api_key"
    assert api["environment"]["KEELWATCH_API_KEY_FILE"] == "/run/secrets/api_key"
    assert [name for name, one in _services().items() if "secrets" in one] == ["api"]


def test_probes_of_other_containers_reach_every_service() -> None:
    dockerfile = re.findall(r"^CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    commands = [one["command"] for name, one in _ours().items() if name != "topics"] + list(map(json.loads, dockerfile))
    assert len(commands) == 4
    for command in commands:
        assert command[-4:] == ["--host", EVERYWHERE, "--port", PORT]


def test_the_image_is_pinned_small_and_without_rights() -> None:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = [rest for what, rest in instructions[[what for what, _ in instructions].index("USER") :]]
    assert last[0] == "10001"
    installed = [
        rest for what, rest in instructions if what == "RUN" and re.search(r"\bpip\b.* (install|wheel) ", rest)
    ]
    assert len(installed) == 6
    assert [one for one in installed if "--require-hashes" not in one and "--no-index" not in one] == []
    assert "PIP_NO_DEPS=1 PIP_ONLY_BINARY=:all:" in text
    locks = set(re.findall(r"requirements/([\w-]+)\.lock", text))
    assert locks == {"build", "core", "sentence-transformers"}  # and $TORCH
    assert [
        name for name in locks | {"torch", "torch-cpu"} if not (ROOT / "requirements" / f"{name}.lock").exists()
    ] == []
    targets = re.findall(r"^FROM base AS (\S+)$", text, re.MULTILINE)
    assert targets == ["sentence-transformers", "core"]  # the last one is what is built when none is named
    assert {service["build"]["target"] for service in _ours().values()} == {"core"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {
        word
        for what, rest in instructions
        if what == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    }
    assert {f"!{name.split('/')[0]}" for name in copied} <= set(ignored)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert json.loads(dict(instructions)["ENTRYPOINT"]) == list(project["scripts"])


def test_every_service_starts_with_what_the_compose_file_gives_it(
    own_kafka: Any, postgres: Any, tmp_path: Path
) -> None:
    places = {
        "kafka:9092": own_kafka.bootstrap,
        "postgresql://keelwatch:letters@postgres:5432/keelwatch": postgres.fresh(),
        "/run/secrets/api_key": str(tmp_path / "api-key"),
    }
    (tmp_path / "api-key").write_text(KEY)
    topics = _started("topics", places, tmp_path)
    with topics as (process, said, _):
        assert process.wait(120) == 0, said.read_text()
    for name in [name for name in _ours() if name != "topics"]:
        with _started(name, places, tmp_path) as (process, said, port):
            until(lambda process=process, port=port, said=said: _healthy(process, port, said), f"{name} is well")
            until(lambda process=process, port=port, said=said: _ready(process, port, said), f"{name} is ready")
            if name == "api":
                _asks_for_a_key(port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, said.read_text()


@contextmanager
def _started(name: str, places: Mapping[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, str]]:
    service, [port], said = _ours()[name], map(str, unused_ports(1)), folder / f"{name}.log"
    command = [{PORT: port, EVERYWHERE: "127.0.0.1"}.get(word, word) for word in service["command"]]
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *command],
            cwd=ROOT,
            env=_environment(service, places, folder / name),
            stdout=out,
            stderr=out,
        )
    try:
        yield process, said, port
    finally:
        process.kill()
        process.wait()


def _environment(service: Mapping[str, Any], places: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What the image and the compose file set, and of this machine only where programs are."""
    mounts = dict(map(_mount, service["volumes"]))
    given = {"KEELWATCH_DATA_DIR": str(folder), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    for name in ("PATH", "LD_LIBRARY_PATH"):
        if name in os.environ:
            given[name] = os.environ[name]
    for name, value in service["environment"].items():
        given[name] = mounts.get(value, places.get(value, value))
    return given


def _mount(volume: str | Mapping[str, str]) -> tuple[str, str]:
    """Target and source; older and newer programs write them differently."""
    if isinstance(volume, str):
        source, _, target = volume.removesuffix(":ro").rpartition(":")
        return target, source
    return volume["target"], volume.get("source", "")


def _healthy(process: subprocess.Popen[bytes], port: str, said: Path) -> bool:
    """What the image's health check says, on the port of this process."""
    assert process.poll() is None, said.read_text()
    [check] = re.findall(r"^ +CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    words = [word.replace(f":{PORT}/", f":{port}/") for word in json.loads(check)]
    assert (words[0], port in words[-1]) == ("python", True), shlex.join(words)
    return subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False).returncode == 0


def _asks_for_a_key(port: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        named = {"host": "keelwatch.example"}
        assert client.get("/v1/incidents", headers=named).status_code == 401
        assert client.get("/v1/incidents", headers=named | {"authorization": f"Bearer {KEY}"}).status_code == 200


def _ready(process: subprocess.Popen[bytes], port: str, said: Path) -> bool:
    assert process.poll() is None, said.read_text()
    program = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/readyz', timeout=4)"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
