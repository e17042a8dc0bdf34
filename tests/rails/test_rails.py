"""Rails in a process of their own: what they say, and what becomes of exchanges when they fail."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.exchange import Guardrail
from services.errors import InputError
from services.monitor import GuardrailPolicy, Monitor, RailPolicy
from services.score.core import AskRails
from services.score.rails import host
from services.score.rails.plan import Pair, with_outcomes
from services.score.rails.process import RailProcess
from services.wiring.signals import configured_signals
from tests.support.scoring import received, scorer

MADE = Path(__file__).with_name("made_rails.py")
THREE = [Pair("p", "one"), Pair("p", "two bad"), Pair("p", "three")]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment of its own, with the made validators."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    shutil.copy(MADE, packages)
    return str(folder / "bin" / "python")


def rail(name: str, validator: str, arguments: str = "{}", **fields: Any) -> RailPolicy:
    return RailPolicy(
        name=name,
        text=fields.pop("text", "response"),
        validator=f"made_rails.{validator}",
        arguments=arguments,
        **fields,
    )


BAD = '{"word": "bad"}'


@contextmanager
def started(
    python: str, *rails: RailPolicy, environment: dict[str, str] | None = None, **fields: Any
) -> Iterator[RailProcess]:
    process = RailProcess(GuardrailPolicy(python, rails, **fields), environment)
    try:
        yield process
    finally:
        process.close()


def said(process: RailProcess, pairs: list[Pair]) -> list[dict[str, str]]:
    return [{one.name: one.outcome for one in reply.outcomes} for reply in process.outcomes(pairs)]


def test_every_rail_says_its_own(python: str) -> None:
    with started(python, rail("ban", "Words", BAD), rail("mend", "Words", BAD, mends=True)) as process:
        assert process.start().keys() == {"ban", "mend"}
        assert said(process, THREE) == [
            {"ban": "pass", "mend": "pass"},
            {"ban": "blocked", "mend": "modified"},
            {"ban": "pass", "mend": "pass"},
        ]
        assert said(process, [Pair("bad", "good")]) == [{"ban": "pass", "mend": "pass"}]


def test_a_rail_looks_at_the_text_that_it_is_for(python: str) -> None:
    with started(python, rail("asked", "Words", BAD, text="prompt")) as process:
        assert said(process, [Pair("bad", "good"), Pair("good", "bad")]) == [{"asked": "blocked"}, {"asked": "pass"}]


def test_one_that_raises_costs_its_own_outcome(python: str, caplog: pytest.LogCaptureFixture) -> None:
    with started(python, rail("ban", "Words", BAD), rail("breaks", "Raises")) as process:
        assert said(process, THREE) == [{"ban": "pass"}, {"ban": "blocked"}, {"ban": "pass"}]
        assert [reply.errors for reply in process.outcomes(THREE[:1])] == [{"breaks": "KeyError"}]
    assert [record.getMessage() for record in caplog.records] == [
        "guardrail breaks: KeyError; exchanges on which it fails have no outcome of it"
    ]


@pytest.mark.parametrize(("validator", "text"), [("Hangs", "hang"), ("Ends", "end")])
def test_one_that_hangs_or_ends_the_process_costs_these_exchanges(python: str, validator: str, text: str) -> None:
    with started(python, rail("ban", "Words", BAD), rail("breaks", validator), seconds=0.5) as process:
        process.start()
        assert said(process, [*THREE, Pair("p", text)]) == [{}] * 4
        assert said(process, THREE)[1] == {"ban": "blocked", "breaks": "pass"}


def test_after_three_failures_it_rests(python: str) -> None:
    now = [0.0]
    process = RailProcess(GuardrailPolicy(python, (rail("ends", "Ends"),)), clock=lambda: now[0])
    try:
        for _ in range(3):
            assert said(process, [Pair("p", "end")]) == [{}]
        assert said(process, [Pair("p", "fine")]) == [{}]
        now[0] += 61
        assert said(process, [Pair("p", "fine")]) == [{"ends": "pass"}]
    finally:
        process.close()


def test_it_is_quiet_and_gets_what_it_is_given_alone(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILS_SECRET", "not for it")
    with started(python, rail("quiet", "Settings"), environment={"RAILS_GIVEN": "given"}) as process:
        assert said(process, THREE[:1]) == [{"quiet": "pass"}]


def test_it_connects_to_what_is_listed_alone(python: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = [Pair("p", str(server.getsockname()[1]))]
        with started(python, rail("calls", "Calls")) as process:
            assert [reply.errors for reply in process.outcomes(port)] == [{"calls": "PermissionError"}]
        with started(python, rail("calls", "Calls"), hosts=("127.0.0.1",)) as process:
            assert said(process, port) == [{"calls": "blocked"}]


GUARDED = """
import runpy, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
runpy.run_path(sys.argv[1])["connect_to"](["127.0.0.2"])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tries = {
    "bound": lambda: udp.bind(("0.0.0.0", 0)),
    "looked up": lambda: socket.getaddrinfo("127.0.0.2", port),
    "any": lambda: socket.create_connection(("0.0.0.0", port)),
    "empty": lambda: socket.socket().connect(("", port)),
    "unix": lambda: socket.socket(socket.AF_UNIX).connect("/run/docker.sock"),
    "udp": lambda: udp.sendto(b"x", ("127.0.0.1", port)),
    "lookup": lambda: socket.getaddrinfo("example.org", port),
}
for name, attempt in tries.items():
    try:
        attempt()
        print(f"{name}: passed")
    except PermissionError as error:
        print(f"{name}: refused" if "run offline" in str(error) else f"{name}: {error}")
    except OSError as error:
        print(f"{name}: {error}")
