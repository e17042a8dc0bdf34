"""docs/recipes.md, run as far as it needs no other library, service or cluster: with what the real libraries gave."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer.main
import yaml

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.api.http.body import MOST_BYTES
from services.cli.app import app
from services.cli.lazy import Later
from services.ingest.decode import RecordArrival, decode, decode_all
from services.ingest.routing import Carriage
from services.ports import Received
from services.settings import Settings
from tests.sdk.replayed import TEXT, client_of, payload
from tests.support.documents import Block, blocks
from tests.support.exchange_taker import taker
from tests.support.source import ROOT

DOCUMENT = "docs/recipes.md"
BLOCKS = {block.title: block for block in blocks(DOCUMENT) if block.title}
PYTHON = [title for title, block in BLOCKS.items() if block.language == "python"]
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)
ROUTE = "support-bot/prod"
SERVERS = {"vllm": "vllm", "ollama": "ollama"}
"""Recipe -> the provider that its exchanges name."""
LONG_CALL = 40_000
"""Bytes of a long call, of which the Collector's batches take as many as they may."""


class ChatOpenAI:
    """Tells its callbacks what LangChain's told them."""

    def __init__(self, model: str, callbacks: list[Any]) -> None:
        self._callbacks = callbacks

    def invoke(self, _asked: str) -> None:
        (_, begin_given, begin), (_, end_given, end) = payload("langchain openai")
        for one in self._callbacks:
            one.on_chat_model_start(*begin_given, **{**begin, "run_id": "r"})
            one.on_llm_end(*end_given, **{**end, "run_id": "r"})


