"""`make containers`: docker-compose.yml as people run it, on a real engine.

It is built, started and given exchanges of several routes while every container is killed in turn. Afterwards each
exchange that was acknowledged has its scores, the routes whose model changed have an incident and the others none. Then
what a person meets on the way: no volume is left behind, a missing monitor file stops everything, an unreadable one is
told. The engine is that of KEELWATCH_CONTAINERS, DOCKER_HOST or /var/run/docker.sock.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Final

import httpx

from docs.samples import MONITOR
from services.demo.support_bot import Script, traffic
from tests.containers.engine import Absent, Engine, Project
from tests.support.source import ROOT

BROKER: Final = "127.0.0.1:19092"
PAGES: Final = "http://127.0.0.1:8400"
SCRIPT: Final = Script(before=400, after=160)
KILLED: Final = ("score", "watch", "kafka", "api", "postgres")
PAUSE: Final = 5.0
READY_SECONDS: Final = 600.0


def main() -> None:
    """Run it all; exit code 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(prog="make containers", description=__doc__)
    parser.add_argument("--routes", type=int, default=6, help="half of them change their model")
    parser.add_argument("--rate", type=float, default=40.0, help="exchanges a second")
    parser.add_argument("--score", type=int, default=2, help="containers of score")
    chosen = parser.parse_args()
    try:
        engine = Engine()
        _run(engine, chosen)
    except Absent as error:
        sys.exit(f"not run: {error}")


def _run(engine: Engine, chosen: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="keelwatch-containers-") as name:
        folder = Path(name)
        key = _settings(folder)
        project = Project(f"keelwatch-trial-{secrets.token_hex(3)}", folder / "env")
        try:
            _trial(engine, project, folder, key, chosen)
        except BaseException:
            shown = project.tried("logs", "--tail", "40")
            sys.stderr.write(f"{engine.states(project.name)}\n{shown.stdout[-12_000:]}")
            raise
        finally:
            project.tried("down", "--volumes", "--timeout", "20")


