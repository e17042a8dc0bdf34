"""Inspect as a runner: a suite's questions go through `inspect_ai`, in a process of its own environment.

The run is ours: which question is asked when, what it may cost, when it ends, and what an answer is worth. Inspect has
the suite as a task, forms the requests, calls the endpoint (as an OpenAI-compatible model) and reads what comes. The
process connects to the target's checked addresses alone, has no telemetry, gets the key by its environment, and what it
prints is thrown away.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from services.errors import InputError
from services.evaluate.client import AskedOnce, Endpoint, EndpointSettings, Patience, RunBudget
from services.evaluate.endpoints.blotting import blotted
from services.evaluate.endpoints.protocol import EndpointAnswer, EndpointFault
from services.evaluate.endpoints.replies import parse_reply
from services.evaluate.suite import Item, Suite
from services.monitor.target_api import DEFAULT_API
from services.outbound import HttpReply, Unanswered
from services.wording import runners as words

HOST: Final = Path(__file__).with_name("inspect_host.py")
RUNNER: Final = "inspect_ai"
START_SECONDS: Final = 300.0
RETRIES: Final = 3
CONNECTIONS: Final = 4
_LONGEST_LINE: Final = 8 * 1024 * 1024
_QUIET: Final = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OTEL_SDK_DISABLED": "true"}
_SHOWN: Final = 300
_STOPS: Final = {"max_tokens": "length", "model_length": "length"}
"""What Inspect calls why an answer ended, as an endpoint calls it; all others are called alike."""


class InspectEndpoint(Endpoint):
    """An endpoint that is asked through Inspect: one suite in one process."""

    def __init__(
        self,
        settings: EndpointSettings,
        allow_hosts: Collection[str],
        chance: Random,
        clock: Callable[[], datetime],
        python: str,
        suite: Suite,
        patience: Patience | None = None,
    ) -> None:
        """`python` is that of an environment with `inspect_ai` and `openai`.

        Raises:
            UrlRefused: if the URL may not be called.
            InputError: if the target has what Inspect would not send.
        """
        if settings.api != DEFAULT_API or settings.headers or settings.query:
            raise InputError(words.ONLY_CHAT)
        waits = patience or Patience()
        super().__init__(replace(settings, runner=RUNNER), allow_hosts, chance, clock, waits)
        self._python = python
        self._suite = suite
        self._seconds = waits.seconds if settings.seconds is None else settings.seconds
        self._home: TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, int], asyncio.Future[Mapping[str, Any]]] = {}
        self.version = ""

    async def __aenter__(self) -> Self:
        """Start the process.

        Raises:
            InputError: if it cannot be started, has no Inspect, or the target's name has no address.
        """
        try:
            addresses = await self._outbound.addresses()
            await self._start()
            said = json.loads(await asyncio.wait_for(self._said(self._order(addresses)), START_SECONDS))
            if "error" in said:
                raise ValueError(str(said["error"])[:300])
            self.version = str(said["inspect"])[:40]
        except Unanswered as error:
            raise InputError(f"{error}; correct the target's url") from None
        except (OSError, ValueError, KeyError, TypeError, TimeoutError) as error:
            await self.close()
            raise InputError(words.no_inspect(self._python[:300], str(error) or type(error).__name__)) from None
        self._reading = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        """End the process, and with it what it has under way."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        home, self._home = self._home, None
        if home is not None:
            home.cleanup()
        await super().close()

    async def _start(self) -> None:
        self._home = TemporaryDirectory(prefix="keelwatch-inspect-")
        self._process = await asyncio.create_subprocess_exec(
            self._python,
            "-I",
            str(HOST),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={
                **_QUIET,
                "HOME": self._home.name,
                "PATH": os.defpath,
                "KEELWATCH_API_KEY": self.settings.key or "none",
            },
            cwd=self._home.name,
            limit=_LONGEST_LINE,
        )

    def _order(self, addresses: Collection[str]) -> dict[str, Any]:
        url = self._outbound.url
        return {
            "model": self.settings.model,
            "url": str(url),
            "host": url.raw_host.decode("ascii"),
            "addresses": list(addresses),
            "port": url.port or (443 if url.scheme == "https" else 80),
            "connections": CONNECTIONS,
            "seconds": round(self._seconds),
            "retries": RETRIES,
            "settings": dict(self.settings.settings),
            "samples": [self._sample(item) for item in self._suite.items],
        }

    def _sample(self, item: Item) -> dict[str, Any]:
        return {
            "id": item.id,
            "repeats": item.repeats,
            "messages": [turn.model_dump(mode="json") for turn in self._turns(item)],
            "tools": [tool.model_dump(mode="json") for tool in item.tools],
        }

    async def _said(self, order: Mapping[str, Any]) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        await self._say(order)
        if not (line := await self._process.stdout.readline()):
            raise OSError(words.ENDED)
        return line

    async def _say(self, told: Mapping[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise OSError(words.ENDED)
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self) -> None:
        """Hand on what comes, until the process ends; then whoever waits gets nothing any more."""
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # a line that is none: nothing after it counts
            while line := await next_line(out):
                told = json.loads(line)
                waiting = self._waiting.pop((told["id"], told["repeat"]), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(told)
        waiting_still, self._waiting = list(self._waiting.values()), {}
        for waiting in waiting_still:
            if not waiting.done():
                waiting.set_result({"error": words.ENDED})

    async def _until_answered(self, item: Item, repeat: int, _body: bytes, budget: RunBudget) -> AskedOnce:
        """Let the sample go on; Inspect asks again by itself where that may help."""
        budget.take()
        asked, began = self._clock(), time.perf_counter()
        status, answer = await self._through_inspect((item.id, repeat))
        budget.spend(self._taken(item, status, answer))
        return AskedOnce(answer, status, (time.perf_counter() - began) * 1000, asked, 1)

    async def _through_inspect(self, sample: tuple[str, int]) -> tuple[int | None, EndpointAnswer | EndpointFault]:
        if self._reading is None or self._reading.done():
            return None, EndpointFault(words.ENDED)
        waiting = self._waiting[sample] = asyncio.get_running_loop().create_future()
        try:
            await self._say({"id": sample[0], "repeat": sample[1]})
            told = await asyncio.wait_for(waiting, self._seconds * (RETRIES + 1))
        except TimeoutError:
            return None, EndpointFault(words.too_slow(self._seconds * (RETRIES + 1)))
        except OSError:
            return None, EndpointFault(words.ENDED)
        finally:
            self._waiting.pop(sample, None)
        return self._answer(told)

    def _answer(self, told: Mapping[str, Any]) -> tuple[int | None, EndpointAnswer | EndpointFault]:
        secrets, status = self.settings.secrets, told.get("status")
        if "output" not in told and not isinstance(status, int):
            said = " ".join(str(told.get("error")).split())[:_SHOWN]
            return None, EndpointFault(words.inspect_says(blotted(said, secrets)))
        try:
            reply = error_reply(told) if "output" not in told else answer_reply(told["output"])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None, EndpointFault(words.NO_OUTPUT)
        if reply is None:
            return None, EndpointFault(words.NO_END)
        return reply.status, parse_reply(self.settings.form, reply, self._clock(), secrets)


async def next_line(out: asyncio.StreamReader) -> bytes:
    """The next line that is not longer than any may be; empty at the end. Longer ones are passed over whole."""
    whole = True
    while True:
        try:
            line = await out.readuntil()
        except asyncio.LimitOverrunError as error:
            await out.readexactly(error.consumed)
            whole = False
        except asyncio.IncompleteReadError:  # the process ended, within a line or after one
            return b""
        else:
            if whole:
                return line
            whole = True


def error_reply(told: Mapping[str, Any]) -> HttpReply:
    """What the endpoint said in place of an answer."""
    return HttpReply(told["status"], {"content-type": told["content_type"]}, told["body"].encode("utf-8", "replace"))


def answer_reply(output: Mapping[str, Any]) -> HttpReply | None:
    """An answer as an endpoint sends it; None where Inspect does not know why it ended, which may be broken off."""
    if output["choices"][0].get("stop_reason", "unknown") == "unknown":
        return None
    return HttpReply(200, {"content-type": "application/json"}, json.dumps(chat_completion(output)).encode())


def chat_completion(output: Mapping[str, Any]) -> dict[str, Any]:
    """What Inspect read of an answer, in the form of Chat Completions, in which all answers are read here.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: if it is no output of Inspect.
    """
    choice = output["choices"][0]
    message, content = choice["message"], choice["message"]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    said = [(one["text"], bool(one.get("refusal"))) for one in parts if one["type"] == "text"]
    calls = [
        {"id": one["id"], "type": "function", "function": {"name": one["function"], "arguments": _arguments(one)}}
        for one in message.get("tool_calls") or ()
    ]
    stop, usage = choice["stop_reason"], output.get("usage") or {}
    return {
        "id": output.get("response_id"),
        "object": "chat.completion",
        "model": output.get("model"),
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "".join(text for text, refused in said if not refused) or None,
                    "refusal": "".join(text for text, refused in said if refused) or None,
                    **({"tool_calls": calls} if calls else {}),
                },
                "finish_reason": _STOPS.get(stop, stop),
            }
        ],
        "usage": {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "total_tokens": usage.get("total_tokens"),
        },
    }


def _arguments(call: Mapping[str, Any]) -> str:
    return json.dumps(call.get("arguments") or {}, ensure_ascii=False)
