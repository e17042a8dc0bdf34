"""Content parts as the APIs of vendors send them, tools and documents: what is text is scored, what is not is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.exchange import Exchange
from schemas.position import Position
from services.ingest.decode import decode
from services.ports import Received
from services.score.scored_text import answered, model_of, not_monitored, scored_text

FILE = Position(cluster="file", topic="0123456789ab", partition=0, offset=7)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def read(**fields: Any) -> Exchange:
    sent = {"route": "a", "prompt": "Hi", "response": "Hello.", "model": {"requested": "m"}, **fields}
    result = decode(json.dumps(sent).encode(), FILE)
    assert isinstance(result, Received), result
    return result.exchange


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "I will not."}],
        [{"type": "output_text", "text": "I will not.", "annotations": []}],
        [{"type": "thinking", "thinking": "Hm, sure.", "signature": "x"}, {"type": "text", "text": "I will not."}],
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Sure."}]},
            {"type": "text", "text": "I will not."},
        ],
        [{"type": "reasoning", "text": "Sure."}, {"type": "output_text", "text": "I will not."}],
        [{"text": "I will not."}, {"type": "tool_use", "name": "search", "input": {}}],
    ],
    ids=["anthropic", "responses", "thinking", "mistral", "reasoning", "bedrock"],
)
def test_text_parts_of_a_response_are_the_answer(parts: list[dict[str, Any]]) -> None:
    text = scored_text(read(response={"content": parts}))
    assert text.response == "I will not."
    assert answered(text.answer)


def test_a_call_of_a_tool_is_one_wherever_it_stands() -> None:
    for response in (
        {"content": [{"type": "tool_use", "id": "1", "name": "search", "input": {"q": "a"}}]},
        {"content": None, "function_call": {"name": "search", "arguments": "{}"}},
        {"content": None, "tool_calls": [{"function": {"name": "search", "arguments": "{}"}}]},
        {"content": [{"type": "function_call", "name": "search", "arguments": "{}"}]},
    ):
        answer = read(response=response).answer
        assert len(answer.calls) == 1
        assert answered(answer)
        assert not answer.text


def test_a_refusal_among_the_parts_is_the_refusal() -> None:
    answer = read(response={"content": [{"type": "refusal", "refusal": "I can't."}]}).answer
    assert (answer.declined, answer.text) == ("I can't.", "")


def test_what_is_no_text_is_flagged_and_never_an_empty_text() -> None:
    exchange = read(
        prompt=[
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {}}, {"type": "document", "source": {}}],
            },
        ]
    )
    assert not_monitored(exchange) == ("not_monitored:image", "not_monitored:audio", "not_monitored:file")
    assert not_monitored(read(response={"content": None, "audio": {"id": "a"}})) == ("not_monitored:audio",)
    assert not_monitored(read()) == ()


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "file", "mediaType": "image/png", "data": "AAAA"}, "image"),
        ({"type": "file", "mediaType": "audio/mpeg", "data": "AAAA"}, "audio"),
        ({"type": "file", "mediaType": "application/pdf", "data": "AAAA"}, "file"),
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, "image"),
        ({"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}}, "audio"),
        ({"image": {"format": "png", "source": {"bytes": "AAAA"}}}, "image"),
        ({"document": {"format": "pdf", "name": "a", "source": {"bytes": "AAAA"}}}, "file"),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}, "file"),
        ({"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}, "image"),
        ({"type": "tool_result", "content": [{"type": "text", "text": "a"}, IMAGE]}, "image"),
        ({"type": "tool_result", "content": [{"type": "document", "source": {}}]}, "file"),
    ],
)
def test_media_are_told_by_what_the_part_says_in_any_vendors_form(part: Any, kind: str) -> None:
    for role in ("user", "assistant"):
        message = read(prompt=[{"role": "user", "content": "Hi"}, {"role": role, "content": [part]}])
        assert not_monitored(message) == (f"not_monitored:{kind}",)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "redacted_thinking", "data": "AAAA"},
        {"type": "compaction", "encrypted_content": "AAAA"},
        {"type": "web_search_tool_result", "tool_use_id": "1", "content": [{"type": "web_search_result", "url": "u"}]},
        {"type": "code_execution_tool_result", "tool_use_id": "1", "content": {"stdout": "a"}},
        {"type": "mcp_tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a"}]},
        {"type": "mcp_list_tools", "server_label": "s", "tools": []},
        {"type": "search_result", "source": "u", "title": "t", "content": [{"type": "text", "text": "a"}]},
    ],
)
def test_reasoning_and_what_tools_gave_back_are_no_files(part: dict[str, Any]) -> None:
    found = read(response={"content": [part, {"type": "text", "text": "Yes."}]})
    assert not_monitored(found) == ()
    assert scored_text(found).response == "Yes."


def test_documents_and_results_of_tools_are_neither_prompt_nor_answer() -> None:
    text = scored_text(
        read(
            prompt=[
                {"role": "user", "content": "Look it up."},
                {"role": "tool", "content": "of a tool"},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "of a part"}]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "text", "text": "of parts"}]}],
                },
            ],
            documents=["plain", {"id": 4, "content": "with id"}, {"page_content": "langchain"}, {"no": "text"}],
        )
    )
    assert text.prompt == "Look it up."
    assert text.user_text == "Look it up."
    assert text.document_text.split("\n") == ["plain", "with id", "langchain", "of a tool", "of a part", "of parts"]
    assert text.exchange.extra["documents"] == [{"no": "text"}]


def test_tools_are_read_in_every_vendors_form_and_belong_to_the_identity() -> None:
    forms: list[Any] = [
        [{"name": "search", "schema": {"type": "object"}}],
        [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}],
        [{"name": "search", "input_schema": {"type": "object"}}],
    ]
    hashes = {model_of(scored_text(read(tools=form))).tools_sha256 for form in forms}
    assert len(hashes) == 1
    assert None not in hashes
    assert (
        model_of(scored_text(read(tools=forms[0], model={"requested": "m", "tools_sha256": "x"}))).tools_sha256 == "x"
    )
    assert [tool.name for tool in read(tools=[{"type": "web_search"}, "shell", 4]).tools] == ["web_search", "shell"]
    assert model_of(scored_text(read())).tools_sha256 is None
