"""Runs a suite as a task of Inspect, in the Python environment that has it: a script that knows nothing of Keelwatch.

The first line on stdin is the order; the answer to it says which Inspect it is, or why there is none:

    {"model": "NAME", "url": "https://HOST/v1", "host": "HOST", "addresses": ["ADDRESS"], "port": 443,
     "connections": 4, "seconds": 60, "retries": 3, "settings": {...},
     "samples": [{"id": "...", "repeats": 1, "messages": [...], "tools": [...]}]}
    {"inspect": "0.3.285"} | {"error": "..."}

Every other line lets one sample go on, and is answered once the model has been asked:

    {"id": "...", "repeat": 0}
    {"id": "...", "repeat": 0, "output": {...}}
    {"id": "...", "repeat": 0, "error": "...", "status": 502, "content_type": "text/html", "body": "..."}

The key stands in the environment (KEELWATCH_API_KEY), where Inspect looks for that of a service of this name.
Connections go to `port` of `addresses` alone, and no redirect is followed. Samples that nobody let go on ask nothing.
At the end of stdin the task ends.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import json
import os
import sys
import threading
from typing import Any

SERVICE = "keelwatch"
LONGEST_LINE = 8 * 1024 * 1024
ANSWERS = os.fdopen(os.dup(1), "w")


def connect_to(host: str, addresses: list[str], port: int) -> None:
    """From here on this process sends to `port` of `addresses` alone, and looks up no other name than `host`."""
    targets = {(canonical(address), port) for address in addresses}
    # The last are what a socket that listens is called. Connected to, they are this machine: never a target.
    looked_up = {named(host), *addresses, "", "0.0.0.0", "::", None}  # noqa: S104

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and arguments[1] is not None:
            to = arguments[1]
            if not isinstance(to, tuple) or (canonical(to[0]), to[1]) not in targets:
                raise PermissionError("only the target is connected to")
        if event == "socket.getaddrinfo" and named(arguments[0]) not in looked_up:
            raise PermissionError("only the target is looked up")

    sys.addaudithook(audit)


def canonical(address: Any) -> str:
    """An address in the form in which it is compared; empty for all that is none, names among them.

    A socket looks names up by itself, and unseen: their addresses may be others than those that were checked.
    """
    try:
        return str(ipaddress.ip_address(address)) if isinstance(address, str) else ""
    except ValueError:
        return ""


def named(host: Any) -> Any:
    """A name as it is compared: libraries ask for it as text or as bytes."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
    return text.lower().rstrip(".") if isinstance(text, str) else text


def follow_no_redirect(model: Any) -> None:
    """A redirect is an answer that the endpoint gives, as it is to our own runner."""
    client: Any = getattr(model.api, "http_client", None)
    if hasattr(client, "follow_redirects"):
        client.follow_redirects = False


def line_of(told: dict[str, Any]) -> str:
    """One line of the answer; what is longer than any that is read is an error, and the next sample has its own."""
    line = json.dumps(told) + "\n"
    if len(line) <= LONGEST_LINE:
        return line
    return json.dumps({"id": told["id"], "repeat": told["repeat"], "error": "the answer is larger than 8 MiB"}) + "\n"


def say(told: dict[str, Any]) -> None:
    """Answer with a line."""
    ANSWERS.write(line_of(told))
    ANSWERS.flush()


