"""`keelwatch init`: what it writes can be used as it is, holds no secret where it must not, and overwrites nothing."""

from __future__ import annotations

import errno
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from services import monitor
from services.api.auth.api_key import new_key, parse_key
from services.cli.new_folder import COMPOSE_FILE, ENVIRONMENT_FILE, KEY_FILE, MONITOR_FILE
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


def sourced(path: Path) -> dict[str, str]:
    """The variables of a file `.env`, as a shell reads them."""
    command = 'set -a; . "$0"; exec env -0'
    done = subprocess.run(["/bin/sh", "-c", command, str(path.resolve())], capture_output=True, env={}, check=True)
    found = dict(one.split("=", 1) for one in os.fsdecode(done.stdout).split("\0") if one)
    return {name: value for name, value in found.items() if name not in ("PWD", "SHLVL", "_", "PATH")}


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
    assert sourced(folder / ENVIRONMENT_FILE)["KEELWATCH_CONFIG"] == str(folder / MONITOR_FILE)


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
    ours = [service for service in found["services"].values() if service["image"].startswith("keelwatch:")]
    assert [service["build"]["context"] for service in ours if "build" in service] == [str(ROOT)], "it is built once"
    environment = {name: service.get("environment", {}) for name, service in found["services"].items()}
    assert "MODEL_API_KEY" in environment["watch"]
    for name in ("KEELWATCH_PUBLIC_URL", "KEELWATCH_SLACK_SIGNING_SECRET"):
        assert environment["watch"][name] == environment["api"][name], "messages have links, and buttons"
    makes_keys = re.search("docker-compose exec ([a-z]+) keelwatch key create", words.KEY_FIRST)
    assert makes_keys is not None
    assert environment[makes_keys[1]]["KEELWATCH_DATABASE_URL"] == environment["api"]["KEELWATCH_DATABASE_URL"]
    mounted = [{one["target"]: one["source"] for one in service["volumes"]} for service in ours]
    assert {one["/etc/keelwatch/keelwatch.yaml"] for one in mounted} == {f"{tmp_path}/a/keelwatch.yaml"}
    assert [one[key] for one in mounted if (key := "/run/secrets/api_key") in one] == [f"{tmp_path}/a/{KEY_FILE}"]
    secrets = sourced(tmp_path / "a" / ENVIRONMENT_FILE)
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
        ((*GIVEN, "--target", "http://[::1/v1"), "--target: "),
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
    kept = sourced(environment)
    assert keelwatch("init", folder, *GIVEN, "--force", "--model", "gpt-5")[0] == 0
    assert sourced(environment) == kept
    assert kept["MODEL_API_KEY"] == "a b$c"
    assert mode(environment) == 0o600
    assert (folder / KEY_FILE).read_bytes() == before["api-key"]
    assert '"gpt-5"' in (folder / MONITOR_FILE).read_text()


