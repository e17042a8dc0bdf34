"""Validators as Guardrails AI's are, for an environment that the tests make: copied into it, never imported here."""

from __future__ import annotations

import os
import socket
import time
from types import SimpleNamespace
from typing import Any

PASS = SimpleNamespace(outcome="pass", fix_value=None)


class Words:
    """Fails on a text that holds `word`; mends it by leaving that out."""

    def __init__(self, word: str) -> None:
        self.word = word

    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        print("what a library prints is no answer:", text)
        return SimpleNamespace(outcome="fail", fix_value=text.replace(self.word, "")) if self.word in text else PASS


class Hangs:
    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        time.sleep(60 if "hang" in text else 0)
        return PASS


class Ends:
    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        if "end" in text:
            os._exit(3)
        return PASS


class Raises:
    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        raise KeyError(text)


class Calls:
    """Opens a connection to 127.0.0.1 at the port that the text names; fails where it could."""

    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        socket.create_connection(("127.0.0.1", int(text)), timeout=2).close()
        return SimpleNamespace(outcome="fail", fix_value=None)


class Settings:
    """Fails unless the environment has telemetry off, an empty home and no variable that was not given."""

    def validate(self, text: str, metadata: dict[str, Any]) -> Any:
        quiet = all(os.environ.get(name) for name in ("DO_NOT_TRACK", "NEMO_GUARDRAILS_NO_USAGE_STATS"))
        with open(os.path.expanduser("~/.guardrailsrc"), encoding="utf-8") as file:
            quiet = quiet and "enable_metrics=false" in file.read()
        secret = os.environ.get("RAILS_SECRET"), os.environ.get("RAILS_GIVEN")
        return PASS if quiet and secret == (None, "given") else SimpleNamespace(outcome="fail", fix_value=None)
