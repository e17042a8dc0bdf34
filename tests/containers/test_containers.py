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
from socket import create_server, gethostname
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
    return {name: service for name, service in _services().items() if service["image"].startswith("keelwatch:")}


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


def test_the_api_is_given_its_key_as_a_file_and_answers_this_machine() -> None:
    api = _services()["api"]
    assert api["environment"]["KEELWATCH_API_KEY_FILE"] == "/run/secrets/api_key"
    assert dict(map(_mount, api["volumes"]))["/run/secrets/api_key"] == "/somewhere/api-key"
    mounts = {name: dict(map(_mount, one.get("volumes", ()))) for name, one in _services().items()}
    assert [name for name, one in mounts.items() if "/run/secrets/api_key" in one] == ["api"]


def test_the_image_is_built_once_and_before_all_that_run_it() -> None:
    [(name, built)] = [(name, one) for name, one in _services().items() if "build" in one]
    assert {one["image"] for one in _ours().values()} == {built["image"]}
    assert [one["pull_policy"] for one in _ours().values() if one is not built] == ["never"] * 3  # it is in no registry
    assert all(name in one["depends_on"] for one in _ours().values() if one is not built)


def test_no_start_leaves_a_volume_behind() -> None:
    """What is mounted has a name, is a file of this machine, or is gone with its container."""
    ours = frozenset(re.findall(r"^VOLUME (\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    declared = {  # by the images; apache/kafka's and postgres's as their Dockerfiles have it
        "kafka": {"/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"},
        "postgres": {"/var/lib/postgresql/data"},
        **dict.fromkeys(_ours(), ours),
    }
    assert ours == {"/data"}
    for name, service in _services().items():
        mounts = [one if isinstance(one, dict) else _long(one) for one in service["volumes"]]
        assert declared[name] <= {one["target"] for one in mounts}, name
        assert [one for one in mounts if one["type"] == "volume" and not one.get("source")] == [], name


def test_replicas_of_a_service_have_names_of_their_own(tmp_path: Path) -> None:
    """They share a data directory, where each claims the id of its container."""
    for name, service in _ours().items():
        assert dict(map(_mount, service["volumes"]))["/data"] == "keelwatch"
        words = [word.replace("$$", "$") for word in service["entrypoint"]]
        (tmp_path / "keelwatch").write_text('#!/bin/sh\necho "$KEELWATCH_INSTANCE" "$@"\n')
        (tmp_path / "keelwatch").chmod(0o700)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        said = subprocess.run([*words, *service["command"]], env=env, capture_output=True, text=True, check=True).stdout
        assert said.split() == [gethostname(), *service["command"]], name


def test_what_is_mounted_stops_everything_where_it_is_missing() -> None:
    """In the short form an engine makes a folder of root's where a file is missing."""
    for name, service in _services().items():
        short = [one for one in service.get("volumes", ()) if isinstance(one, str)]
        assert [one for one in short if not re.match(r"\w+:", one)] == [], name
        assert "secrets" not in service, name  # docker-compose 1.29 mounts them in the short form


def test_health_is_readiness_and_costs_little() -> None:
    for name, service in _ours().items():
        assert name == "topics" or "/readyz" in service["healthcheck"]["test"][-1], name
    assert "--host" in _services()["postgres"]["healthcheck"]["test"]
    check = _services()["kafka"]["healthcheck"]["test"][-1]
    assert check.startswith("exec 3<>/dev/tcp/kafka/9092 && ")


def test_a_broker_that_answered_once_is_asked_by_a_connection_alone(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as server:
        asked = tmp_path / "asked"
        tool = tmp_path / "tool"
        tool.write_text(f"#!/bin/sh\necho >> {asked}; [ -e {tmp_path}/up ]\n")
        tool.chmod(0o700)
        check = _services()["kafka"]["healthcheck"]["test"][-1]
        for there, here in (
            ("kafka/9092", f"127.0.0.1/{server.getsockname()[1]}"),
            ("/opt/kafka/bin/kafka-broker-api-versions.sh", str(tool)),
            ("/run/answered", str(tmp_path)),
        ):
            assert there in check
            check = check.replace(there, here)

        def well() -> bool:
            return subprocess.run(["bash", "-c", check], capture_output=True, check=False).returncode == 0

        assert not well()
        (tmp_path / "up").touch()
        assert (well(), well(), well()) == (True, True, True)
        assert asked.read_text().count("\n") == 2
    assert not well()


def test_logs_have_an_end() -> None:
    for name, service in _services().items():
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}, name


def test_what_the_example_tells_to_make_is_not_committed() -> None:
    example = (ROOT / "infra" / "docker" / "example.env").read_text()
    made = {".env", *re.findall(r"> (\S+)$", example, re.MULTILINE)}
    assert made == {".env", "secrets/api-key"}
    done = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == made


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
    assert _ours()["topics"]["build"]["target"] == "core"
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
        given[name] = places.get(value, mounts.get(value, value))
    return given


def _long(volume: str) -> dict[str, str]:
    source, _, target = volume.removesuffix(":ro").removesuffix(":rw").rpartition(":")
    return {"type": "bind" if source.startswith(("/", ".")) else "volume", "source": source, "target": target}


def _mount(volume: str | Mapping[str, str]) -> tuple[str, str]:
    """Target and source; older and newer programs write them differently."""
    if isinstance(volume, str):
        return _long(volume)["target"], _long(volume)["source"]
    return volume["target"], volume.get("source", "")


def _healthy(process: subprocess.Popen[bytes], port: str, said: Path) -> bool:
    """What the image's own health check says, on the port of this process."""
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