"""


def test_this_machine_has_no_other_name_that_is_let_through() -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-c", GUARDED, host.__file__], capture_output=True, text=True, check=True, timeout=60
    )
    found = dict(line.split(": ", 1) for line in run.stdout.splitlines())
    assert {name for name, said in found.items() if said == "passed"} == {"bound", "looked up"}
    assert {said for name, said in found.items() if name not in ("bound", "looked up")} == {"refused"}


def test_what_cannot_be_run_is_an_error_that_names_it(python: str) -> None:
    for one, words in (
        (rail("nope", "Nope"), "guardrails.rails: nope: AttributeError"),
        (RailPolicy("away", "response", validator="away.Rail"), "No module named 'away'"),
        (RailPolicy("nemo", "prompt", folder="/nowhere", flow="x"), "No module named 'nemoguardrails'"),
    ):
        with started(python, one) as process, pytest.raises(InputError, match=words):
            process.start()
    nowhere = started("/nowhere/python", rail("ban", "Words", BAD))
    with nowhere as process, pytest.raises(InputError, match=r"guardrails\.python /nowhere/python"):
        process.start()


def test_another_rail_is_another_version_of_the_signals_that_tell_of_them() -> None:
    def versions(*rails: RailPolicy) -> dict[str, str]:
        policy = GuardrailPolicy("/opt/python", rails) if rails else None
        told = configured_signals(Monitor(guardrails=policy))
        return {one.spec.name: one.version for one in told if one.spec.dimension == "guardrail"}

    plain, ban, mend = versions(), versions(rail("ban", "Words", BAD)), versions(rail("ban", "Words", BAD, mends=True))
    assert all(len({plain[name], ban[name], mend[name]}) == 3 for name in ("guardrail_blocked", "guardrail_modified"))
    there = [RailPolicy("nemo", "prompt", folder=f"{at}/rails", flow="x") for at in ("/a", "/b")]
    assert versions(there[0]) == versions(there[1])


def test_scored_exchanges_have_the_outcomes_beside_those_of_the_event(python: str) -> None:
    seen: list[tuple[Guardrail, ...]] = []

    class Sees:
        spec, version = scorer().signals[0].spec, "1"

        def measure(self, text: Any) -> Any:
            seen.append(text.exchange.guardrails)
            return scorer().signals[0].measure(text)

    own = Guardrail(name="ban", outcome="pass")
    with started(python, rail("ban", "Words", BAD), rail("other", "Words", BAD)) as process:
        score = scorer(Sees(), rails=AskRails(process.outcomes)).score
        score([received(0, response="bad"), received(1, response="bad", guardrails=(own,))])
    blocked = Guardrail(name="other", outcome="blocked")
    assert seen == [(Guardrail(name="ban", outcome="blocked"), blocked), (own, blocked)]
    assert with_outcomes(received(2).exchange, []) is not None
