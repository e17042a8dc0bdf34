"""What the page that waits for the first exchange shows to be copied is run, as far as it needs no other library."""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from schemas.position import Position
from schemas.topics import EXCHANGES
from services.ingest.decode import decode
from services.ports import Received
from services.wording.sources import EXAMPLE_ROUTE, TOPIC, SourceAddresses, SourceSnippet, snippets
from tests.sdk.replayed import client_of, payload
from tests.support.exchange_taker import ExchangeTaker, taker

VENDORS = {"openai": ("OpenAI", "chat.completions", "chat"), "anthropic": ("Anthropic", "messages", "messages")}
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)
QUESTION, ANSWER = "Where is my parcel?", "It left our warehouse this morning."


def named(title: str, at: SourceAddresses, route: str = EXAMPLE_ROUTE) -> SourceSnippet:
    [found] = [one for one in snippets(at, route) if one.title.startswith(title)]
    return found


def taken(server: ExchangeTaker) -> Any:
    """The one exchange that came, as Keelwatch reads it."""
    [raw] = server.taken
    found = decode(json.dumps(raw).encode(), PLACE)
    assert isinstance(found, Received), found
    assert QUESTION in json.dumps(raw["prompt"])
    assert ANSWER in json.dumps(raw["response"])
    return found.exchange


def test_there_are_eight_sources_and_more_with_the_addresses_of_this_deployment() -> None:
    assert EXCHANGES.name == TOPIC
    at = SourceAddresses("https://keelwatch.example", "kafka.example:9093", "SASL_SSL", keyed=True)
    made = snippets(at, "shop/prod")
    assert len({one.title for one in made}) == len(made) >= 8
    for one in made:
        where = "kafka.example:9093" if "Kafka" in one.title else "https://keelwatch.example"
        assert where in one.text, one.title
        assert "shop/prod" in one.text
        assert "@" not in one.text
    assert 'security_protocol="SASL_SSL"' in named("Kafka", at).text
    assert "KEELWATCH_API_KEY" in named("curl", at).text
    assert "KEELWATCH_API_KEY" not in named("curl", SourceAddresses()).text


@pytest.mark.parametrize("keyed", [False, True])
def test_curl_is_given_an_exchange(keyed: bool) -> None:
    """A shell runs it in tests/e2e/test_quickstart.py."""
    words = shlex.split(named("curl", SourceAddresses("http://h:8400", keyed=keyed)).text)
    assert "http://h:8400/v1/exchanges" in words
    assert ("Authorization: Bearer $KEELWATCH_API_KEY" in words) is keyed
    found = decode(words[words.index("--data") + 1].encode(), PLACE)
    assert isinstance(found, Received)
    assert (found.exchange.route, found.exchange.extra) == (EXAMPLE_ROUTE, {})


@pytest.mark.parametrize("title", ["Python client", "OpenAI SDK", "Anthropic SDK"])
def test_a_snippet_of_python_publishes(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's library gives what it gave when it was recorded."""
    for module, (client, path, file) in VENDORS.items():
        made = ModuleType(module)
        setattr(made, client, lambda path=path, file=file: client_of(path, payload(file), later=False))
        monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.delenv("KEELWATCH_API_KEY", raising=False)
    with taker() as server:
        names: dict[str, Any] = {}
        # The publisher is named, so that the test can wait for it.
        text = named(title, SourceAddresses(server.url)).text
        if "publisher = " not in text:
            made_by = f'Publisher("{server.url}", route="{EXAMPLE_ROUTE}")'
            text = text.replace("client = ", f"publisher = {made_by}\nclient = ", 1).replace(
                f", {made_by})", ", publisher)"
            )
        exec(compile(text, title, "exec"), names)
        assert names["publisher"].close(20)
        assert taken(server).route == EXAMPLE_ROUTE


def test_every_snippet_of_python_can_be_read_and_takes_what_the_client_has() -> None:
    for one in snippets(SourceAddresses("http://h:1", "h:2", "SASL_SSL", keyed=True)):
        if one.language != "python":
            continue
        for node in ast.walk(ast.parse(one.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keelwatch_client"):
                module = __import__(node.module or "", fromlist=["x"])
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_collector_is_given_yaml() -> None:
    for keyed in (False, True):
        told = yaml.safe_load(named("OpenTelemetry", SourceAddresses("http://h:8400", keyed=keyed)).text)
        exporter = told["exporters"]["otlphttp/keelwatch"]
        assert exporter["endpoint"] == "http://h:8400"
        assert ("headers" in exporter) is keyed
        [pipeline] = told["service"]["pipelines"].values()
        assert pipeline["exporters"] == ["otlphttp/keelwatch"]
        [attribute] = told["processors"][pipeline["processors"][0]]["attributes"]
        assert (attribute["key"], attribute["value"]) == ("keelwatch.route", EXAMPLE_ROUTE)


@pytest.mark.browser  # starts Node
def test_javascript_can_be_read(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node 18 or newer (Debian: nodejs)")
    file = tmp_path / "send.mjs"
    file.write_text(named("JavaScript", SourceAddresses("http://h:8400")).text)
    done = subprocess.run([node, "--check", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
