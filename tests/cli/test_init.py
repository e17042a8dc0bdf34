"""`keelwatch init`: what it writes can be used as it is, holds no secret where it must not, and overwrites nothing."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from services import monitor
from services.api.auth.api_key import parse_key
from services.cli.new_folder import COMPOSE_FILE, ENVIRONMENT_FILE, KEY_FILE, MONITOR_FILE, kept_values
from services.wording import onboarding as words
from tests.support.source import ROOT

ROUTE = "support-bot/prod"
GIVEN = ("--route", ROUTE, "--target", "https://api.example.com/v1", "--model", "gpt-4")
GIVEN += ("--key-env", "MODEL_API_KEY", "--slack", "#llm-safety")
ENGINE = "needs docker-compose: install Debian's package docker-compose"


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> Iterator[None]:
    """A terminal at which these lines are typed."""
    main, end = pty.openpty()
    with os.fdopen(end, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        os.write(main, "".join(f"{line}\n" for line in lines).encode())
        yield
    os.close(main)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No terminal to ask at."""
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("nobody")
def test_what_it_writes_can_be_used_as_it_is(keelwatch, tmp_path: Path) -> None:
    folder = tmp_path / "watch here"
    code, out, err = keelwatch("init", folder, *GIVEN)
    assert (code, err) == (0, "")
    assert words.fill_in(str(folder), ("MODEL_API_KEY", "KEELWATCH_SLACK_TOKEN")) in out
    assert keelwatch("check-config", folder / MONITOR_FILE)[0] == 0
    watched = monitor.load(folder / MONITOR_FILE).policy(ROUTE)
    assert watched.target is not None
    assert (watched.target.model, watched.target.api_key_env, watched.notify) == ("gpt-4", "MODEL_API_KEY", ("oncall",))
    assert watched.baseline.first.size == 300
    assert [mode(folder / name) for name in (ENVIRONMENT_FILE, MONITOR_FILE, "secrets")] == [0o600, 0o644, 0o700]
    assert parse_key((folder / KEY_FILE).read_text().strip()) is not None
    command = ["/bin/sh", "-c", f"set -a; . {shlex.quote(str(folder))}/.env; printf '%s' \"$KEELWATCH_CONFIG\""]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == str(folder / MONITOR_FILE)


@pytest.mark.usefixtures("nobody")
def test_compose_takes_its_file_with_the_secrets_beside_it(keelwatch, tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip(ENGINE)
    assert keelwatch("init", tmp_path / "a", *GIVEN)[0] == 0
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [program, "config"], cwd=tmp_path / "a", env=bare, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = yaml.safe_load(done.stdout)
    ours = [service for service in found["services"].values() if "build" in service]
    assert {service["build"]["context"] for service in ours} == {str(ROOT)}
    assert "MODEL_API_KEY" in found["services"]["watch"]["environment"]
    mounted = f"{tmp_path}/a/keelwatch.yaml:/etc/keelwatch/keelwatch.yaml:ro"
    assert all(mounted in service["volumes"] for service in ours)
    assert found["secrets"]["api_key"]["file"] == f"{tmp_path}/a/{KEY_FILE}"
    secrets = kept_values((tmp_path / "a" / ENVIRONMENT_FILE).read_text())
    assert secrets["KEELWATCH_POSTGRES_PASSWORD"] in done.stdout, "it comes from .env alone"
    assert secrets["KEELWATCH_POSTGRES_PASSWORD"] not in (tmp_path / "a" / COMPOSE_FILE).read_text()


def test_at_a_terminal_it_asks_five_questions(keelwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with typed(monkeypatch, ROUTE, "http://127.0.0.1:11434/v1", "llama", "none", "none"):
        code, out, _ = keelwatch("init", tmp_path / "a")
    assert code == 0
    assert len(words.QUESTIONS) == 5
    assert [question for question in words.QUESTIONS.values() if question not in out] == []
    watched = monitor.load(tmp_path / "a" / MONITOR_FILE)
    assert watched.allow_hosts == ("127.0.0.1",), "a model on this machine may be called"
    assert watched.receivers == {}
    assert "MODEL" not in (tmp_path / "a" / ENVIRONMENT_FILE).read_text()


def test_what_was_given_is_not_asked(keelwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with typed(monkeypatch, "#llm"):
        code, out, _ = keelwatch("init", tmp_path / "a", "--route", ROUTE, "--target", "none", "--full")
    assert code == 0
    assert [question in out for question in words.QUESTIONS.values()] == [False, False, False, False, True]
    watched = monitor.load(tmp_path / "a" / MONITOR_FILE).policy(ROUTE)
    assert (watched.target, watched.baseline.first.size) == (None, 1000)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "give --route, --target, --model, --key-env and --slack"),
        (("--route", ROUTE, "--target", "none"), "give --slack"),
        ((*GIVEN, "--route", "Support Bot"), "--route: "),
        ((*GIVEN, "--target", "ftp://example.com"), "--target: "),
        ((*GIVEN, "--target", "https://u:p@example.com/v1"), "--target: "),
        ((*GIVEN, "--slack", "llm safety"), "--slack: "),
        ((*GIVEN, "--model", ""), "--model: "),
        ((*GIVEN, "--key-env", "sk-live-0123456789"), "--key-env: must be the name of an environment variable"),
    ],
)
def test_what_cannot_be_used_names_its_option_and_nothing_is_written(
    keelwatch, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    code, out, err = keelwatch("init", tmp_path / "a", *given)
    assert (code, out) == (2, "")
    assert said in err
    assert "sk-live" not in err
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("nobody")
def test_nothing_is_overwritten_unless_forced_and_then_secrets_stay(keelwatch, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    assert keelwatch("init", folder, *GIVEN)[0] == 0
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, err = keelwatch("init", folder, *GIVEN)
    assert code == 2
    assert all(name in err for name in (MONITOR_FILE, ENVIRONMENT_FILE, COMPOSE_FILE, "--force"))
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    environment = folder / ENVIRONMENT_FILE
    environment.write_text(re.sub("^MODEL_API_KEY=$", "MODEL_API_KEY='a b$c'", environment.read_text(), flags=re.M))
    environment.chmod(0o644)
    kept = kept_values(environment.read_text())
    assert keelwatch("init", folder, *GIVEN, "--force", "--model", "gpt-5")[0] == 0
    assert kept_values(environment.read_text()) == kept
    assert kept["MODEL_API_KEY"] == "a b$c"
    assert mode(environment) == 0o600
    assert (folder / KEY_FILE).read_bytes() == before["api-key"]
    assert '"gpt-5"' in (folder / MONITOR_FILE).read_text()


@pytest.mark.usefixtures("nobody")
def test_a_folder_that_is_a_file_is_one_line(keelwatch, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    code, _, err = keelwatch("init", tmp_path / "a", *GIVEN)
    assert (code, err.count("\n")) == (2, 1)
