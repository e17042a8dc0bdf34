"""The rails of the real libraries, each in its own environment: `make guardrails`.

Validators of Guardrails AI that need no model, flows of NeMo Guardrails that need none, and one self-check flow that
asks a language model which really answers (SmolLM2 on this machine). Prints what each said; fails where it is not what
the rail is for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from services.monitor import GuardrailPolicy, RailPolicy
from services.score.rails.plan import Pair
from services.score.rails.process import RailProcess
from tests.support import smollm

ASKED = (
    Pair("Tell me of Project Titan.", "It is a secret."),
    Pair("Where is the office?", "See INTERNAL-44, or https://www.python.org/ for more."),
    Pair("What is a keel?", "A keel is the spine of a ship."),
)
VALIDATORS = (
    ("ban list", "ban_list.BanList", '{"banned_words": ["spine"]}', ("pass", "pass", "blocked")),
    ("pattern", "regex_match.RegexMatch", '{"regex": "^(A|It) ", "match_type": "search"}', ("pass", "blocked", "pass")),
    ("length", "valid_length.ValidLength", '{"max": 40}', ("pass", "blocked", "pass")),
    ("address", "has_url.HasUrl", "{}", ("blocked", "pass", "blocked")),
)
FLOWS = (
    ("regex input", "regex check input", "prompt", ("blocked", "pass", "pass")),
    ("regex output", "regex check output", "response", ("pass", "blocked", "pass")),
)
PLAIN: dict[str, Any] = {
    "models": [],
    "rails": {
        "config": {
            "regex_detection": {
                "input": {"patterns": ["(?i)project titan"]},
                "output": {"patterns": ["INTERNAL-[0-9]+"]},
            }
        },
        "input": {"flows": ["regex check input"]},
        "output": {"flows": ["regex check output"]},
    },
}
_TASK = 'Is this message a question? Message: "{{ user_input }}". Answer with one word, yes or no.'


def _asks(url: str) -> dict[str, Any]:
    model = {"type": "main", "engine": "openai", "model": smollm.NAME}
    model["parameters"] = {"base_url": url, "api_key": "none", "max_tokens": 4}  # type: ignore[assignment]
    return {
        "models": [model],
        "rails": {"input": {"flows": ["self check input"]}},
        "prompts": [{"task": "self_check_input", "content": _TASK}],
    }


def _folder(parent: str, name: str, config: dict[str, Any]) -> str:
    folder = Path(parent) / name
    folder.mkdir()
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    return str(folder)


def _run(
    policy: GuardrailPolicy,
    expected: dict[str, tuple[str, ...] | None],
    environment: dict[str, str] | None = None,
) -> Iterator[str]:
    """A line a rail; yields the name of one that did not say what it is for."""
    process = RailProcess(policy, environment)
    try:
        begun = time.perf_counter()
        made_of = process.start()
        started, begun = time.perf_counter() - begun, time.perf_counter()
        replies = process.outcomes(ASKED)
        took = (time.perf_counter() - begun) / len(ASKED)
    finally:
        process.close()
    for name, wanted in expected.items():
        said = [{one.name: one.outcome for one in reply.outcomes}.get(name) for reply in replies]
        errors = {reply.errors[name] for reply in replies if name in reply.errors}
        right = None not in said if wanted is None else tuple(said) == wanted
        print(f"{name:14} {made_of[name]:58} {said} {' '.join(errors)}{'' if right else '   NOT AS IT SHOULD BE'}")
        if not right:
            yield name
    print(f"{'':14} started in {started:.1f} s, {took * 1000:.0f} ms an exchange for all")


def main(validators: str, flows: str) -> int:
    """Run all; the number of rails that did not say what they are for."""
    wrong: list[str] = []
    rails = [RailPolicy(name, "response", f"guardrails_ai.{of}", given) for name, of, given, _ in VALIDATORS]
    wrong += _run(GuardrailPolicy(validators, tuple(rails), seconds=20), {one[0]: one[3] for one in VALIDATORS})
    with TemporaryDirectory() as parent, smollm.running() as url:
        plain, asks = _folder(parent, "plain", PLAIN), _folder(parent, "asks", _asks(url))
        rails = [RailPolicy(name, on, folder=plain, flow=flow) for name, flow, on, _ in FLOWS]  # type: ignore[arg-type]
        wrong += _run(GuardrailPolicy(flows, tuple(rails), seconds=20), {one[0]: one[3] for one in FLOWS})
        self_check = (RailPolicy("self check", "prompt", folder=asks, flow="self check input"),)
        policy = GuardrailPolicy(flows, self_check, ("127.0.0.1",), seconds=60)
        wrong += _run(policy, {"self check": None}, {"OPENAI_API_KEY": "none"})
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
