"""Inspect as a runner, without Inspect: what it needs, and what becomes of what it tells.

With the real package: `python -m tests.evaluate.inspect_comparison --python PYTHON`.
"""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.cli.runners import checked_runner
from services.errors import InputError
from services.evaluate.client import EndpointSettings, Patience, RunBudget, RunLimits
from services.evaluate.comparison import incomparable
from services.evaluate.inspect_runner import HOST, RUNNER, InspectEndpoint, answer_reply, chat_completion
from services.evaluate.result import AskedTarget, RunResult, SuiteAnswer
from services.wording import runners as words
from tests.support.results import result, suite_of

SUITE = suite_of(harmful=2, benign=1, canaries=0)
URL = "http://127.0.0.1:9/v1"
HOSTS = ["127.0.0.1"]
pytestmark = pytest.mark.processes


def endpoint(python: str, seconds: float = 60.0, **fields: Any) -> InspectEndpoint:
    settings = EndpointSettings(**{"base": URL, "model": "m", "key": "sk-secret-0123456789", **fields})
    patience = Patience(seconds=seconds)
    return InspectEndpoint(settings, HOSTS, Random(1), lambda: datetime.now(UTC), python, SUITE, patience)


def output(stop: str = "stop", content: Any = "Yes.", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {"model": "served", "choices": [{"message": message, "stop_reason": stop}], "response_id": "r"}


def test_what_inspect_read_is_an_answer_as_our_own_runner_reads_it() -> None:
    parts = [
        {"type": "reasoning", "reasoning": "Shall I?"},
        {"type": "text", "text": "Yes."},
        {"type": "text", "text": "No.", "refusal": True},
    ]
    calls = [{"id": "1", "function": "send", "arguments": {"to": "ä"}, "type": "function"}]
    made = chat_completion(output(content=parts, tool_calls=calls))
    message = made["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == ("Yes.", "No.")
    assert message["tool_calls"][0]["function"] == {"name": "send", "arguments": '{"to": "ä"}'}
    assert (made["model"], made["choices"][0]["finish_reason"]) == ("served", "stop")
    assert chat_completion(output("max_tokens"))["choices"][0]["finish_reason"] == "length"


def test_an_answer_that_ended_for_a_reason_that_inspect_does_not_know_is_none() -> None:
    assert answer_reply(output("unknown")) is None
    reply = answer_reply(output("content_filter"))
    assert reply is not None
    assert json.loads(reply.body)["choices"][0]["finish_reason"] == "content_filter"


STUB = """
import json, sys
order = json.loads(sys.stdin.readline())
assert "sk-secret" not in json.dumps(order) + " ".join(sys.argv)
print(json.dumps({"inspect": "9"}), flush=True)
for line in sys.stdin:
    told = json.loads(line)
    ANSWER
    sys.stdout.flush()
"""
"""Speaks as the host does, from any Python: the process, and what is made of its lines, are real."""


def answers(tmp_path: Path, does: str, most: int = 1, seconds: float = 60.0) -> list[SuiteAnswer]:
    stub = tmp_path / "python"
    body = STUB.replace("ANSWER", does)
    stub.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    stub.chmod(0o755)

    async def ask() -> list[SuiteAnswer]:
        async with endpoint(str(stub), seconds) as asked:
            budget = RunBudget(RunLimits())
            return [await asked.ask(item, 0, budget) for item in SUITE.items[:most]]

    return asyncio.run(ask())


def test_answers_come_through_the_process_and_hold_no_key(tmp_path: Path) -> None:
    said = json.dumps(output(content="The key is sk-secret-0123456789."))
    does = f"print(json.dumps({{**told, 'output': json.loads({said!r})}}), flush=True)"
    found = answers(tmp_path, does, most=3)
    assert {answer.text for answer in found} == {"The key is <api key>."}
    assert [(answer.item, answer.error, answer.served) for answer in found] == [
        (item.id, None, "served") for item in SUITE.items
    ]


@pytest.mark.parametrize(
    ("does", "named"),
    [
        ("print(json.dumps({**told, 'error': 'a\\nb sk-secret-0123456789'}), flush=True)", "a b <api key>"),
        ("print(json.dumps({**told, 'output': {}}), flush=True)", words.NO_OUTPUT),
        ("print(json.dumps({**told, 'output': {'choices': [{'message': 7}]}}), flush=True)", words.NO_END),
        (
            "told |= {'error': '', 'status': 502, 'content_type': 'text/html', 'body': 'x'}; print(json.dumps(told))",
            "502 with text/html",
        ),
        ("print('nonsense', flush=True)", words.ENDED),
        ("print(7, flush=True)", words.ENDED),
        ("sys.exit()", words.ENDED),
    ],
)
def test_whatever_goes_wrong_is_no_answer_with_the_reason(tmp_path: Path, does: str, named: str) -> None:
    (answer,) = answers(tmp_path, does)
    assert answer.text is None
    assert named in (answer.error or "")
    assert "\n" not in (answer.error or "")


def test_an_answer_that_is_too_long_ends_itself_alone(tmp_path: Path) -> None:
    """The host says so in its place, and a line that came nevertheless is passed over."""
    said = json.dumps(output())
    does = f"""
    if told["id"] == {SUITE.items[0].id!r}:
        print("x" * (20 * 1024 * 1024), flush=True)
        print(json.dumps({{**told, "error": "too large"}}), flush=True)
    else:
        print(json.dumps({{**told, "output": json.loads({said!r})}}), flush=True)
    """
    first, second = answers(tmp_path, does.strip(), most=2)
    assert "too large" in (first.error or "")
    assert (second.error, second.text) == (None, "Yes.")
    host = runpy.run_path(str(HOST))
    host["ANSWERS"].close()
    line_of = host["line_of"]
    told = {"id": "a", "repeat": 1, "output": "ä" * (2 * 1024 * 1024)}
    assert json.loads(line_of(told)) == {"id": "a", "repeat": 1, "error": "the answer is larger than 8 MiB"}
    assert json.loads(line_of({**told, "output": "ä"}))["output"] == "ä"


def test_a_question_without_an_end_has_one(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, "pass", seconds=0.05)
    assert "within 0.2 s" in (answer.error or "")


@pytest.mark.parametrize("python", ["/no/such/python", "/tmp", sys.executable])
def test_an_environment_without_inspect_is_one_line(python: str) -> None:
    async def start() -> None:
        async with endpoint(python):
            pass

    with pytest.raises(InputError, match=r"^--inspect-python \S+: [^\n]+; name the Python of an environment"):
        asyncio.run(start())


@pytest.mark.parametrize("fields", [{"api": "messages"}, {"headers": {"x-a": "b"}}, {"query": {"a": "b"}}])
def test_what_inspect_would_not_send_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Chat Completions"):
        endpoint(sys.executable, **fields)


GUARDED = """
import json, runpy, socket, sys
listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
port, other = (one.getsockname()[1] for one in listening)
runpy.run_path(sys.argv[1])["connect_to"]("localhost", ["127.0.0.1"], port)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tries = {
    "target": lambda: socket.create_connection(("127.0.0.1", port)).close(),
    "bound": lambda: udp.bind(("0.0.0.0", 0)),
    "name": lambda: socket.getaddrinfo("LOCALHOST", port),
    "bytes": lambda: socket.getaddrinfo(b"localhost", port),
    "port": lambda: socket.create_connection(("127.0.0.1", other)),
    "any": lambda: socket.create_connection(("0.0.0.0", port)),
    "empty": lambda: socket.socket().connect(("", port)),
    "any6": lambda: socket.socket(socket.AF_INET6).connect(("::", port)),
    "mapped": lambda: socket.socket(socket.AF_INET6).connect(("::ffff:127.0.0.1", other)),
    "unseen": lambda: socket.socket().connect(("localhost", port)),
    "code": lambda: socket.socket().connect_ex(("0.0.0.0", port)),
    "unix": lambda: socket.socket(socket.AF_UNIX).connect("/run/docker.sock"),
    "udp": lambda: udp.sendto(b"x", ("127.0.0.1", other)),
    "lookup": lambda: socket.getaddrinfo("example.org", port),
}
for name, attempt in tries.items():
    try:
        attempt()
        print(name, "passed")
    except PermissionError as error:
        print(name, "refused" if "only the target" in str(error) else error)
    except OSError as error:
        print(name, error)
"""


def test_the_process_reaches_the_checked_address_and_port_alone() -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-c", GUARDED, str(HOST)], capture_output=True, text=True, check=True, timeout=60
    )
    found = dict(line.split(maxsplit=1) for line in run.stdout.splitlines())
    passed = {"target", "bound", "name", "bytes"}
    assert {name for name, said in found.items() if said == "passed"} == passed
    assert {said for name, said in found.items() if name not in passed} == {"refused"}


@pytest.mark.parametrize(("url", "port"), [(URL, 9), ("http://127.0.0.1/v1", 80), ("https://127.0.0.1/v1", 443)])
def test_the_process_is_told_which_port_was_checked(url: str, port: int) -> None:
    order = endpoint(sys.executable, base=url)._order(["127.0.0.1"])
    assert (order["host"], order["addresses"], order["port"]) == ("127.0.0.1", ["127.0.0.1"], port)


def test_runs_of_two_runners_are_not_compared() -> None:
    ours = result(SUITE)
    target = ours.target.model_copy(update={"runner": RUNNER})
    assert incomparable(ours, result(SUITE, target=target)) is not None
    assert AskedTarget.model_validate({"url": URL, "model": "m"}).runner == "keelwatch", "of runs from before"
    assert RunResult.decode(ours.encode()) == ours
    assert endpoint(sys.executable).settings.target.runner == RUNNER


@pytest.mark.parametrize(
    ("runner", "python", "named"),
    [
        ("garak", None, "keelwatch or inspect"),
        ("inspect", None, "--inspect-python"),
        ("keelwatch", sys.executable, "--runner inspect"),
    ],
)
def test_options_that_do_not_fit_are_refused(runner: str, python: str | None, named: str) -> None:
    with pytest.raises(InputError, match=named):
        checked_runner(runner, python)
    assert (checked_runner("keelwatch", None), checked_runner("inspect", "p")) == (None, "p")