class Gate:
    """Which samples may go on. Samples wait here in Inspect's event loop; a thread reads stdin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self._ended = False

    def listen(self) -> None:
        """Let samples go on as the lines say, until there are no more."""
        for line in sys.stdin:
            told = json.loads(line)
            self._let((told["id"], told["repeat"]))
        with self._lock:
            self._ended = True
            waiting, self._waiting = list(self._waiting.values()), {}
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def passed(self, sample: tuple[str, int]) -> bool:
        """Wait until the sample may go on; False when the run has ended without it."""
        with self._lock:
            if sample not in self._open and not self._ended:
                event = asyncio.Event()
                self._waiting[sample] = asyncio.get_running_loop(), event
            else:
                event = None
        if event is not None:
            await event.wait()
        return sample in self._open

    def _let(self, sample: tuple[str, int]) -> None:
        with self._lock:
            self._open.add(sample)
            waiting = self._waiting.pop(sample, None)
        if waiting is not None:
            loop, event = waiting
            loop.call_soon_threadsafe(event.set)


def message(kinds: Any, given: dict[str, Any]) -> Any:
    """A message as Inspect has it."""
    role, content = given["role"], given["content"]
    if role == "tool":
        return kinds.ChatMessageTool(content=content, tool_call_id=given.get("tool_call_id"))
    if role == "assistant":
        call = importlib.import_module("inspect_ai.tool").ToolCall
        calls = [
            call(id=one["id"], function=one["name"], arguments=json.loads(one["arguments"]), type="function")
            for one in given.get("tool_calls") or ()
        ]
        return kinds.ChatMessageAssistant(content=content, tool_calls=calls or None)
    return (kinds.ChatMessageSystem if role == "system" else kinds.ChatMessageUser)(content=content)


def what_went_wrong(error: BaseException) -> dict[str, Any]:
    """The first cause in words, and what the endpoint said where it said anything."""
    for _ in range(20):
        last = getattr(error, "last_attempt", None)
        cause = last.exception() if last is not None else error.__cause__
        if cause is None:
            break
        error = cause
    told: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"[:1_000]}
    response = getattr(error, "response", None)
    if getattr(error, "status_code", None) is not None and response is not None:
        told["status"] = int(response.status_code)
        told["content_type"] = str(response.headers.get("content-type", ""))[:200]
        told["body"] = str(response.text)[:200_000]
    return told


def declared(tools: list[dict[str, Any]]) -> list[Any]:
    """Tools that the model is told of; none is ever run."""
    kinds = importlib.import_module("inspect_ai.tool")

    async def never() -> str:
        raise RuntimeError("no tool is run")

    return [
        kinds.ToolDef(
            never,
            name=one["name"],
            description=one["description"],
            parameters=kinds.ToolParams(
                **{k: v for k, v in one["parameters"].items() if k in ("properties", "required")}
            ),
        ).as_tool()
        for one in tools
    ]


def task_of(order: dict[str, Any], gate: Gate, model: Any) -> Any:
    """The suite as a task: each sample waits, asks once, and tells what came."""
    inspect, datasets = importlib.import_module("inspect_ai"), importlib.import_module("inspect_ai.dataset")
    kinds, solvers = importlib.import_module("inspect_ai.model"), importlib.import_module("inspect_ai.solver")
    tools = {one["id"]: one["tools"] for one in order["samples"]}
    repeats = {one["id"]: one["repeats"] for one in order["samples"]}

    def ask() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            sample = str(state.sample_id), state.epoch - 1
            if sample[1] >= repeats[sample[0]] or not await gate.passed(sample):
                return state
            about = {"id": sample[0], "repeat": sample[1]}
            try:
                state.tools = declared(tools[sample[0]])
                follow_no_redirect(model)  # here, since Inspect makes a new client where the old one was closed
                state = await generate(state, tool_calls="none")
            except Exception as error:
                say({**about, **what_went_wrong(error)})
                raise
            say({**about, "output": json.loads(state.output.model_dump_json(exclude_none=True))})
            return state

        return solve

    samples = [
        datasets.Sample(id=one["id"], input=[message(kinds, turn) for turn in one["messages"]])
        for one in order["samples"]
    ]
    epochs = inspect.Epochs(max(repeats.values()))
    return inspect.Task(
        dataset=datasets.MemoryDataset(samples), solver=solvers.solver(ask)(), epochs=epochs, name="keelwatch"
    )


def main() -> None:
    """Answer line by line until there are no more."""
    os.dup2(2, 1)  # what libraries print is no answer
    order = json.loads(sys.stdin.readline())
    connect_to(order["host"], order["addresses"], order["port"])
    try:
        inspect, kinds = importlib.import_module("inspect_ai"), importlib.import_module("inspect_ai.model")
        config = kinds.GenerateConfig(
            max_retries=order["retries"],
            timeout=order["seconds"],
            max_connections=order["connections"],
            extra_body={**order["settings"], "stream": False},
        )
        model = kinds.get_model(
            f"openai-api/{SERVICE}/{order['model']}",
            base_url=order["url"],
            config=config,
        )
        gate = Gate()
        task = task_of(order, gate, model)
    except Exception as error:  # whatever a library raises, the other side is told
        return say({"error": f"{type(error).__name__}: {error}"[:1_000]})
    say({"inspect": inspect.__version__})
    threading.Thread(target=gate.listen, daemon=True).start()
    inspect.eval(
        task,
        model=model,
        display="none",
        log_dir="logs",
        log_realtime=False,
        fail_on_error=False,
        score=False,
        max_samples=sum(one["repeats"] for one in order["samples"]) + 1,
    )
    return None


if __name__ == "__main__":
    main()
