"""A container engine, by its API, and docker-compose, by its commands: for `make containers`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.source import ROOT

SETTING: Final = "KEELWATCH_CONTAINERS"
DEFAULT: Final = "unix:///var/run/docker.sock"
REMEDY: Final = (
    f"no container engine answers at {{address}}: start Docker, or `podman system service --time 0 "
    f"unix:///run/podman.sock` and set {SETTING}=unix:///run/podman.sock"
)


class Absent(Exception):  # noqa: N818
    """There is no engine, or no docker-compose."""


def address() -> str:
    """Where the engine listens: a socket of this machine."""
    return os.environ.get(SETTING) or os.environ.get("DOCKER_HOST") or DEFAULT


def compose_command() -> list[str]:
    """docker-compose, or compose as a part of docker.

    Raises:
        Absent: if there is neither.
    """
    if program := shutil.which("docker-compose"):
        return [program]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    raise Absent("needs docker-compose: install Debian's package docker-compose")


class Engine:
    """What the engine has, by its API."""

    def __init__(self) -> None:
        """Ask it who it is.

        Raises:
            Absent: if it does not answer.
        """
        scheme, _, path = address().partition("://")
        if scheme != "unix":
            raise Absent(f"{SETTING}={address()}: name a socket of this machine, as unix:///path")
        self._client = httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://engine", timeout=60)
        try:
            self.name = self._version()
        except httpx.HTTPError:
            raise Absent(REMEDY.format(address=address())) from None

    def _version(self) -> str:
        found = self._get("version")
        [part, *_] = found.get("Components") or [{"Name": "engine", "Version": found["Version"]}]
        return f"{part['Name']} {part['Version']}"

    def volumes(self) -> set[str]:
        """Names of all volumes."""
        return {one["Name"] for one in self._get("volumes")["Volumes"] or ()}

    def image_bytes(self, name: str) -> int:
        """What an image takes."""
        return int(self._get(f"images/{name}/json")["Size"])

    def states(self, project: str) -> dict[str, str]:
        """Container -> `healthy`, `unhealthy`, `starting`, or the engine's word where it has no check."""
        found = self._get(
            "containers/json", all="true", filters=f'{{"label": ["com.docker.compose.project={project}"]}}'
        )
        return {one["Names"][0].lstrip("/"): self._state(one["Id"]) for one in found}

    def _state(self, id: str) -> str:
        state = self._get(f"containers/{id}/json")["State"]
        health = (state.get("Health") or {}).get("Status") or ""
        if state["Status"] == "running" and health not in ("", "none"):
            return str(health)
        return f"exited {state['ExitCode']}" if state["Status"] == "exited" else str(state["Status"])

    def _get(self, path: str, **query: str) -> Any:
        answer = self._client.get(f"/v1.40/{path}", params=query)
        answer.raise_for_status()
        return answer.json()


@dataclass(frozen=True)
class Project:
    """The compose file under a name of its own, so that nothing of a real deployment is touched."""

    name: str
    settings: Path

    def __call__(self, *words: str) -> None:
        """Run a command of compose.

        Raises:
            RuntimeError: if it failed.
        """
        done = self.tried(*words)
        if done.returncode:
            raise RuntimeError(f"docker-compose {' '.join(words)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")

    def tried(self, *words: str, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of compose that may fail."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
        environment = {**kept, "DOCKER_HOST": address(), "COMPOSE_HTTP_TIMEOUT": "600", **(given or {})}
        command: Sequence[str] = [*compose_command(), "-p", self.name, "--env-file", str(self.settings), *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