@pytest.mark.usefixtures("nobody")
def test_a_folder_that_is_a_file_is_one_line(keelwatch, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    code, _, err = keelwatch("init", tmp_path / "a", *GIVEN)
    assert (code, err.count("\n")) == (2, 1)


KEPT = b"""# mine: \xe9
MODEL_API_KEY=abc#def123
export KEELWATCH_SLACK_TOKEN=xoxb-1
KEELWATCH_SLACK_CHANNEL=#llm-safety
http_proxy="http://proxy:3128"   # ours
QUOTED='a b$c'
KEELWATCH_KAFKA_CLUSTER_ID=
KEELWATCH_CONFIG=/old/keelwatch.yaml
"""


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("ending", [b"\n", b"", b"\n\n"])
def test_an_environment_that_was_there_stays_to_the_byte_but_for_what_is_ours(
    keelwatch, tmp_path: Path, ending: bytes
) -> None:
    environment = tmp_path / ENVIRONMENT_FILE
    environment.write_bytes(KEPT.rstrip() + ending)
    code, out, err = keelwatch("init", tmp_path, *GIVEN, "--force")
    assert (code, err) == (0, "")
    assert "fill in" not in out
    lines = environment.read_bytes().splitlines()
    assert [line for line in KEPT.splitlines() if line not in lines] == KEPT.splitlines()[-2:], "both have values now"
    found = sourced(environment)
    assert found["KEELWATCH_CONFIG"] == str(tmp_path / MONITOR_FILE)
    assert len(found["KEELWATCH_POSTGRES_PASSWORD"]) == 48
    assert len(found["KEELWATCH_KAFKA_CLUSTER_ID"]) == 22
    written = environment.read_bytes()
    assert keelwatch("init", tmp_path, *GIVEN, "--force")[0] == 0
    assert environment.read_bytes() == written


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("kept", "line"),
    [
        (b"A=1\nTOKEN='abc\nB=2\n", 2),
        (b'A=1\r\nTOKEN="abc\r\nB="2"\r\nC="3"\r\n', 2),
        (b"GREETING=it's", 1),
        (b'PEM="-----BEGIN\nabc\n-----END"\n# it\'s \xe9\nA=\'b\\\'\nB="c\\"\n', 6),
        (b"A=1\n\n'\n", 3),
    ],
)
def test_a_quote_that_is_never_closed_is_refused_with_its_line_and_nothing_is_written(
    keelwatch, tmp_path: Path, kept: bytes, line: int
) -> None:
    environment = tmp_path / ENVIRONMENT_FILE
    environment.write_bytes(kept)
    code, out, err = keelwatch("init", tmp_path, *GIVEN, "--force")
    assert (code, out) == (2, "")
    assert f".env: line {line}: a quote is opened and not closed" in err
    assert "abc" not in err
    assert environment.read_bytes() == kept
    assert [path.name for path in tmp_path.rglob("*")] == [ENVIRONMENT_FILE]


@pytest.mark.usefixtures("nobody")
def test_what_stands_within_a_value_of_several_lines_is_no_variable(keelwatch, tmp_path: Path) -> None:
    within = "MODEL_API_KEY=\nKEELWATCH_CONFIG=old\n# it"
    environment = tmp_path / ENVIRONMENT_FILE
    environment.write_text(f"NOTE='{within}'\nA=it\\'s # isn't it\n")
    assert keelwatch("init", tmp_path, *GIVEN, "--force")[0] == 0
    found = sourced(environment)
    assert (found["NOTE"], found["A"]) == (within, "it's")
    assert found["KEELWATCH_CONFIG"] == str(tmp_path / MONITOR_FILE)
    assert len(found["KEELWATCH_POSTGRES_PASSWORD"]) == 48


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("name", ["ann's", "two words", "a $HOME `x`", 'say "hi"', "a#b", "größe"])
def test_a_shell_reads_the_folder_of_any_name(keelwatch, tmp_path: Path, name: str) -> None:
    assert keelwatch("init", tmp_path / name, *GIVEN)[0] == 0
    text = (tmp_path / name / ENVIRONMENT_FILE).read_text()
    assert sourced(tmp_path / name / ENVIRONMENT_FILE)["KEELWATCH_DATA_DIR"] == str(tmp_path / name / "data")
    assert "'\"'\"'" not in text, "compose cannot read that"


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("name", ["it's $HOME", "back\\slash", "two\nlines"])
def test_a_folder_that_compose_would_read_otherwise_is_refused(keelwatch, tmp_path: Path, name: str) -> None:
    code, _, err = keelwatch("init", tmp_path / name, *GIVEN)
    assert code == 2
    assert "name a folder whose path" in err
    assert not (tmp_path / name).exists()


