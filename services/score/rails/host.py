"""Runs the rails, in the Python environment that has their libraries: a script that knows nothing of Keelwatch.

It reads JSON lines and answers each with one. The first line says what to run; its answer says what can be:

    {"rails": [{"name", "kind": "guardrails_ai"|"nemo_guardrails", ...}], "hosts": ["127.0.0.1"]}
    {"rails": [{"name", "version"} | {"name", "error"}]}

Every other line holds pairs; what comes back has, for each pair, an outcome or an error for each rail that was asked:

    {"pairs": [{"prompt": "...", "response": "..."}]}
    {"outcomes": [{"NAME": {"outcome": "pass"|"modified"|"blocked"} | {"error": "TimeoutError"}}]}

It is started with telemetry off and an empty home directory, and opens connections to `hosts` alone. Errors name
their class and never repeat content.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PROMPT, RESPONSE = "prompt", "response"
Check = Callable[[Mapping[str, str]], str]
"""The outcome of one rail for one pair: `pass`, `modified` or `blocked`. Raises whatever the library raises."""


def guardrails_ai(given: Mapping[str, Any]) -> tuple[Check, str]:
    """A validator of Guardrails AI, as `package.module.Class`; failing is `blocked`, or `modified` where it mends."""
    module, _, name = given["validator"].rpartition(".")
    validator = getattr(importlib.import_module(module), name)(**given.get("arguments", {}))
    mends = bool(given.get("mends", False))

    def check(pair: Mapping[str, str]) -> str:
        found = validator.validate(pair[given["text"]], {})
        if found.outcome == "pass":
            return "pass"
        return "modified" if mends and found.fix_value is not None else "blocked"

    package = "-".join(module.split(".")[:2]).replace("_", "-")
    return check, f"guardrails-ai {_version('guardrails-ai')}, {package} {_version(package)}"


def nemo_guardrails(given: Mapping[str, Any]) -> tuple[Check, str]:
    """One input or output flow of a folder of NeMo Guardrails, as if the folder had no other."""
    library = importlib.import_module("nemoguardrails")
    kinds = importlib.import_module("nemoguardrails.rails.llm.options")
    config = library.RailsConfig.from_path(given["folder"])
    side = "input" if given["text"] == PROMPT else "output"
    for one in ("input", "output"):
        flows = getattr(config.rails, one).flows
        if one == side and given["flow"] not in flows:
            raise ValueError(f"the folder has no {side} flow of that name")
        getattr(config.rails, one).flows = [given["flow"]] if one == side else []
    rails = library.LLMRails(config)

    def check(pair: Mapping[str, str]) -> str:
        messages = [{"role": "user", "content": pair[PROMPT]}]
        if side == "output":
            messages.append({"role": "assistant", "content": pair[RESPONSE]})
        found = rails.check(messages, [kinds.RailType(side)])
        # A rail whose model could not be asked stops the text with words of its own: that is no verdict.
        if found.status == "blocked" and not found.rail:
            raise RuntimeError("the flow stopped without a rail that did it")
        return {"passed": "pass"}.get(str(found.status.value), str(found.status.value))

    return check, f"nemoguardrails {_version('nemoguardrails')}"


KINDS = {"guardrails_ai": guardrails_ai, "nemo_guardrails": nemo_guardrails}


def _version(package: str) -> str:
    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return "?"


def connect_to(hosts: list[str]) -> None:
    """From here on this process opens connections to `hosts` alone, and looks up no other name."""
    looked_up = {*hosts, "", "0.0.0.0", None}  # noqa: S104 -- what a socket that listens, or an unbound one, is called

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and arguments[1] is not None:
            to = arguments[1]  # connected to, 0.0.0.0 is this machine; a path is a socket of it
            if not isinstance(to, tuple) or to[0] not in hosts:
                raise PermissionError("rails run offline: list the host under `hosts`")
        if event == "socket.getaddrinfo" and arguments[0] not in looked_up:
            raise PermissionError("rails run offline: list the host under `hosts`")

    sys.addaudithook(audit)


def make(given: Mapping[str, Any]) -> tuple[Check | None, dict[str, str]]:
    """One rail, or why there is none."""
    try:
        check, made_of = KINDS[given["kind"]](given)
    except Exception as error:  # whatever a library raises, the other rails run
        reason = str(error) if isinstance(error, (ImportError, ValueError, AttributeError)) else ""
        return None, {"name": given["name"], "error": f"{type(error).__name__} {reason[:200]}".strip()}
    return check, {"name": given["name"], "version": made_of}


def outcome(check: Check, pair: Mapping[str, str]) -> dict[str, str]:
    """What a rail says of a pair, or the class of what went wrong."""
    try:
        return {"outcome": check(pair)}
    except Exception as error:
        return {"error": type(error).__name__}


def main() -> None:
    """Answer line by line until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    lines = (json.loads(line) for line in sys.stdin)
    order = next(lines)
    connect_to(order.get("hosts", []))
    made = [make(given) for given in order["rails"]]
    checks = {said["name"]: check for check, said in made if check is not None}
    print(json.dumps({"rails": [said for _, said in made]}), file=answers, flush=True)
    for asked in lines:
        outcomes = [{name: outcome(check, pair) for name, check in checks.items()} for pair in asked["pairs"]]
        print(json.dumps({"outcomes": outcomes}), file=answers, flush=True)


if __name__ == "__main__":
    main()