def _settings(folder: Path) -> str:
    """The files that infra/docker/example.env tells to make; the key."""
    key = f"kw_{secrets.token_hex(8)}_{secrets.token_hex(32)}"
    folder.chmod(0o755)
    for name, text, mode in (
        ("api-key", key, 0o444),
        ("keelwatch.yaml", MONITOR, 0o644),
        ("private.yaml", MONITOR, 0o600),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    (folder / "env").write_text(
        f"KEELWATCH_POSTGRES_PASSWORD={secrets.token_hex(24)}\n"
        f"KEELWATCH_KAFKA_CLUSTER_ID={secrets.token_urlsafe(16)}\n"
        f"KEELWATCH_API_KEY_FILE={folder}/api-key\n"
        f"KEELWATCH_MONITOR_FILE={folder}/keelwatch.yaml\n"
        f"PIP_EXTRA_INDEX_URL={os.environ.get('PIP_EXTRA_INDEX_URL', '')}\n"
    )
    return key


def _trial(engine: Engine, project: Project, folder: Path, key: str, chosen: argparse.Namespace) -> None:
    _say(f"engine: {engine.name}")
    before, begun = engine.volumes(), time.monotonic()
    project("build")
    size = engine.image_bytes("keelwatch:core") / 1e6
    _say(f"built in {time.monotonic() - begun:.0f} s; the image takes {size:,.0f} MB")
    begun = time.monotonic()
    up = ("up", "--detach", "--scale", f"score={chosen.score}")
    project(*up)
    _ready(engine, project)
    _say(f"all ready {time.monotonic() - begun:.0f} s after up")

    sent = _publish_under_kills(engine, project, folder, chosen)
    _ready(engine, project)
    _check_scores(folder, sent)
    _check_incidents(key, chosen.routes)

    named = {name for name in engine.volumes() - before if name.startswith(project.name)}
    project("down", "--timeout", "30")
    project(*up)
    _ready(engine, project)
    project("down", "--timeout", "30")
    left = engine.volumes() - before - named
    _must(not left, f"volumes left by down and up: {len(left)}, beside the named {len(named)}")
    _check_monitor_file(project, folder)


def _publish_under_kills(
    engine: Engine, project: Project, folder: Path, chosen: argparse.Namespace
) -> dict[str, set[str]]:
    """Route -> ids; all of them were acknowledged, by as many calls of `publish` as it took."""
    sent: dict[str, set[str]] = {}
    over = threading.Event()
    faults: list[BaseException] = []
    killer = threading.Thread(target=_kill_in_turn, args=(engine, project, over, faults))
    killer.start()
    calls = lines = 0
    try:
        for piece in _pieces(chosen.routes):
            for route, id, _ in piece:
                sent.setdefault(route, set()).add(id)
            lines += len(piece)
            calls += _acknowledged(folder, [line for *_, line in piece], chosen.rate)
    finally:
        over.set()
        killer.join()
    if faults:
        raise faults[0]
    _say(f"{lines:,} exchanges of {chosen.routes} routes acknowledged, by {calls} calls of publish")
    return sent


def _pieces(routes: int) -> Iterator[list[tuple[str, str, str]]]:
    """(route, id, line), in pieces whose order matters: the odd routes change their model in the last two."""
    stories = [list(traffic(SCRIPT, seed)) for seed in range(routes)]
    quiet = [list(traffic(Script(before=SCRIPT.before + SCRIPT.after, after=0), seed)) for seed in range(routes)]
    edges = (0, SCRIPT.before // 2, SCRIPT.before, SCRIPT.before + SCRIPT.after // 2, SCRIPT.before + SCRIPT.after)
    for first, last in pairwise(edges):
        piece = []
        for i in range(first, last):
            for n in range(routes):
                route, id = f"bot-{n}/prod", f"{n}-{i}"
                one = (stories if n % 2 else quiet)[n][i].model_copy(update={"route": route, "id": id})
                piece.append((route, id, one.model_dump_json(exclude_none=True, exclude_defaults=True)))
        yield piece


def _acknowledged(folder: Path, lines: Sequence[str], rate: float) -> int:
    """Publish until nothing is left; how often that was called."""
    file = folder / "piece.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    for calls in count(1):
        left = folder / f"left-{calls % 2}.jsonl"
        left.unlink(missing_ok=True)
        done = _keelwatch(folder, "publish", str(file), "--bootstrap", BROKER, "--rate", str(rate), "--left", str(left))
        if done.returncode == 0:
            return calls
        if left.exists():  # else the broker did not answer at the start, and nothing was sent
            file = left
        if calls == 60:
            break
        time.sleep(2)
    raise AssertionError(f"publish did not come to an end: {done.stdout}{done.stderr}")


def _kill_in_turn(engine: Engine, project: Project, over: threading.Event, faults: list[BaseException]) -> None:
    """Each container once, and on until everything was published; the next when all are well again."""
    try:
        for n in count():
            if n >= len(KILLED) and over.is_set():
                return
            service = KILLED[n % len(KILLED)]
            project("kill", "-s", "SIGKILL", service)
            time.sleep(PAUSE)
            project("start", service)
            begun = time.monotonic()
            _ready(engine, project)
            _say(f"killed {service}; all ready {time.monotonic() - begun:.0f} s after its start")
            over.wait(PAUSE)
    except BaseException as fault:
        faults.append(fault)


def _check_scores(folder: Path, sent: dict[str, set[str]]) -> None:
    """The topic of scores has each exchange that was acknowledged, soon."""
    wanted = set().union(*sent.values())
    missing, out = wanted, folder / "scores.jsonl"
    for _ in range(20):
        words = ("--topic", "keelwatch.scores", "--from-beginning", "--until-idle", "5", "--out", str(out))
        done = _keelwatch(folder, "capture", *words, "--bootstrap", BROKER)
        if done.returncode == 0:
            missing = wanted - {json.loads(line)["id"] for line in out.read_text().splitlines()}
            if not missing:
                break
        time.sleep(5)
    _must(not missing, f"acknowledged and not scored: {len(missing)} of {len(wanted):,}")


def _check_incidents(key: str, routes: int) -> None:
    """The routes whose model changed have an incident, the others none."""
    wanted = {f"bot-{n}/prod" for n in range(routes) if n % 2}
    found: set[str] = set()
    with httpx.Client(
        base_url=PAGES, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as client:

        def looked() -> bool:
            answer = client.get("/v1/incidents", params={"limit": 100})
            answer.raise_for_status()
            found.clear()
            found.update(one["route"] for one in answer.json()["items"])
            return wanted <= found

        _until(looked, 300)
    _must(
        found == wanted,
        f"routes with an incident: {len(found & wanted)} of {len(wanted)}, others {len(found - wanted)}",
    )


def _check_monitor_file(project: Project, folder: Path) -> None:
    absent = folder / "absent.yaml"
    given = {"KEELWATCH_MONITOR_FILE": str(absent)}
    done = project.tried("run", "--rm", "--no-deps", "-T", "score", given=given)
    made = absent.is_dir()
    _must(done.returncode != 0, f"a missing monitor file stops it (a folder was made in its place: {made})")
    given = {"KEELWATCH_MONITOR_FILE": str(folder / "private.yaml")}
    done = project.tried("run", "--rm", "--no-deps", "-T", "score", given=given)
    told = "let user 10001 read it" in done.stdout + done.stderr
    _must(done.returncode != 0 and told, "a monitor file of mode 0600 is told, with the remedy")


def _ready(engine: Engine, project: Project) -> None:
    def well() -> bool:
        states = engine.states(project.name)
        return bool(states) and all(state in ("healthy", "exited 0") for state in states.values())

    if not _until(well, READY_SECONDS):
        raise AssertionError(f"not ready within {READY_SECONDS:g} s: {engine.states(project.name)}")


def _until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def _keelwatch(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    environment = {**kept, "KEELWATCH_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "services.cli", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _must(well: bool, what: str) -> None:
    _say(what)
    if not well:
        raise AssertionError(what)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