@pytest.mark.usefixtures("nobody")
def test_secrets_survive_a_disk_that_is_full(keelwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keelwatch("init", tmp_path / "a", *GIVEN)[0] == 0
    environment = tmp_path / "a" / ENVIRONMENT_FILE
    before = environment.read_bytes()
    environment.chmod(0o644)

    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(Path, "replace", full)
    code, _, err = keelwatch("init", tmp_path / "a", *GIVEN, "--force")
    assert code == 2
    assert "No space left" in err
    assert environment.read_bytes() == before


@pytest.mark.usefixtures("nobody")
def test_an_environment_that_is_a_link_stays_one(keelwatch, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.write_text("MODEL_API_KEY=1\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ENVIRONMENT_FILE).symlink_to(held)
    assert keelwatch("init", tmp_path / "a", *GIVEN, "--force")[0] == 0
    assert (tmp_path / "a" / ENVIRONMENT_FILE).is_symlink()
    assert sourced(held)["MODEL_API_KEY"] == "1"
    assert mode(held) == 0o600


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [(KEY_FILE, b"rubbish\n", "holds no API key"), (ENVIRONMENT_FILE, "A=1".encode("utf-16"), "holds NUL bytes")],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(
    keelwatch, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / "a" / "secrets").mkdir(parents=True)
    (tmp_path / "a" / name).write_bytes(content)
    code, out, err = keelwatch("init", tmp_path / "a", *GIVEN, "--force")
    assert (code, out) == (2, "")
    assert f"{tmp_path}/a/{name}: {said}" in err
    assert [path.name for path in (tmp_path / "a").rglob("*") if path.is_file()] == [Path(name).name]


@pytest.mark.usefixtures("nobody")
def test_a_key_that_is_kept_is_not_called_written_and_can_be_read_in_a_container(keelwatch, tmp_path: Path) -> None:
    key = tmp_path / "a" / KEY_FILE
    key.parent.mkdir(parents=True)
    key.parent.chmod(0o755)
    key.write_text(text := f"{new_key(bytes(40)).text}\n")
    key.chmod(0o600)
    code, out, _ = keelwatch("init", tmp_path / "a", *GIVEN, "--force")
    assert code == 0
    assert words.written(f"{tmp_path}/a", [MONITOR_FILE, ENVIRONMENT_FILE, COMPOSE_FILE]) in out.splitlines()
    assert words.folder_closed(str(key.parent)) in out
    assert words.key_opened(str(key)) in out
    assert (key.read_text(), mode(key), mode(key.parent)) == (text, 0o644, 0o700)
    again = keelwatch("init", tmp_path / "a", *GIVEN, "--force")[1]
    assert "closed" not in again.replace("its folder is closed", "")
    assert words.key_opened(str(key)) not in again


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("option", ["--slack", "--model", "--route", "--target"])
def test_an_answer_that_is_no_text_names_its_option(keelwatch, tmp_path: Path, option: str) -> None:
    code, _, err = keelwatch("init", tmp_path / "a", *GIVEN, option, os.fsdecode(b"a\xff"))
    assert (code, err.count("\n")) == (2, 1)
    assert f"{option}: holds bytes that are not UTF-8" in err
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("nobody")
def test_the_next_step_runs_as_it_is_printed(keelwatch, tmp_path: Path) -> None:
    folder = tmp_path / "it is here"
    out = keelwatch("init", folder, *GIVEN)[1]
    line = next(line for line in out.splitlines() if line.endswith("keelwatch up")).partition(": ")[2]
    command = line.removesuffix("keelwatch up") + 'printf %s "$KEELWATCH_CONFIG"'
    done = subprocess.run(["/bin/sh", "-c", command], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, str(folder / MONITOR_FILE))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:11434/v1", "127.0.0.1"),
        ("http://localhost:11434/v1", "localhost"),
        ("http://[::1]:8000/v1", "::1"),
        ("http://10.0.0.7:8000/v1", None),
        ("https://api.example.com/v1", None),
    ],
)
def test_a_model_on_this_machine_is_not_reached_from_containers_and_that_is_said(
    keelwatch, tmp_path: Path, url: str, host: str | None
) -> None:
    code, out, _ = keelwatch("init", tmp_path / "a", *GIVEN, "--target", url)
    assert code == 0
    assert (f"in a container {host} is the container itself" in out) is (host is not None)
    assert ("host.docker.internal" in out) is (host is not None)
