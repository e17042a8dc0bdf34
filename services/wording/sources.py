"""How each source sends its first exchange, ready to be copied, with the addresses of this deployment. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

EXAMPLE_ROUTE: Final = "support-bot/prod"
TOPIC: Final = "keelwatch.exchanges"
_API: Final = "http://127.0.0.1:8400"
UNKNOWN_BROKER: Final = "HOST:PORT"


@dataclass(frozen=True, slots=True)
class SourceAddresses:
    """Where a source reaches Keelwatch.

    Attributes:
        api: URL of the API. broker: HOST:PORT of Kafka. None where it is not known.
        security: of the connection to Kafka, as its clients call it.
        keyed: whether the API asks for a key.
    """

    api: str | None = None
    broker: str | None = None
    security: str = "PLAINTEXT"
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class SourceSnippet:
    """What is copied. `title` names the source, `language` is that of `text`, `before` is what it needs first."""

    title: str
    language: str
    before: str
    text: str


_CLIENT: Final = "From the repository: python -m pip install ./sdk"
_INSTALL_WITH: Final = "From the repository: python -m pip install ./sdk {}"


def snippets(at: SourceAddresses, route: str = EXAMPLE_ROUTE) -> tuple[SourceSnippet, ...]:
    """One for each source, the simplest first."""
    filled = {"@API@": at.api or _API, "@BROKER@": at.broker or UNKNOWN_BROKER, "@ROUTE@": route, "@TOPIC@": TOPIC}
    filled["@CURL_KEY@"] = '-H "Authorization: Bearer $KEELWATCH_API_KEY" ' if at.keyed else ""
    filled["@OTEL_KEY@"] = _OTEL_KEY if at.keyed else ""
    filled["@SECURITY@"] = "" if at.security == "PLAINTEXT" else _SECURITY.replace("@", at.security)
    return tuple(_filled(filled))


def _filled(values: dict[str, str]) -> Iterator[SourceSnippet]:
    for title, language, before, text in _SOURCES:
        told = text
        for mark, value in values.items():
            told = told.replace(mark, value)
        yield SourceSnippet(title, language, before, told)


_OTEL_KEY: Final = """
    headers: {Authorization: "Bearer ${env:KEELWATCH_API_KEY}"}"""
_SECURITY: Final = """
        security_protocol="@",  # and the user, password or certificate of this broker"""
_CURL: Final = """\
curl --fail-with-body @CURL_KEY@-H "Content-Type: application/json" @API@/v1/exchanges --data '{
  "route": "@ROUTE@",
  "model": {"requested": "gpt-4", "served": "gpt-4-0613"},
  "prompt": "Where is my parcel?",
  "response": "It left our warehouse this morning."
}'
"""
_PYTHON: Final = """\
from keelwatch_client import Publisher

publisher = Publisher("@API@", route="@ROUTE@")
publisher.publish(
    {
        "model": {"requested": "gpt-4", "served": "gpt-4-0613"},
        "prompt": "Where is my parcel?",
        "response": "It left our warehouse this morning.",
    }
)
"""
_OPENAI: Final = """\
from keelwatch_client import Publisher, wrap
from openai import OpenAI

client = wrap(OpenAI(), Publisher("@API@", route="@ROUTE@"))
client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "Where is my parcel?"}])
"""
_ANTHROPIC: Final = """\
from anthropic import Anthropic
from keelwatch_client import Publisher, wrap

client = wrap(Anthropic(), Publisher("@API@", route="@ROUTE@"))
client.messages.create(
    model="claude-sonnet-4-5", max_tokens=500, messages=[{"role": "user", "content": "Where is my parcel?"}]
)
"""
_LITELLM: Final = """\
import litellm
from keelwatch_client import Publisher
from keelwatch_client.litellm_callback import KeelwatchLogger

litellm.callbacks = [KeelwatchLogger(Publisher("@API@", route="@ROUTE@"))]
"""
_LANGCHAIN: Final = """\
from keelwatch_client import Publisher
from keelwatch_client.langchain_callback import KeelwatchCallback
from langchain_openai import ChatOpenAI

keelwatch = KeelwatchCallback(Publisher("@API@", route="@ROUTE@"))
ChatOpenAI(model="gpt-4", callbacks=[keelwatch]).invoke("Where is my parcel?")
"""
_COLLECTOR: Final = """\
exporters:
  otlphttp/keelwatch:
    endpoint: @API@@OTEL_KEY@
processors:
  resource/keelwatch:
    attributes: [{key: keelwatch.route, value: "@ROUTE@", action: upsert}]
service:
  pipelines:
    traces/keelwatch: {receivers: [otlp], processors: [resource/keelwatch], exporters: [otlphttp/keelwatch]}
"""
_KAFKA: Final = """\
import asyncio, json
from aiokafka import AIOKafkaProducer


async def main() -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers="@BROKER@",@SECURITY@
        acks="all",
    )
    await producer.start()
    exchange = {
        "route": "@ROUTE@",
        "model": {"requested": "gpt-4", "served": "gpt-4-0613"},
        "prompt": "Where is my parcel?",
        "response": "It left our warehouse this morning.",
    }
    try:
        await producer.send_and_wait("@TOPIC@", json.dumps(exchange).encode(), key=exchange["route"].encode())
    finally:
        await producer.stop()


asyncio.run(main())
"""
_JAVASCRIPT: Final = """\
import { Publisher, wrap } from "keelwatch-client";
import OpenAI from "openai";

const client = wrap(new OpenAI(), new Publisher({ url: "@API@", route: "@ROUTE@" }));
await client.chat.completions.create({
  model: "gpt-4",
  messages: [{ role: "user", content: "Where is my parcel?" }],
});
"""
_SOURCES: Final = (
    ("curl", "sh", "Nothing else is needed.", _CURL),
    ("Python client", "python", _CLIENT, _PYTHON),
    ("OpenAI SDK, also vLLM and Ollama", "python", _INSTALL_WITH.format("openai"), _OPENAI),
    ("Anthropic SDK", "python", _INSTALL_WITH.format("anthropic"), _ANTHROPIC),
    ("LiteLLM", "python", _INSTALL_WITH.format("litellm"), _LITELLM),
    ("LangChain", "python", _INSTALL_WITH.format("langchain-openai"), _LANGCHAIN),
    ("OpenTelemetry Collector", "yaml", "Added to a configuration that has the receiver otlp.", _COLLECTOR),
    ("Kafka producer", "python", "python -m pip install aiokafka", _KAFKA),
    ("JavaScript", "js", "From the repository: npm install ./sdk/javascript openai", _JAVASCRIPT),
)