def _library(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    for member, value in members.items():
        setattr(made, member, value)
    return made


def _client(path: str, file: str) -> Callable[..., Any]:
    return lambda **_: client_of(path, payload(file), later=False)


def _logged(names: dict[str, Any]) -> None:
    """What LiteLLM does with a callback."""
    _, _, given = payload("litellm")[-1]
    now = datetime(2026, 12, 1, 6, tzinfo=UTC)
    names["logger"].log_success_event(given["kwargs"], given["response_obj"], now, now)


@pytest.mark.parametrize("title", PYTHON)
def test_a_recipe_of_python_publishes_what_was_asked_and_answered(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = (
        _library("openai", OpenAI=_client("chat.completions", "chat")),
        _library("anthropic", Anthropic=_client("messages", "messages")),
        _library("langchain_openai", ChatOpenAI=ChatOpenAI),
    )
    for one in libraries:
        monkeypatch.setitem(sys.modules, one.__name__, one)
    monkeypatch.delenv("KEELWATCH_API_KEY", raising=False)
    with taker() as server:
        monkeypatch.setenv("KEELWATCH_API_URL", server.url)
        names: dict[str, Any] = {}
        exec(compile(BLOCKS[title].text, title, "exec"), names)
        if title == "litellm":
            _logged(names)
        assert names["publisher"].close(20)
        [exchange] = server.taken
    found = decode(json.dumps(exchange).encode(), PLACE)
    assert isinstance(found, Received), found
    assert (found.exchange.route, found.exchange.extra) == (ROUTE, {})
    assert TEXT in json.dumps(exchange["response"])
    if title in SERVERS:
        assert exchange["model"]["provider"] == SERVERS[title]


def test_there_is_a_recipe_for_each_source_that_is_asked_for() -> None:
    heads = re.findall("^## (.+)$", (ROOT / DOCUMENT).read_text(encoding="utf-8"), re.MULTILINE)
    assert heads == [
        *("OpenAI SDK", "Anthropic SDK", "LiteLLM proxy", "vLLM", "Ollama", "LangChain", "OpenTelemetry Collector"),
        *("Kafka Connect", "Java", "Go", "Kubernetes"),
    ]


def test_litellm_loads_the_callback_that_the_recipe_defines() -> None:
    named = yaml.safe_load(BLOCKS["config.yaml"].text)["litellm_settings"]["callbacks"]
    module, _, name = named.partition(".")
    assert f"`{module}.py`" in (ROOT / DOCUMENT).read_text(encoding="utf-8")
    defined = [node.targets[0].id for node in ast.parse(BLOCKS["litellm"].text).body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    assert name in defined


CONNECTOR: dict[str, str] = json.loads((ROOT / "infra" / "kafka-connect" / "exchanges.json").read_text())["config"]
TEXT_CONVERTER = "org.apache.kafka.connect.storage.StringConverter"


def _connected(row: dict[str, str]) -> tuple[object, dict[str, str], object]:
    """What the connector's transforms make of a row: key, headers and value, as Kafka Connect's manual says of each."""
    key: object = None
    value: object = row
    headers: dict[str, str] = {}
    for name in CONNECTOR["transforms"].split(","):
        given = {one.rpartition(".")[2]: said for one, said in CONNECTOR.items() if f"transforms.{name}." in one}
        match given["type"].rpartition(".")[2]:
            case "ValueToKey":
                key = {field: value[field] for field in given["fields"].split(",")}  # type: ignore[index]
            case "HeaderFrom$Value":
                assert given["operation"] == "copy"
                pairs = zip(given["headers"].split(","), given["fields"].split(","), strict=True)
                headers |= {header: value[field] for header, field in pairs}  # type: ignore[index]
            case "ExtractField$Key":
                key = key[given["field"]]  # type: ignore[index]
            case "ExtractField$Value":
                value = value[given["field"]]  # type: ignore[index]
            case other:
                raise AssertionError(other)
    return key, headers, value


def test_what_the_connector_makes_of_a_row_is_read_with_the_route_of_its_column() -> None:
    [copied] = [block.text for block in blocks(DOCUMENT) if block.language == "json"]
    key, headers, value = _connected({"id": "7", "route": ROUTE, "payload": copied})
    assert (key, value) == (ROUTE, copied)
    [found] = decode_all(str(value).encode(), RecordArrival(PLACE), Carriage(headers))
    assert isinstance(found, Received), found
    assert (found.exchange.route, found.exchange.model.served) == (ROUTE, "gpt-4-0613")
    [quoted] = decode_all(json.dumps(copied).encode(), RecordArrival(PLACE), Carriage(headers))
    assert isinstance(quoted, DeadLetter), "what JsonConverter would make of a text"


def test_what_connect_copies_is_read_once_it_has_a_route() -> None:
    [copied] = [block.text for block in blocks(DOCUMENT) if block.language == "json"]
    [refused] = decode_all(copied.encode(), RecordArrival(PLACE))
    assert isinstance(refused, DeadLetter)
    assert "route: " in refused.reason
    [found] = decode_all(copied.encode(), RecordArrival(PLACE), Carriage({"keelwatch-route": ROUTE}))
    assert isinstance(found, Received), found
    assert (found.exchange.route, found.exchange.model.served) == (ROUTE, "gpt-4-0613")


def test_the_connector_writes_text_keyed_by_route_to_the_topic() -> None:
    given = CONNECTOR
    assert given["topic.prefix"] == EXCHANGES.name
    assert {given[f"{part}.converter"] for part in ("key", "value", "header")} == {TEXT_CONVERTER}
    chain = [(given[f"transforms.{name}.type"].rpartition(".")[2], name) for name in given["transforms"].split(",")]
    assert [kind for kind, _ in chain] == ["ValueToKey", "ExtractField$Key", "HeaderFrom$Value", "ExtractField$Value"]
    columns = re.findall(r"\w+", given["query"].partition(" FROM ")[0].removeprefix("SELECT "))
    whole = ("ValueToKey", "HeaderFrom$Value")
    fields = [given[f"transforms.{name}.{'fields' if kind in whole else 'field'}"] for kind, name in chain]
    assert {*fields, given["incrementing.column.name"]} <= set(columns)
    assert all(value.startswith("${file:") for name, value in given.items() if name.endswith(("password", "user")))


def test_the_collector_uses_what_it_defines_and_nothing_else() -> None:
    told = yaml.safe_load((ROOT / "infra" / "otel-collector" / "keelwatch.yaml").read_text())
    used = {kind: set[str]() for kind in ("receivers", "processors", "exporters")}
    for pipeline in told["service"]["pipelines"].values():
        for kind, names in used.items():
            names |= set(pipeline[kind])
    assert {kind: set(told[kind]) - names for kind, names in used.items()} == {
        "receivers": set(),
        "processors": set(),
        "exporters": {"kafka/keelwatch"},
    }
    kafka = told["exporters"]["kafka/keelwatch"]
    assert {kafka[kind]["topic"] for kind in ("traces", "logs")} == {EXCHANGES.name}
    assert all("," not in one and "$" not in one for one in kafka["brokers"]), "one text is one broker"
    most, batch = kafka["producer"]["max_message_bytes"], told["processors"]["batch/keelwatch"]
    assert most <= EXCHANGES.max_message_bytes
    assert batch["send_batch_size"] <= batch["send_batch_max_size"] <= 1000
    assert batch["send_batch_max_size"] * LONG_CALL <= min(most, MOST_BYTES)
    variables = set(re.findall(r"\$\{env:(\w+)\}", (ROOT / "infra" / "otel-collector" / "keelwatch.yaml").read_text()))
    assert variables <= _variables()


def test_the_route_that_the_collector_adds_is_the_one_of_its_calls() -> None:
    told = yaml.safe_load((ROOT / "infra" / "otel-collector" / "keelwatch.yaml").read_text())
    [attribute] = told["processors"]["resource/keelwatch"]["attributes"]
    sent = json.loads((ROOT / "tests" / "ingest" / "fixtures" / "otlp_semconv.json").read_text())
    for one in sent["resourceSpans"]:
        kept = [each for each in one["resource"]["attributes"] if each["key"] != attribute["key"]]
        added = {"key": attribute["key"], "value": {"stringValue": attribute["value"]}}
        one["resource"]["attributes"] = [*kept, added]
    found = decode_all(json.dumps(sent).encode(), RecordArrival(PLACE))
    assert found
    assert [one.exchange.route for one in found if isinstance(one, Received)] == [ROUTE] * len(found)


@pytest.mark.parametrize("title", ["SendExchange.java", "main.go"])
def test_producers_send_the_form_to_the_topic_keyed_by_route(title: str) -> None:
    text = BLOCKS[title].text
    assert f'"{EXCHANGES.name}"' in text
    block: Block = BLOCKS[title]
    if block.language == "java":
        names = set(re.findall(r'^ +"(\w+)", ', text, re.MULTILINE)) | set(re.findall(r'"(requested|served)"', text))
        assert "new ProducerRecord<>(" + f'"{EXCHANGES.name}", route, exchange)' in text
    else:
        names = set(re.findall(r'json:"(\w+)', text))
        assert "Key: []byte(exchange.Route)" in text
    assert names <= set(Exchange.model_fields) | set(Model.model_fields)
    required = {name for name, field in Exchange.model_fields.items() if field.is_required()}
    assert required | {"requested"} <= names


def _variables() -> set[str]:
    return {f"KEELWATCH_{name.upper()}" for name in Settings.model_fields}


def _containers() -> list[tuple[str, SimpleNamespace]]:
    documents = yaml.safe_load_all((ROOT / "infra" / "kubernetes" / "keelwatch.yaml").read_text())
    found = []
    for one in documents:
        if one["kind"] in ("Job", "StatefulSet", "Deployment"):
            pod = one["spec"]["template"]["spec"]
            [container] = pod["containers"]
            found.append((one["metadata"]["name"], SimpleNamespace(pod=pod, **container)))
    return found


def test_kubernetes_runs_commands_that_there_are_with_variables_that_there_are() -> None:
    containers = _containers()
    assert len(containers) == 4
    root: Any = typer.main.get_command(app)
    for name, one in containers:
        words, command = list(map(str, one.args)), root
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
            command = command.load() if isinstance(command, Later) else command
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, name
        assert {each["name"] for each in one.env} <= _variables(), name
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name.removeprefix("keelwatch-"): list(map(str, one.args)) for name, one in containers} == {
        name: service["command"] for name, service in compose.items() if "command" in service
    }, "the parts of compose"


def test_in_kubernetes_who_sends_and_who_answers_slack_have_what_compose_gives_them() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    given = {name.removeprefix("keelwatch-"): {each["name"] for each in one.env} for name, one in _containers()}
    for name in ("watch", "api"):
        wanted = {each for each in compose[name]["environment"] if "SLACK_TOKEN" in each or "SIGNING" in each}
        assert (
            wanted | {"KEELWATCH_SLACK_TOKEN", "KEELWATCH_SLACK_SIGNING_SECRET", "KEELWATCH_PUBLIC_URL"} <= given[name]
        )


def test_in_kubernetes_the_variables_that_a_monitor_file_names_come_from_a_secret() -> None:
    head = (ROOT / "infra" / "kubernetes" / "keelwatch.yaml").read_text().partition("apiVersion")[0]
    named = {name: getattr(one, "envFrom", []) for name, one in _containers()}
    for name in ("keelwatch-watch", "keelwatch-api"):
        [source] = named[name]
        assert source["secretRef"]["optional"], "a monitor file may name none"
        assert f"create secret generic {source['secretRef']['name']} --from-literal MODEL_API_KEY=" in head


def test_kubernetes_holds_no_secret_and_gives_no_right() -> None:
    for name, one in _containers():
        assert one.securityContext["readOnlyRootFilesystem"], name
        assert one.securityContext["capabilities"] == {"drop": ["ALL"]}
        assert (one.pod["securityContext"]["runAsUser"], one.pod["automountServiceAccountToken"]) == (10001, False)
        mounted = {each["name"] for each in one.volumeMounts}
        assert mounted == {each["name"] for each in one.pod["volumes"]}
        assert {"/data", "/tmp"} <= {each["mountPath"] for each in one.volumeMounts}
        for each in one.env:
            secret = re.search("TOKEN|SECRET|PASSWORD|DATABASE_URL", each["name"])
            assert not secret or "secretKeyRef" in each["valueFrom"], each["name"]
        if name != "keelwatch-topics":
            probes = (one.livenessProbe, one.readinessProbe, one.startupProbe)
            assert [probe["httpGet"]["path"] for probe in probes] == ["/livez", "/readyz", "/livez"]
